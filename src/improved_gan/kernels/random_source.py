"""Where random numbers come from: PyTorch's default generators, or generators of the caller's own.

The default generators belong to the whole process: two trainings in two threads would draw from one stream, and each
get other numbers than it gets alone. So a training that promises numbers of its own enters `own_random_numbers`; what
draws inside asks `source` for the generator to draw from. Other threads see nothing of it, and it nothing of them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = [
    "get_random_state",
    "in_place_of_default",
    "own_random_numbers",
    "own_where_none_is_named",
    "seed_random_numbers",
    "set_random_state",
    "source",
]

_Kinds = dict[str, torch.Generator]  # by type of device
_OWN: ContextVar[_Kinds | None] = ContextVar("generators of the caller's own", default=None)
_DEFAULT_IS_LENT = Lock()


def source(device: torch.device | str = "cpu") -> torch.Generator | None:
    """The generator to draw from on this device; None for the default one, and always in compiled code.

    >>> source() is None
    True
    """
    own = None if torch.compiler.is_compiling() else _OWN.get()
    return None if own is None else own.get(torch.device(device).type)


@contextmanager
def own_random_numbers(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """While entered this thread draws from generators of its own, on the CPU and on `device`.

    They give what the default generators would give after `torch.manual_seed(seed)`; those stay as they are.

    >>> def draw():
    ...     with own_random_numbers(0):
    ...         return torch.rand(2, generator=source())
    >>> torch.equal(draw(), draw())
    True
    """
    kinds = {torch.device(one).type: torch.Generator(one).manual_seed(seed) for one in ("cpu", device)}
    token = _OWN.set(kinds)
    try:
        yield
    finally:
        _OWN.reset(token)


def get_random_state(device: torch.device | str = "cpu") -> Tensor:
    """The state, uint8 on the CPU, of the generator that is drawn from on this device."""
    return (source(device) or _default(device)).get_state()


def set_random_state(state: Tensor, device: torch.device | str = "cpu") -> None:
    """The inverse of `get_random_state`."""
    (source(device) or _default(device)).set_state(state)


def seed_random_numbers(seed: int) -> None:
    """Begin anew: the generators of the caller's own on all their devices, else the default ones."""
    own = _OWN.get()
    if own is None:
        torch.manual_seed(seed)
        return
    for generator in own.values():
        generator.manual_seed(seed)


@contextmanager
def in_place_of_default(device: torch.device | str) -> Iterator[None]:
    """For the few operations that name no generator: while entered the default one draws what the own one would.

    One thread at a time. Another thread that draws from the default generator of this device meanwhile takes numbers
    away from the caller; so enter it for one operation, and only where `source` cannot be named.
    """
    own = source(device)
    if own is None:
        yield
        return
    default = _default(device)
    with _DEFAULT_IS_LENT:
        before = default.get_state()
        default.set_state(own.get_state())
        try:
            yield
        finally:
            own.set_state(default.get_state())
            default.set_state(before)


class own_where_none_is_named(TorchFunctionMode):  # noqa: N801  # a context, as `torch.no_grad`
    """While entered operations on the CPU that name no generator draw from the own one, in this thread alone.

    It looks at every operation, which is too slow for training, and right for making networks: their first weights are
    drawn deep in PyTorch's layers. Operations that take no generator, as dropout, are not reached.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation, with the own generator where it is one of chance."""
        named = dict(kwargs or {})
        if getattr(func, "__name__", "") in _OF_CHANCE and named.get("generator") is None:
            named["generator"] = source()
        return func(*args, **named)


_OF_CHANCE = {
    *("rand", "randn", "randint", "randperm", "bernoulli", "normal", "multinomial"),
    *("uniform_", "normal_", "random_", "bernoulli_", "exponential_", "trunc_normal_"),
    *("kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_", "orthogonal_", "sparse_"),
}


def _default(device: torch.device | str) -> torch.Generator:
    device = torch.device(device)
    if device.type == "cpu":
        return torch.default_generator
    torch.cuda.init()  # type: ignore[no-untyped-call]
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[index]
