import pytest
import torch
from scipy import stats

from improved_gan.kernels.noise_pool import LARGEST, add_normal, draw_slices


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
