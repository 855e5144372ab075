"""Adversarial training with any of the paper's techniques (sections 2, 3 and 5).

Techniques of the loss are settings here: one-sided label smoothing, labels as K+1 classes, feature matching. Techniques
of a network are in the network: minibatch discrimination, virtual batch normalization. Historical averaging, which has
a state, is `training.historical_averaging`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels.precision import precise
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput, Generator, forward_batches
from improved_gan.techniques import (
    adversarial_discriminator_loss,
    feature_matching_loss,
    non_saturating_generator_loss,
    real_logit,
)
from improved_gan.training.objectives import Objective, Terms, TrainingBatch, error_rate, generate_for_discriminator

__all__ = ["Adversarial"]


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
    """

    discriminator_loss: Callable[[Tensor, Tensor], Tensor] = adversarial_discriminator_loss
    generator_loss: Callable[[Tensor], Tensor] = non_saturating_generator_loss
    adversarial_weight: float = 1.0
    supervised_weight: float = 0.0
    labeled_as_real: bool = False
    generated_class: bool = False
    matching_weight: float = 0.0
    matching_loss: Callable[[Tensor, Tensor], Tensor] = feature_matching_loss

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The loss of real against generated images, and that of the labels."""
        batches = [batch.labeled_images] if self.supervised_weight or self.labeled_as_real else []
        batches += [] if self.labeled_as_real else [batch.unlabeled_images]
        outputs = forward_batches(discriminator, [*batches, generate_for_discriminator(generator, len(batches[-1]))])
        labeled, real, generated = outputs[: bool(self.supervised_weight)], outputs[-2], outputs[-1]
        real_logits, generated_logits = _as_real_logit(real.logits), _as_real_logit(generated.logits)
        losses = {"adversarial": self.adversarial_weight * self.discriminator_loss(real_logits, generated_logits)}
        monitors = _monitors(real_logits.detach(), generated_logits.detach(), real, generated)
        for output in labeled:  # one, or none
            logits = F.pad(output.logits, (0, 1)) if self.generated_class else output.logits
            losses["supervised"] = self.supervised_weight * F.cross_entropy(precise(logits), batch.labels)
            monitors["labeled_error"] = error_rate(output.logits, batch.labels)
        return Terms(losses, monitors)

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The loss of generated images, and feature matching where it has a weight."""
        real, generated = self._forward_for_generator(generator, discriminator, batch)
        losses = {"adversarial": self.generator_loss(_as_real_logit(generated.logits))}
        if self.matching_weight and real is not None:
            losses["feature_matching"] = self.matching_weight * self.matching_loss(real.features, generated.features)
        return Terms(losses)

    def _forward_for_generator(
        self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch
    ) -> tuple[DiscriminatorOutput | None, DiscriminatorOutput]:
        """The outputs for real images, where they are needed, and for generated ones."""
        images = generator(generator.draw_latents(len(batch.matching_images)))
        if discriminator.compares_real_and_generated:
            real, generated = forward_batches(discriminator, [batch.matching_images, images])
            return real, generated
        if not self.matching_weight:
            return None, discriminator(images)
        with torch.no_grad():  # the real features are constants, so no graph is built for them
            real_output: DiscriminatorOutput = discriminator(batch.matching_images)
        return real_output, discriminator(images)


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
