"""The training step, its objectives, the loop around it, and the run folder that it fills."""

from improved_gan.training.objectives import Adversarial, Objective, SemiSupervised, SupervisedBaseline, Terms
from improved_gan.training.step import Optimizers, train_step

__all__ = [
    "Adversarial",
    "Objective",
    "Optimizers",
    "SemiSupervised",
    "SupervisedBaseline",
    "Terms",
    "train_step",
]
