"""Checks before a run: whether the data fit the recipe, and the draw of the labeled images."""

from improved_gan.data import Dataset, LabelSplit
from improved_gan.recipes.recipe import Recipe, RecipeError

__all__ = ["check_data", "draw_split"]


def check_data(recipe: Recipe, data: Dataset) -> None:
    """Check that the recipe's networks fit the data.

    Raises:
        RecipeError: images of another shape, or other classes.
    """
    if recipe.image_shape is not None and tuple(recipe.image_shape) != data.image_shape:
        channels, height, width = recipe.image_shape
        smaller = data.image_shape[1] < height or data.image_shape[2] < width
        remedy = "larger images (nothing is enlarged silently)" if smaller else "images of that size"
        raise RecipeError(
            f"{recipe.name} trains on images of {width}x{height} pixels with {channels} channels, but {data.name} has "
            f"{data.image_shape[2]}x{data.image_shape[1]} with {data.image_shape[0]}: give it {remedy} with --data, "
            "or write a recipe of your own for this size"
        )
    if recipe.num_classes is not None and recipe.num_classes != len(data.class_names):
        raise RecipeError(
            f"{recipe.name} has {recipe.num_classes} classes, but {data.name} has {len(data.class_names)}: "
            "give the data that it is for with --data, or write a recipe of your own"
        )


def draw_split(recipe: Recipe, data: Dataset, seed: int) -> LabelSplit:
    """The label split of the recipe: all labels of the data, none, or a balanced random draw.

    Raises:
        DataError: fewer labels in the data than the recipe asks for.
    """
    labels, held_out = data.train.labels, data.held_out
    if recipe.labels_as_given:
        return LabelSplit.as_given(labels, seed=seed, include_labeled=recipe.include_labeled, held_out=held_out)
    if recipe.num_labels == 0:
        return LabelSplit.none(len(labels), seed=seed, held_out=held_out)
    return LabelSplit.draw(
        labels, recipe.num_labels, seed=seed, include_labeled=recipe.include_labeled, held_out=held_out
    )
