"""What a judge who looks at no picture gets right, and whether a study let judges count.

Feedback tells what has been shown. Where a session holds a fixed number of each kind, a judge who counts knows which
kind is left over, and is right more often than half the time: 57.9% with 25 of each. So a study draws each trial's kind
on its own (`plan`), and what was shown says nothing about what comes: guessing gives 50% of the accuracy, which weighs
both kinds the same, in every design. Tables with fixed numbers, from elsewhere, are told in the report.
"""

from functools import lru_cache

import numpy as np
from scipy.special import gammaln

from improved_gan.turing_test.votes import Votes

__all__ = ["GUESSING", "chance_by_judge", "counting_accuracy"]

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
    told = main.where((main.arm == "feedback") & np.isnan(main.prevalence))
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
