"""
R1 gradient penalty
===================

The DCGAN with the R1 penalty at every fourth step (after the paper; :doc:`guide </techniques/gradient_penalty>`).
"""

from itertools import count

from torch import Tensor, nn

import dcgan
from improved_gan.techniques import gradient_penalty


def make_gan() -> dcgan.Gan:
    steps = count()

    def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
        penalty = gradient_penalty(discriminator, real, gamma=1.0, step=next(steps), every=4)
        return dcgan.discriminator_loss(discriminator, real, generated) + penalty

    return dcgan.Gan(discriminator_loss=discriminator_loss)


if __name__ == "__main__":
    dcgan.main(make_gan)
