"""Numerical demonstrations of the paper's theory: importable functions that return arrays, and their plots."""

from improved_gan.theory.demos import DEMOS, Demo, show
from improved_gan.theory.divergences import (
    bernoulli_minibatch_divergence,
    bernoulli_preference_divergence,
    gaussian_divergence,
    gaussian_preference_divergence,
    jensen_shannon_terms,
    kullback_leibler_terms,
)
from improved_gan.theory.games import (
    convergence_map,
    decay_exponent,
    distance_to_equilibrium,
    game_value,
    stable_weights,
    trajectory,
)
from improved_gan.theory.mode_collapse import RingRun, ring_coverage, sample_ring, train_on_ring
from improved_gan.theory.smoothed_discriminator import (
    Mixture,
    generator_gradient,
    optimal_discriminator,
    train_discriminators,
)

__all__ = [
    "DEMOS",
    "Demo",
    "Mixture",
    "RingRun",
    "bernoulli_minibatch_divergence",
    "bernoulli_preference_divergence",
    "convergence_map",
    "decay_exponent",
    "distance_to_equilibrium",
    "game_value",
    "gaussian_divergence",
    "gaussian_preference_divergence",
    "generator_gradient",
    "jensen_shannon_terms",
    "kullback_leibler_terms",
    "optimal_discriminator",
    "ring_coverage",
    "sample_ring",
    "show",
    "stable_weights",
    "train_discriminators",
    "train_on_ring",
    "trajectory",
]
