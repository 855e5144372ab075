import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from improved_gan import distributed
from tests.ranks import TwoRanks

ROWS = torch.arange(15, dtype=torch.float64).reshape(5, 3)
OWN = (slice(0, 2), slice(2, 5))  # uneven on purpose


def gathered(own: tuple[slice, slice]) -> tuple[Tensor, Tensor, Tensor]:
    """The gathered rows, the gradient of a loss on each rank that weighs all rows, and its second derivative."""
    rows = ROWS[own[distributed.rank()]].clone().requires_grad_()
    everything = distributed.gather_with_gradient(rows)
    loss = ((distributed.rank() + 1) * everything**3).sum()
    (gradient,) = torch.autograd.grad(loss, rows, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), rows)
    return everything.detach(), gradient.detach(), second


@pytest.mark.parametrize("own", [OWN, (slice(0, 0), slice(0, 5)), (slice(0, 5), slice(5, 5))])
def test_gather_and_its_gradients(two_ranks: TwoRanks, own: tuple[slice, slice]) -> None:
    for mine, (everything, gradient, second) in zip(own, two_ranks(gathered, own), strict=True):
        assert torch.equal(everything, ROWS)
        torch.testing.assert_close(gradient, (1 + 2) * 3 * ROWS[mine] ** 2)
        torch.testing.assert_close(second, (1 + 2) * 6 * ROWS[mine])


def averaged(own: tuple[slice, slice]) -> tuple[Tensor, Tensor]:
    rows = ROWS[own[distributed.rank()]].half().requires_grad_()
    mean = distributed.global_mean(rows)
    mean.sum().backward()
    return mean.detach(), rows.grad


def test_global_mean_counts_rows_and_not_ranks(two_ranks: TwoRanks) -> None:
    for mean, gradient in two_ranks(averaged, OWN):
        assert mean.dtype == torch.float32
        torch.testing.assert_close(mean, ROWS.mean(0).float())
        torch.testing.assert_close(gradient, torch.full_like(gradient, 2 / 5))  # contributions of both ranks


def through_another_device() -> tuple[Tensor, list[str]]:
    """Rows gathered in a group whose backend sends tensors of an accelerator only; here its device is the CPU."""
    devices: list[str] = []
    kept = torch.distributed.get_backend_config, torch.accelerator.current_accelerator
    torch.distributed.get_backend_config = lambda: "cuda:nccl"
    torch.accelerator.current_accelerator = lambda: devices.append("asked")
    try:
        rows = distributed.gather_rows(torch.full((1 + distributed.rank(), 2), float(distributed.rank())))
    finally:
        torch.distributed.get_backend_config, torch.accelerator.current_accelerator = kept
    return rows, devices


def test_rows_travel_through_the_accelerator_where_the_backend_sends_no_cpu_tensors(two_ranks: TwoRanks) -> None:
    for rows, devices in two_ranks(through_another_device):
        assert rows.tolist() == [[0, 0], [1, 1], [1, 1]]
        assert devices == ["asked"]


def step() -> tuple[list[Tensor | None], Tensor]:
    """Averaged gradients where a rank lacks one, and what rank 0 broadcast."""
    rank = distributed.rank()
    both, one, none, single = (nn.Parameter(torch.zeros(2, 2)) for _ in range(4))
    single.data = single.data.double()
    both.grad, single.grad = torch.full((2, 2), float(rank)), torch.full((2, 2), 3.0 + rank, dtype=torch.float64)
    if rank == 1:
        one.grad = torch.ones(2, 2)
    distributed.average_gradients([both, one, none, single])
    return (
        [p.grad for p in (both, one, none, single)],
        distributed.broadcast_from_rank0(torch.full((2,), 7.0 + rank)),
    )


def test_average_gradients_and_broadcast(two_ranks: TwoRanks) -> None:
    for gradients, sent in two_ranks(step):
        both, one, none, single = gradients
        assert both.eq(0.5).all()
        assert one.eq(0.5).all()
        assert none is None
        assert single.eq(3.5).all()
        assert single.dtype == torch.float64
        assert sent.eq(7).all()


def trained(batches: list[Tensor]) -> Tensor:
    """A layer's weight after one step on this rank's half of the batch."""
    layer = nn.Linear(3, 2).double()
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    layer(batches[distributed.rank()]).tanh().mean().backward()
    distributed.average_gradients(layer.parameters())
    return layer.weight.grad


def test_two_halves_step_like_one_batch(two_ranks: TwoRanks) -> None:
    batch = torch.randn(8, 3, dtype=torch.float64)
    whole = trained([batch])
    for gradient in two_ranks(trained, list(batch.split(4))):
        torch.testing.assert_close(gradient, whole)


def test_in_one_process_everything_is_the_identity() -> None:
    rows, parameter = torch.randn(3, 2), nn.Parameter(torch.zeros(2))
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert distributed.gather_with_gradient(rows) is rows
    assert distributed.batch_sizes(3) == [3]
    assert torch.equal(distributed.broadcast_from_rank0(rows), rows)
    torch.testing.assert_close(distributed.global_mean(rows), rows.mean(0))
    distributed.average_gradients([parameter])
    assert parameter.grad is None
    with pytest.raises(ValueError, match=r"\(N, A\.\.\.\).*\(\)"):
        distributed.gather_with_gradient(torch.tensor(1.0))


def test_safe_where_torch_was_built_without_it() -> None:
    code = (
        "import torch, torch.distributed as dist; dist.is_available = lambda: False\n"
        "del dist.is_initialized, dist.get_rank, dist.all_reduce\n"
        "from improved_gan import distributed as d\n"
        "assert d.world_size() == 1 and d.global_mean(torch.ones(2, 1)) == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
