"""
Consistency under elastic and affine augmentation
=================================================

The semi-supervised DCGAN with a consistency loss for augmented views (:doc:`guide
</techniques/random_elastic_affine>`).
"""

from dataclasses import replace

from torch import Tensor, nn

import dcgan
import dcgan_semi_supervised
from improved_gan.label_spreading import RandomElasticAffine, grid_positions, prediction_kl


def make_gan() -> dcgan.Gan:
    augment = RandomElasticAffine(grid_positions(8, 8), rotation=0.15, translate=0.5, elastic_std=0.2)
    gan = dcgan_semi_supervised.make_gan()

    def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
        consistency = prediction_kl(discriminator(real), discriminator(augment(real)))
        return gan.discriminator_loss(discriminator, real, generated) + consistency

    return replace(gan, discriminator_loss=discriminator_loss)


if __name__ == "__main__":
    errors = dcgan_semi_supervised.errors_of_500(dcgan.main(make_gan).discriminator)
    print(f"errors of 500 test images: {errors}")
