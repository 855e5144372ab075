"""Collectives of data-parallel training (torch.distributed: gloo on CPUs, NCCL on GPUs); the identity in one process.

What the paper defines over the batch (feature means, minibatch features, data-dependent initialization) is defined over
the global batch, the rows of all ranks in order of rank. The convention for gradients, exact for equal batch sizes:

    each rank   loss_r = the mean over its own rows, or a number equal on all ranks; backward()
    then        average_gradients(parameters): the mean over ranks = the gradient of the mean over the global batch

so the backward pass of a gather or of a global mean sums the gradients of all ranks. Every rank must make the same
calls in the same order, or they wait for each other until the time limit.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = [
    "all_reduce_max",
    "average_gradients",
    "batch_sizes",
    "broadcast_from_rank0",
    "gather_rows",
    "gather_with_gradient",
    "global_mean",
    "mean_over_ranks",
    "rank",
    "single_process",
    "world_size",
]

_SINGLE_PROCESS: ContextVar[bool] = ContextVar("single_process", default=False)


def rank() -> int:
    """The rank of this process, 0 <= rank < world_size; 0 without a process group."""
    return dist.get_rank() if _several_possible() else 0


def world_size() -> int:
    """How many processes train together; 1 without a process group."""
    return dist.get_world_size() if _several_possible() else 1


@contextmanager
def single_process() -> Iterator[None]:
    """While entered this process counts as the only one: for work that each rank does by itself.

    Evaluation, samples and the data-dependent initialization run so: no rank waits for another inside, and layers that
    compare rows of a batch get the rows that they would get in one process.

    >>> with single_process():
    ...     world_size()
    1
    """
    token = _SINGLE_PROCESS.set(True)
    try:
        yield
    finally:
        _SINGLE_PROCESS.reset(token)


@torch.no_grad()
def broadcast_from_rank0(values: Tensor) -> Tensor:
    """Rank 0's `values` on every rank, a new tensor without gradient; shape and dtype must be the same on all ranks."""
    if world_size() == 1:
        return values.detach()
    values = values.detach().clone(memory_format=torch.contiguous_format)
    dist.broadcast(values, 0)
    return values


def batch_sizes(num_rows: int, device: torch.device | str = "cpu") -> list[int]:
    """How many rows each rank has, in order of rank; `device` is that of the process group's backend."""
    if world_size() == 1:
        return [num_rows]
    # Each rank fills in its own entry; the sum has all of them.
    sizes = torch.zeros(world_size(), dtype=torch.int64, device=device)
    sizes[rank()] = num_rows
    dist.all_reduce(sizes)
    return [int(size) for size in sizes.tolist()]


