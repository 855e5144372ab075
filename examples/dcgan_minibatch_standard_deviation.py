"""
Minibatch standard deviation
============================

The DCGAN with minibatch standard deviation (after the paper;
:doc:`guide </techniques/minibatch_standard_deviation>`).
"""

from torch import nn

import dcgan
from improved_gan.techniques import MinibatchStandardDeviation


def make_gan() -> dcgan.Gan:
    *body, flatten, _, to_logits = dcgan.make_discriminator()
    positions = dcgan.FEATURES // 64  # of the feature maps (N, 64, 2, 2), which get one more channel
    head = MinibatchStandardDeviation(), flatten, nn.Linear(dcgan.FEATURES + positions, 1), to_logits
    return dcgan.Gan(discriminator=nn.Sequential(*body, *head))


if __name__ == "__main__":
    dcgan.main(make_gan)
