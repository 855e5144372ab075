"""Few labels without a GAN: virtual adversarial training, with pseudo-labels in the first part of the run.

Newer than the paper: the discriminator is trained as a classifier with a virtual adversarial loss, entropy terms and a
consistency loss. With the dense networks of MNIST this needs many times less training than the GAN (docs/tried.md).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels.precision import precise
from improved_gan.label_spreading.virtual_adversarial import (
    conditional_entropy,
    marginal_entropy,
    prediction_kl,
    virtual_adversarial_direction,
)
from improved_gan.networks.interface import Discriminator, Generator, forward_batches, frozen
from improved_gan.training.objectives import Objective, Terms, TrainingBatch

__all__ = ["VirtualAdversarialObjective"]


@dataclass(frozen=True)
class VirtualAdversarialObjective(Objective):
    """Cross entropy of labels and pseudo-labels; virtual adversarial loss, entropies and consistency of the others.

    The generator, if there is one, is not updated, as in `SupervisedBaseline`.

    Args:
        radius: length of the adversarial step, in units of the images.
        adversarial_weight: of the virtual adversarial loss; at 0 it is not computed, which saves three passes.
        entropy_weight: of the conditional entropy, at the adversarial images and at augmented views; without either,
            at the images themselves.
        marginal_entropy_weight: of the entropy of the mean prediction, which is maximized: all classes stay in use.
        pseudo_label_weight: of the cross entropy of pseudo-labels, in batches that have them.
        consistency_weight: of the KL divergence between the predictions for an image and for its augmented view, in
            batches with `augment`; the views enter both entropies too (Sajjadi et al., 2016).
    """

    needs_generator = False

    radius: float = 2.5
    adversarial_weight: float = 1.0
    entropy_weight: float = 1.0
    marginal_entropy_weight: float = 1.0
    pseudo_label_weight: float = 1.0
    consistency_weight: float = 1.0

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """All terms from one pass, after passes with frozen weights for the clean logits and adversarial images."""
        images = batch.unlabeled_images
        clean, views = self._views(discriminator, batch)
        batches = [batch.labeled_images, *(views.values() if views else [images])]
        batches += [] if batch.pseudo_labeled_images is None else [batch.pseudo_labeled_images]
        labeled, *unlabeled = (output.logits for output in forward_batches(discriminator, batches))
        pseudo_labeled = unlabeled.pop() if batch.pseudo_labeled_images is not None else None
        losses = {"supervised": F.cross_entropy(precise(labeled), batch.labels)}
        for name, logits in zip(views, unlabeled, strict=False):
            weight = self.adversarial_weight if name == "virtual_adversarial" else self.consistency_weight
            losses[name] = weight * prediction_kl(clean, logits)
        losses["entropy"] = self.entropy_weight * torch.stack([conditional_entropy(one) for one in unlabeled]).sum()
        losses["marginal_entropy"] = -self.marginal_entropy_weight * marginal_entropy(torch.cat(unlabeled))
        if pseudo_labeled is not None and batch.pseudo_labels is not None:
            cross_entropy = F.cross_entropy(precise(pseudo_labeled), batch.pseudo_labels)
            losses["pseudo_label"] = self.pseudo_label_weight * cross_entropy
        error = (labeled.detach().argmax(1) != batch.labels).float().mean()
        return Terms(losses=losses, monitors={"labeled_error": error})

    def _views(self, discriminator: Discriminator, batch: TrainingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """(N, K) detached logits of the unlabeled images, and their adversarial and augmented views, by loss term."""

        def logits_of(images: Tensor) -> Tensor:
            logits: Tensor = discriminator(images).logits
            return logits

        images, views = batch.unlabeled_images, {}
        clean = images.new_zeros(0)
        if self.adversarial_weight or batch.augment is not None:
            with frozen(discriminator):
                with torch.no_grad():
                    clean = logits_of(images)
                if self.adversarial_weight:
                    direction = virtual_adversarial_direction(logits_of, images, clean)
                    views["virtual_adversarial"] = images + self.radius * direction
        if batch.augment is not None:
            views["consistency"] = batch.augment(images)
        return clean, views

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """None."""
        return Terms(losses={})
