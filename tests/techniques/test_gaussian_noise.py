import pytest
import torch
from scipy import stats

from improved_gan.techniques import GaussianNoise


def test_the_noise_is_normal_with_the_given_std() -> None:
    noise = GaussianNoise(0.3)(torch.zeros(20_000)).numpy()
    assert stats.kstest(noise / 0.3, "norm").pvalue > 1e-3


def test_each_pass_has_new_noise_and_evaluation_none() -> None:
    layer, values = GaussianNoise(0.5), torch.randn(4, 3)
    assert not torch.equal(layer(values), layer(values))
    assert layer.eval()(values) is values


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_is_kept_and_gradient_passes_unchanged(dtype: torch.dtype) -> None:
    values = torch.randn(4, 3, dtype=dtype, requires_grad=True)
    output = GaussianNoise(0.5)(values)
    output.sum().backward()
    assert output.dtype == dtype
    assert torch.equal(values.grad, torch.ones_like(values))


@pytest.mark.parametrize("std", [-0.1, float("nan"), float("inf")])
def test_bad_std(std: float) -> None:
    with pytest.raises(ValueError, match="finite number >= 0"):
        GaussianNoise(std)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_moments_of_a_normal_and_no_correlation_between_neighbors(dtype: torch.dtype) -> None:
    noise = GaussianNoise(1.0)(torch.zeros(1_000_003, dtype=dtype)).double()  # not a multiple of four
    # Standard errors of the first four moments at a million draws: 0.001, 0.0014, 0.0039, 0.0098; five of each.
    expected = {1: (0.0, 0.005), 2: (1.0, 0.007), 3: (0.0, 0.02), 4: (3.0, 0.05)}
    for power, (moment, tolerance) in expected.items():
        assert noise.pow(power).mean().item() == pytest.approx(moment, abs=tolerance)
    for lag in (1, 2, 3, 4):
        assert (noise[lag:] * noise[:-lag]).mean().abs().item() < 0.005


def test_the_noise_depends_on_the_seed() -> None:
    layer, values = GaussianNoise(1.0), torch.zeros(3, 5)
    torch.manual_seed(7)
    first = layer(values)
    torch.manual_seed(7)
    assert torch.equal(layer(values), first)
