"""From a recipe to a run and back: data, networks, label split and optimisers, the same for a seed every time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from improved_gan import __version__
from improved_gan.data import Batches, Dataset, LabelSplit
from improved_gan.data.dataset import LabelledImages, unit_range
from improved_gan.recipes.recipe import PRECISIONS, Recipe, RecipeError
from improved_gan.techniques import WeightAverage
from improved_gan.training import Objective, Optimizers
from improved_gan.training.history import HistoricallyAveraged, Histories, after_each_step
from improved_gan.training.loop import Schedule
from improved_gan.training.state import TrainingState

__all__ = ["Experiment", "check_data", "test_errors"]

_EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Experiment:
    """One run of a recipe.

    Args:
        recipe: what to train.
        data: its data.
        split: which images have labels.
        seed: of everything that is random in training.
        device: where to train.
    """

    recipe: Recipe
    data: Dataset
    split: LabelSplit
    seed: int
    device: torch.device

    @classmethod
    def prepare(
        cls, recipe: Recipe, *, seed: int, split_seed: int, data_folder: Path | None, device: str
    ) -> "Experiment":
        """Load the data and draw the split.

        Raises:
            DataError, RecipeError: data or labels that are not to be had.
        """
        data = recipe.load_data(data_folder)
        check_data(recipe, data)
        return cls(recipe, data, _split(recipe, data, split_seed), seed, torch.device(device))

    def settings(self) -> dict[str, Any]:
        """All that is needed to build this run again, for recipe.json."""
        return {
            "recipe": self.recipe.name,
            "seed": self.seed,
            "epochs": self.recipe.epochs,
            "label_split": self.split.as_dict(),
            "class_names": list(self.data.class_names),
            "image_shape": list(self.data.image_shape),
            "values": {key: value for key, value in self.recipe.as_dict().items() if key != "epochs"},
            "improved_gan": __version__,
        } | ({"data_sha256": self.data.digest} if self.data.digest else {})

    def extendable(self) -> tuple[str, ...]:
        """What a later start may raise: the length of a run whose learning rate does not depend on it."""
        return () if self.recipe.decay_share else ("epochs",)

    def batches(self) -> Batches:
        """The batches of this run."""
        return Batches(
            self.data.train, self.split, batch_size=self.recipe.batch_size, seed=self.seed, device=self.device
        )

    def schedule(self, *, save_every_seconds: float = 60.0, score_every: int = 0) -> Schedule:
        """How long and how fast."""
        recipe = self.recipe
        return Schedule(
            epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            decay_share=recipe.decay_share,
            report_every=recipe.report_every,
            sample_every=recipe.sample_every,
            save_every_seconds=save_every_seconds,
            precision=PRECISIONS[recipe.precision],
            score_every=score_every,
        )

    def start(self) -> TrainingState:
        """Networks and optimisers as they stand before the first step; seeds the global random state."""
        torch.manual_seed(self.seed)
        generator, discriminator = self.recipe.generator(), self.recipe.discriminator()
        if self.recipe.num_start_images:
            training = self.split.training_indices()
            order = training[torch.randperm(len(training))[: self.recipe.num_start_images]]
            discriminator.start_(unit_range(self.data.train.images[order]))
            generator.start_(self.recipe.num_start_images)
        generator.to(self.device).train()
        discriminator.to(self.device).train()
        adam_of_discriminator = self._adam(discriminator, self.recipe.discriminator_rate)
        optimizers = Optimizers(discriminator=adam_of_discriminator, generator=self._adam(generator))
        average = WeightAverage(discriminator, self.recipe.average_decay, every=self.recipe.average_every)
        state = TrainingState(generator, discriminator, optimizers, average)
        if self.recipe.generator_average_decay is not None:
            state.generator_average = WeightAverage(generator, self.recipe.generator_average_decay)
            after_each_step(optimizers.generator, state.generator_average.update)
        if self.recipe.historical_weight:
            state.histories = Histories(optimizers)
        return state

    def objective(self, state: TrainingState) -> Objective:
        """The recipe's game; with historical averaging where the recipe asks for it."""
        if not isinstance(state.histories, Histories):
            return self.recipe.objective
        return HistoricallyAveraged(self.recipe.objective, state.histories, self.recipe.historical_weight)

    def evaluate(self, discriminator: nn.Module) -> dict[str, float]:
        """Error in float32: `test/wrong` images (or `validation/wrong`) and `test/error` as a fraction; or {}."""
        kind, images = self.data.test_kind, self.data.test
        if not len(images) or not self.split.indices:
            return {}
        wrong = test_errors(discriminator, images, device=self.device, batch_size=self.recipe.batch_size)
        return {f"{kind}/wrong": wrong, f"{kind}/error": wrong / len(images)}

    def _adam(self, network: nn.Module, rate_factor: float = 1.0) -> torch.optim.Adam:
        learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
        recipe = self.recipe
        return torch.optim.Adam(
            [{"params": learnt, "rate_factor": rate_factor}],
            lr=recipe.learning_rate,
            betas=recipe.adam_betas,
            eps=recipe.adam_epsilon,
            fused=self.device.type in ("cpu", "cuda"),
        )


def _split(recipe: Recipe, data: Dataset, seed: int) -> LabelSplit:
    """As many labels as the recipe says: all that there are, none, or a balanced draw."""
    labels, held_out = data.train.labels, data.held_out
    if recipe.labels_as_given:
        return LabelSplit.as_given(labels, seed=seed, include_labelled=recipe.include_labelled, held_out=held_out)
    if recipe.num_labels == 0:
        return LabelSplit.none(len(labels), seed=seed, held_out=held_out)
    return LabelSplit.draw(
        labels, recipe.num_labels, seed=seed, include_labelled=recipe.include_labelled, held_out=held_out
    )


@torch.no_grad()
def test_errors(discriminator: nn.Module, images: LabelledImages, *, device: torch.device, batch_size: int) -> int:
    """How many of the images get the wrong class, in evaluation mode.

    A discriminator that looks across the batch judges batches as in training: of `batch_size`, in a fixed random order.
    """
    was_training = discriminator.training
    discriminator.eval()
    alone = getattr(discriminator, "independent_rows", True)
    order = torch.arange(len(images)) if alone else torch.from_numpy(np.random.RandomState(0).permutation(len(images)))
    wrong = 0
    for rows in torch.split(order, _EVALUATION_BATCH if alone else batch_size):
        predicted = discriminator(unit_range(images.images[rows].to(device))).logits.argmax(1).cpu()
        wrong += int((predicted != images.labels[rows]).sum())
    discriminator.train(was_training)
    return wrong


def check_data(recipe: Recipe, data: Dataset) -> None:
    """Whether the recipe's networks fit the data.

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
            f"{recipe.name} tells {recipe.num_classes} classes apart, but {data.name} has {len(data.class_names)}: "
            "give the data that it is for with --data, or write a recipe of your own"
        )
