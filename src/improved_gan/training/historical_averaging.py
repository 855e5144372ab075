"""Historical averaging of both players in training (paper, section 3.3): their pasts, and the objective that pays.

The pasts are part of the training state, so that they are saved and resumed. Each is brought up to date by its
player's optimizer, right after every step that it takes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.techniques import HistoricalAverage
from improved_gan.training.objectives import Objective, Terms, TrainingBatch
from improved_gan.training.step import Optimizers

__all__ = ["HistoricallyAveraged", "ParameterAverages", "after_each_step"]


class ParameterAverages(nn.Module):
    """The mean of all past parameters of each player.

    Args:
        optimizers: of the players; from now on each of their steps enters the means.

    >>> player = torch.nn.Parameter(torch.ones(2))
    >>> sgd = torch.optim.SGD([player], lr=1.0)
    >>> parameter_averages = ParameterAverages(Optimizers(discriminator=sgd, generator=sgd))
    >>> parameter_averages.generator.penalty()
    tensor(0., grad_fn=<MulBackward0>)
    """

    def __init__(self, optimizers: Optimizers) -> None:
        super().__init__()
        self.discriminator = _followed(optimizers.discriminator)
        self.generator = _followed(optimizers.generator)


@dataclass(frozen=True)
class HistoricallyAveraged(Objective):
    """Another objective whose players pay for leaving the mean of their past.

    Args:
        base: the game.
        parameter_averages: of both players.
        weight: of || theta - mean ||^2. The paper writes 1.
    """

    base: Objective
    parameter_averages: ParameterAverages
    weight: float

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The game's terms and the discriminator's penalty."""
        return self._with(
            self.base.discriminator_terms(generator, discriminator, batch), self.parameter_averages.discriminator
        )

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The game's terms and the generator's penalty."""
        return self._with(self.base.generator_terms(generator, discriminator, batch), self.parameter_averages.generator)

    def _with(self, terms: Terms, history: HistoricalAverage) -> Terms:
        return Terms({**terms.losses, "history": self.weight * history.penalty()}, terms.monitors)


def after_each_step(optimizer: torch.optim.Optimizer, update: Callable[[], None]) -> None:
    """Call `update` after every step of the optimizer, from now on."""

    def hook(*_: Any) -> None:
        update()

    optimizer.register_step_post_hook(hook)


def _followed(optimizer: torch.optim.Optimizer) -> HistoricalAverage:
    history = HistoricalAverage([parameter for group in optimizer.param_groups for parameter in group["params"]])
    after_each_step(optimizer, history.update)
    return history
