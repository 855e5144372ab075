import numpy as np
import pytest
import torch

from improved_gan.kernels.example_statistics import mixed_statistics, own_statistics


@pytest.mark.parametrize("shape", [(5, 3, 7), (5, 3, 4, 2), (5, 3)])
def test_own_statistics_agree_with_numpy(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape, dtype=torch.float64)
    flat = values.numpy().reshape(5, 3, -1)
    mean, variance = own_statistics(values)
    np.testing.assert_allclose(mean, flat.mean(2), rtol=1e-12)
    np.testing.assert_allclose(variance, flat.var(2), rtol=1e-12, atol=1e-14)


def test_mixed_statistics_are_those_of_all_examples_together() -> None:
    reference, own = np.random.default_rng(0).normal(2, 3, (6, 4)), np.random.default_rng(1).normal(0, 1, (1, 4))
    together = np.concatenate([reference, own]).reshape(7, 1, 4)  # one channel
    moments = [torch.tensor([part.mean()]) for part in (reference, own)]
    variances = [torch.tensor([part.var()]) for part in (reference, own)]
    mean, variance = mixed_statistics(moments[0], variances[0], 6, moments[1][None], variances[1][None])
    assert mean.item() == pytest.approx(together.mean(), rel=1e-12)
    assert variance.item() == pytest.approx(together.var(), rel=1e-12)
