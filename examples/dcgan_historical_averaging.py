"""
Historical averaging
====================

The DCGAN with historical averaging (paper, section 3.3; :doc:`guide </techniques/historical_averaging>`).
"""

from torch import Tensor, nn

import dcgan
from improved_gan.techniques import HistoricalAverage

WEIGHT = 0.01


def make_gan() -> dcgan.Gan:
    generator, discriminator = dcgan.make_generator(), dcgan.make_discriminator()
    parameter_averages = HistoricalAverage(discriminator.parameters()), HistoricalAverage(generator.parameters())

    def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
        return dcgan.discriminator_loss(discriminator, real, generated) + WEIGHT * parameter_averages[0].penalty()

    def generator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
        return dcgan.generator_loss(discriminator, real, generated) + WEIGHT * parameter_averages[1].penalty()

    def after_step() -> None:
        for history in parameter_averages:
            history.update()

    return dcgan.Gan(generator, discriminator, discriminator_loss, generator_loss, after_step)


if __name__ == "__main__":
    dcgan.main(make_gan)
