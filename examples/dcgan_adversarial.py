"""
Adversarial losses of logits
============================

The DCGAN with numerically stable losses of logits (paper, section 2; :doc:`guide </techniques/adversarial>`).
"""

from torch import Tensor, nn

import dcgan
from improved_gan.techniques import adversarial_discriminator_loss, non_saturating_generator_loss


def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
    return adversarial_discriminator_loss(discriminator(real), discriminator(generated))


def generator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
    return non_saturating_generator_loss(discriminator(generated))


def make_gan() -> dcgan.Gan:
    return dcgan.Gan(discriminator_loss=discriminator_loss, generator_loss=generator_loss)


if __name__ == "__main__":
    dcgan.main(make_gan)
