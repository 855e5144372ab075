"""Historical averaging of both networks in training (paper, section 3.3).

    loss + weight * || theta - (1/t) sum_{i=1..t} theta[i] ||^2,   theta the parameters, theta[i] their value at step i

The averages are part of the training state, so that they are saved and resumed. A hook updates each after every step of
its network's optimizer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.techniques.historical_averaging import HistoricalAverage
from improved_gan.training.objectives import Objective, Terms, TrainingBatch
from improved_gan.training.step import Optimizers

__all__ = ["HistoricallyAveraged", "ParameterAverages", "after_each_step"]


class ParameterAverages(nn.Module):
    """The mean of all past parameters of each network.

    Args:
        optimizers: of both networks; each of their steps from now on enters the means.

    >>> parameter = torch.nn.Parameter(torch.ones(2))
    >>> sgd = torch.optim.SGD([parameter], lr=1.0)
    >>> averages = ParameterAverages(Optimizers(discriminator=sgd, generator=sgd))
    >>> averages.generator.penalty()
    tensor(0., grad_fn=<MulBackward0>)
    """

    def __init__(self, optimizers: Optimizers) -> None:
        super().__init__()
        self.discriminator = _average_of(optimizers.discriminator)
        assert optimizers.generator is not None, "a recipe without a GAN has no historical averaging"
        self.generator = _average_of(optimizers.generator)


@dataclass(frozen=True)
class HistoricallyAveraged(Objective):
    """Another objective with a penalty on the distance of parameters from their historical mean.

    Args:
        base: the objective that gets the penalty.
        parameter_averages: of both networks.
        weight: of || theta - mean ||^2. The paper writes 1.
    """

    base: Objective
    parameter_averages: ParameterAverages
    weight: float

    @property
    def simultaneous(self) -> bool:
        """As the base objective."""
        return self.base.simultaneous

    def discriminator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The base objective's terms and the discriminator's penalty."""
        return self._with(
            self.base.discriminator_terms(generator, discriminator, batch), self.parameter_averages.discriminator
        )

    def generator_terms(self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch) -> Terms:
        """The base objective's terms and the generator's penalty."""
        return self._with(self.base.generator_terms(generator, discriminator, batch), self.parameter_averages.generator)

    def joint_terms(
        self, generator: Generator, discriminator: Discriminator, batch: TrainingBatch
    ) -> tuple[Terms, Terms]:
        """The base objective's terms, each with its network's penalty."""
        of_discriminator, of_generator = self.base.joint_terms(generator, discriminator, batch)
        averages = self.parameter_averages
        return self._with(of_discriminator, averages.discriminator), self._with(of_generator, averages.generator)

    def _with(self, terms: Terms, history: HistoricalAverage) -> Terms:
        return Terms({**terms.losses, "history": self.weight * history.penalty()}, terms.monitors)


def after_each_step(optimizer: torch.optim.Optimizer, update: Callable[[], None]) -> None:
    """Call `update` after every later step of the optimizer."""

    def hook(*_: Any) -> None:
        update()

    optimizer.register_step_post_hook(hook)


def _average_of(optimizer: torch.optim.Optimizer) -> HistoricalAverage:
    history = HistoricalAverage([parameter for group in optimizer.param_groups for parameter in group["params"]])
    after_each_step(optimizer, history.update)
    return history
