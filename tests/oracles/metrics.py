"""Metrics from their formulas, in plain NumPy float64, one image or pair at a time."""

import math
from collections.abc import Callable

import numpy as np
import scipy.linalg


def entropy(p: np.ndarray) -> float:
    return -sum(float(x) * math.log(x) for x in p if x > 0)


def inception_score(p: np.ndarray, splits: int) -> tuple[float, float]:
    scores = []
    n = len(p)
    for s in range(splits):
        part = p[math.floor(s * n / splits) : math.floor((s + 1) * n / splits)]
        q = part.mean(0)
        kl = [sum(float(x) * math.log(x / y) for x, y in zip(row, q, strict=True) if x > 0) for row in part]
        scores.append(math.exp(sum(kl) / len(kl)))
    return float(np.mean(scores)), float(np.std(scores))


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    cx, cy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(cx @ cy)
    shift = x.mean(0) - y.mean(0)
    return float(shift @ shift + np.trace(cx) + np.trace(cy) - 2 * np.trace(root).real)


def cubic(a: np.ndarray, b: np.ndarray) -> float:
    return float((a @ b / len(a) + 1) ** 3)


def gaussian(sigma: float) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda a, b: math.exp(-sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / (2 * sigma**2))


def mmd(
    x: np.ndarray, y: np.ndarray, k: Callable[[np.ndarray, np.ndarray], float] = cubic, *, with_self: bool = False
) -> float:
    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if with_self or i != j) / (n * (n - 1 + with_self))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if with_self or i != j) / (m * (m - 1 + with_self))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def cmmd(x: np.ndarray, y: np.ndarray, sigma: float = 10.0, scale: float = 1000.0) -> float:
    x, y = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (x, y))
    return scale * mmd(x, y, gaussian(sigma), with_self=True)


def vendi_score(x: np.ndarray, order: float) -> float:
    n = len(x)
    similarity = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) / n for b in x] for a in x]
    shares = [share for share in np.linalg.eigvalsh(np.array(similarity)) if share > 1e-14]
    if order == 1:
        return math.exp(entropy(np.array(shares)))
    return float(sum(share**order for share in shares) ** (1 / (1 - order)))


def radius(x: np.ndarray, i: int, k: int) -> float:
    return sorted(float(np.linalg.norm(x[i] - z)) for j, z in enumerate(x) if j != i)[k - 1]


def density_coverage(generated: np.ndarray, real: np.ndarray, k: int) -> tuple[float, float]:
    radii = [radius(real, i, k) for i in range(len(real))]
    inside = [[np.linalg.norm(y - x) <= r for x, r in zip(real, radii, strict=True)] for y in generated]
    return sum(map(sum, inside)) / (k * len(generated)), float(np.mean(np.any(inside, axis=0)))


def precision_recall(generated: np.ndarray, real: np.ndarray, k: int) -> tuple[float, float]:
    def inside(queries: np.ndarray, manifold: np.ndarray) -> float:
        radii = [radius(manifold, i, k) for i in range(len(manifold))]
        return float(
            np.mean([any(np.linalg.norm(q - z) <= r for z, r in zip(manifold, radii, strict=True)) for q in queries])
        )

    return inside(generated, real), inside(real, generated)
