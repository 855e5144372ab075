"""Tests against chance, and the number of judges that a study needs.

Votes of one judge resemble each other. With m votes a judge and correlation r between two of them, n votes are worth
n / (1 + (m - 1) r) independent ones (the design effect, Kish 1965). The paper's 2,000 votes at 52.4% on MNIST (section
6.1) are above chance if the votes were independent, and no longer are at quite ordinary correlations.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import gammaln
from scipy.stats import binomtest, nct, norm, t

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.votes import Votes

__all__ = [
    "GUESSING",
    "above_chance",
    "chance_by_judge",
    "counting_accuracy",
    "design_effect",
    "judges_needed",
    "power",
]

GUESSING = 0.5


@lru_cache(maxsize=64)
def counting_accuracy(signals: int, noises: int) -> float:
    """The accuracy (H + 1 - F) / 2 of a judge who is told each answer and only counts which kind is left.

    With i signals and j noises shown, all orders alike, the next is a signal with probability
    a = (S - i) / (S + N - i - j); the better guess gains max(a / S, (1 - a) / N) / 2.
    That is summed over all i, j, each at the probability
    C(S, i) C(N, j) / C(S + N, i + j).

    Args:
        signals: S, trials of the session that have the signal, 1 or more.
        noises: N, those that have not, 1 or more.

    Example:
        >>> counting_accuracy(1, 1), round(counting_accuracy(25, 25), 3)
        (0.75, 0.579)
    """
    i, j = np.arange(signals + 1)[:, None], np.arange(noises + 1)[None]
    total, left = signals + noises, signals + noises - i - j

    def log_choose(n: int, k: np.ndarray) -> np.ndarray:
        return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))

    reached = np.exp(log_choose(signals, i) + log_choose(noises, j) - log_choose(total, i + j))
    gain = np.maximum((signals - i) / signals, (noises - j) / noises) / np.maximum(left, 1) / 2
    return float((reached * gain).sum())


def chance_by_judge(votes: Votes) -> dict[int, float]:
    """For each judge with main votes the accuracy that is reached without looking at a picture.

    0.5, but in the feedback arm of a study with fixed numbers of each kind: `counting_accuracy` of those numbers.
    Numbers are fixed where votes do not say that kinds were drawn one by one (column `prevalence`) and all whole
    sessions have the same numbers, or numbers that differ by one; a lone session, where it has as many of both.

    Example:
        >>> from improved_gan.turing_test.votes import votes_from_rows
        >>> rows = [{"judge": 7, "arm": "feedback", "signal": k % 2, "response": 0} for k in range(50)]
        >>> round(chance_by_judge(votes_from_rows(rows))[7], 3)
        0.579
    """
    main = votes.where(votes.kind == "main")
    chance = dict.fromkeys(np.unique(main.judge).tolist(), GUESSING)
    chance |= dict.fromkeys(np.unique(main.judge[main.design == "odd_one_out"]).tolist(), 1 / 3)
    told = main.where((main.arm == "feedback") & np.isnan(main.prevalence) & (main.design != "odd_one_out"))
    judges, judge = np.unique(told.judge, return_inverse=True)
    shown = np.bincount(judge, minlength=len(judges))
    signals = np.bincount(judge, weights=told.signal, minlength=len(judges)).astype(int)
    whole = signals[shown == shown.max(initial=0)]
    if not len(whole) or np.ptp(whole) > 1:
        return chance
    most, length = int(np.median(whole)), int(shown.max())
    if not 0 < most < length or (len(whole) == 1 and abs(2 * most - length) > 1):
        return chance
    return chance | dict.fromkeys(judges.tolist(), counting_accuracy(most, length - most))


Comparison = Literal["chance", "within", "between"]


def design_effect(votes_per_judge: float, correlation: float) -> float:
    """How many votes of such judges weigh as one independent vote: 1 + (m - 1) r.

    Example:
        >>> design_effect(50, 0.02)
        1.98
    """
    return 1 + (votes_per_judge - 1) * correlation


def above_chance(correct: int, votes: int, *, chance: float = 0.5, effect: float = 1.0) -> float:
    """One-sided p-value: how often guessing would give so many correct votes, or more.

    Exact (binomial) for independent votes; with a design effect above 1 the normal approximation, its variance times
    the effect.

    Raises:
        TuringTestError: counts that do not fit, a design effect below 1.

    Example:
        The paper's MNIST study: 2,000 votes, 52.4% correct.

        >>> round(above_chance(1048, 2000), 3)
        0.017
        >>> round(above_chance(1048, 2000, effect=design_effect(50, 0.02)), 3)
        0.066
    """
    if not 0 <= correct <= votes or votes == 0:
        raise TuringTestError(f"{correct} correct of {votes} votes: needs 0 <= correct <= votes and a vote")
    if effect < 1:
        raise TuringTestError(f"a design effect must be 1 or more, not {effect}")
    if effect == 1:
        return float(binomtest(correct, votes, chance, alternative="greater").pvalue)
    std = np.sqrt(chance * (1 - chance) * votes * effect)
    return float(norm.sf((correct - votes * chance - 0.5) / std))


def power(
    judges: int,
    trials: int,
    *,
    difference: float = 0.05,
    base: float = 0.5,
    judge_std: float = 0.05,
    comparison: Comparison = "chance",
    level: float = 0.05,
) -> float:
    """The chance that a two-sided t test over judges finds a true difference.

    Args:
        judges: all judges of the study.
        trials: votes of each judge that count ("within": on each of the two models).
        difference: between accuracies; 0.05 is 5 points.
        base: the smaller of the two accuracies.
        judge_std: standard deviation of the judges' true accuracies ("within": of their true differences).
        comparison: "chance": one accuracy against `base`; "within": two models under the same judges; "between": two
            arms, half of the judges in each.
        level: of the test.

    Raises:
        TuringTestError: accuracies outside 0 to 1, or fewer than two judges in a group.

    Example:
        >>> power(30, 50) > 0.8
        True
    """
    upper = base + difference
    if not (0 <= base < upper <= 1) or trials < 1 or judge_std < 0:
        raise TuringTestError(f"accuracies must lie in 0 to 1 with a difference above 0, not {base} and {upper}")
    noise = upper * (1 - upper) / trials
    if comparison == "chance":
        variance, freedom = (judge_std**2 + noise) / judges, judges - 1
    elif comparison == "within":
        variance, freedom = (judge_std**2 + noise + base * (1 - base) / trials) / judges, judges - 1
    else:
        variance_sum = 2 * judge_std**2 + noise + base * (1 - base) / trials
        variance, freedom = variance_sum / (judges / 2), judges - 2
    if freedom < 1:
        raise TuringTestError(f"{judges} judges are too few for a comparison of the kind {comparison!r}")
    shift = difference / np.sqrt(variance) if variance > 0 else np.inf
    if np.isinf(shift):
        return 1.0
    edge = t.ppf(1 - level / 2, freedom)
    return float(nct.sf(edge, freedom, shift) + nct.cdf(-edge, freedom, shift))


def judges_needed(
    trials: int,
    *,
    difference: float = 0.05,
    wanted_power: float = 0.8,
    base: float = 0.5,
    judge_std: float = 0.05,
    comparison: Comparison = "chance",
    level: float = 0.05,
) -> int:
    """The smallest number of judges with the wanted power; arguments as in `power`.

    Raises:
        TuringTestError: not reached with 100,000 judges, or as `power`.

    Example:
        >>> judges_needed(50), judges_needed(50, comparison="within"), judges_needed(50, comparison="between")
        (26, 42, 96)
    """

    def enough(judges: int) -> bool:
        reached = power(judges, trials, difference=difference, base=base, judge_std=judge_std,
                        comparison=comparison, level=level)  # fmt: skip
        return reached >= wanted_power

    step = 2 if comparison == "between" else 1
    low, high = 1, 2
    while not enough(step * high):
        low, high = high, 2 * high
        if high > 100_000:
            raise TuringTestError(f"a power of {wanted_power} is not reached with 100,000 judges; ask for less")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle >= 2 and enough(step * middle) else (middle, high)
    return step * high
