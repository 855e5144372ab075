"""
One-sided label smoothing
=========================

The DCGAN with one-sided label smoothing (paper, section 3.4; :doc:`guide </techniques/label_smoothing>`).
"""

from torch import Tensor, nn

import dcgan
from improved_gan.techniques import smoothed_discriminator_loss


def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
    return smoothed_discriminator_loss(discriminator(real), discriminator(generated), positive_target=0.9)


def make_gan() -> dcgan.Gan:
    return dcgan.Gan(discriminator_loss=discriminator_loss)  # the generator's target stays 1


if __name__ == "__main__":
    dcgan.main(make_gan)
