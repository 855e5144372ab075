"""Few labels without a game: virtual adversarial training, with guessed labels at the beginning.

After the paper: the discriminator is trained as a classifier that may not change its mind near any image and shall be
sure of it. On the dense networks of MNIST this learns many times faster than the game (docs/tried.md).
"""

from dataclasses import dataclass, field

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
    """Cross entropy of labels and of guessed labels, virtual adversarial loss and mutual information of the others.

    The generator rests, as in `SupervisedBaseline`.

    Args:
        radius: length of the adversarial step, in units of the images.
        adversarial_weight: of the virtual adversarial loss; at 0 there is none, which spares three passes.
        entropy_weight: of the conditional entropy, at the adversarial images and at deformed ones; without either, at
            the images themselves.
        marginal_entropy_weight: of the entropy of the mean answer, which is to be large: every class keeps its images.
        pseudo_label_weight: of the cross entropy of guessed labels, while batches have them.
        consistency_weight: of the divergence between an image's answer and that for its new form, where batches have
            `augment`; their answers enter both entropies too (Sajjadi et al., 2016).
    """

    radius: float = 2.5
    adversarial_weight: float = 1.0
    entropy_weight: float = 1.0
    marginal_entropy_weight: float = 1.0
    pseudo_label_weight: float = 1.0
    consistency_weight: float = field(default=1.0, metadata={"later": True})

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """All terms from one pass, after those with frozen weights that judge the images and find adversarial ones."""
        images = batch.unlabeled_images
        clean, forms = self._forms(discriminator, batch)
        judged = [batch.labeled_images, *(forms.values() if forms else [images])]
        judged += [] if batch.pseudo_labeled_images is None else [batch.pseudo_labeled_images]
        labeled, *answers = (judgment.logits for judgment in forward_batches(discriminator, judged))
        guessed = answers.pop() if batch.pseudo_labeled_images is not None else None
        losses = {"supervised": F.cross_entropy(precise(labeled), batch.labels)}
        for name, answer in zip(forms, answers, strict=False):
            weight = self.adversarial_weight if name == "virtual_adversarial" else self.consistency_weight
            losses[name] = weight * prediction_kl(clean, answer)
        losses["entropy"] = self.entropy_weight * torch.stack([conditional_entropy(one) for one in answers]).sum()
        losses["marginal_entropy"] = -self.marginal_entropy_weight * marginal_entropy(torch.cat(answers))
        if guessed is not None and batch.pseudo_labels is not None:
            losses["pseudo_label"] = self.pseudo_label_weight * F.cross_entropy(precise(guessed), batch.pseudo_labels)
        error = (labeled.detach().argmax(1) != batch.labels).float().mean()
        return Terms(losses=losses, monitors={"labeled_error": error})

    def _forms(self, discriminator: Discriminator, batch: TrainingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """(N, K) answers for the unlabeled images, without a graph, and those forms of them that have a term."""

        def logits_of(images: Tensor) -> Tensor:
            logits: Tensor = discriminator(images).logits
            return logits

        images, forms = batch.unlabeled_images, {}
        clean = images.new_zeros(0)
        if self.adversarial_weight or batch.augment is not None:
            with frozen(discriminator):
                with torch.no_grad():
                    clean = logits_of(images)
                if self.adversarial_weight:
                    direction = virtual_adversarial_direction(logits_of, images, clean)
                    forms["virtual_adversarial"] = images + self.radius * direction
        if batch.augment is not None:
            forms["consistency"] = batch.augment(images)
        return clean, forms

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """None."""
        return Terms(losses={})
