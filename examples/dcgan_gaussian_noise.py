"""
Gaussian noise on the layers
============================

The DCGAN with Gaussian noise on the discriminator's layers (:doc:`guide </techniques/gaussian_noise>`).
"""

from torch import nn

import dcgan
from improved_gan.techniques import GaussianNoise


def make_gan() -> dcgan.Gan:
    layers: list[nn.Module] = [GaussianNoise(0.3)]  # on the images
    for layer in dcgan.make_discriminator():
        layers += [layer, GaussianNoise(0.5)] if isinstance(layer, nn.LeakyReLU) else [layer]
    return dcgan.Gan(discriminator=nn.Sequential(*layers))


if __name__ == "__main__":
    dcgan.main(make_gan)
