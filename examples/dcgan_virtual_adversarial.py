"""
Virtual adversarial training
============================

The semi-supervised DCGAN with virtual adversarial training (:doc:`guide </techniques/virtual_adversarial>`).
"""

from dataclasses import replace

from torch import Tensor, nn

import dcgan
import dcgan_semi_supervised
from improved_gan.label_spreading import conditional_entropy, virtual_adversarial_loss


def make_gan() -> dcgan.Gan:
    gan = dcgan_semi_supervised.make_gan()

    def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
        adversarial = virtual_adversarial_loss(discriminator, real, radius=1.0)
        entropy = conditional_entropy(discriminator(real))
        return gan.discriminator_loss(discriminator, real, generated) + adversarial + 0.1 * entropy

    return replace(gan, discriminator_loss=discriminator_loss)


if __name__ == "__main__":
    errors = dcgan_semi_supervised.errors_of_500(dcgan.main(make_gan).discriminator)
    print(f"errors of 500 test images: {errors}")
