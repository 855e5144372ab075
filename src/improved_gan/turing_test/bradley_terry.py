"""Scores of models from comparisons: Bradley & Terry (1952), with ties Davidson (1970), by maximum likelihood.

With a score theta_i (log strength) of each model and a tie parameter eta, the outcomes of i against j weigh
    i preferred  exp(theta_i)        j preferred  exp(theta_j)        tie  exp(eta + (theta_i + theta_j) / 2)
and each has its weight's share of the three as probability. Without ties in the data the third is left out. The
logarithm of the likelihood is concave in all parameters. A normal prior of mean 0 and standard deviation `prior_std`
on each keeps the scores finite where a model won, or lost, every comparison; it also fixes the sum of the scores at 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from improved_gan.turing_test.errors import TuringTestError

__all__ = ["Davidson", "fit_davidson", "informative_pairs", "outcome_probabilities"]

Floats = NDArray[np.float64]
PRIOR_STD = 3.0  # a model of score 3 wins 95% against one of score 0: weaker than about one comparison
_STEPS = 60


@dataclass(frozen=True)
class Davidson:
    """A fit, or a batch of them: `scores` (..., K) with mean 0, `log_tie` (...), -inf where ties are left out."""

    scores: Floats
    log_tie: Floats
    information: Floats  # (..., K, K): of the scores, prior included


def outcome_probabilities(difference: ArrayLike, log_tie: ArrayLike) -> Floats:
    """(..., 3): the probabilities that the first is preferred, the second, neither.

    Args:
        difference: theta of the first minus that of the second.
        log_tie: eta; -inf: no ties.

    Example:
        >>> outcome_probabilities(0.0, 0.0).round(3).tolist()
        [0.333, 0.333, 0.333]
    """
    half = np.asarray(difference, dtype=np.float64) / 2
    logits = np.stack(np.broadcast_arrays(half, -half, np.asarray(log_tie, dtype=np.float64)), axis=-1)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def fit_davidson(counts: ArrayLike, pairs: ArrayLike, *, prior_std: float = PRIOR_STD) -> Davidson:
    """Fit scores to counts, a whole batch (the resamples of a bootstrap) at once, by Newton's method.

    Args:
        counts: (..., P, 3), for each pair how often the first was preferred, the second, neither.
        pairs: (P, 2), the two models of each pair, numbered 0 to K - 1.
        prior_std: of the normal prior on each score and on eta.

    Raises:
        TuringTestError: shapes that do not fit, negative counts, or a prior that is not positive.

    Example:
        Three of four: the odds are 3, and log 3 = 1.099.

        >>> fit = fit_davidson([[[30, 10, 0]]], [[0, 1]], prior_std=1e6)
        >>> np.round(fit.scores[0, 0] - fit.scores[0, 1], 3).item()
        1.099
    """
    counts, pairs = np.asarray(counts, dtype=np.float64), np.asarray(pairs, dtype=np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or counts.shape[-2:] != (len(pairs), 3) or not len(pairs):
        raise TuringTestError(f"counts (..., P, 3) need pairs (P, 2), not shapes {counts.shape} and {pairs.shape}")
    if not (np.isfinite(counts).all() and (counts >= 0).all() and prior_std > 0):
        raise TuringTestError("counts must be 0 or more, and the prior's standard deviation above 0")
    num_models, with_ties = int(pairs.max()) + 1, bool(counts[..., 2].any())
    features = _features(pairs, num_models, with_ties=with_ties)
    flat = counts.reshape(-1, len(pairs), 3)[..., : features.shape[1]]
    found, curvature = _newton(flat, features, prior_std)
    scores = found[:, :num_models] - found[:, :num_models].mean(-1, keepdims=True)
    log_tie = found[:, num_models] if with_ties else np.full(len(found), -np.inf)
    batch = counts.shape[:-2]
    information = curvature[:, :num_models, :num_models]
    return Davidson(
        scores.reshape(*batch, num_models), log_tie.reshape(batch),
        information.reshape(*batch, num_models, num_models),
    )  # fmt: skip


def _features(pairs: NDArray[np.int64], num_models: int, *, with_ties: bool) -> Floats:
    """(P, outcomes, parameters): each outcome's log weight is linear in the parameters."""
    features = np.zeros((len(pairs), 3 if with_ties else 2, num_models + with_ties))
    place = np.arange(len(pairs))
    for outcome in (0, 1):
        features[place, outcome, pairs[:, outcome]] = 1
        if with_ties:
            features[place, 2, pairs[:, outcome]] = 0.5
    if with_ties:
        features[:, 2, num_models] = 1
    return features


