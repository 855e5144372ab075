"""
A classifier from fifty labels
==============================

The DCGAN as a classifier from fifty labels (paper, section 5; :doc:`guide </techniques/semi_supervised>`).
"""

import torch
from torch import Tensor, nn

import dcgan
import dcgan_gaussian_noise
from improved_gan.techniques import feature_matching_loss, semi_supervised_losses


def make_gan() -> dcgan.Gan:
    images, labels = (values[:1297] for values in dcgan.digits())
    order = torch.randperm(1297, generator=torch.Generator().manual_seed(0))  # the same labels in every run
    chosen = torch.cat([order[labels[order] == label][:5] for label in range(10)])
    noisy_layers = list(dcgan_gaussian_noise.make_gan().discriminator)[:-2]  # noise helps if labels are few

    def discriminator_loss(discriminator: nn.Sequential, real: Tensor, generated: Tensor) -> Tensor:
        logits = discriminator(torch.cat([images[chosen], real, generated])).split([50, len(real), len(generated)])
        supervised, unsupervised = semi_supervised_losses(logits[0], labels[chosen], logits[1], logits[2])
        return supervised + 0.5 * unsupervised

    return dcgan.Gan(
        discriminator=nn.Sequential(*noisy_layers, nn.Linear(dcgan.FEATURES, 10)),
        discriminator_loss=discriminator_loss,
        generator_loss=lambda d, real, generated: feature_matching_loss(d[:-1](real), d[:-1](generated)),
    )


@torch.no_grad()
def errors_of_500(discriminator: nn.Module) -> int:
    images, labels = (values[1297:] for values in dcgan.digits())  # not used in training
    return int((discriminator.eval()(images).argmax(1) != labels).sum())


if __name__ == "__main__":
    print(f"errors of 500 test images: {errors_of_500(dcgan.main(make_gan).discriminator)}")
