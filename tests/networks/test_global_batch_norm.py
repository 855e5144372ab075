import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from improved_gan import distributed
from improved_gan.networks.global_batch_norm import GlobalBatchNorm, batch_norm, convert_global_batch_norm
from tests.ranks import TwoRanks

IMAGES = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 + 1


def network() -> nn.Sequential:
    torch.manual_seed(5)
    made = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(20, 4))
    made.append(nn.BatchNorm1d(4, momentum=None, affine=False))
    return made.double()


def stepped() -> tuple[dict[str, Tensor], list[Tensor], Tensor]:
    """Buffers and parameters after two passes, averaged gradients, and the outputs in training and evaluation."""
    made = convert_global_batch_norm(network())
    own = slice(0, 6) if distributed.world_size() == 1 else (slice(0, 2), slice(2, 6))[distributed.rank()]
    made(IMAGES[own] * 3)
    output = made(IMAGES[own])
    (output.sin().sum() * distributed.world_size()).backward()  # a sum over rows: ranks have different numbers of them
    distributed.average_gradients(made.parameters())
    with distributed.single_process():
        tested = made.eval()(IMAGES)
    return dict(made.state_dict()), [p.grad for p in made.parameters()], torch.cat([output, tested]).detach()


def test_two_ranks_with_uneven_rows_are_one_batch(two_ranks: TwoRanks) -> None:
    state, gradients, outputs = stepped()
    halves = two_ranks(stepped)
    torch.testing.assert_close(torch.cat([halves[0][2][:2], halves[1][2][:4]]), outputs[:6])
    for own_state, own_gradients, own_outputs in halves:
        torch.testing.assert_close(own_state, state)
        torch.testing.assert_close(own_gradients, gradients)
        torch.testing.assert_close(own_outputs[-6:], outputs[-6:])


def kinds() -> list[str]:
    made = network()
    made.append(made[1])  # one layer under two names
    return [type(layer).__name__ for layer in convert_global_batch_norm(made)]


def test_only_several_ranks_convert_and_names_stay(two_ranks: TwoRanks) -> None:
    assert "GlobalBatchNorm" not in kinds()
    assert [kind for kind in two_ranks(kinds)[1] if "Norm" in kind] == ["GlobalBatchNorm"] * 3


def test_in_one_process_it_is_pytorchs_own() -> None:
    ours, theirs = GlobalBatchNorm(3).double(), nn.BatchNorm2d(3).double()
    theirs.load_state_dict(copy.deepcopy(ours.state_dict()))
    assert torch.equal(ours(IMAGES), theirs(IMAGES))
    assert torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(
        batch_norm(IMAGES, None, None, None, None, True, 0.1, 1e-5), F.batch_norm(IMAGES, None, None, training=True)
    )


def checkpointed(again: bool | None) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Gradients and state after one pass, with and without recomputation."""
    made = convert_global_batch_norm(network())
    images = IMAGES[distributed.rank() :: distributed.world_size()].clone().requires_grad_()
    output = made(images) if again is None else checkpoint(made, images, use_reentrant=again)
    output.sin().sum().backward()
    return [images.grad, *(p.grad for p in made.parameters())], dict(made.state_dict())  # type: ignore[list-item]


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_recomputed_pass_updates_no_statistics(reentrant: bool, two_ranks: TwoRanks) -> None:
    for ours, expected in zip(two_ranks(checkpointed, reentrant), two_ranks(checkpointed, None), strict=True):
        torch.testing.assert_close(ours, expected)
        assert int(ours[1]["1.num_batches_tracked"]) == 1


def in_half(momentum: float | None) -> tuple[Tensor, torch.dtype]:
    """The running mean after 60 batches of ones and 60 of threes, in half precision."""
    made = convert_global_batch_norm(nn.Sequential(nn.BatchNorm1d(2, momentum=momentum)).half()).half()
    for value in (1.0, 3.0):
        for _ in range(60):
            made(torch.full((4, 2), value, dtype=torch.float16))
    return made[0].running_mean, made.eval()(torch.ones(4, 2).half()).dtype


@pytest.mark.parametrize(("momentum", "expected"), [(None, 2.0), (0.01, 1 * 0.5472 * 0.4528 + 3 * 0.4528)])
def test_running_statistics_of_half_precision_networks(
    momentum: float | None, expected: float, two_ranks: TwoRanks
) -> None:
    for mean, dtype in two_ranks(in_half, momentum):
        assert mean.dtype == torch.float32
        assert mean.tolist() == pytest.approx([expected] * 2, rel=2e-3)
        assert dtype == torch.float16
