"""What each network minimizes, as named, weighted terms: the step sums them, the log prints every name.

An objective owns no network, optimizer or device. Beside its losses it may return monitors: numbers that are logged and
not minimized.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels.precision import precise
from improved_gan.networks.interface import Discriminator, Generator, forward_batches
from improved_gan.techniques import feature_matching_loss, real_logit, semi_supervised_losses

__all__ = [
    "BatchSource",
    "Objective",
    "SemiSupervised",
    "SupervisedBaseline",
    "Terms",
    "TrainingBatch",
    "error_rate",
    "generate_for_discriminator",
    "weighted_cross_entropy",
]


class BatchSource(Protocol):
    """The source of batches; `data.Batches` is one. The order of an epoch depends on its number alone."""

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator["TrainingBatch"]:
        """The batches of one epoch, from one of its steps on."""


class TrainingBatch(Protocol):
    """The images of one step, each (N, C, H, W); `data.Batch` is one."""

    @property
    def labeled_images(self) -> Tensor:
        """Images with labels."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64 classes of the labeled images."""

    @property
    def unlabeled_images(self) -> Tensor:
        """Real images for the discriminator."""

    @property
    def matching_images(self) -> Tensor:
        """Real images for feature matching, drawn independently of the others."""

    @property
    def pseudo_labeled_images(self) -> Tensor | None:
        """Images with a pseudo-label, or None."""

    @property
    def pseudo_labels(self) -> Tensor | None:
        """(N,) int64 their pseudo-labels, or None."""

    @property
    def augment(self) -> Callable[[Tensor], Tensor] | None:
        """Random augmentation of a batch of images that keeps their classes, or None."""

    @property
    def label_weights(self) -> Tensor | None:
        """(N,) weights of the labels, of mean 1 over all labels; None for equal weights."""


@dataclass(frozen=True)
class Terms:
    """Named scalars: `losses` are summed and minimized, `monitors` only logged; no losses, no update."""

    losses: dict[str, Tensor]
    monitors: dict[str, Tensor] = field(default_factory=dict)


class Objective(ABC):
    """The losses of both networks.

    `needs_generator` is False for an objective that trains no GAN; it then ignores the generator, which may be None.
    """

    needs_generator = True

    @abstractmethod
    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The discriminator's terms; no gradient may reach the generator."""

    @abstractmethod
    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The generator's terms; the discriminator's parameters are frozen."""


@dataclass(frozen=True)
class SemiSupervised(Objective):
    """K+1 classes for D, feature matching for G (paper, sections 3.1 and 5).

    Args:
        supervised_weight: of the loss on labeled images, and of that on pseudo-labels where there are any.
        unsupervised_weight: of the loss of real against generated images; 0.5 in the released scripts.
        generator_loss: takes the real and the generated features.
    """

    supervised_weight: float = 1.0
    unsupervised_weight: float = 0.5
    generator_loss: Callable[[Tensor, Tensor], Tensor] = feature_matching_loss

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The weighted L_supervised and L_unsupervised of section 5."""
        generated_images = generate_for_discriminator(generator, len(batch.unlabeled_images))
        batches = [batch.labeled_images, batch.unlabeled_images, generated_images]
        if batch.pseudo_labeled_images is not None:
            batches.append(batch.pseudo_labeled_images)
        outputs = forward_batches(discriminator, batches)
        labeled, unlabeled, generated, *pseudo_labeled = (one.logits for one in outputs)
        supervised, unsupervised = semi_supervised_losses(labeled, batch.labels, unlabeled, generated)
        if batch.label_weights is not None:
            supervised = weighted_cross_entropy(labeled, batch.labels, batch.label_weights)
        losses = {
            "supervised": self.supervised_weight * supervised,
            "unsupervised": self.unsupervised_weight * unsupervised,
        }
        if pseudo_labeled and batch.pseudo_labels is not None:
            loss = F.cross_entropy(precise(pseudo_labeled[0]), batch.pseudo_labels)
            losses["pseudo_label"] = self.supervised_weight * loss
        return Terms(
            losses=losses,
            monitors={
                "labeled_error": error_rate(labeled, batch.labels),
                **_probabilities(real_logit(unlabeled.detach()), real_logit(generated.detach())),
            },
        )

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """Feature matching, on real images that the discriminator's update of this step did not use."""
        num = len(batch.matching_images)
        real, generated = discriminator.forward_real_and_generated(
            batch.matching_images, lambda: generator(generator.draw_latents(num))
        )
        return Terms(losses={"feature_matching": self.generator_loss(real.features, generated.features)})


@dataclass(frozen=True)
class SupervisedBaseline(Objective):
    """The discriminator as a classifier of the labeled images alone; the generator, if there is one, is not updated.

    The baseline of `SemiSupervised`: the difference is the effect of unlabeled images and adversarial training.
    """

    needs_generator = False

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """L_supervised of section 5."""
        logits = discriminator(batch.labeled_images).logits
        if batch.label_weights is None:
            loss = F.cross_entropy(precise(logits), batch.labels)
        else:
            loss = weighted_cross_entropy(logits, batch.labels, batch.label_weights)
        return Terms(losses={"supervised": loss}, monitors={"labeled_error": error_rate(logits, batch.labels)})

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """No losses."""
        return Terms(losses={})


def generate_for_discriminator(generator: Generator, num: int) -> Tensor:
    """(num, C, H, W) images without gradient."""
    with torch.no_grad():
        return generator(generator.draw_latents(num))  # type: ignore[no-any-return]


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """L_supervised of section 5 with weighted labels: mean_i w_i (-log p(y_i | x_i, y < K+1)).

    With weights of mean 1 over all labels its expectation over batches is sum_i w_i l_i / sum_i w_i.

    Args:
        logits: (N, K).
        labels: (N,) int64.
        weights: (N,).
    """
    losses = F.cross_entropy(precise(logits), labels, reduction="none")
    return (weights * losses).mean()


def _probabilities(real_logits: Tensor, generated_logits: Tensor) -> dict[str, Tensor]:
    """The mean of D on both batches: near 1 and 0, D saturates."""
    return {
        "real_probability": torch.sigmoid(real_logits).mean(),
        "generated_probability": torch.sigmoid(generated_logits).mean(),
    }


def error_rate(logits: Tensor, labels: Tensor) -> Tensor:
    """The fraction of images that are misclassified."""
    return (logits.detach().argmax(1) != labels).float().mean()
