import math

import numpy as np
import pytest
import torch

from improved_gan.metrics import (
    MetricError,
    cmmd,
    kernel_inception_distance,
    maximum_mean_discrepancy,
    rbf_kernel,
)
from improved_gan.metrics.kernel_distance import weighted_discrepancies
from tests.oracles import metrics as oracle

X = torch.randn(23, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(31, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.4


@pytest.mark.parametrize("rows", [4, 23, 100])
def test_all_rows_in_blocks_are_the_formula(rows: int) -> None:
    found = maximum_mean_discrepancy(X, Y, rows=rows)
    assert found == pytest.approx(oracle.mmd(X.numpy(), Y.numpy()), rel=1e-12)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("rows", [4, 100])
def test_the_gaussian_kernel_is_the_formula(rows: int, unbiased: bool) -> None:
    found = maximum_mean_discrepancy(X, Y, kernel=rbf_kernel(1.5), unbiased=unbiased, rows=rows)
    expected = oracle.mmd(X.numpy(), Y.numpy(), oracle.gaussian(1.5), with_self=not unbiased)
    assert found == pytest.approx(expected, rel=1e-10)


def test_the_discrepancy_of_gaussians_has_a_closed_form() -> None:
    """E k(x, y) = (s^2 / (s^2 + a^2 + b^2))^(A/2) exp(-|m|^2 / 2 (s^2 + a^2 + b^2)) for deviations a and b."""
    sigma, first_std, second_std, shift, width = 2.0, 0.5, 0.8, 0.6, 3
    source = torch.Generator().manual_seed(0)
    x = first_std * torch.randn(2000, width, generator=source, dtype=torch.float64)
    y = second_std * torch.randn(2000, width, generator=source, dtype=torch.float64) + shift

    def mean_kernel(a: float, b: float, m: float) -> float:
        total = sigma**2 + a**2 + b**2
        return (sigma**2 / total) ** (width / 2) * math.exp(-width * m**2 / (2 * total))

    expected = mean_kernel(first_std, first_std, 0) + mean_kernel(second_std, second_std, 0)
    expected -= 2 * mean_kernel(first_std, second_std, shift)
    found = maximum_mean_discrepancy(x, y, kernel=rbf_kernel(sigma))
    assert found == pytest.approx(expected, rel=0.1)


def test_cmmd_is_the_formula_on_directions() -> None:
    assert cmmd(X, Y) == pytest.approx(oracle.cmmd(X.numpy(), Y.numpy()), rel=1e-9)
    lengths = torch.linspace(0.1, 9, len(X), dtype=torch.float64)[:, None]
    assert cmmd(lengths * X, Y) == pytest.approx(cmmd(X, Y), rel=1e-9)
    assert cmmd(lengths * X, Y, normalize=False) != pytest.approx(cmmd(X, Y), rel=1e-2)
    assert cmmd(X, X[torch.randperm(23, generator=torch.Generator().manual_seed(0))]) == pytest.approx(0, abs=1e-9)


def test_a_set_twice_has_the_same_v_statistic() -> None:
    assert cmmd(X.repeat(2, 1), Y) == pytest.approx(cmmd(X, Y), rel=1e-9)
    twice = maximum_mean_discrepancy(X.repeat(2, 1), Y)
    assert twice > maximum_mean_discrepancy(X, Y)  # the copies are pairs of the U-statistic


def test_subsets_are_means_over_draws_without_replacement() -> None:
    found = kernel_inception_distance(X, Y, subsets=5, subset_size=10, seed=3)
    source, values = np.random.RandomState(3), []
    for _ in range(5):
        a, b = source.choice(23, 10, replace=False), source.choice(31, 10, replace=False)
        values.append(oracle.mmd(X.numpy()[a], Y.numpy()[b]))
    assert found == (pytest.approx(np.mean(values), rel=1e-12), pytest.approx(np.std(values), rel=1e-12))
    other = kernel_inception_distance(X, Y, subsets=5, subset_size=10, seed=3, kernel=rbf_kernel(10.0))
    assert 0 < other.mean < found.mean


def test_it_is_unbiased() -> None:
    """Two draws of one source are at distance 0 on average, with few images too."""
    source = torch.Generator().manual_seed(5)
    draws = [
        maximum_mean_discrepancy(*torch.randn(2, 10, 4, generator=source, dtype=torch.float64)) for _ in range(400)
    ]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(400)
    assert min(draws) < 0


def test_the_work_is_reported_and_sums_to_1() -> None:
    parts: list[float] = []
    maximum_mean_discrepancy(X, Y, rows=10, advance=parts.append)
    assert sum(parts) == pytest.approx(1, abs=0.01)
    assert len(parts) > 10


def test_bad_input() -> None:
    with pytest.raises(MetricError, match="subsets of 1000 need as many images on each side; got 23 and 31"):
        kernel_inception_distance(X, Y)
    for wrong in ({"subsets": 0}, {"subset_size": 1}):
        with pytest.raises(MetricError, match="at least 2 images, and 1 subset"):
            kernel_inception_distance(X, Y, **wrong)
    with pytest.raises(MetricError, match=r"\(N, A\) with one A"):
        maximum_mean_discrepancy(X, Y[:, :5])
    with pytest.raises(MetricError, match="at least 2 images"):
        maximum_mean_discrepancy(X, Y[:1])
    with pytest.raises(MetricError, match="NaN"):
        maximum_mean_discrepancy(X, Y * torch.nan)
    with pytest.raises(MetricError, match="sigma must be a positive number; got 0"):
        cmmd(X, Y, sigma=0)
    with pytest.raises(MetricError, match="features that are all 0"):
        cmmd(X, 0 * Y)


def test_weighted_discrepancies_are_weighted_means_over_pairs() -> None:
    v = torch.tensor(np.random.RandomState(0).poisson(1, (23, 2)), dtype=torch.float64)
    w = torch.tensor(np.random.RandomState(1).poisson(1, (31, 2)), dtype=torch.float64)
    repeated = [(X.repeat_interleave(v[:, b].long(), 0), Y.repeat_interleave(w[:, b].long(), 0)) for b in (0, 1)]
    biased = weighted_discrepancies(X, Y, v, w, unbiased=False, rows=7)
    assert biased.tolist() == pytest.approx([maximum_mean_discrepancy(x, y, unbiased=False) for x, y in repeated])
    unbiased = weighted_discrepancies(X, Y, torch.ones_like(v), torch.ones_like(w), rows=7)
    assert unbiased.tolist() == pytest.approx([maximum_mean_discrepancy(X, Y)] * 2)
