"""The paper's ablation (table 3): CIFAR-10 samples with all techniques, and with one of them removed.

"Our methods" has all techniques but feature matching and historical averaging: minibatch discrimination, virtual batch
normalization, one-sided label smoothing, and all labels as K+1 classes. Each column derives from it. The script of this
experiment was never public; networks and learning rate are those of `cifar10-generation-released`. `ablated` derives
the columns from any other recipe of this kind, such as the small ones of benchmarks/ablations.py.
"""

from dataclasses import replace
from functools import partial

from improved_gan.networks import ConvolutionalDiscriminator, ConvolutionalGenerator, ReferenceGenerator
from improved_gan.recipes.cifar10 import IMAGE, RELEASED_KERNELS, cifar10_released
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.techniques import adversarial_discriminator_loss, smoothed_discriminator_loss
from improved_gan.training import Adversarial

__all__ = ["ABLATIONS", "COLUMNS", "ablated", "all_techniques"]

# What the paper calls a column -> what the recipe's name ends in, and the paper's Inception score.
COLUMNS = {
    "our methods": ("", "8.09 ± .07"),
    "-VBN+BN": ("-batch-norm", "7.54 ± .07"),
    "-L+HA": ("-historical-averaging", "6.86 ± .06"),
    "-LS": ("-no-smoothing", "6.83 ± .06"),
    "-L": ("-no-labels", "4.36 ± .04"),
    "-MBF": ("-no-minibatch-features", "3.87 ± .03"),
}
# The paper gives none; at 1 the penalty's gradient is hundreds of times that of the loss and nothing is learned.
_HISTORICAL_WEIGHT = 0.01


def all_techniques(labels: int | None = None) -> Recipe:
    """CIFAR-10 samples with all techniques but feature matching and historical averaging.

    Table 3, "Our methods". Expected: Inception score 8.09 ± .07 of 50,000 samples. Measured: at full width
    not yet; the six columns at 14x14 pixels are in docs/results.md.

    Args:
        labels: how many of the 50,000; default all.
    """
    return replace(
        cifar10_released(50_000 if labels is None else labels),
        name="cifar10-samples",
        summary="CIFAR-10 samples with all techniques of the paper but feature matching and historical averaging",
        generator=partial(ReferenceGenerator, partial(ConvolutionalGenerator, image_shape=IMAGE)),
        discriminator=partial(
            ConvolutionalDiscriminator,
            image_shape=IMAGE,
            num_classes=10,
            input_dropout=0.0,
            input_noise=0.2,
            minibatch=RELEASED_KERNELS,
        ),
        objective=Adversarial(discriminator_loss=smoothed_discriminator_loss, supervised_weight=1.0),
        score_samples=50_000,
        paper=f"Inception score {COLUMNS['our methods'][1]}",
    )


def ablated(recipe: Recipe, column: str) -> Recipe:
    """One column of the table, derived from a recipe that has all methods on.

    Args:
        recipe: with a `ReferenceGenerator`, a discriminator with minibatch discrimination, and the `Adversarial`
            objective with smoothing and labels.
        column: a name of `COLUMNS`.

    Raises:
        RecipeError: no such column, or a recipe of another kind.

    >>> ablated(all_techniques(), "-L").num_labels
    0
    """
    if column not in COLUMNS:
        raise RecipeError(f"no column is called {column!r}: there are {', '.join(COLUMNS)}")
    generator, discriminator, objective = recipe.generator, recipe.discriminator, recipe.objective
    if not (
        isinstance(generator, partial)
        and generator.func is ReferenceGenerator
        and isinstance(discriminator, partial)
        and isinstance(objective, Adversarial)
    ):
        raise RecipeError(f"{recipe.name} does not have all techniques, so none can be removed from it")
    unlabeled = {"num_labels": 0, "objective": replace(objective, supervised_weight=0.0)}
    changes: dict[str, dict[str, object]] = {
        "our methods": {},
        "-VBN+BN": {"generator": generator.args[0]},
        "-L+HA": {**unlabeled, "historical_averaging_weight": _HISTORICAL_WEIGHT},
        "-LS": {"objective": replace(objective, discriminator_loss=adversarial_discriminator_loss)},
        "-L": unlabeled,
        "-MBF": {"discriminator": partial(discriminator, minibatch=None)},
    }
    suffix, figure = COLUMNS[column]
    summary = f"{recipe.summary}; {column}" if suffix else recipe.summary
    texts = {"name": f"{recipe.name}{suffix}", "paper": f"Inception score {figure}", "summary": summary}
    return replace(recipe, **{**texts, **changes[column]})  # type: ignore[arg-type]


def batch_norm(labels: int | None = None) -> Recipe:
    """Table 3, "-VBN+BN": plain batch norm in G.

    Expected: Inception score 7.54 ± .07. Measured: not yet (docs/results.md).
    """
    return ablated(all_techniques(labels), "-VBN+BN")


def historical_averaging(labels: int | None = None) -> Recipe:
    """Table 3, "-L+HA": no labels, historical averaging of both networks instead.

    Expected: Inception score 6.86 ± .06. Measured: not yet (docs/results.md).
    """
    return _without_labels("-L+HA", labels)


def no_smoothing(labels: int | None = None) -> Recipe:
    """Table 3, "-LS": no label smoothing.

    Expected: Inception score 6.83 ± .06. Measured: not yet (docs/results.md).
    """
    return ablated(all_techniques(labels), "-LS")


def no_labels(labels: int | None = None) -> Recipe:
    """Table 3, "-L": no labels.

    Expected: Inception score 4.36 ± .04. Measured: not yet (docs/results.md).
    """
    return _without_labels("-L", labels)


def no_minibatch_features(labels: int | None = None) -> Recipe:
    """Table 3, "-MBF": no minibatch features.

    Expected: Inception score 3.87 ± .03. Measured: not yet (docs/results.md).
    """
    return ablated(all_techniques(labels), "-MBF")


ABLATIONS = {
    "cifar10-samples": all_techniques,
    "cifar10-samples-batch-norm": batch_norm,
    "cifar10-samples-historical-averaging": historical_averaging,
    "cifar10-samples-no-smoothing": no_smoothing,
    "cifar10-samples-no-labels": no_labels,
    "cifar10-samples-no-minibatch-features": no_minibatch_features,
}


def _without_labels(column: str, labels: int | None) -> Recipe:
    recipe = ablated(all_techniques(), column)
    if labels:
        raise RecipeError(f"{recipe.name} is trained without labels: leave out --labels")
    return recipe
