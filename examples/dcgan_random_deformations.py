"""The classifying DCGAN gives all forms of a digit one answer (docs/techniques/random_deformations.md)."""

from dataclasses import replace

from torch import Tensor, nn

import dcgan
import dcgan_semi_supervised
from improved_gan.techniques import RandomDeformations, answer_divergence, grid_positions


def make_gan() -> dcgan.Gan:
    deform = RandomDeformations(grid_positions(8, 8), rotation=0.15, shift=0.5, bend=0.2)
    gan = dcgan_semi_supervised.make_gan()

    def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
        same = answer_divergence(discriminator(real), discriminator(deform(real)))
        return gan.discriminator_loss(discriminator, real, generated) + same

    return replace(gan, discriminator_loss=discriminator_loss)


if __name__ == "__main__":
    wrong = dcgan_semi_supervised.wrong_of_500(dcgan.main(make_gan).discriminator)
    print(f"wrong of 500 test images: {wrong}")
