"""Training and evaluation mode for a while, with every module's own mode kept.

`network.train(was_training)` sets one flag for all modules: a batch norm that its owner had frozen would learn again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["in_mode", "to_training_"]


@contextmanager
def in_mode(network: nn.Module, *, training: bool) -> Iterator[None]:
    """While entered, the network is in training mode (see `to_training_`) or, all of it, in evaluation mode.

    Afterwards, also after an error, each module is in the mode in which it was.

    Args:
        network: any module.
        training: which mode.

    >>> network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2).eval())
    >>> with in_mode(network, training=False):
    ...     [module.training for module in network]
    [False, False]
    >>> [module.training for module in network]
    [True, False]
    """
    before, as_a_whole = [(module, module.training) for module in network.modules()], network.training
    try:
        if training:
            to_training_(network)
        else:
            network.eval()
        yield
    finally:
        network.train(as_a_whole)  # first, for modules that do more than set a flag
        for module, mode in before:
            module.training = mode


def to_training_(network: nn.Module) -> None:
    """Set training mode; in a network that is in it already, parts in evaluation mode are frozen on purpose and stay.

    >>> network = nn.Sequential(nn.BatchNorm1d(2).eval())
    >>> to_training_(network)
    >>> network[0].training
    False
    """
    if not network.training:
        network.train()
