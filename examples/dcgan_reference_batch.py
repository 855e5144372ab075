"""
Virtual batch normalization of a conditional generator
======================================================

A conditional DCGAN with virtual batch normalization (paper, section 3.5; :doc:`guide </techniques/reference_batch>`).
"""

import torch
from torch import Tensor, nn

import dcgan
from improved_gan.techniques import ReferenceBatch, convert_virtual_batch_norm


class Conditional(nn.Module):
    """A generator with two inputs, latents and classes: each class shifts the latents."""

    def __init__(self) -> None:
        super().__init__()
        self.shifts, self.network = nn.Embedding(10, dcgan.LATENTS), dcgan.make_generator()

    def forward(self, latents: Tensor, classes: Tensor) -> Tensor:
        images: Tensor = self.network(latents + self.shifts(classes))
        return images


class WithDrawnClasses(nn.Module):
    """A generator of latents only, for the example's training loop."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.generator(latents, torch.arange(len(latents)) % 10)
        return images


def make_gan() -> dcgan.Gan:
    network = convert_virtual_batch_norm(Conditional())
    reference = (
        torch.randn(dcgan.BATCH, dcgan.LATENTS),
        torch.arange(dcgan.BATCH) % 10,
    )  # drawn once and saved with the network
    return dcgan.Gan(WithDrawnClasses(ReferenceBatch(network, reference)))


if __name__ == "__main__":
    dcgan.main(make_gan)
