"""The paper's losses in plain NumPy float64, written from the formulas and not from our code."""

import numpy as np
from numpy.typing import ArrayLike


def log_sigmoid(x: ArrayLike) -> np.ndarray:
    """log D from the logit, without overflow."""
    return -np.logaddexp(0.0, -np.asarray(x, np.float64))


def discriminator(real: ArrayLike, generated: ArrayLike) -> float:
    """-E log D(x) - E log(1 - D(G(z))); 1 - sigmoid(l) = sigmoid(-l)."""
    return float(-log_sigmoid(real).mean() - log_sigmoid(-np.asarray(generated, np.float64)).mean())


def feature_matching(real: ArrayLike, generated: ArrayLike, variant: str) -> float:
    """The three forms of section 3.1, and the mean absolute difference of pairs."""
    if variant == "pairwise-l1":
        return float(np.mean(np.abs(np.asarray(real, np.float64) - np.asarray(generated, np.float64))))
    difference = np.asarray(real, np.float64).mean(0) - np.asarray(generated, np.float64).mean(0)
    if variant == "paper":
        return float(np.linalg.norm(difference.ravel()) ** 2)
    return float(np.mean(difference**2) if variant == "released-mnist" else np.mean(np.abs(difference)))


def class_probabilities(logits: ArrayLike) -> np.ndarray:
    """(N, K) logits to (N, K+1) probabilities, with a logit of 0 for "generated": the full K+1-class softmax."""
    logits = np.asarray(logits, np.float64)
    full = np.concatenate([logits, np.zeros((len(logits), 1))], axis=1)
    exponentials = np.exp(full - full.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def semi_supervised(labeled: ArrayLike, labels: ArrayLike, unlabeled: ArrayLike, generated: ArrayLike):
    """L_supervised and L_unsupervised from the K+1-class softmax."""
    p = class_probabilities(labeled)
    labels = np.asarray(labels)
    given_real = p[np.arange(len(labels)), labels] / p[:, :-1].sum(axis=1)
    supervised = -np.log(given_real).mean()
    real, fake = class_probabilities(unlabeled), class_probabilities(generated)
    return supervised, -np.log(real[:, :-1].sum(axis=1)).mean() - np.log(fake[:, -1]).mean()


def cross_entropy(logits: ArrayLike, target: float) -> float:
    """-t log D - (1 - t) log(1 - D), the mean over the batch."""
    return -float((target * log_sigmoid(logits) + (1 - target) * log_sigmoid(-np.asarray(logits, np.float64))).mean())


def divergence(logits: ArrayLike, target: float) -> float:
    """KL between the Bernoulli distributions of `target` and D: sum of t log(t/D), 0 log 0 = 0."""
    sides = np.array([target, 1 - target])
    logarithms = np.stack([log_sigmoid(logits), log_sigmoid(-np.asarray(logits, np.float64))])
    certain = sides > 0
    terms = sides[certain, None] * (np.log(sides[certain])[:, None] - logarithms[certain])
    return float(terms.sum(0).mean())


def hinge(real: ArrayLike, generated: ArrayLike) -> float:
    """E max(0, 1 - l(x)) + E max(0, 1 + l(G(z)))."""
    real, generated = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    return float(np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + generated).mean())


def squares(logits: ArrayLike, target: float) -> float:
    """1/2 E (l - target)^2."""
    return float(0.5 * np.mean((np.asarray(logits, np.float64) - target) ** 2))


def relativistic(better: ArrayLike, worse: ArrayLike) -> float:
    """E log(1 + exp(l(worse) - l(better))) over pairs."""
    return float(np.log1p(np.exp(np.asarray(worse, np.float64) - np.asarray(better, np.float64))).mean())


def probabilities(logits: ArrayLike) -> np.ndarray:
    """(N, K) the softmax over K classes."""
    logits = np.asarray(logits, np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def entropy(p: np.ndarray) -> np.ndarray:
    """-sum p log p over the last axis, 0 log 0 = 0."""
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def divergence_of_classes(logits: ArrayLike, others: ArrayLike) -> float:
    """The mean over rows of KL(p || q) = sum p (log p - log q)."""
    p, q = probabilities(logits), probabilities(others)
    return float((p * (np.log(p) - np.log(q))).sum(1).mean())
