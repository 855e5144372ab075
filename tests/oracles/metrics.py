"""Metrics from their formulas, in plain NumPy float64, one image or pair at a time."""

import math

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


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def precision_recall(generated: np.ndarray, real: np.ndarray, k: int) -> tuple[float, float]:
    def inside(queries: np.ndarray, manifold: np.ndarray) -> float:
        def radius(i: int) -> float:
            return sorted(float(np.linalg.norm(manifold[i] - z)) for j, z in enumerate(manifold) if j != i)[k - 1]

        radii = [radius(i) for i in range(len(manifold))]
        return float(
            np.mean([any(np.linalg.norm(q - z) <= r for z, r in zip(manifold, radii, strict=True)) for q in queries])
        )

    return inside(generated, real), inside(real, generated)
