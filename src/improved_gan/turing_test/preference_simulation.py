"""Judges with known preferences, to plan a study of pairs with and to see that the ranking finds what was put in.

Judge j has a score of his or her own for each model, theta_ij ~ N(theta_i, spread^2), and answers by Davidson's model
(`bradley_terry`). Averaged over judges that is no longer exactly a Bradley-Terry model, so the true scores are those
that fit the judges' average answers in an endless study (`true_scores`).
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from improved_gan.turing_test.bradley_terry import fit_davidson, informative_pairs, outcome_probabilities
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.preferences import Preferences
from improved_gan.turing_test.ranking import rank_models

__all__ = ["preference_coverage", "simulate_preferences", "true_scores"]

Floats = NDArray[np.float64]


def true_scores(scores: Mapping[str, float], *, log_tie: float = -1.0, spread: float = 0.5) -> dict[str, float]:
    """The scores that an endless study of such judges, all pairs alike often, would find; their mean is 0.

    The difference of two models' scores over judges is N(theta_i - theta_j, 2 spread^2), summed by Gauss and Hermite.

    Example:
        >>> {name: round(value, 2) for name, value in true_scores({"a": 1.0, "b": 0.0}, spread=0).items()}
        {'a': 0.5, 'b': -0.5}
    """
    _check(scores, spread)
    names = sorted(scores)
    pairs = np.array(list(combinations(range(len(names)), 2)))
    theta = np.array([scores[name] for name in names])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    shifted = (theta[pairs[:, 0]] - theta[pairs[:, 1]])[:, None] + np.sqrt(2) * spread * nodes
    expected = (outcome_probabilities(shifted, log_tie) * (weights / weights.sum())[:, None]).sum(1)
    return dict(zip(names, fit_davidson(expected, pairs, prior_std=1e6).scores.tolist(), strict=True))


def simulate_preferences(
    scores: Mapping[str, float],
    *,
    judges: int,
    trials: int,
    log_tie: float = -1.0,
    spread: float = 0.5,
    adaptive: bool = False,
    seed: int = 0,
) -> Preferences:
    """A study of pairs: `judges` x `trials` answers.

    Args:
        scores: theta of each model.
        judges: how many.
        trials: comparisons of each judge.
        log_tie: eta, how often neither is preferred; -inf: never.
        spread: standard deviation of a model's score over judges.
        adaptive: choose pairs by the answers of the judges before; else all pairs alike often.
        seed: decides everything.

    Raises:
        TuringTestError: fewer than two models, no judge, no trial, or a spread below 0.

    Example:
        >>> len(simulate_preferences({"a": 0.5, "b": 0.0}, judges=10, trials=20))
        200
    """
    _check(scores, spread)
    if judges < 1 or trials < 1:
        raise TuringTestError("a simulation needs a judge and a trial")
    generator, names = np.random.default_rng(seed), np.array(sorted(scores))
    pairs = np.array(list(combinations(range(len(names)), 2)))
    own = np.array([scores[name] for name in names.tolist()]) + generator.normal(0, spread, (judges, len(names)))
    shown, outcome = np.zeros((judges, trials), dtype=int), np.zeros((judges, trials), dtype=int)
    counts = np.zeros((len(pairs), 3))
    for judge in range(judges):
        if adaptive:
            shown[judge] = informative_pairs(counts, pairs, trials, generator)
        else:
            turns = (np.arange(trials) + judge * trials) % len(pairs)
            shown[judge] = generator.permutation(turns)
        one, two = pairs[shown[judge]].T
        probabilities = outcome_probabilities(own[judge, one] - own[judge, two], log_tie)
        outcome[judge] = (generator.random((trials, 1)) > probabilities.cumsum(-1)[:, :2]).sum(-1)
        np.add.at(counts, (shown[judge], outcome[judge]), 1)
    swapped = generator.random(judges * trials) < 0.5
    first, second = names[pairs[shown.ravel()]].T
    words = np.where(swapped[:, None], ["right", "left", "tie"], ["left", "right", "tie"])
    num = judges * trials
    return Preferences(
        judge=np.repeat(np.arange(judges), trials), kind=np.full(num, "main"), trial=np.tile(np.arange(trials), judges),
        question=np.full(num, "preference"), prompt=np.full(num, ""), left=np.where(swapped, second, first),
        right=np.where(swapped, first, second), left_picture=np.full(num, -1), right_picture=np.full(num, -1),
        outcome=words[np.arange(num), outcome.ravel()], response_ms=900 * np.exp(generator.normal(0, 0.35, num)),
        answered_at=np.full(num, ""),
    )  # fmt: skip


def preference_coverage(
    scores: Mapping[str, float],
    *,
    judges: int,
    trials: int,
    studies: int = 500,
    adaptive: bool = False,
    spread: float = 0.5,
    seed: int = 0,
) -> dict[str, float]:
    """How often the 95% interval of each model's score holds the true one, over many studies.

    Example:
        >>> sorted(preference_coverage({"a": 0.5, "b": 0.0}, judges=5, trials=5, studies=2))
        ['a', 'b']
    """
    truth = true_scores(scores, spread=spread)
    held = dict.fromkeys(truth, 0)
    for study in range(studies):
        table = simulate_preferences(
            scores, judges=judges, trials=trials, adaptive=adaptive, spread=spread, seed=seed + study
        )
        for one in rank_models(table).models:
            held[one.model] += one.score.contains(truth[one.model])
    return {name: count / studies for name, count in held.items()}


def _check(scores: Mapping[str, float], spread: float) -> None:
    if len(scores) < 2 or not all(np.isfinite(one) and abs(one) <= 20 for one in scores.values()) or spread < 0:
        raise TuringTestError("preferences need two models, scores between -20 and 20, and a spread of 0 or more")
