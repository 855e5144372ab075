"""Build a run from a recipe: data, label split, networks and optimizers, reproducible from the seed.

Over several processes the batch size of the recipe is the global one: each process takes an equal part of its rows.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from improved_gan import __version__
from improved_gan.data.batches import Batches, PseudoLabelSource
from improved_gan.data.dataset import Dataset, to_float01
from improved_gan.data.label_split import LabelSplit
from improved_gan.distributed import broadcast_from_rank0, mean_over_ranks, rank, single_process, world_size
from improved_gan.kernels.random_source import get_random_state, own_generator_by_default, seed_random_numbers, source
from improved_gan.label_spreading.layout_conv import TakesPixelLayout
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling, PseudoLabelState
from improved_gan.label_spreading.random_elastic_affine import RandomElasticAffine
from improved_gan.modes import to_training_
from improved_gan.networks.global_batch_norm import convert_global_batch_norm
from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.recipes.precision import resolve_precision
from improved_gan.recipes.recipe import Recipe, RecipeError
from improved_gan.runs.networks import count_errors
from improved_gan.techniques.weight_ema import WeightEMA
from improved_gan.training.compilation import compile_networks
from improved_gan.training.historical_averaging import HistoricallyAveraged, ParameterAverages, after_each_step
from improved_gan.training.microbatch import wrap_networks
from improved_gan.training.objectives import Objective
from improved_gan.training.state import TrainingState, seed_rank
from improved_gan.training.step import Optimizers

__all__ = ["Experiment", "build", "check_batch_divisible", "check_data", "draw_split"]


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
        if self.data.embedding is not None:
            found["embedding"] = dict(self.data.embedding)
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
        """The state before the first step (`build`); seeds the random numbers.

        Args:
            warn: called with one line if the recipe asks for compiled networks and no compiler works.

        Raises:
            RecipeError: micro-batches with a discriminator that compares rows.
        """
        state = build(
            self.recipe,
            self._some_images,
            seed=self.seed,
            device=self.device,
            positions=self.positions,
            warn=warn,
        )
        if self.recipe.pseudo_labeling is not None and self.recipe.pseudo_labeling.saved:
            state.pseudo_labels = self._pseudo_label_state(self.recipe.pseudo_labeling, state)
        return state

    def _some_images(self, num: int) -> Tensor:
        """Random training images for the data-dependent initialization."""
        training = self.split.training_indices()
        return to_float01(self.data.train.images[training[torch.randperm(len(training))[:num]]])

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

    def evaluate(self, discriminator: nn.Module) -> dict[str, float]:
        """Error in float32: `test/num_errors` (or `validation/num_errors`) and `test/error` as a fraction; or {}.

        Each process evaluates a part of the images.
        """
        kind, images = self.data.test_kind, self.data.test
        if not len(images) or not self.split.indices:
            return {}
        share = (rank(), world_size())
        own = count_errors(discriminator, images, device=self.device, batch_size=self.recipe.batch_size, share=share)
        wrong = _summed(own)
        return {f"{kind}/num_errors": wrong, f"{kind}/error": wrong / len(images)}


def build(
    recipe: Recipe,
    some_images: Callable[[int], Tensor] | None,
    *,
    seed: int,
    device: torch.device | str,
    positions: Tensor | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> TrainingState:
    """Networks, optimizers and averages before the first step: the same for the command line and the estimator.

    Over several processes each builds the same networks and takes rank 0's weights; after that each process has its own
    random stream for noise. Random numbers come from the generators in use (`kernels.random_source`), which are seeded.

    Args:
        recipe: the settings.
        some_images: returns that many real images, (N, C, H, W) in [0, 1] on the CPU, for the data-dependent
            initialization; None skips it, for a state that will be loaded.
        seed: of all random numbers.
        device: where to train.
        positions: (H * W, 2) the pixel layout, for a discriminator that takes one.
        warn: called with one line if the recipe asks for compiled networks and no compiler works.

    Raises:
        RecipeError: micro-batches with a discriminator that compares rows.
    """
    device = torch.device(device)
    seed_random_numbers(seed)
    with single_process():
        generator, discriminator = _networks(recipe, some_images, device, positions)
    try:
        wrap_networks(generator, discriminator, recipe.micro_batch)
    except ValueError as error:
        raise RecipeError(str(error)) from error
    networks = [network for network in (generator, discriminator) if network is not None]
    _broadcast(*networks)
    seed_rank(get_random_state())
    if recipe.compile:
        compile_networks(*networks, warn=warn)
    adam_of_discriminator = _adam(recipe, discriminator, device, recipe.discriminator_lr_scale)
    adam_of_generator = None if generator is None else _adam(recipe, generator, device)
    optimizers = Optimizers(discriminator=adam_of_discriminator, generator=adam_of_generator)
    average = WeightEMA(discriminator, recipe.ema_decay, every=recipe.ema_every).to(device)
    state = TrainingState(generator, discriminator, optimizers, average)
    if generator is not None and adam_of_generator is not None and recipe.generator_ema_decay is not None:
        state.generator_ema = WeightEMA(generator, recipe.generator_ema_decay)
        after_each_step(adam_of_generator, state.generator_ema.update)
    if recipe.historical_averaging_weight:
        state.parameter_averages = ParameterAverages(optimizers)
    return state


def _networks(
    recipe: Recipe, some_images: Callable[[int], Tensor] | None, device: torch.device, positions: Tensor | None
) -> tuple[Generator | None, Discriminator]:
    """The networks after the data-dependent initialization, on the device."""
    with nullcontext() if source() is None else own_generator_by_default():
        generator = None if recipe.generator is None else recipe.generator()
        discriminator = recipe.discriminator()
    if positions is not None and isinstance(discriminator, TakesPixelLayout):  # a dense one needs none
        discriminator.set_pixel_layout_(positions)
    if recipe.init_batch_size and some_images is not None:
        discriminator.init_from_data_(some_images(recipe.init_batch_size))
        if generator is not None:
            generator.init_from_data_(recipe.init_batch_size)
    for network in filter(None, (generator, discriminator)):
        to_training_(network.to(device))  # parts that the recipe froze stay in eval mode
        if recipe.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return generator, discriminator


def _adam(recipe: Recipe, network: nn.Module, device: torch.device, lr_scale: float = 1.0) -> torch.optim.Adam:
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.Adam(
        [{"params": learned, "lr_scale": lr_scale}],
        lr=recipe.learning_rate,
        betas=recipe.adam_betas,
        eps=recipe.adam_epsilon,
        fused=device.type in ("cpu", "cuda"),
    )


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


def check_batch_divisible(recipe: Recipe) -> None:
    """Check that the recipe's batch sizes divide by the number of processes.

    Raises:
        RecipeError: one does not.
    """
    parts = {"": recipe.batch_size, "labeled ": recipe.labeled_batch_size or recipe.batch_size}
    if recipe.pseudo_labeling is not None:
        parts["pseudo-labeled "] = recipe.pseudo_labeling.batch_size
    whole = math.gcd(*parts.values())
    numbers = [n for n in range(1, whole + 1) if whole % n == 0 and n <= 2 * world_size()]
    for part, size in parts.items():
        if size % world_size():
            raise RecipeError(
                f"the {part}batch of {size} does not divide by {world_size()} processes: start "
                f"{' or '.join(map(str, numbers))}, or give the recipe one that is a multiple of {world_size()}"
            )


def _broadcast(*networks: nn.Module) -> None:
    """Copy rank 0's parameters and buffers to all ranks, and make batch norm global; no change with one process."""
    for network in networks:
        convert_global_batch_norm(network)
        if world_size() > 1:
            for value in network.state_dict().values():
                value.copy_(broadcast_from_rank0(value))


def _summed(count: int) -> int:
    """The sum of every process's count, exact below 2^53."""
    return round(float(mean_over_ranks(torch.tensor(float(count), dtype=torch.float64))) * world_size())
