"""Few labels without a game: virtual adversarial training, with guessed labels at the beginning.

After the paper: the discriminator is trained as a classifier that may not change its mind near any image and shall be
sure of it. On the dense networks of MNIST this learns many times faster than the game (docs/tried.md).
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels.precision import precise
from improved_gan.models.interface import Discriminator, Generator, frozen, judge_together
from improved_gan.techniques import (
    answer_divergence,
    conditional_entropy,
    marginal_entropy,
    virtual_adversarial_direction,
)
from improved_gan.training.objectives import Objective, Terms, TrainingBatch

__all__ = ["Regularised"]


@dataclass(frozen=True)
class Regularised(Objective):
    """Cross entropy of labels and of guessed labels, virtual adversarial loss and mutual information of the others.

    The generator rests, as in `LabelsAlone`.

    Args:
        radius: length of the adversarial step, in units of the images.
        adversarial_weight: of the virtual adversarial loss; at 0 there is none, which spares three passes.
        entropy_weight: of the conditional entropy, at the adversarial images and at deformed ones; without either, at
            the images themselves.
        balance_weight: of the entropy of the mean answer, which is to be large: every class keeps its images.
        guessed_weight: of the cross entropy of guessed labels, while batches have them.
        deformed_weight: of the divergence between an image's answer and that for its new form, where batches have
            `deform`; their answers enter both entropies too (Sajjadi et al., 2016).
    """

    radius: float = 2.5
    adversarial_weight: float = 1.0
    entropy_weight: float = 1.0
    balance_weight: float = 1.0
    guessed_weight: float = 1.0
    deformed_weight: float = field(default=1.0, metadata={"later": True})

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """All terms from one pass, after those with frozen weights that judge the images and find adversarial ones."""
        images = batch.unlabelled_images
        clean, forms = self._forms(discriminator, batch)
        judged = [batch.labelled_images, *(forms.values() if forms else [images])]
        judged += [] if batch.guessed_images is None else [batch.guessed_images]
        labelled, *answers = (judgement.logits for judgement in judge_together(discriminator, judged))
        guessed = answers.pop() if batch.guessed_images is not None else None
        losses = {"supervised": F.cross_entropy(precise(labelled), batch.labels)}
        for name, answer in zip(forms, answers, strict=False):
            weight = self.adversarial_weight if name == "virtual_adversarial" else self.deformed_weight
            losses[name] = weight * answer_divergence(clean, answer)
        losses["entropy"] = self.entropy_weight * torch.stack([conditional_entropy(one) for one in answers]).sum()
        losses["balance"] = -self.balance_weight * marginal_entropy(torch.cat(answers))
        if guessed is not None and batch.guesses is not None:
            losses["guessed"] = self.guessed_weight * F.cross_entropy(precise(guessed), batch.guesses)
        error = (labelled.detach().argmax(1) != batch.labels).float().mean()
        return Terms(losses=losses, monitors={"labelled_error": error})

    def _forms(self, discriminator: Discriminator, batch: TrainingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """(N, K) answers for the unlabelled images, without a graph, and those forms of them that have a term."""

        def logits_of(images: Tensor) -> Tensor:
            logits: Tensor = discriminator(images).logits
            return logits

        images, forms = batch.unlabelled_images, {}
        clean = images.new_zeros(0)
        if self.adversarial_weight or batch.deform is not None:
            with frozen(discriminator):
                with torch.no_grad():
                    clean = logits_of(images)
                if self.adversarial_weight:
                    direction = virtual_adversarial_direction(logits_of, images, clean)
                    forms["virtual_adversarial"] = images + self.radius * direction
        if batch.deform is not None:
            forms["deformed"] = batch.deform(images)
        return clean, forms

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """None."""
        return Terms(losses={})
