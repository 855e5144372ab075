"""The Fréchet distance between Gaussians fitted to two sets of features (FID where they are Inception features).

    d^2 = |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2)

The last term is the sum of the singular values of C1^(1/2) C2^(1/2), for any square roots: real, never negative, no
matrix square root of a product. Square roots are Cholesky factors where both covariances have full rank; eigenvectors
without the null space where not; and the centered features themselves where there are fewer images than features (the
Gram form).

The distance of N generated images is biased upwards by about c / N, with a c that depends on the generator, so it can
rank two generators wrongly. `extrapolated_frechet_distance` fits that line over several N and reports its value at
1 / N = 0.

Source: Dowson and Landau (1982); Heusel et al. (2017), "GANs trained by a two time-scale update rule"; Chong and
Forsyth (2020), "Effectively unbiased FID and Inception score and where to find them".
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.nearest_neighbors import LARGEST, usable_rows

__all__ = [
    "ExtrapolatedFrechetDistance",
    "FeatureStatistics",
    "extrapolated_frechet_distance",
    "feature_frechet_distance",
    "frechet_distance",
]

_BLOCK = 2048  # rows that are in memory in float64
_MOST_IMAGES = 2**53
_ROUNDING = 1e-5  # of a covariance's largest entry: what sums in float32 leave
_FULL_RANK = 1e-10  # smallest over largest squared pivot of Cholesky, below which eigenvectors decide on the rank


class FeatureStatistics:
    """Number, mean and covariance (n - 1) of features, batch by batch in float64; two of them merge.

    Args:
        num_features: A.

    Source: Chan, Golub and LeVeque (1983), the pairwise update of mean and scatter.

    >>> statistics = FeatureStatistics(2)
    >>> statistics.update(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
    >>> statistics.mean.tolist(), statistics.covariance.tolist()
    ([1.0, 1.0], [[2.0, 0.0], [0.0, 0.0]])
    """

    def __init__(self, num_features: int) -> None:
        self.count: int | None = 0  # None: not known
        self.mean = torch.zeros(num_features, dtype=torch.float64)
        self._scatter = torch.zeros(num_features, num_features, dtype=torch.float64)

    @classmethod
    def of(cls, features: Tensor) -> "FeatureStatistics":
        """The statistics of features (N, A)."""
        statistics = cls(_width(features))
        statistics.update(features)
        return statistics

    @classmethod
    def from_moments(cls, count: int | None, mean: Tensor, covariance: Tensor) -> "FeatureStatistics":
        """From what a file holds: N (None: the file does not say), (A,) and (A, A).

        Raises:
            MetricError: shapes that do not fit, numbers that are not finite or absurdly large, N below 0, or a matrix
                that is no covariance: not symmetric, or negative in some direction, by more than rounding in float32.
        """
        if mean.dim() != 1 or covariance.shape != (len(mean), len(mean)):
            raise MetricError(
                f"mean and covariance must be (A,) and (A, A); got {tuple(mean.shape)} and {tuple(covariance.shape)}"
            )
        if count is not None and not 0 <= count <= _MOST_IMAGES:
            raise MetricError(f"the number of images must lie in 0..2^53; got {str(count)[:40]}")
        mean, covariance = mean.detach().double().cpu(), covariance.detach().double().cpu()
        if not (mean.abs().le(LARGEST).all() and covariance.abs().le(LARGEST**2).all()):
            raise MetricError(
                "mean and covariance must be finite (and below 1e70 and 1e140): make the statistics again"
            )
        statistics = cls(len(mean))
        statistics.count, statistics.mean = count, mean
        statistics._scatter = _covariance(covariance) * statistics._divisor
        return statistics

    @property
    def covariance(self) -> Tensor:
        """(A, A) with n - 1 in the denominator."""
        return self._scatter / self._divisor

    @property
    def _divisor(self) -> int:
        return 1 if self.count is None else max(self.count - 1, 1)

    def update(self, features: Tensor, weights: Tensor | None = None) -> None:
        """Add a batch (N, A); `weights` (N,), whole numbers, are how often each row counts (1).

        Raises:
            MetricError: another number of features, numbers that are not finite, or weights that are none.
        """
        if _width(features) != len(self.mean):
            raise MetricError(f"there must be {len(self.mean)} features an image; got {features.shape[1]}")
        if weights is not None and not (
            weights.shape == features.shape[:1] and weights.ge(0).all() and weights.double().frac().eq(0).all()
        ):
            found = f"{tuple(weights.shape)} {weights.dtype}"
            raise MetricError(f"weights must be ({len(features)},), whole numbers of at least 0; got {found}")
        features = features.detach().cpu()  # before float64, which some devices lack
        _check_rows(features)
        parts = torch.split(features, _BLOCK)
        for start, part in zip(range(0, len(features), _BLOCK), parts, strict=False):
            self._update(part.double(), None if weights is None else weights[start : start + _BLOCK])

    def _update(self, features: Tensor, weights: Tensor | None) -> None:
        times = torch.ones(len(features), dtype=torch.float64) if weights is None else weights.double()
        count = int(times.sum())
        if count:
            mean = features.mean(0) if weights is None else times @ features / count
            centered = features - mean
            scatter = centered.T @ (centered if weights is None else times[:, None] * centered)
            self._add(count, mean, scatter)

    def merge(self, other: "FeatureStatistics") -> None:
        """Add what another one has seen."""
        if other.mean.shape != self.mean.shape:
            raise MetricError(f"there must be {len(self.mean)} features an image; got {len(other.mean)}")
        if other.count is None:
            raise MetricError("statistics that do not say of how many images they are cannot be merged")
        if other.count:
            self._add(other.count, other.mean, other._scatter)

    def _add(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        if self.count is None:
            raise MetricError("statistics that do not say of how many images they are cannot take more")
        total, shift = self.count + count, mean - self.mean
        self._scatter += scatter + torch.outer(shift, shift) * (self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """The squared distance from means and covariances.

    Raises:
        MetricError: fewer than 2 images on a side, or other numbers of features.

    >>> one = FeatureStatistics.of(torch.tensor([[0.0], [2.0]]))
    >>> frechet_distance(one, FeatureStatistics.of(torch.tensor([[3.0], [5.0]])))
    9.0
    """
    _check_counts(first.count, second.count)
    if first.mean.shape != second.mean.shape:
        raise MetricError(f"both sides need the same features; got {len(first.mean)} and {len(second.mean)}")
    covariances = first.covariance, second.covariance
    traces = float(covariances[0].trace() + covariances[1].trace())
    return _total(first.mean - second.mean, traces, _sum_of_roots(*covariances))


def feature_frechet_distance(first: Tensor, second: Tensor) -> float:
    """The squared distance from the features themselves: (N, A) and (M, A).

    With fewer images than features on both sides nothing of size A x A is made: with centered X and Y the last term is
    the sum of the singular values of X Y^T / sqrt((N - 1)(M - 1)).

    Raises:
        MetricError: as `frechet_distance`, and features that are not finite.
    """
    widths = _width(first), _width(second)
    _check_counts(len(first), len(second))
    if widths[0] != widths[1]:
        raise MetricError(f"both sides need the same features; got {widths[0]} and {widths[1]}")
    if max(len(first), len(second)) >= widths[0]:
        return frechet_distance(FeatureStatistics.of(first), FeatureStatistics.of(second))
    _check_rows(first)
    _check_rows(second)
    first, second = first.detach().double(), second.detach().double()
    roots = [(one - one.mean(0)) / (len(one) - 1) ** 0.5 for one in (first, second)]
    traces = float(roots[0].square().sum() + roots[1].square().sum())
    shared = float(torch.linalg.svdvals(roots[0] @ roots[1].T).sum())
    return _total(first.mean(0) - second.mean(0), traces, shared)


class ExtrapolatedFrechetDistance(NamedTuple):
    """A line through the distances of several numbers of images, against 1/N."""

    value: float  # at 1/N = 0; a little below 0 is possible where the distance is
    bias: float  # what the line adds at the largest N
    sizes: tuple[int, ...]
    distances: tuple[float, ...]  # of subsets of these sizes


def extrapolated_frechet_distance(
    generated: Tensor,
    real: FeatureStatistics,
    *,
    points: int = 15,
    smallest: int | None = None,
    seed: int = 2020,
    advance: Callable[[float], object] = lambda fraction: None,
) -> ExtrapolatedFrechetDistance:
    """The Fréchet distance of infinitely many generated images (FID infinity). The reference stays as it is.

    Args:
        generated: (N, A) features; may be memory-mapped, one subset of rows is read at a time.
        real: statistics of the reference.
        points: numbers of images that the line goes through, equally spaced from `smallest` to N.
        smallest: number of images; default 5000 as in the paper, but at most N/2. Below A images the bias is no line.
        seed: of the subsets, each drawn without replacement.
        advance: called with the fraction of the work done since the last call.

    Raises:
        MetricError: fewer than 4 images, `smallest` out of 2..N-1, or fewer than 2 points; as `frechet_distance`.

    Source: Chong and Forsyth (2020), section 4.1, without their quasi-random latents.
    """
    num = len(generated)
    smallest = min(5000, num // 2) if smallest is None else smallest
    if not 2 <= smallest < num or points < 2:
        raise MetricError(
            f"the line needs at least 2 points and 2 <= smallest < {num} images; got {points} and {smallest}"
        )
    sizes = np.unique(np.linspace(smallest, num, points).astype(int))
    source, distances = np.random.RandomState(seed), []
    for size in sizes:
        rows = torch.from_numpy(np.sort(source.permutation(num)[:size]))
        statistics = FeatureStatistics(len(real.mean))
        for part in torch.split(rows, 2048):
            statistics.update(generated[part])
        distances.append(frechet_distance(statistics, real))
        advance(float(size / sizes.sum()))
    slope, value = np.polyfit(1 / sizes, distances, 1)
    return ExtrapolatedFrechetDistance(
        float(value), float(slope / num), tuple(sizes.tolist()), tuple(float(one) for one in distances)
    )


def _total(shift: Tensor, traces: float, shared: float) -> float:
    """Rounding may leave equal sets a little below 0."""
    return max(0.0, float(shift @ shift) + traces - 2 * shared)


def _sum_of_roots(first: Tensor, second: Tensor) -> float:
    """Tr (C1 C2)^(1/2)."""
    factor = _cholesky(first)
    if factor is not None and _cholesky(second) is not None:
        # L^T C2 L is symmetric and has the eigenvalues of C1 C2 = L L^T C2.
        return float(torch.linalg.eigvalsh(factor.T @ second @ factor).clamp(min=0).sqrt().sum())
    return float(torch.linalg.svdvals(_root(first) @ _root(second).T).sum())


def _cholesky(covariance: Tensor) -> Tensor | None:
    """The factor, or None where the rank is not clearly full."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    pivots = factor.diagonal().square()
    return None if failed or pivots.min() <= _FULL_RANK * pivots.max() else factor


def _root(covariance: Tensor) -> Tensor:
    """(R, A) with root^T root = covariance, without its null space."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values.max() * len(values) * torch.finfo(torch.float64).eps
    root: Tensor = values[kept].sqrt()[:, None] * vectors[:, kept].T
    return root


def _covariance(matrix: Tensor) -> Tensor:
    """(A, A), made exactly symmetric, after a look at whether it can be a covariance at all."""
    scale = float(matrix.abs().max()) if matrix.numel() else 0.0
    asymmetry = float((matrix - matrix.T).abs().max()) if matrix.numel() else 0.0
    if asymmetry > _ROUNDING * scale:
        raise MetricError(
            f"a covariance is symmetric; this one differs from its transpose by {asymmetry:.3g} (largest entry "
            f"{scale:.3g}): the file is damaged or holds another matrix; make the statistics again"
        )
    symmetric = (matrix + matrix.T) / 2
    allowed = torch.full((len(matrix),), _ROUNDING * scale, dtype=torch.float64)
    if scale and int(torch.linalg.cholesky_ex(symmetric + allowed.diag()).info):
        smallest = float(torch.linalg.eigvalsh(symmetric)[0])
        raise MetricError(
            f"a covariance has no negative eigenvalue; this one has {smallest:.3g} (largest entry {scale:.3g}): the "
            "file is damaged or holds another matrix; make the statistics again"
        )
    return symmetric


def _width(features: Tensor) -> int:
    if features.dim() != 2 or features.shape[1] == 0:
        raise MetricError(f"features must be (N, A), one row an image; got {tuple(features.shape)}")
    return features.shape[1]


def _check_rows(features: Tensor) -> None:
    bad = sum(int((~usable_rows(part)).sum()) for part in torch.split(features, _BLOCK))
    if bad:
        raise MetricError(
            f"{bad} of {len(features)} rows hold NaN or infinity (or above 1e70): the network fails on these images"
        )


def _check_counts(first: int | None, second: int | None) -> None:
    if any(one is not None and one < 2 for one in (first, second)):
        raise MetricError(f"a covariance needs at least 2 images on each side; got {first} and {second}")
