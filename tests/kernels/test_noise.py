import pytest
import torch
from scipy import stats
from torch import Tensor

from improved_gan.kernels.noise import LARGEST, Dropout, add_normal, draw_slices, drop


@pytest.mark.parametrize("count", [1000, LARGEST, LARGEST + 1])
def test_normal_for_any_size(count: int) -> None:
    torch.manual_seed(1)
    noise = add_normal(torch.zeros(count), 0.5)
    assert noise.std().item() == pytest.approx(0.5, rel=6 / (2 * count) ** 0.5)
    assert stats.kstest(noise[:20_000].numpy() / 0.5, "norm").pvalue > 1e-3


def test_numbers_of_a_draw_are_not_correlated_at_any_lag() -> None:
    torch.manual_seed(2)
    noise = add_normal(torch.zeros(100_000), 1.0).double().numpy()
    spectrum = abs(torch.fft.rfft(torch.from_numpy(noise))) ** 2 / len(noise)
    # White noise: each ordinate of the periodogram but the first and the last is exponential with mean 1.
    assert stats.kstest(spectrum[1:-1].numpy(), "expon").pvalue > 1e-3


def test_draws_are_not_correlated_element_by_element() -> None:
    torch.manual_seed(3)
    draws = torch.stack([add_normal(torch.zeros(1000), 1.0) for _ in range(200)])
    correlations = torch.corrcoef(draws).triu(1)
    correlations = correlations[correlations != 0]
    assert correlations.abs().max().item() < 6 / 1000**0.5
    assert correlations.square().mean().item() == pytest.approx(1 / 1000, rel=0.05)


def test_the_two_slices_of_a_draw_never_overlap() -> None:
    torch.manual_seed(4)
    for first, second in draw_slices([LARGEST] * 50, torch.bfloat16):
        assert first.data_ptr() + 2 * LARGEST <= second.data_ptr()


def test_the_seed_determines_the_noise_and_values_are_not_changed() -> None:
    values = torch.randn(7, 5)
    before = values.clone()
    torch.manual_seed(5)
    first = add_normal(values, 1.0)
    torch.manual_seed(5)
    assert torch.equal(add_normal(values, 1.0), first)
    assert torch.equal(values, before)


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
