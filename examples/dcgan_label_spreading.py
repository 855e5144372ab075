"""The classifying DCGAN with guessed labels beside the fifty true ones (docs/techniques/label_spreading.md)."""

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
    surest = most_confident_per_class(probabilities, fraction=0.7)
    pseudo_labels = probabilities.argmax(1)[surest]
    gan = dcgan_semi_supervised.make_gan()

    def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
        some = torch.randint(len(surest), (50,))
        guessed = F.cross_entropy(discriminator(images[surest[some]]), pseudo_labels[some])
        return gan.discriminator_loss(discriminator, real, generated) + guessed

    return replace(gan, discriminator_loss=discriminator_loss)


if __name__ == "__main__":
    wrong = dcgan_semi_supervised.wrong_of_500(dcgan.main(make_gan).discriminator)
    print(f"wrong of 500 test images: {wrong}")
