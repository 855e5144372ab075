"""`torch.compile` for the networks of a run, where a compiler works; evaluation and samples run them uncompiled."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["compile_networks", "uncompiled"]


def compile_networks(*networks: nn.Module, warn: Callable[[str], None]) -> bool:
    """Compile the forward and backward pass of each network, in place; their state keeps its names.

    Args:
        networks: changed in place.
        warn: called with the reason, in one line, if they cannot be compiled.

    Returns:
        Whether they are compiled.
    """
    if reason := _compiler_error(next(networks[0].parameters()).device):
        warn(f"training without torch.compile: {reason}")
        return False
    for network in networks:
        network.compile()
    return True


@contextmanager
def uncompiled() -> Iterator[None]:
    """While entered compiled networks run uncompiled: for occasional passes in other modes and sizes."""
    if "torch._dynamo" not in sys.modules:  # nothing was compiled
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _compiler_error(device: torch.device) -> str:
    """The error, in one line, of compiling a trivial function on this device; empty if that works."""

    def trivial(values: torch.Tensor) -> torch.Tensor:
        return values.sin() + 1

    try:
        torch.compile(trivial)(torch.ones(4, device=device))
    except Exception as error:  # any compiler may fail in any way
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
    return ""