def gather_with_gradient(values: Tensor, *, sizes: list[int] | None = None) -> Tensor:
    """The rows of all ranks in order of rank; each row's gradient flows back to the rank that it came from.

    Args:
        values: (N_r, A...) this rank's rows; N_r may differ between ranks, even be 0, A... may not.
        sizes: (world size) `batch_sizes(N_r)` if the caller has it already; None computes it.

    Returns:
        (sum N_r, A...) the global batch, the same on every rank.

    Raises:
        ValueError: `values` has no batch dimension.

    >>> gather_with_gradient(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    if values.dim() == 0:
        raise ValueError("values must have shape (N, A...), one row an example; got a scalar ()")
    if world_size() == 1:
        return values
    sizes = batch_sizes(values.shape[0], values.device) if sizes is None else sizes
    return _gather(values, sizes)


@torch.no_grad()
def gather_rows(values: Tensor) -> Tensor:
    """The rows of all ranks without gradient, on the values' device, in a group of any backend.

    A group of NCCL alone (as Lightning makes it for GPUs) sends no CPU tensors: they travel through the rank's GPU.

    Args:
        values: (N_r, A...) this rank's rows; N_r may differ between ranks, even be 0, A... may not.

    Returns:
        (sum N_r, A...) in order of rank.

    >>> gather_rows(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    if world_size() == 1:
        return values.detach()
    through = values.device
    if through.type == "cpu" and "cpu:" not in dist.get_backend_config():
        through = torch.device(torch.accelerator.current_accelerator() or "cpu")
    return gather_with_gradient(values.detach().to(through)).to(values.device)


def global_mean(values: Tensor) -> Tensor:
    """The mean over the rows of all ranks, in float32 or better, every row with the same weight.

    Args:
        values: (N_r, A...) this rank's rows.

    Returns:
        (A...) the mean, the same on every rank and differentiable; NaN where no rank has a row.

    >>> global_mean(torch.tensor([[1.0], [3.0]]))
    tensor([2.])
    """
    precision = torch.promote_types(values.dtype, torch.float32)
    if world_size() == 1:
        return values.mean(0, dtype=precision)
    return _sum(values.sum(0, dtype=precision)) / sum(batch_sizes(values.shape[0], values.device))


@torch.no_grad()
def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean over ranks of `values`, the same on every rank; one message, no gradient.

    >>> mean_over_ranks(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if world_size() == 1:
        return values
    total: Tensor = _sum(values.detach())
    return total / world_size()


def all_reduce_max(*numbers: int) -> list[int]:
    """Each number's maximum over the ranks: how ranks agree on what to do next.

    >>> all_reduce_max(0, 15)
    [0, 15]
    """
    if world_size() == 1:
        return list(numbers)
    message = torch.tensor(numbers, dtype=torch.int64)  # on the CPU: no GPU synchronization
    dist.all_reduce(message, op=dist.ReduceOp.MAX)
    return [int(number) for number in message.tolist()]


@torch.no_grad()
def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each parameter's gradient by its mean over all ranks: one flat all_reduce for each dtype and device.

    A missing gradient counts as zero; a parameter without a gradient on every rank keeps none.

    >>> average_gradients([torch.nn.Parameter(torch.zeros(2))])
    """
    if world_size() == 1:
        return
    groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for parameter in parameters:
        groups.setdefault((parameter.dtype, parameter.device), []).append(parameter)
    for group in groups.values():
        _average_group(group)


def _average_group(parameters: list[Tensor]) -> None:
    """One message: a flag per parameter (does this rank have a gradient?), then all gradients.

    A rank may have no gradient where its objective did not use a parameter; all must send messages of equal length.
    """
    flags = parameters[0].new_tensor([parameter.grad is not None for parameter in parameters])
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    message = torch.cat([flags, *(gradient.reshape(-1) for gradient in gradients)])
    dist.all_reduce(message)
    flags, *means = torch.split(message, [len(parameters), *(p.numel() for p in parameters)])
    for parameter, present, mean in zip(parameters, flags.tolist(), means, strict=True):
        if present:
            mean = mean.div_(world_size()).view(parameter.shape)
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter).copy_(mean)  # in the parameter's own memory format
            else:
                parameter.grad.copy_(mean)


class _Sum(torch.autograd.Function):
    """The sum over ranks; its backward pass is the same sum."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _sum(gradient)


class _Gather(torch.autograd.Function):
    """All rows; backward, this rank's slice of the gradients' sum over ranks."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, sizes: list[int]) -> Tensor:
        ctx.own = slice(sum(sizes[: rank()]), sum(sizes[: rank() + 1]))
        # all_gather takes equal shapes: pad to the largest N_r, cut the padding off afterwards.
        padded = values.new_zeros(max(sizes), *values.shape[1:])
        padded[: values.shape[0]] = values
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _sum(gradient)[ctx.own], None


_sum: Callable[[Tensor], Tensor] = _Sum.apply
_gather: Callable[[Tensor, list[int]], Tensor] = _Gather.apply


def _several_possible() -> bool:
    return dist.is_available() and dist.is_initialized() and not _SINGLE_PROCESS.get()
