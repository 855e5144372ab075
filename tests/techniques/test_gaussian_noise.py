import pytest
import torch
from scipy import stats

from improved_gan.techniques import GaussianNoise


def test_the_noise_is_normal_with_the_deviation_asked_for() -> None:
    noise = GaussianNoise(0.3)(torch.zeros(20_000)).numpy()
    assert stats.kstest(noise / 0.3, "norm").pvalue > 1e-3


def test_each_pass_draws_anew_and_evaluation_draws_nothing() -> None:
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
def test_bad_deviation(std: float) -> None:
    with pytest.raises(ValueError, match="finite number >= 0"):
        GaussianNoise(std)
