"""From a recipe to a run: data, label split, networks and optimizers, reproducible from the seed.

Over several processes the batch size of the recipe is the global one: each process takes an equal part of its rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from improved_gan import __version__
from improved_gan.data import Batches, Dataset, LabelSplit, PseudoLabelSource
from improved_gan.data.dataset import to_float01
from improved_gan.distributed import rank, single_process, world_size
from improved_gan.label_spreading.layout_conv import TakesPixelLayout
from improved_gan.label_spreading.pseudo_label_state import PseudoLabelState
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling
from improved_gan.label_spreading.random_elastic_affine import RandomElasticAffine
from improved_gan.modes import to_training_
from improved_gan.networks import Discriminator, Generator
from improved_gan.recipes.data_checks import check_data, draw_split
from improved_gan.recipes.error_count import count_errors
from improved_gan.recipes.precision import resolve_precision
from improved_gan.recipes.process_sharding import all_reduce_sum, broadcast_networks, check_batch_divisible
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.techniques import WeightEMA
from improved_gan.training import Objective, Optimizers
from improved_gan.training.compilation import compile_networks
from improved_gan.training.historical_averaging import HistoricallyAveraged, ParameterAverages, after_each_step
from improved_gan.training.microbatch import wrap_networks
from improved_gan.training.state import TrainingState, seed_rank

__all__ = ["Experiment"]


@dataclass(frozen=True)
class Experiment:
    """One run of a recipe.

    Args:
        recipe: the settings.
        data: the data set.
        split: which images have labels.
        seed: of all random numbers in training.
        device: where to train.
        positions: (H * W, 2) the pixel layout, if the recipe has an augmentation; otherwise None.
        augmenter: the augmentation, if the recipe has one; otherwise None.
    """

    recipe: Recipe
    data: Dataset
    split: LabelSplit
    seed: int
    device: torch.device
    positions: Tensor | None = None
    augmenter: RandomElasticAffine | None = None

    @classmethod
    def prepare(
        cls, recipe: Recipe, *, seed: int, split_seed: int, data_folder: Path | None, device: str
    ) -> "Experiment":
        """Load the data and draw the split; the precision "auto" is resolved for the device.

        Raises:
            DataError, RecipeError: data or labels that are not available, or a batch that does not divide by the
                number of processes.
        """
        check_batch_divisible(recipe)
        recipe = resolve_precision(recipe, torch.device(device))
        data = recipe.load_data(data_folder)
        check_data(recipe, data)
        split = draw_split(recipe, data, split_seed)
        own = cls(recipe, data, split, seed, torch.device(device))
        if recipe.augmentation is None:
            return own
        positions = recipe.augmentation.positions(data.train, split)
        return replace(own, positions=positions, augmenter=recipe.augmentation.of(positions).to(own.device))

    def settings(self) -> dict[str, Any]:
        """All that is needed to build this run again, for `recipe.json`."""
        return {
            "recipe": self.recipe.name,
            "seed": self.seed,
            "epochs": self.recipe.epochs,
            "label_split": self.split.as_dict(),
            "class_names": list(self.data.class_names),
            "image_shape": list(self.data.image_shape),
            "values": {key: value for key, value in self.recipe.as_dict().items() if key != "epochs"},
            "improved_gan": __version__,
            "description": self.recipe.description,
        } | self._of_custom_images()

    def _of_custom_images(self) -> dict[str, Any]:
        """Settings that only custom image folders have."""
        found: dict[str, Any] = {"data_sha256": self.data.digest} if self.data.digest else {}
        values = self.data.value_range
        return found if values is None else found | {"value_range": list(values)}

    def resumable_fields(self) -> tuple[str, ...]:
        """Settings that may be increased when the run is resumed: `epochs`, if nothing else depends on it."""
        fixed = self.recipe.lr_decay_fraction or self.recipe.pseudo_labeling is not None
        return () if fixed else ("epochs",)

    def batches(self, state: TrainingState) -> Batches:
        """The batches of this run; pseudo-labels that are saved come from its state."""
        recipe = self.recipe
        pseudo_labels: PseudoLabelSource | None = (
            state.pseudo_labels if isinstance(state.pseudo_labels, PseudoLabelState) else None
        )
        if recipe.pseudo_labeling is not None and pseudo_labels is None:
            pseudo_labels = recipe.pseudo_labeling.pseudo_labels(
                self.data.train, self.split, epochs=recipe.epochs, positions=self.positions
            )
        return Batches(
            self.data.train,
            self.split,
            batch_size=recipe.batch_size,
            seed=self.seed,
            device=self.device,
            labeled_batch_size=recipe.labeled_batch_size,
            pseudo_labels=pseudo_labels,
            augmenter=self.augmenter,
            share=(rank(), world_size()),
        )

    @property
    def steps_per_epoch(self) -> int:
        """The number of whole batches of unlabeled images."""
        return len(self.split.unlabeled_indices()) // self.recipe.batch_size

    def start(self, *, warn: Callable[[str], None] = lambda _: None) -> TrainingState:
        """Networks and optimizers before the first step; seeds the global random state.

        Over several processes each builds the same networks and takes rank 0's weights; after that each process has
        its own random stream for noise.

        Args:
            warn: called with one line if the recipe asks for compiled networks and no compiler works.

        Raises:
            RecipeError: micro-batches with a discriminator that compares rows.
        """
        torch.manual_seed(self.seed)
        with single_process():
            generator, discriminator = self._networks()
        try:
            wrap_networks(generator, discriminator, self.recipe.micro_batch)
        except ValueError as error:
            raise RecipeError(str(error)) from error
        broadcast_networks(generator, discriminator)
        seed_rank(torch.get_rng_state())
        if self.recipe.compile:
            compile_networks(generator, discriminator, warn=warn)
        adam_of_discriminator = self._adam(discriminator, self.recipe.discriminator_lr_scale)
        optimizers = Optimizers(discriminator=adam_of_discriminator, generator=self._adam(generator))
        average = WeightEMA(discriminator, self.recipe.ema_decay, every=self.recipe.ema_every)
        state = TrainingState(generator, discriminator, optimizers, average)
        if self.recipe.generator_ema_decay is not None:
            state.generator_ema = WeightEMA(generator, self.recipe.generator_ema_decay)
            after_each_step(optimizers.generator, state.generator_ema.update)
        if self.recipe.pseudo_labeling is not None and self.recipe.pseudo_labeling.saved:
            state.pseudo_labels = self._pseudo_label_state(self.recipe.pseudo_labeling, state)
        if self.recipe.historical_averaging_weight:
            state.parameter_averages = ParameterAverages(optimizers)
        return state

    def objective(self, state: TrainingState) -> Objective:
        """The recipe's objective; with historical averaging if the recipe asks for it."""
        if not isinstance(state.parameter_averages, ParameterAverages):
            return self.recipe.objective
        return HistoricallyAveraged(
            self.recipe.objective, state.parameter_averages, self.recipe.historical_averaging_weight
        )

    def _pseudo_label_state(self, pseudo_labeling: PseudoLabeling, state: TrainingState) -> PseudoLabelState:
        return PseudoLabelState(
            pseudo_labeling,
            self.data.train,
            self.split,
            epochs=self.recipe.epochs,
            batch_size=self.recipe.batch_size,
            discriminator=lambda: state.average.averaged(state.discriminator),
            positions=self.positions,
        )

    def _networks(self) -> tuple[Generator, Discriminator]:
        """Both networks after the data-dependent initialization, on the device."""
        generator, discriminator = self.recipe.generator(), self.recipe.discriminator()
        self._set_pixel_layout(discriminator)
        if self.recipe.init_batch_size:
            training = self.split.training_indices()
            order = training[torch.randperm(len(training))[: self.recipe.init_batch_size]]
            discriminator.init_from_data_(to_float01(self.data.train.images[order]))
            generator.init_from_data_(self.recipe.init_batch_size)
        for network in (generator, discriminator):
            to_training_(network.to(self.device))  # parts that the recipe froze stay in eval mode
            if self.recipe.channels_last:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return generator, discriminator

    def _set_pixel_layout(self, discriminator: Discriminator) -> None:
        """Give the layout of the augmentation to a discriminator that takes one; a dense one needs none."""
        if self.positions is None or self.recipe.augmentation is None:
            return
        if isinstance(discriminator, TakesPixelLayout):
            discriminator.set_pixel_layout_(self.positions)

    def evaluate(self, discriminator: nn.Module) -> dict[str, float]:
        """Error in float32: `test/num_errors` (or `validation/num_errors`) and `test/error` as a fraction; or {}.

        Each process evaluates a part of the images.
        """
        kind, images = self.data.test_kind, self.data.test
        if not len(images) or not self.split.indices:
            return {}
        share = (rank(), world_size())
        own = count_errors(discriminator, images, device=self.device, batch_size=self.recipe.batch_size, share=share)
        wrong = all_reduce_sum(own)
        return {f"{kind}/num_errors": wrong, f"{kind}/error": wrong / len(images)}

    def _adam(self, network: nn.Module, lr_scale: float = 1.0) -> torch.optim.Adam:
        learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
        recipe = self.recipe
        return torch.optim.Adam(
            [{"params": learned, "lr_scale": lr_scale}],
            lr=recipe.learning_rate,
            betas=recipe.adam_betas,
            eps=recipe.adam_epsilon,
            fused=self.device.type in ("cpu", "cuda"),
        )
