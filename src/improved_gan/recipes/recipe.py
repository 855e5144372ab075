"""A recipe: a frozen description of one experiment, made by a Python function.

Variants derive from it with `dataclasses.replace`. A Python file that defines `recipe(labels=None) -> Recipe` can be
given to the command line by its path.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch

from improved_gan.data.dataset import Dataset
from improved_gan.label_spreading.augmentation import Augmentation
from improved_gan.label_spreading.pseudo_labeling import PseudoLabeling
from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.training.objectives import Adversarial, Objective, SupervisedBaseline

__all__ = ["AUTO", "NOT_IDENTITY", "OVERRIDABLE", "PRECISIONS", "Recipe", "RecipeError", "to_jsonable"]

# Fields that do not decide the result: texts, and settings that change memory or speed only. A run may be resumed with
# others; all other fields are part of its identity.
NOT_IDENTITY = ("summary", "paper", "micro_batch", "compile", "channels_last")
# Fields that a command line may change, so that a run of a built-in recipe may have other values than the recipe.
OVERRIDABLE = ("epochs", "learning_rate", "precision", "generator_updates", "micro_batch", "compile", "channels_last")
AUTO = "auto"  # the faster precision on the machine, see `recipes.precision`


class RecipeError(ValueError):
    """A recipe that does not exist or does not fit the data; the message has the remedy."""


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Args:
        name: on the command line and in file names.
        summary: one line for the list of recipes.
        load_data: called with the folder that the user gave, or None.
        num_labels: the number of labels, balanced over the classes; 0 for none.
        generator, discriminator: build the two networks; no generator (None) where no GAN is trained.
        objective: the losses of both networks.
        epochs: passes over the unlabeled images.
        learning_rate: of both networks; the discriminator's is multiplied by `discriminator_lr_scale`.
        lr_decay_fraction: the fraction of the run, at its end, over which the learning rate falls linearly to 0.
        batch_size: of each of the labeled, unlabeled and generated parts.
        adam_betas, adam_epsilon: of both optimizers. The released Adam has its epsilon of 1e-8 inside the square root,
            which is 1e-4 outside; with PyTorch's default of 1e-8 outside, training on MNIST diverges.
        ema_decay: of the moving average of D's weights for testing, 1 - 1e-4 in the released scripts.
        ema_every: steps between updates of that average.
        init_batch_size: size of the batch for D's data-dependent initialization; 0 for none.
        discriminator_lr_scale: the discriminator's learning rate divided by the generator's.
        generator_ema_decay: of the moving average of G's weights for samples; None: samples use the current weights.
        historical_averaging_weight: of historical averaging in both losses (section 3.3); 0 for none.
        image_shape: (C, H, W) of the images, checked against the data; None for no check.
        num_classes: K, checked against the data; None for no check.
        score_samples: the number of samples that are scored at the end if an evaluation network is available; 0 for
            none.
        labels_as_given: use all labels of the data, balanced or not; `num_labels` is then their number.
        include_labeled: whether the labeled images are among the unlabeled ones too, as released.
        report_every, sample_every: in epochs.
        precision: of the forward passes, "float32" or "bfloat16"; "auto" is the faster one on the machine.
        labeled_batch_size: of the labeled part if it differs from the others; None for `batch_size`.
        pseudo_labeling: settings of pseudo-labels for some of the unlabeled images; None for none.
        augmentation: of the labeled images, and of others for an objective that uses it; None for none.
        generator_updates: generator updates per discriminator update; 3 in the released CIFAR-10 experiment with
            minibatch discrimination.
        micro_batch: the largest number of rows in one forward pass, to save memory; 0 for the whole batch. Losses and
            gradients are those of the whole batch (`training.microbatch`).
        compile: whether the networks are compiled (`torch.compile`) if a compiler is available.
        channels_last: whether convolutions use the channels-last memory format, which is faster in bfloat16.
        paper: the paper's result for this recipe, as text.

    Raises:
        RecipeError: a number out of its range.
    """

    name: str
    summary: str
    load_data: Callable[[Path | None], Dataset]
    num_labels: int
    generator: Callable[[], Generator] | None
    discriminator: Callable[[], Discriminator]
    objective: Objective
    epochs: int
    learning_rate: float
    lr_decay_fraction: float = 0.0
    batch_size: int = 100
    adam_betas: tuple[float, float] = (0.5, 0.999)
    adam_epsilon: float = 1e-4
    ema_decay: float = 0.9999
    ema_every: int = 1
    init_batch_size: int = 500
    discriminator_lr_scale: float = 1.0
    generator_ema_decay: float | None = None
    historical_averaging_weight: float = 0.0
    image_shape: tuple[int, ...] | None = None
    num_classes: int | None = None
    score_samples: int = 0
    labels_as_given: bool = False
    include_labeled: bool = True
    report_every: int = 1
    sample_every: int = 10
    precision: str = "float32"
    labeled_batch_size: int | None = None
    pseudo_labeling: PseudoLabeling | None = None
    paper: str = "not in the paper"
    augmentation: Augmentation | None = None
    generator_updates: int = 1
    micro_batch: int = 0
    compile: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        of_a_gan = (self.generator_ema_decay, self.historical_averaging_weight, self.score_samples)
        if self.generator is None and (self.objective.needs_generator or any(of_a_gan)):
            raise RecipeError(
                "generator=None trains no GAN: give an objective that needs no generator, and no generator_ema_decay, "
                "historical_averaging_weight or score_samples"
            )
        if self.objective.simultaneous and self.generator_updates != 1:
            text = f"generator_updates={self.generator_updates}: leave it at 1 (--generator-updates 1)"
            raise RecipeError(f"simultaneous updates are one for each network; got {text}")
        # Not a subclass, which may have a term of its own.
        if self.pseudo_labeling is not None and type(self.objective) in (Adversarial, SupervisedBaseline):
            text = f"{type(self.objective).__name__} has no term for pseudo-labels: set pseudo_labeling to None"
            raise RecipeError(f"{text}, or take SemiSupervised or VirtualAdversarialObjective")
        if self.num_labels < 0:
            raise RecipeError(f"num_labels must be positive, or 0 for none; got {self.num_labels}")
        for name in (
            "epochs",
            "batch_size",
            "report_every",
            "sample_every",
            "ema_every",
            "learning_rate",
            "generator_updates",
            "discriminator_lr_scale",
        ):
            if not getattr(self, name) > 0:
                raise RecipeError(f"{name} must be positive; got {getattr(self, name)}")
        if self.labeled_batch_size is not None and self.labeled_batch_size < 1:
            raise RecipeError(f"labeled_batch_size must be positive; got {self.labeled_batch_size}")
        if self.historical_averaging_weight < 0 or self.score_samples < 0:
            text = f"{self.historical_averaging_weight} and {self.score_samples}"
            raise RecipeError(f"historical_averaging_weight and score_samples must not be negative; got {text}")
        if not 0 <= self.lr_decay_fraction <= 1:
            raise RecipeError(f"lr_decay_fraction must lie in 0..1; got {self.lr_decay_fraction}")
        if self.micro_batch < 0:
            raise RecipeError(f"micro_batch must be at least 0 (0: the whole batch); got {self.micro_batch}")
        if self.precision not in (*PRECISIONS, AUTO):
            raise RecipeError(f"precision must be one of {', '.join(PRECISIONS)}, {AUTO}; got {self.precision!r}")

    def as_dict(self) -> dict[str, Any]:
        """The settings that decide the result, as JSON values: a run is resumed only with the same ones."""
        return {one.name: to_jsonable(getattr(self, one.name)) for one in fields(self) if one.name not in NOT_IDENTITY}

    def lr(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0: constant, then linearly to 0, in steps of an epoch."""
        return self.learning_rate * min(1.0, (self.epochs - epoch) / max(1.0, self.lr_decay_fraction * self.epochs))

    def how(self, num_processes: int) -> str:
        """How a step is computed where it is not the usual way, for the first lines of a run.

        >>> from improved_gan.recipes import cifar10_generation
        >>> cifar10_generation().how(num_processes=1)
        ', 3 generator updates each, channels last'
        """
        several = f", {num_processes} processes with {self.batch_size // num_processes} rows of each batch"
        parts = {
            several: num_processes > 1,
            f", {self.generator_updates} generator updates each": self.generator_updates > 1,
            f", {self.micro_batch} rows at a time": self.micro_batch > 0,
            ", channels last": self.channels_last,
        }
        return "".join(text for text, holds in parts.items() if holds)

    @property
    def description(self) -> dict[str, str]:
        """The texts, for readers of a run."""
        return {"summary": self.summary, "paper": self.paper}


PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def to_jsonable(value: Any) -> Any:
    """A setting as a JSON value: functions and classes by qualified name, partials and dataclasses with arguments.

    >>> to_jsonable(functools.partial(max, 3))
    {'call': 'builtins.max', 'arguments': [3]}
    """
    if isinstance(value, functools.partial):
        arguments = {"arguments": [to_jsonable(one) for one in value.args]} if value.args else {}
        return {"call": to_jsonable(value.func), **arguments, **to_jsonable(value.keywords)}
    if is_dataclass(value) and not isinstance(value, type):
        return {"call": to_jsonable(type(value))} | {f.name: to_jsonable(getattr(value, f.name)) for f in fields(value)}
    if callable(value):
        named = value if isinstance(getattr(value, "__qualname__", None), str) else type(value)
        return f"{named.__module__}.{named.__qualname__}"
    if isinstance(value, dict):
        return {str(key): to_jsonable(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_jsonable(one) for one in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
