"""From a recipe to a run and back: data, networks, label split and optimisers, the same for a seed every time.

Over several processes the batch of the recipe is the global one: each takes an equal share of its rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from improved_gan import __version__
from improved_gan.data import Batches, Dataset, GuessSource, LabelSplit
from improved_gan.data.dataset import unit_range
from improved_gan.distributed import alone, rank, world_size
from improved_gan.models import Discriminator, Generator
from improved_gan.modes import to_training_
from improved_gan.recipes.evaluation import wrong_images
from improved_gan.recipes.guessing import Guessing
from improved_gan.recipes.precision import settled
from improved_gan.recipes.preparation import check_data, draw_split
from improved_gan.recipes.recipe import PRECISIONS, Recipe, RecipeError
from improved_gan.recipes.renewed_guesses import RenewedGuesses
from improved_gan.recipes.sharing import check_share, sum_over_processes, take_from_main
from improved_gan.techniques import RandomDeformations, WeightAverage
from improved_gan.training import Objective, Optimizers
from improved_gan.training.compilation import compile_networks
from improved_gan.training.history import HistoricallyAveraged, Histories, after_each_step
from improved_gan.training.in_parts import players
from improved_gan.training.schedule import Schedule
from improved_gan.training.state import TrainingState, own_random_stream

__all__ = ["Experiment"]


@dataclass(frozen=True)
class Experiment:
    """One run of a recipe.

    Args:
        recipe, data: what to train, and on what.
        split: which images have labels.
        seed: of everything that is random in training.
        device: where to train.
        positions: (H * W, 2) where pixels lie, where the recipe deforms images; None else.
        deformations: new forms of images, where the recipe has some.
    """

    recipe: Recipe
    data: Dataset
    split: LabelSplit
    seed: int
    device: torch.device
    positions: Tensor | None = None
    deformations: RandomDeformations | None = None

    @classmethod
    def prepare(
        cls, recipe: Recipe, *, seed: int, split_seed: int, data_folder: Path | None, device: str
    ) -> "Experiment":
        """Load the data and draw the split; a precision that the machine decides is decided here.

        Raises:
            DataError, RecipeError: data or labels that are not to be had, or a batch that the processes cannot share.
        """
        check_share(recipe)
        recipe = settled(recipe, torch.device(device))
        data = recipe.load_data(data_folder)
        check_data(recipe, data)
        split = draw_split(recipe, data, split_seed)
        own = cls(recipe, data, split, seed, torch.device(device))
        if recipe.deforming is None:
            return own
        positions = recipe.deforming.positions(data.train, split)
        return replace(own, positions=positions, deformations=recipe.deforming.of(positions).to(own.device))

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
        } | self._of_own_images()

    def _of_own_images(self) -> dict[str, Any]:
        """What only a user's own images have."""
        found: dict[str, Any] = {"data_sha256": self.data.digest} if self.data.digest else {}
        values = self.data.value_range
        return found if values is None else found | {"value_range": list(values)}

    def extendable(self) -> tuple[str, ...]:
        """What a later start may raise: the length of a run in which nothing depends on it."""
        fixed = self.recipe.decay_share or self.recipe.guessing is not None
        return () if fixed else ("epochs",)

    def batches(self, state: TrainingState) -> Batches:
        """The batches of this run; guesses that are saved come from its state."""
        recipe = self.recipe
        guesses: GuessSource | None = state.guesses if isinstance(state.guesses, RenewedGuesses) else None
        if recipe.guessing is not None and guesses is None:
            guesses = recipe.guessing.guesses(
                self.data.train, self.split, epochs=recipe.epochs, positions=self.positions
            )
        return Batches(
            self.data.train,
            self.split,
            batch_size=recipe.batch_size,
            seed=self.seed,
            device=self.device,
            labelled_batch_size=recipe.labelled_batch_size,
            guesses=guesses,
            deformations=self.deformations,
            share=(rank(), world_size()),
        )

    @property
    def steps_per_epoch(self) -> int:
        """How many whole batches the unlabelled images make."""
        return len(self.split.unlabelled_indices()) // self.recipe.batch_size

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
            generator_steps=recipe.generator_steps,
            micro_batch=recipe.micro_batch,
            score_every=score_every,
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
        take_from_main(generator, discriminator)
        own_random_stream(torch.get_rng_state())
        if self.recipe.compile:
            compile_networks(generator, discriminator, warn=warn)
        adam_of_discriminator = self._adam(discriminator, self.recipe.discriminator_rate)
        optimizers = Optimizers(discriminator=adam_of_discriminator, generator=self._adam(generator))
        average = WeightAverage(discriminator, self.recipe.average_decay, every=self.recipe.average_every)
        state = TrainingState(generator, discriminator, optimizers, average)
        if self.recipe.generator_average_decay is not None:
            state.generator_average = WeightAverage(generator, self.recipe.generator_average_decay)
            after_each_step(optimizers.generator, state.generator_average.update)
        if self.recipe.guessing is not None and self.recipe.guessing.saved:
            state.guesses = self._renewed_guesses(self.recipe.guessing, state)
        if self.recipe.historical_weight:
            state.histories = Histories(optimizers)
        return state

    def objective(self, state: TrainingState) -> Objective:
        """The recipe's game; with historical averaging where the recipe asks for it."""
        if not isinstance(state.histories, Histories):
            return self.recipe.objective
        return HistoricallyAveraged(self.recipe.objective, state.histories, self.recipe.historical_weight)

    def _renewed_guesses(self, guessing: Guessing, state: TrainingState) -> RenewedGuesses:
        return RenewedGuesses(
            guessing,
            self.data.train,
            self.split,
            epochs=self.recipe.epochs,
            batch_size=self.recipe.batch_size,
            discriminator=lambda: state.average.averaged(state.discriminator),
            positions=self.positions,
        )

    def _networks(self) -> tuple[Generator, Discriminator]:
        """Both networks after the data-dependent start, on the device."""
        generator, discriminator = self.recipe.generator(), self.recipe.discriminator()
        if self.positions is not None:
            discriminator.place_(self.positions)
        if self.recipe.num_start_images:
            training = self.split.training_indices()
            order = training[torch.randperm(len(training))[: self.recipe.num_start_images]]
            discriminator.start_(unit_range(self.data.train.images[order]))
            generator.start_(self.recipe.num_start_images)
        for network in (generator, discriminator):
            to_training_(network.to(self.device))  # what a recipe has frozen stays so
            if self.recipe.channels_last:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return generator, discriminator

    def evaluate(self, discriminator: nn.Module) -> dict[str, float]:
        """Error in float32: `test/wrong` images (or `validation/wrong`) and `test/error` as a fraction; or {}.

        The processes share the work.
        """
        kind, images = self.data.test_kind, self.data.test
        if not len(images) or not self.split.indices:
            return {}
        share = (rank(), world_size())
        own = wrong_images(discriminator, images, device=self.device, batch_size=self.recipe.batch_size, share=share)
        wrong = sum_over_processes(own)
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
