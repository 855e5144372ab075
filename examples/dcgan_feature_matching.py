"""
Feature matching
================

The DCGAN with feature matching (paper, section 3.1; :doc:`guide </techniques/feature_matching>`).
"""

from torch import Tensor, nn

import dcgan
from improved_gan.techniques import feature_matching_loss


def generator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
    # All but the last linear layer; `real` is another batch than that of the discriminator's update.
    features = discriminator[:-2]
    return feature_matching_loss(features(real), features(generated))


def make_gan() -> dcgan.Gan:
    return dcgan.Gan(generator_loss=generator_loss)


if __name__ == "__main__":
    dcgan.main(make_gan)
