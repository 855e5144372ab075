"""The paper's techniques as parts for any PyTorch GAN, one file each (sections 3 and 5), and four of later papers."""

from improved_gan.techniques.adversarial import (
    adversarial_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
)
from improved_gan.techniques.feature_matching import feature_matching_loss
from improved_gan.techniques.gaussian_noise import GaussianNoise
from improved_gan.techniques.historical_averaging import HistoricalAverage
from improved_gan.techniques.image_deformation_model import deformation_distance, deformation_neighbours
from improved_gan.techniques.label_smoothing import (
    divergence_discriminator_loss,
    divergence_generator_loss,
    smoothed_discriminator_loss,
    smoothed_unsupervised_loss,
)
from improved_gan.techniques.label_spreading import (
    spread_labels,
    surest_of_each_class,
)
from improved_gan.techniques.minibatch_discrimination import (
    MinibatchDiscrimination,
    minibatch_similarity,
    two_sided_similarity,
)
from improved_gan.techniques.random_deformations import RandomDeformations, grid_positions, pixel_positions
from improved_gan.techniques.reference_batch import ReferenceBatch
from improved_gan.techniques.semi_supervised import real_logit, semi_supervised_losses
from improved_gan.techniques.virtual_adversarial import (
    answer_divergence,
    conditional_entropy,
    marginal_entropy,
    virtual_adversarial_direction,
    virtual_adversarial_loss,
)
from improved_gan.techniques.virtual_batch_norm import VirtualBatchNorm, convert_virtual_batch_norm
from improved_gan.techniques.weight_averaging import WeightAverage
from improved_gan.techniques.weight_norm import data_dependent_init_, weight_norm

__all__ = [
    "GaussianNoise",
    "HistoricalAverage",
    "MinibatchDiscrimination",
    "RandomDeformations",
    "ReferenceBatch",
    "VirtualBatchNorm",
    "WeightAverage",
    "adversarial_discriminator_loss",
    "answer_divergence",
    "conditional_entropy",
    "convert_virtual_batch_norm",
    "data_dependent_init_",
    "deformation_distance",
    "deformation_neighbours",
    "divergence_discriminator_loss",
    "divergence_generator_loss",
    "feature_matching_loss",
    "grid_positions",
    "marginal_entropy",
    "minibatch_similarity",
    "minimax_generator_loss",
    "non_saturating_generator_loss",
    "pixel_positions",
    "real_logit",
    "semi_supervised_losses",
    "smoothed_discriminator_loss",
    "smoothed_unsupervised_loss",
    "spread_labels",
    "surest_of_each_class",
    "two_sided_similarity",
    "virtual_adversarial_direction",
    "virtual_adversarial_loss",
    "weight_norm",
]
