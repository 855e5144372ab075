import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from improved_gan import distributed
from improved_gan.techniques import MinibatchStandardDeviation
from tests.oracles import minibatch
from tests.ranks import TwoRanks


@given(n=st.integers(1, 9), group=st.one_of(st.none(), st.integers(2, 10)), shape=st.sampled_from([(), (3,), (2, 2)]))
def test_agrees_with_numpy_at_any_batch_size(n: int, group: int | None, shape: tuple[int, ...]) -> None:
    features = torch.randn(n, 4, *shape, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    for num_channels in (1, 2):
        output = MinibatchStandardDeviation(group, num_channels=num_channels)(features)
        statistics = minibatch.standard_deviation(features, group or n, num_channels)
        assert torch.equal(output[:, :4], features)
        expected = np.broadcast_to(statistics.reshape(n, num_channels, *[1] * len(shape)), (n, num_channels, *shape))
        np.testing.assert_allclose(output[:, 4:], expected, rtol=1e-12)


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("n", [1, 5])
def test_value_and_gradients_are_finite_for_one_example_and_for_identical_ones(n: int, same: bool) -> None:
    features = torch.randn(1, 8, 4, 4).expand(n, -1, -1, -1).clone() if same else torch.randn(n, 8, 4, 4)
    features.requires_grad_()
    output = MinibatchStandardDeviation()(features)
    (gradient,) = torch.autograd.grad(output[:, 8:].sum(), features, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), features)
    assert all(one.isfinite().all() for one in (output, gradient, second))
    if same:
        torch.testing.assert_close(output[:, 8:], torch.full((n, 1, 4, 4), 1e-4))
        assert gradient.abs().max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_neither_overflows_nor_vanishes(dtype: torch.dtype) -> None:
    for scale in (1e-3, 1e4):  # squares of 1e-6 and 1e8 are outside of float16
        features = (scale * torch.randn(8, 4, 3, 3)).to(dtype).requires_grad_()
        output = MinibatchStandardDeviation()(features)
        (gradient,) = torch.autograd.grad(output[:, 4:].float().sum(), features)
        expected = minibatch.standard_deviation(features.detach().double(), 4, 1)
        assert output.dtype == dtype
        np.testing.assert_allclose(output[:, 4, 0, 0].detach().float(), expected[:, 0], rtol=0.01)
        assert gradient.isfinite().all()


def test_groups_are_not_compared() -> None:
    layer, features = MinibatchStandardDeviation(), torch.randn(9, 3, 2)
    parts = features.split([5, 4])
    assert torch.equal(layer(features, groups=[5, 4]), torch.cat([layer(part) for part in parts]))


def test_it_shows_a_collapsed_batch() -> None:
    varied, collapsed = torch.randn(8, 16, 4, 4), torch.randn(1, 16, 4, 4).repeat(8, 1, 1, 1)
    layer = MinibatchStandardDeviation()
    assert layer(varied)[:, 16].min() > 100 * layer(collapsed)[:, 16].max()


def on_two_ranks(cut: int) -> tuple[Tensor, Tensor]:
    """This rank's rows of the output, and of the gradient of the mean over ranks of a loss."""
    features = torch.randn(10, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own = features[:cut] if distributed.rank() == 0 else features[cut:]
    own = (own if distributed.world_size() > 1 else features).clone().requires_grad_()
    output = MinibatchStandardDeviation(4)(own)
    (gradient,) = torch.autograd.grad(output.sin().sum(), own)
    return output.detach(), gradient


@pytest.mark.parametrize("cut", [5, 4, 3, 8])
def test_groups_do_not_depend_on_the_ranks(cut: int, two_ranks: TwoRanks) -> None:
    whole = on_two_ranks(10)
    for together, parts in zip(whole, zip(*two_ranks(on_two_ranks, cut), strict=True), strict=True):
        torch.testing.assert_close(torch.cat(parts), together)


def test_compiled_with_any_batch_size() -> None:
    torch._dynamo.reset()
    layer = MinibatchStandardDeviation()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=False)
    for n in (8, 6):
        features = torch.randn(n, 3, 2, 2)
        torch.testing.assert_close(compiled(features), layer(features))


def test_bad_use() -> None:
    with pytest.raises(ValueError, match="at least 2, or None for the whole batch; got 1"):
        MinibatchStandardDeviation(1)
    with pytest.raises(ValueError, match="got 1 and 0"):
        MinibatchStandardDeviation(eps=0)
    with pytest.raises(ValueError, match=r"2 dividing C; got \(4, 3, 2\)"):
        MinibatchStandardDeviation(num_channels=2)(torch.zeros(4, 3, 2))
    with pytest.raises(ValueError, match=r"\(N, C, ...\), not empty; got \(0, 3\)"):
        MinibatchStandardDeviation()(torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"sum to N = 4; got \[3, 2\]"):
        MinibatchStandardDeviation()(torch.zeros(4, 3), groups=[3, 2])
