import pytest
import torch
from scipy import stats
from torch import Tensor

from improved_gan.kernels.dropout import Dropout, drop


def mask_of(shape: tuple[int, ...], p: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return drop(torch.ones(shape, dtype=dtype), p)


@pytest.mark.parametrize("p", [0.01, 0.2, 0.5, 0.9])
def test_drops_a_fraction_p_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(1)
    mask = mask_of((500_003,), p)
    dropped = int((mask == 0).sum())
    assert stats.binomtest(dropped, mask.numel(), p).pvalue > 1e-3
    (scale,) = mask[mask != 0].unique().tolist()
    assert scale == pytest.approx(1 / (1 - p), rel=2**-16 / (1 - p))


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 64])
def test_neighbors_are_dropped_independently(lag: int) -> None:
    torch.manual_seed(2)
    kept = (mask_of((400_000,), 0.2) != 0).double()
    table = torch.zeros(2, 2).index_put_(
        (kept[:-lag].long(), kept[lag:].long()), torch.ones(len(kept) - lag), accumulate=True
    )
    assert stats.chi2_contingency(table.numpy()).pvalue > 1e-3


def test_values_and_gradients_have_the_same_mask() -> None:
    torch.manual_seed(3)
    values = torch.randn(7, 5, requires_grad=True)
    result = drop(values, 0.4)
    (gradient,) = torch.autograd.grad(result.sum(), values)
    assert 0 < int((gradient == 0).sum()) < 35
    torch.testing.assert_close(result, values * gradient)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_layout_in_memory(dtype: torch.dtype) -> None:
    images = torch.rand(3, 5, 4, 6, dtype=dtype) + 1
    for layout in (
        images,
        images.contiguous(memory_format=torch.channels_last),
        images[:, ::2],
        images[:, :1].expand(3, 5, 4, 6),
    ):
        torch.manual_seed(4)
        result = drop(layout, 0.5)
        kept = result != 0
        assert 0 < int(kept.sum()) < kept.numel()
        torch.testing.assert_close(result[kept], 2 * layout[kept])
    assert drop(images[:0], 0.5).shape == (0, 5, 4, 6)


def test_the_seed_determines_the_mask_and_another_draw_differs() -> None:
    torch.manual_seed(5)
    first, second = mask_of((1000,), 0.5), mask_of((1000,), 0.5)
    torch.manual_seed(5)
    assert torch.equal(mask_of((1000,), 0.5), first)
    assert not torch.equal(first, second)


def test_the_layer_is_the_identity_in_evaluation_and_torchs_own_elsewhere() -> None:
    values = torch.rand(1000, dtype=torch.float64)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    torch.manual_seed(6)
    ours = Dropout(0.3)(values)
    torch.manual_seed(6)
    assert torch.equal(ours, torch.nn.Dropout(0.3)(values))
    assert torch.equal(Dropout(0.0)(values.float()), values.float())
    assert int(Dropout(1.0)(values.float()).count_nonzero()) == 0


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_p_out_of_range_is_an_error(p: float) -> None:
    with pytest.raises(ValueError, match="p must satisfy 0 <= p < 1"):
        drop(torch.ones(3), p)
