"""
Weight normalization
====================

The DCGAN with weight normalization and data-dependent initialization (:doc:`guide </techniques/weight_norm>`).
"""

from torch import nn

import dcgan
from improved_gan.techniques import data_dependent_init_, weight_norm


def make_gan() -> dcgan.Gan:
    discriminator = dcgan.make_discriminator()
    layers = [layer for layer in discriminator if isinstance(layer, (nn.Conv2d, nn.Linear))]
    for layer in layers:
        weight_norm(layer, learn_scale=layer is layers[-1])  # as in the released experiments
    data_dependent_init_(discriminator, dcgan.digits()[0][:500])
    return dcgan.Gan(discriminator=discriminator)


if __name__ == "__main__":
    dcgan.main(make_gan)
