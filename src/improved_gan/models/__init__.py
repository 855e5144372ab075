"""The networks of the paper's section 6."""

from improved_gan.models.dense import DenseDiscriminator, DenseGenerator
from improved_gan.models.interface import Discriminator, Generator, Judgement, judge_together

__all__ = ["DenseDiscriminator", "DenseGenerator", "Discriminator", "Generator", "Judgement", "judge_together"]
