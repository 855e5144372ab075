"""
Minibatch discrimination
========================

The DCGAN with minibatch discrimination (paper, section 3.2; :doc:`guide </techniques/minibatch_discrimination>`).
"""

from torch import nn

import dcgan
from improved_gan.techniques import MinibatchDiscrimination


def make_discriminator() -> nn.Sequential:
    # Before the last linear layer, which has 100 more inputs. The losses call the discriminator on real and on
    # generated images separately, as required.
    layers = list(dcgan.make_discriminator())[:-2]
    similarities = MinibatchDiscrimination(dcgan.FEATURES, num_kernels=100, kernel_dim=5)
    return nn.Sequential(*layers, similarities, nn.Linear(dcgan.FEATURES + 100, 1), nn.Flatten(0))


def make_gan() -> dcgan.Gan:
    return dcgan.Gan(discriminator=make_discriminator())


if __name__ == "__main__":
    dcgan.main(make_gan)