def _newton(counts: Floats, features: Floats, prior_std: float) -> tuple[Floats, Floats]:
    """The maximum (batch, parameters), and the curvature there; no step moves a parameter by more than 1.

    Gradient sum (w - n p) f - x / s^2, curvature sum n (E[f f'] - E[f] E[f]') + 1 / s^2, sums over pairs, E over the
    outcomes of a pair with their probabilities p, f the features, n the pair's comparisons.
    """
    num_pairs, outcomes, size = features.shape
    total = counts.sum(-1, keepdims=True)
    flat = features.reshape(-1, size)
    squares = (flat[:, :, None] * flat[:, None, :]).reshape(-1, size * size)
    prior = np.eye(size) / prior_std**2
    found = np.zeros((len(counts), size))
    for _ in range(_STEPS):
        logits = (found @ flat.T).reshape(-1, num_pairs, outcomes)
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        expected = total * weights / weights.sum(-1, keepdims=True)
        gradient = (counts - expected).reshape(-1, num_pairs * outcomes) @ flat - found @ prior
        means = np.einsum("bpo,pok->bpk", expected, features)
        scaled = means / np.maximum(total, 1e-300)
        curvature = (expected.reshape(len(found), -1) @ squares).reshape(-1, size, size)
        curvature = curvature - np.swapaxes(means, 1, 2) @ scaled + prior
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        found = found + step / np.maximum(np.abs(step).max(-1, keepdims=True), 1)
        if np.abs(step).max(initial=0) < 1e-9:
            break
    return found, curvature


def informative_pairs(
    counts: ArrayLike, pairs: ArrayLike, number: int, generator: np.random.Generator, *, explore: float = 0.2
) -> list[int]:
    """Which pairs to show next: those that say most about the scores, given the answers so far.

    One more comparison of i and j multiplies the determinant of the information by 1 + v_ij I_ij, with v_ij the
    variance of theta_i - theta_j and I_ij = Var(outcome score) the comparison's own information (D-optimality). Pairs
    are taken one after another, each as if those before had been answered; a share of them is drawn evenly instead, so
    that no pair is left out for good.

    Args:
        counts: (P, 3), answers so far.
        pairs: (P, 2), as in `fit_davidson`.
        number: how many are wanted.
        generator: breaks ties, draws the even share.
        explore: the even share.

    Example:
        The pair that nobody has seen comes first.

        >>> informative_pairs([[9, 9, 0], [0, 0, 0]], [[0, 1], [1, 2]], 1, np.random.default_rng(1), explore=0)
        [1]
    """
    pairs = np.asarray(pairs, dtype=np.int64)
    fit = fit_davidson(counts, pairs, prior_std=1.0)
    probabilities = outcome_probabilities(fit.scores[pairs[:, 0]] - fit.scores[pairs[:, 1]], fit.log_tie)
    won = probabilities @ np.array([1, 0, 0.5])
    own = probabilities @ np.array([1, 0, 0.25]) - won**2
    direction = np.zeros((len(pairs), int(pairs.max()) + 1))
    direction[np.arange(len(pairs)), pairs[:, 0]] = 1
    direction[np.arange(len(pairs)), pairs[:, 1]] = -1
    information, chosen = fit.information.copy(), []
    for _ in range(number):
        if generator.random() < explore:
            place = int(generator.integers(len(pairs)))
        else:
            variance = np.einsum("pk,pk->p", direction, np.linalg.solve(information, direction.T).T)
            gain = variance * own
            place = int(generator.choice(np.flatnonzero(gain >= gain.max() * (1 - 1e-9))))
        chosen.append(place)
        information += own[place] * np.outer(direction[place], direction[place])
    return chosen
