import numpy as np
import pytest
import torch

from improved_gan.metrics import MetricError, kernel_inception_distance, polynomial_mmd
from tests.oracles import metrics as oracle

X = torch.randn(23, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(31, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.4


@pytest.mark.parametrize("rows", [4, 23, 100])
def test_all_rows_in_pieces_are_the_formula(rows: int) -> None:
    assert polynomial_mmd(X, Y, rows=rows) == pytest.approx(oracle.mmd(X.numpy(), Y.numpy()), rel=1e-12)


def test_subsets_are_means_over_draws_without_replacement() -> None:
    found = kernel_inception_distance(X, Y, subsets=5, subset_size=10, seed=3)
    source, values = np.random.RandomState(3), []
    for _ in range(5):
        a, b = source.choice(23, 10, replace=False), source.choice(31, 10, replace=False)
        values.append(oracle.mmd(X.numpy()[a], Y.numpy()[b]))
    assert found == (pytest.approx(np.mean(values), rel=1e-12), pytest.approx(np.std(values), rel=1e-12))


def test_it_is_unbiased() -> None:
    """Two draws of one source are at distance 0 on average, with few images too."""
    source = torch.Generator().manual_seed(5)
    draws = [polynomial_mmd(*torch.randn(2, 10, 4, generator=source, dtype=torch.float64)) for _ in range(400)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(400)
    assert min(draws) < 0


def test_bad_input() -> None:
    with pytest.raises(
        MetricError, match="subsets of 1000 need as many images on each side, and at least 2; got 23 and 31"
    ):
        kernel_inception_distance(X, Y)
    with pytest.raises(MetricError, match=r"\(N, A\) and \(M, A\)"):
        polynomial_mmd(X, Y[:, :5])
    with pytest.raises(MetricError, match="at least 2 images"):
        polynomial_mmd(X, Y[:1])
    with pytest.raises(MetricError, match="NaN"):
        polynomial_mmd(X, Y * torch.nan)
