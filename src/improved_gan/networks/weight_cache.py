"""Parametrized tensors, such as weights g v/||v||, computed once for as long as no parameter changes.

Like `torch.nn.utils.parametrize.cached`, but per network: that cache is global and is emptied when the last thread
leaves it, so training in another thread would go on with outdated weights.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.utils import parametrize

__all__ = ["weights_computed_once"]


@contextmanager
def weights_computed_once(network: nn.Module) -> Iterator[None]:
    """While entered no parameter of the network may change: each parametrized tensor is computed at its first use.

    Nested uses share the outermost cache.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    >>> with weights_computed_once(layer):
    ...     layer.weight is layer.weight
    True
    >>> layer.weight is layer.weight
    False
    """
    ours = [one for one in _parametrized(network) if "forward" not in vars(one)]
    for one in ours:
        one.forward = _once(one.forward)
    try:
        yield
    finally:
        for one in ours:
            del one.forward


def _once(compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
    kept: list[Tensor] = []

    def value() -> Tensor:
        if not kept:
            kept.append(compute())
        return kept[0]

    return value


def _parametrized(network: nn.Module) -> Iterator[nn.Module]:
    """The ones that `network.modules()` would find, in a fraction of its time."""
    for child in network.children():
        if isinstance(child, parametrize.ParametrizationList):
            yield child
        else:
            yield from _parametrized(child)
