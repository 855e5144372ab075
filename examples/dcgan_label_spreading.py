"""
Pseudo-labels by label spreading
================================

The semi-supervised DCGAN with pseudo-labels in addition to fifty labels (:doc:`guide </techniques/label_spreading>`).
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dcgan
import dcgan_semi_supervised
from improved_gan.label_spreading import label_spreading, most_confident_per_class


def make_gan(neighbors: tuple[Tensor, Tensor] | None = None) -> dcgan.Gan:
    images, labels = (values[:1297] for values in dcgan.digits())
    order = torch.randperm(1297, generator=torch.Generator().manual_seed(0))
    chosen = torch.cat([order[labels[order] == label][:5] for label in range(10)])
    known = torch.full_like(labels, -1)
    known[chosen] = labels[chosen]
    probabilities = label_spreading(images, known, neighbors=neighbors)
    confident = most_confident_per_class(probabilities, fraction=0.7)
    pseudo_labels = probabilities.argmax(1)[confident]
    gan = dcgan_semi_supervised.make_gan()

    def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
        some = torch.randint(len(confident), (50,))
        pseudo_label_loss = F.cross_entropy(discriminator(images[confident[some]]), pseudo_labels[some])
        return gan.discriminator_loss(discriminator, real, generated) + pseudo_label_loss

    return replace(gan, discriminator_loss=discriminator_loss)


if __name__ == "__main__":
    errors = dcgan_semi_supervised.errors_of_500(dcgan.main(make_gan).discriminator)
    print(f"errors of 500 test images: {errors}")
