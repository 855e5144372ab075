"""From a recipe to a run and back: data, networks, label split and optimisers, the same for a seed every time.

Over several processes the batch of the recipe is the global one: each takes an equal share of its rows.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from improved_gan import __version__
from improved_gan.data import Batches, Dataset, LabelSplit
from improved_gan.data.dataset import LabelledImages, unit_range
from improved_gan.distributed import alone, from_main, mean_over_ranks, rank, world_size
from improved_gan.models import Discriminator, Generator
from improved_gan.models.global_batch_norm import convert_global_batch_norm
from improved_gan.recipes.recipe import PRECISIONS, Recipe, RecipeError
from improved_gan.techniques import WeightAverage, data_dependent_init_
from improved_gan.training import Optimizers
from improved_gan.training.compilation import compile_networks
from improved_gan.training.in_parts import players
from improved_gan.training.loop import Schedule
from improved_gan.training.state import TrainingState, own_random_stream

__all__ = ["Experiment", "check_share", "test_errors"]

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
            DataError, RecipeError: data or labels that are not to be had, or a batch that the processes cannot share.
        """
        check_share(recipe)
        data = recipe.load_data(data_folder)
        split = LabelSplit.draw(
            data.train.labels, recipe.num_labels, seed=split_seed, include_labelled=recipe.include_labelled
        )
        return cls(recipe, data, split, seed, torch.device(device))

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
        }

    def extendable(self) -> tuple[str, ...]:
        """What a later start may raise: the length of a run whose learning rate does not depend on it."""
        return () if self.recipe.decay_share else ("epochs",)

    def batches(self) -> Batches:
        """The batches of this run."""
        return Batches(
            self.data.train,
            self.split,
            batch_size=self.recipe.batch_size,
            seed=self.seed,
            device=self.device,
            share=(rank(), world_size()),
        )

    def schedule(self, *, save_every_seconds: float = 60.0) -> Schedule:
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
            generator_steps=recipe.generator_steps,
            micro_batch=recipe.micro_batch,
        )

    def start(self, *, warn: Callable[[str], None] = lambda _: None) -> TrainingState:
        """Networks and optimisers as they stand before the first step; seeds the global random state.

        Over several processes each makes the same start by itself, and takes rank 0's weights; from then on noise
        comes from a random stream of its own.

        Args:
            warn: told in one line if the recipe asks for compiled networks and no compiler works.

        Raises:
            RecipeError: a few rows at a time, and a discriminator that compares rows.
        """
        torch.manual_seed(self.seed)
        with alone():
            generator, discriminator = self._networks()
        try:
            players(generator, discriminator, self.recipe.micro_batch)
        except ValueError as error:
            raise RecipeError(str(error)) from error
        _take_from_main(generator, discriminator)
        own_random_stream(torch.get_rng_state())
        if self.recipe.compile:
            compile_networks(generator, discriminator, warn=warn)
        optimizers = Optimizers(discriminator=self._adam(discriminator), generator=self._adam(generator))
        average = WeightAverage(discriminator, self.recipe.average_decay, every=self.recipe.average_every)
        return TrainingState(generator, discriminator, optimizers, average)

    def _networks(self) -> tuple[Generator, Discriminator]:
        """Both networks after the data-dependent start, on the device."""
        generator, discriminator = self.recipe.generator(), self.recipe.discriminator()
        if self.recipe.num_start_images:
            order = torch.randperm(len(self.data.train))[: self.recipe.num_start_images]
            data_dependent_init_(discriminator, unit_range(self.data.train.images[order]))
        for network in (generator, discriminator):
            network.to(self.device).train()
            if self.recipe.channels_last:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return generator, discriminator

    def evaluate(self, discriminator: nn.Module) -> dict[str, float]:
        """Test error, in float32: `test/wrong` images and `test/error` as a fraction; the processes share the work."""
        wrong = test_errors(discriminator, self.data.test, device=self.device, share=(rank(), world_size()))
        wrong = round(float(mean_over_ranks(torch.tensor(float(wrong))) * world_size()))
        return {"test/wrong": wrong, "test/error": wrong / len(self.data.test)}

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
        recipe = self.recipe
        return torch.optim.Adam(
            learnt,
            lr=recipe.learning_rate,
            betas=recipe.adam_betas,
            eps=recipe.adam_epsilon,
            fused=self.device.type in ("cpu", "cuda"),
        )


@torch.no_grad()
def test_errors(
    discriminator: nn.Module,
    images: LabelledImages,
    *,
    device: torch.device,
    share: tuple[int, int] = (0, 1),  # noqa: PT028 (a function, not a test)
) -> int:
    """How many of the images get the wrong class, in evaluation mode; (r, R) looks at each R-th chunk from r on."""
    was_training = discriminator.training
    discriminator.eval()
    wrong, (first, step) = 0, share
    chunks = zip(*(torch.split(part, _EVALUATION_BATCH) for part in (images.images, images.labels)), strict=True)
    with alone():
        for some, labels in itertools.islice(chunks, first, None, step):
            predicted = discriminator(unit_range(some.to(device))).logits.argmax(1).cpu()
            wrong += int((predicted != labels).sum())
    discriminator.train(was_training)
    return wrong


def check_share(recipe: Recipe) -> None:
    """Whether the processes can share the recipe's batch evenly.

    Raises:
        RecipeError: they cannot.
    """
    if recipe.batch_size % world_size():
        numbers = [n for n in range(1, recipe.batch_size + 1) if recipe.batch_size % n == 0 and n <= 2 * world_size()]
        raise RecipeError(
            f"the batch of {recipe.batch_size} does not divide by {world_size()} processes: start "
            f"{' or '.join(map(str, numbers))}, or give the recipe a batch_size that is a multiple of {world_size()}"
        )


def _take_from_main(*networks: nn.Module) -> None:
    """Rank 0's parameters and buffers, and batch norm over all ranks."""
    for network in networks:
        convert_global_batch_norm(network)
        if world_size() > 1:
            for value in network.state_dict().values():
                value.copy_(from_main(value))
