"""The paper's techniques for any PyTorch GAN, one file each (sections 3 and 5)."""

from improved_gan.techniques.adversarial import (
    adversarial_discriminator_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    relativistic_discriminator_loss,
    relativistic_generator_loss,
)
from improved_gan.techniques.feature_matching import feature_matching_loss
from improved_gan.techniques.gaussian_noise import GaussianNoise
from improved_gan.techniques.gradient_penalty import gradient_penalty
from improved_gan.techniques.historical_averaging import HistoricalAverage
from improved_gan.techniques.label_smoothing import (
    divergence_discriminator_loss,
    divergence_generator_loss,
    smoothed_discriminator_loss,
    smoothed_unsupervised_loss,
)
from improved_gan.techniques.minibatch_discrimination import (
    MinibatchDiscrimination,
    minibatch_similarity,
    real_and_generated_similarity,
)
from improved_gan.techniques.minibatch_standard_deviation import MinibatchStandardDeviation
from improved_gan.techniques.reference_batch import ReferenceBatch
from improved_gan.techniques.semi_supervised import real_logit, semi_supervised_losses
from improved_gan.techniques.virtual_batch_norm import VirtualBatchNorm, convert_virtual_batch_norm
from improved_gan.techniques.weight_ema import WeightEMA, warm_up_decay
from improved_gan.techniques.weight_norm import data_dependent_init_, weight_norm

__all__ = [
    "GaussianNoise",
    "HistoricalAverage",
    "MinibatchDiscrimination",
    "MinibatchStandardDeviation",
    "ReferenceBatch",
    "VirtualBatchNorm",
    "WeightEMA",
    "adversarial_discriminator_loss",
    "convert_virtual_batch_norm",
    "data_dependent_init_",
    "divergence_discriminator_loss",
    "divergence_generator_loss",
    "feature_matching_loss",
    "gradient_penalty",
    "hinge_discriminator_loss",
    "hinge_generator_loss",
    "least_squares_discriminator_loss",
    "least_squares_generator_loss",
    "minibatch_similarity",
    "minimax_generator_loss",
    "non_saturating_generator_loss",
    "real_and_generated_similarity",
    "real_logit",
    "relativistic_discriminator_loss",
    "relativistic_generator_loss",
    "semi_supervised_losses",
    "smoothed_discriminator_loss",
    "smoothed_unsupervised_loss",
    "warm_up_decay",
    "weight_norm",
]
