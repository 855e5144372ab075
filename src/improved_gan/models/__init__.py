"""The networks of the paper's section 6, and one for pixels in any order."""

from improved_gan.models.convolutional import ConvolutionalDiscriminator
from improved_gan.models.convolutional_generator import ConvolutionalGenerator, ReferenceGenerator
from improved_gan.models.dense import DenseDiscriminator, DenseGenerator
from improved_gan.models.imagenet import ImageNetDiscriminator
from improved_gan.models.imagenet_generator import ImageNetGenerator
from improved_gan.models.interface import Discriminator, Generator, Judgement, judge_together
from improved_gan.models.placed import PlacedDiscriminator, placed_images

__all__ = [
    "ConvolutionalDiscriminator",
    "ConvolutionalGenerator",
    "DenseDiscriminator",
    "DenseGenerator",
    "Discriminator",
    "Generator",
    "ImageNetDiscriminator",
    "ImageNetGenerator",
    "Judgement",
    "PlacedDiscriminator",
    "ReferenceGenerator",
    "judge_together",
    "placed_images",
]
