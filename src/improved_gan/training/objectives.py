"""The objectives of training: each returns named, weighted terms, which the step sums and the log prints by name.

An objective owns no network, optimizer or device. Beside its losses it may return monitors: numbers that are logged and
not minimized.

`Adversarial` combines any of the paper's techniques (sections 2, 3 and 5). Techniques of the loss are its settings:
one-sided label smoothing, labels as K+1 classes, feature matching. Techniques of a network are in the network:
minibatch discrimination, virtual batch normalization. Historical averaging, which has a state, is
`training.historical_averaging`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels.precision import precise
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput, Generator, forward_batches
from improved_gan.techniques.adversarial import adversarial_discriminator_loss, non_saturating_generator_loss
from improved_gan.techniques.feature_matching import feature_matching_loss
from improved_gan.techniques.semi_supervised import real_logit, semi_supervised_losses

__all__ = [
    "Adversarial",
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
    With `simultaneous` both networks are updated at once: the step takes their terms from `joint_terms`.
    """

    needs_generator = True

    @property
    def simultaneous(self) -> bool:
        """Whether the step takes both networks' terms from one forward pass."""
        return False

    @abstractmethod
    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The discriminator's terms; no gradient may reach the generator."""

    @abstractmethod
    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The generator's terms; the discriminator's parameters are frozen."""

    def joint_terms(
        self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch
    ) -> tuple[Terms, Terms]:
        """The terms of the discriminator and of the generator, from one forward pass with gradients for both.

        Raises:
            NotImplementedError: an objective that has no such form.
        """
        raise NotImplementedError(f"{type(self).__name__} has no simultaneous form: its networks are updated in turn")


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
        # A discriminator that compares takes the last batches for the unlabeled and the generated images.
        place = 1 if discriminator.compares_real_and_generated else 3
        if batch.pseudo_labeled_images is not None:
            batches.insert(place, batch.pseudo_labeled_images)
        outputs = forward_batches(discriminator, batches)
        outputs += [outputs.pop(place)] if len(outputs) > 3 else []
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
    """The discriminator as a classifier of the labeled images alone; it needs no generator.

    The baseline of `SemiSupervised`: the difference is the effect of unlabeled images and adversarial training.
    """

    needs_generator = False

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """L_supervised of section 5."""
        logits = discriminator(batch.labeled_images).logits
        loss = weighted_cross_entropy(logits, batch.labels, batch.label_weights)
        return Terms(losses={"supervised": loss}, monitors={"labeled_error": error_rate(logits, batch.labels)})

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """No losses."""
        return Terms(losses={})


def generate_for_discriminator(generator: Generator, num: int) -> Tensor:
    """(num, C, H, W) images without gradient."""
    with torch.no_grad():
        return generator(generator.draw_latents(num))  # type: ignore[no-any-return]


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """L_supervised of section 5 with weighted labels: mean_i w_i (-log p(y_i | x_i, y < K+1)).

    With weights of mean 1 over all labels its expectation over batches is sum_i w_i l_i / sum_i w_i.

    Args:
        logits: (N, K).
        labels: (N,) int64.
        weights: (N,); None for equal ones.
    """
    if weights is None:
        return F.cross_entropy(precise(logits), labels)
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


@dataclass(frozen=True)
class Adversarial(Objective):
    """Real or generated, by default with cross entropy.

    Args:
        discriminator_loss: takes the real and the generated logits (N,), (M,). With one-sided smoothing it is
            `smoothed_discriminator_loss`, in the released form `divergence_discriminator_loss`.
        generator_loss: takes the generated logits (M,).
        adversarial_weight: of the discriminator's loss; the released scripts with labels weight each half of it by 0.5.
        supervised_weight: of the loss on labeled images; 0 ignores labels. D needs K class logits for it.
        labeled_as_real: whether the labeled images are the real ones of D's other loss too, as in the released ImageNet
            experiment, where all images have labels; otherwise these are the unlabeled images.
        generated_class: whether the loss on labeled images is that of K + 1 classes, so that it also tells them from
            "generated", as in that experiment; otherwise that of K classes.
        matching_weight: of feature matching in the generator's loss; 0 omits it.
        matching_loss: takes the real and the generated features.
        simultaneous: whether both networks are updated at once, from the same latents and images, as in the released
            ImageNet experiment; otherwise the generator is updated second, from latents and images of its own.
    """

    discriminator_loss: Callable[[Tensor, Tensor], Tensor] = adversarial_discriminator_loss
    generator_loss: Callable[[Tensor], Tensor] = non_saturating_generator_loss
    adversarial_weight: float = 1.0
    supervised_weight: float = 0.0
    labeled_as_real: bool = False
    generated_class: bool = False
    matching_weight: float = 0.0
    matching_loss: Callable[[Tensor, Tensor], Tensor] = feature_matching_loss
    simultaneous: bool = False

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The loss of real against generated images, and that of the labels."""
        batches = self._real_batches(batch)
        outputs = forward_batches(discriminator, [*batches, generate_for_discriminator(generator, len(batches[-1]))])
        return self._of_discriminator(outputs, batch)

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The loss of generated images, and feature matching where it has a weight."""
        return self._of_generator(*self._forward_for_generator(generator, discriminator, batch))

    def joint_terms(
        self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch
    ) -> tuple[Terms, Terms]:
        """Both networks' terms on the same generated and real images, with the same noise in the discriminator."""
        batches = self._real_batches(batch)
        images = generator(generator.draw_latents(len(batches[-1])))
        outputs = forward_batches(discriminator, [*batches, images])
        return self._of_discriminator(outputs, batch), self._of_generator(outputs[-2], outputs[-1])

    def _real_batches(self, batch: TrainingBatch) -> list[Tensor]:
        """Those that the discriminator's losses use; the last one is compared with generated images."""
        batches = [batch.labeled_images] if self.supervised_weight or self.labeled_as_real else []
        return batches if self.labeled_as_real else [*batches, batch.unlabeled_images]

    def _of_discriminator(self, outputs: list[DiscriminatorOutput], batch: TrainingBatch) -> Terms:
        labeled, real, generated = outputs[: bool(self.supervised_weight)], outputs[-2], outputs[-1]
        real_logits, generated_logits = _as_real_logit(real.logits), _as_real_logit(generated.logits)
        losses = {"adversarial": self.adversarial_weight * self.discriminator_loss(real_logits, generated_logits)}
        monitors = _monitors(real_logits.detach(), generated_logits.detach(), real, generated)
        for output in labeled:  # one, or none
            logits = F.pad(output.logits, (0, 1)) if self.generated_class else output.logits
            loss = weighted_cross_entropy(logits, batch.labels, batch.label_weights)
            losses["supervised"] = self.supervised_weight * loss
            monitors["labeled_error"] = error_rate(output.logits, batch.labels)
        return Terms(losses, monitors)

    def _of_generator(self, real: DiscriminatorOutput | None, generated: DiscriminatorOutput) -> Terms:
        losses = {"adversarial": self.generator_loss(_as_real_logit(generated.logits))}
        if self.matching_weight and real is not None:
            losses["feature_matching"] = self.matching_weight * self.matching_loss(real.features, generated.features)
        return Terms(losses)

    def _forward_for_generator(
        self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch
    ) -> tuple[DiscriminatorOutput | None, DiscriminatorOutput]:
        """The outputs for real images, where they are needed, and for generated ones."""
        images = generator(generator.draw_latents(len(batch.matching_images)))
        if not (self.matching_weight or discriminator.compares_real_and_generated):
            return None, discriminator(images)
        return discriminator.forward_real_and_generated(batch.matching_images, lambda: images)


