"""Switch a network between training and evaluation mode temporarily, and restore each module's own mode.

`network.train(was_training)` sets one flag for all modules: a frozen batch norm would be updated again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["in_mode", "to_training_"]


@contextmanager
def in_mode(network: nn.Module, *, training: bool) -> Iterator[None]:
    """While entered, the network is in training mode (see `to_training_`), or all its modules in evaluation mode.

    Afterwards, also after an error, each module is in its earlier mode.

    Args:
        network: any module.
        training: the mode.

    >>> network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2).eval())
    >>> with in_mode(network, training=False):
    ...     [module.training for module in network]
    [False, False]
    >>> [module.training for module in network]
    [True, False]
    """
    before, whole = [(module, module.training) for module in network.modules()], network.training
    try:
        if training:
            to_training_(network)
        else:
            network.eval()
        yield
    finally:
        network.train(whole)  # first, for modules whose `train` does more than set a flag
        for module, mode in before:
            module.training = mode


def to_training_(network: nn.Module) -> None:
    """Set training mode; if the network has it already, modules in evaluation mode are frozen on purpose and stay so.

    >>> network = nn.Sequential(nn.BatchNorm1d(2).eval())
    >>> to_training_(network)
    >>> network[0].training
    False
    """
    if not network.training:
        network.train()
