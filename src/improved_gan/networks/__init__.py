"""The networks of the paper's section 6."""

from improved_gan.networks.convolutional import ConvolutionalDiscriminator, ConvolutionalGenerator, ReferenceGenerator
from improved_gan.networks.dense import DenseDiscriminator, DenseGenerator
from improved_gan.networks.imagenet import ImageNetDiscriminator, ImageNetGenerator
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput, Generator, forward_batches

__all__ = [
    "ConvolutionalDiscriminator",
    "ConvolutionalGenerator",
    "DenseDiscriminator",
    "DenseGenerator",
    "Discriminator",
    "DiscriminatorOutput",
    "Generator",
    "ImageNetDiscriminator",
    "ImageNetGenerator",
    "ReferenceGenerator",
    "forward_batches",
]
