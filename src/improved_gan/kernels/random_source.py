"""The source of random numbers: PyTorch's default generators, or generators of the caller's own.

The default generators are global: two trainings in two threads would draw from one stream, and each would get other
numbers than alone. So a training that must be reproducible beside others enters `own_random_numbers`, and all code
inside that draws asks `source` for the generator. The setting is per thread.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = [
    "get_random_state",
    "in_place_of_default",
    "own_generator_by_default",
    "own_random_numbers",
    "pass_and_recomputation",
    "seed_random_numbers",
    "set_random_state",
    "source",
]

_Kinds = dict[str, torch.Generator]  # by type of device
_OWN: ContextVar[_Kinds | None] = ContextVar("generators of the caller's own", default=None)
_DEFAULT_LOCK = Lock()


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

    They give the numbers of the default generators after `torch.manual_seed(seed)`; the default ones are not touched.

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
    """The state, uint8 on the CPU, of the generator in use on this device."""
    return (source(device) or _default(device)).get_state()


def set_random_state(state: Tensor, device: torch.device | str = "cpu") -> None:
    """The inverse of `get_random_state`."""
    (source(device) or _default(device)).set_state(state)


def seed_random_numbers(seed: int) -> None:
    """Seed the caller's own generators on all their devices, or the default ones where there are none."""
    own = _OWN.get()
    if own is None:
        torch.manual_seed(seed)
        return
    for generator in own.values():
        generator.manual_seed(seed)


@contextmanager
def in_place_of_default(device: torch.device | str) -> Iterator[None]:
    """For operations without a generator argument: while entered the default generator has the state of the own one.

    One thread at a time. If another thread draws from the default generator of this device meanwhile, the caller's
    stream changes; so enter it for one operation only, and only where `source` cannot be passed.
    """
    own = source(device)
    if own is None:
        yield
        return
    default = _default(device)
    with _DEFAULT_LOCK:
        before = default.get_state()
        default.set_state(own.get_state())
        try:
            yield
        finally:
            own.set_state(default.get_state())
            default.set_state(before)


def pass_and_recomputation() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """`context_fn` of `torch.utils.checkpoint`, which restores the state of the default generators only.

    A recomputation then draws the numbers of its pass from the caller's own generators, also in a thread of autograd,
    and leaves their states as they are.
    """
    own = _OWN.get()
    if own is None:
        return nullcontext(), nullcontext()
    return nullcontext(), _Repeated(own, {kind: generator.get_state() for kind, generator in own.items()})


class _Repeated(AbstractContextManager[None]):
    """The own generators with earlier states; may be entered several times, as a graph may be gone through."""

    def __init__(self, own: _Kinds, states: Mapping[str, Tensor]) -> None:
        self._own, self._states = own, states

    def __enter__(self) -> None:
        self._token = _OWN.set(self._own)
        self._later = {kind: generator.get_state() for kind, generator in self._own.items()}
        self._set(self._states)

    def __exit__(self, *_: object) -> None:
        self._set(self._later)
        _OWN.reset(self._token)

    def _set(self, states: Mapping[str, Tensor]) -> None:
        for kind, generator in self._own.items():
            generator.set_state(states[kind])


class own_generator_by_default(TorchFunctionMode):  # noqa: N801  # a context, as `torch.no_grad`
    """While entered CPU operations called without a generator draw from the own one, in this thread alone.

    It intercepts every operation: too slow for training, suited to building networks, whose initial weights are drawn
    inside PyTorch's layers. Operations without a generator argument, such as dropout, are not reached.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation, with the own generator if it is a random one."""
        named = dict(kwargs or {})
        if getattr(func, "__name__", "") in _RANDOM_FUNCTIONS and named.get("generator") is None:
            named["generator"] = source()
        return func(*args, **named)


_RANDOM_FUNCTIONS = {
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