def _as_real_logit(logits: Tensor) -> Tensor:
    """(N,) the logit of "real", from itself or from K class logits (N, K)."""
    return logits if logits.dim() == 1 else real_logit(logits)


@torch.no_grad()
def _monitors(
    real_logits: Tensor, generated_logits: Tensor, real: DiscriminatorOutput, generated: DiscriminatorOutput
) -> dict[str, Tensor]:
    """Numbers that show a collapsed generator or a saturated discriminator (see `training.diagnostics`).

    real_distance, generated_distance = mean_i ||f(x_i) - f(x_{i-1})|| over the batch, whose order is random;
    feature_distance = ||mean f(real) - mean f(generated)|| / real_distance. The log has the mean over ranks.
    """
    real_features, generated_features = (precise(one.features.flatten(1)) for one in (real, generated))
    real_distance, generated_distance = _mean_distance(real_features), _mean_distance(generated_features)
    mean_difference = torch.linalg.vector_norm(real_features.mean(0) - generated_features.mean(0))
    return {
        "real_probability": torch.sigmoid(real_logits).mean(),
        "generated_probability": torch.sigmoid(generated_logits).mean(),
        "accuracy": 0.5 * ((real_logits > 0).float().mean() + (generated_logits < 0).float().mean()),
        "real_distance": real_distance,
        "generated_distance": generated_distance,
        "feature_distance": mean_difference / real_distance.clamp_min(1e-12),
    }


def _mean_distance(features: Tensor) -> Tensor:
    """Between consecutive rows (N, A)."""
    distances: Tensor = torch.linalg.vector_norm(features - features.roll(1, 0), dim=1)
    return distances.mean()
