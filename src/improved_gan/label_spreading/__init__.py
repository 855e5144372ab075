"""Classification from few labels without a GAN: label spreading gives pseudo-labels; methods newer than the paper."""

from improved_gan.label_spreading.image_deformation_model import idm_distance, idm_neighbors
from improved_gan.label_spreading.layout_conv import LayoutConvDiscriminator, apply_pixel_layout
from improved_gan.label_spreading.random_elastic_affine import (
    RandomElasticAffine,
    estimate_pixel_layout,
    grid_positions,
)
from improved_gan.label_spreading.spreading import label_spreading, most_confident_per_class
from improved_gan.label_spreading.virtual_adversarial import (
    VirtualAdversarialObjective,
    conditional_entropy,
    marginal_entropy,
    prediction_kl,
    virtual_adversarial_direction,
    virtual_adversarial_loss,
)

__all__ = [
    "LayoutConvDiscriminator",
    "RandomElasticAffine",
    "VirtualAdversarialObjective",
    "apply_pixel_layout",
    "conditional_entropy",
    "estimate_pixel_layout",
    "grid_positions",
    "idm_distance",
    "idm_neighbors",
    "label_spreading",
    "marginal_entropy",
    "most_confident_per_class",
    "prediction_kl",
    "virtual_adversarial_direction",
    "virtual_adversarial_loss",
]
