"""
Averaged weights
================

The semi-supervised DCGAN, tested with averaged weights (:doc:`guide </techniques/weight_ema>`).
"""

from dataclasses import replace

import dcgan
import dcgan_semi_supervised
from improved_gan.techniques import WeightEMA


def make_gan() -> dcgan.Gan:
    gan = dcgan_semi_supervised.make_gan()
    average = WeightEMA(gan.discriminator, decay=0.99)  # for 600 steps; released: 0.9999 for 150,000

    def after_step() -> None:
        average.update()
        if average.num_updates % 100 == 0:
            tested = average.averaged(gan.discriminator)  # a copy: the trained network is unchanged
            print(f"errors of 500 with averaged weights: {dcgan_semi_supervised.errors_of_500(tested)}")

    return replace(gan, after_step=after_step)


if __name__ == "__main__":
    dcgan.main(make_gan)
