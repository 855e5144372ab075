"""Few labels without a game: virtual adversarial training, with guessed labels at the beginning.

After the paper: the discriminator is trained as a classifier that may not change its mind near any image and shall be
sure of it. On the dense networks of MNIST this learns many times faster than the game (docs/results.md).
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.models.interface import Discriminator, Generator, frozen, judge_together
from improved_gan.techniques import (
    answer_divergence,
    conditional_entropy,
    marginal_entropy,
    virtual_adversarial_direction,
    virtual_adversarial_loss,
)
from improved_gan.training.objectives import Objective, Terms, TrainingBatch

__all__ = ["Regularised"]


@dataclass(frozen=True)
class Regularised(Objective):
    """Cross entropy of labels and of guessed labels, virtual adversarial loss and mutual information of the others.

    The generator rests, as in `LabelsAlone`.

    Args:
        radius: length of the adversarial step, in units of the images.
        adversarial_weight: of the virtual adversarial loss.
        entropy_weight: of the conditional entropy, at the adversarial images and at deformed ones.
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
        """All terms from one pass, after two with frozen weights that find the adversarial images."""

        def logits_of(images: Tensor) -> Tensor:
            logits: Tensor = discriminator(images).logits
            return logits

        images = batch.unlabelled_images
        with frozen(discriminator):
            with torch.no_grad():
                clean = logits_of(images)
            direction = virtual_adversarial_direction(logits_of, images, clean)
        judged = [batch.labelled_images, images + self.radius * direction]
        judged += [] if batch.deform is None else [batch.deform(images)]
        judged += [] if batch.guessed_images is None else [batch.guessed_images]
        labelled, *answers = (judgement.logits for judgement in judge_together(discriminator, judged))
        guessed = answers.pop() if batch.guessed_images is not None else None
        moved = answers[0]
        distance = virtual_adversarial_loss(lambda _: moved, images, direction=direction, logits=clean)
        losses = {
            "supervised": F.cross_entropy(labelled.float(), batch.labels),
            "virtual_adversarial": self.adversarial_weight * distance,
            "entropy": self.entropy_weight * torch.stack([conditional_entropy(one) for one in answers]).sum(),
            "balance": -self.balance_weight * marginal_entropy(torch.cat(answers)),
        }
        if len(answers) > 1:
            losses["deformed"] = self.deformed_weight * answer_divergence(clean, answers[1])
        if guessed is not None and batch.guesses is not None:
            losses["guessed"] = self.guessed_weight * F.cross_entropy(guessed.float(), batch.guesses)
        error = (labelled.detach().argmax(1) != batch.labels).float().mean()
        return Terms(losses=losses, monitors={"labelled_error": error})

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """None."""
        return Terms(losses={})
