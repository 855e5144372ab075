"""
Virtual batch normalization
===========================

The DCGAN with virtual batch normalization (paper, section 3.5; :doc:`guide </techniques/virtual_batch_norm>`).
"""

import torch

import dcgan
from improved_gan.techniques import ReferenceBatch, convert_virtual_batch_norm


def make_gan() -> dcgan.Gan:
    network = convert_virtual_batch_norm(dcgan.make_generator())
    reference = torch.randn(dcgan.BATCH, dcgan.LATENTS)  # drawn once and saved with the generator
    return dcgan.Gan(ReferenceBatch(network, reference))


if __name__ == "__main__":
    dcgan.main(make_gan)
