"""The figures of a study, each from the table of votes: by model, arm, position, picture, exposure.

Every interval is over judges (`intervals.cluster_bootstrap`); the paper's own figure is the share of correct votes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from improved_gan.turing_test.chance import above_chance
from improved_gan.turing_test.intervals import Estimate, cluster_bootstrap, with_fallback
from improved_gan.turing_test.signal_detection import (
    accuracy_of_rates,
    bias,
    rate,
    roc_area,
    sensitivity,
    sensitivity_of_three,
)
from improved_gan.turing_test.staircase import threshold_ms
from improved_gan.turing_test.votes import REAL, Votes

__all__ = [
    "ModelFigures", "accuracy", "by_exposure", "by_position", "difference", "differences",
    "model_figures", "p_above_chance", "response_times", "thresholds",
]  # fmt: skip

Floats = NDArray[np.float64]
_LEVELS = 6  # of the rating scale
_SHARE = (0.0, 1.0)
_NO_SPREAD = 1e-9


@dataclass(frozen=True)
class ModelFigures:
    """One generator under the judges. Rates are of "said generated" (pairs: "chose the right"); counts are pooled."""

    model: str
    judges: int
    votes: int
    correct: int
    hits: int
    signals: int
    false_alarms: int
    noises: int
    accuracy: Estimate
    hit_rate: Estimate
    false_alarm_rate: Estimate
    sensitivity: Estimate
    bias: Estimate
    roc_area: Estimate | None


def _counts(votes: Votes) -> Floats:
    """(J, 4) for each judge: hits, signals, false alarms, noises."""
    judges, judge = np.unique(votes.judge, return_inverse=True)
    columns = (votes.signal & votes.response, votes.signal, ~votes.signal & votes.response, ~votes.signal)
    return np.stack([np.bincount(judge, weights=one, minlength=len(judges)) for one in columns], axis=1)


def _of_counts(function: Callable[..., Floats]) -> Callable[[Floats], Floats]:
    return lambda sums: function(*np.moveaxis(sums[..., :4], -1, 0))


def _judges_agree(counts: Floats) -> bool:
    """Whether all judges have the same rates, as when everybody is always right: nothing to resample."""
    total = counts.sum(0)
    same = [np.array_equal(counts[:, k] * total[k + 1], counts[:, k + 1] * total[k]) for k in (0, 2)]
    return all(same)


def _or_none(found: Estimate, agree: bool) -> Estimate:
    """No interval, instead of one without width, where judges show no spread."""
    return Estimate(found.value, float("nan"), float("nan")) if agree or found.low == found.high else found


def _pooled_share(counts: Floats) -> Estimate:
    """Of (J, 2), for each judge how often and of how many; who answered nothing is no judge of it."""
    counts = counts[counts[:, 1] > 0]
    found = cluster_bootstrap(counts, lambda sums: rate(sums[..., 0], sums[..., 1]), bounds=_SHARE)
    count, total = counts.sum(0)
    return with_fallback(found, [(count, total)])


def accuracy(votes: Votes) -> Estimate:
    """Correct share with both kinds of trial weighing the same, (H + 1 - F) / 2, with its interval over judges."""
    counts = _counts(votes)
    hits, signals, false_alarms, noises = counts.sum(0).astype(int).tolist() if len(counts) else [0] * 4
    if min(signals, noises) == 0:
        right = np.stack([counts[:, 0] + counts[:, 3] - counts[:, 2], counts[:, 1] + counts[:, 3]], axis=1)
        return _pooled_share(right)
    found = cluster_bootstrap(counts, _of_counts(accuracy_of_rates), bounds=_SHARE)
    return with_fallback(found, [(hits, signals), (noises - false_alarms, noises)])


def p_above_chance(votes: Votes, *, chance: float = 0.5) -> float:
    """One-sided p-value of the accuracy against guessing with judges as clusters (linearised, t with J - 1 degrees).

    Where each trial was drawn with a known probability p (column `prevalence`), a judge j who guesses has
    E[sum (s - p) (r - r')] = 0 over the trials, with signal s, response r and r' the mean response of the other judges,
    whatever the judge makes of feedback; the test is of those sums. Where all judges, or all sums, are alike there is
    no spread to estimate, and the exact binomial test over votes stands in; at unequal numbers over
    4 / (1/signals + 1/noises) of them, which carry as much.

    Args:
        votes: the table.
        chance: the accuracy that is reached without looking (`counting.chance_by_judge`).
    """
    counts = _counts(votes)
    if len(counts) >= 2 and (votes.design == "odd_one_out").all():
        return _p_of_shares(counts[:, 0], counts[:, 1])
    if len(counts) < 2 or min(counts.sum(0)[[1, 3]]) == 0:
        return float("nan")
    hits, signals, false_alarms, noises = counts.sum(0)
    share = float(accuracy_of_rates(hits, signals, false_alarms, noises))
    influence = (counts[:, 0] - counts[:, 1] * hits / signals) / signals / 2
    influence = influence - (counts[:, 2] - counts[:, 3] * false_alarms / noises) / noises / 2
    standard_error = np.sqrt(len(counts) / (len(counts) - 1) * (influence**2).sum())
    excess = share - chance
    if standard_error > _NO_SPREAD and chance == 0.5 and not np.isnan(votes.prevalence).any():
        sums = _covariance_sums(votes)
        excess, standard_error = sums.mean(), sums.std(ddof=1) / np.sqrt(len(sums))
    if standard_error <= _NO_SPREAD:
        worth = int(4 * signals * noises / (signals + noises))
        return above_chance(int(share * worth + 1e-9), worth, chance=chance)
    return float(t.sf(excess / standard_error, len(counts) - 1))


def _p_of_shares(right: Floats, total: Floats) -> float:
    """Odd-one-out: the share of right answers against 1/3, judges as clusters."""
    share = right.sum() / total.sum()
    influence = (right - share * total) / total.sum()
    standard_error = np.sqrt(len(total) / (len(total) - 1) * (influence**2).sum())
    if standard_error <= _NO_SPREAD:
        return above_chance(int(right.sum()), int(total.sum()), chance=1 / 3)
    return float(t.sf((share - 1 / 3) / standard_error, len(total) - 1))


def _covariance_sums(votes: Votes) -> Floats:
    """(J,) for each judge the sum of (s - p) (r - r') over the trials, r' the mean response of all other judges."""
    judges, judge = np.unique(votes.judge, return_inverse=True)
    given = np.bincount(judge, minlength=len(judges))
    said = np.bincount(judge, weights=votes.response, minlength=len(judges))
    others = (said.sum() - said) / (given.sum() - given)
    products = (votes.signal - votes.prevalence) * (votes.response - others[judge])
    return np.asarray(np.bincount(judge, weights=products, minlength=len(judges)), dtype=np.float64)


def model_figures(votes: Votes, model: str) -> ModelFigures:
    """All figures of one generator."""
    votes = votes.of_model(model)
    counts = _counts(votes)
    hits, signals, false_alarms, noises = counts.sum(0).astype(int).tolist()
    rated, agree = votes.where(~np.isnan(votes.rating)), _judges_agree(counts)
    return ModelFigures(
        model=model,
        judges=len(counts),
        votes=len(votes),
        correct=int(votes.correct.sum()),
        hits=hits,
        signals=signals,
        false_alarms=false_alarms,
        noises=noises,
        accuracy=accuracy(votes),
        hit_rate=_pooled_share(counts[:, :2]),
        false_alarm_rate=_pooled_share(counts[:, 2:]),
        sensitivity=_or_none(cluster_bootstrap(counts, _of_counts(_sensitivity_of(votes))), agree),
        bias=_or_none(cluster_bootstrap(counts, _of_counts(bias)), agree),
        roc_area=_roc_area(rated) if len(rated) else None,
    )


def _sensitivity_of(votes: Votes) -> Callable[..., Floats]:
    """D' from hits, signals, false alarms and noises, by the design."""
    if len(votes) and (votes.design == "odd_one_out").all():
        return lambda hits, signals, *_: np.asarray(sensitivity_of_three(hits, signals))
    pairs = bool((votes.design == "two_alternative").all())
    return lambda *four: np.asarray(sensitivity(*four, pairs=pairs))


def _roc_area(votes: Votes) -> Estimate:
    """Area under the ROC curve of the ratings: generated against real, from each judge's histogram of levels."""
    judges, judge = np.unique(votes.judge, return_inverse=True)
    level = votes.rating.astype(int) - 1 + _LEVELS * ~votes.signal
    table = np.zeros((len(judges), 2 * _LEVELS))
    np.add.at(table, (judge, level), 1)
    found = cluster_bootstrap(table, lambda sums: roc_area(sums[..., :_LEVELS], sums[..., _LEVELS:]), bounds=_SHARE)
    return _or_none(found, agree=False)


def difference(first: Votes, second: Votes) -> Estimate:
    """Accuracy of the first minus that of the second votes, interval over the judges of both.

    A judge who gave votes of both kinds is drawn with both, so what the judge does in both cancels out. Where no judge
    did, two groups are compared, and the smaller one says how many judges the spread is known from.
    """
    judges = np.unique(np.concatenate([first.judge, second.judge]))
    table = np.zeros((len(judges), 8))
    for start, votes in ((0, first), (4, second)):
        table[np.searchsorted(judges, np.unique(votes.judge)), start : start + 4] = _counts(votes)
    right = _of_counts(accuracy_of_rates)
    groups = [len(np.unique(votes.judge)) for votes in (first, second)]
    known = min(groups) if sum(groups) == len(judges) else len(judges)
    found = cluster_bootstrap(
        table, lambda sums: right(sums[..., :4]) - right(sums[..., 4:]), known_from=known, bounds=(-1.0, 1.0)
    )
    return _or_none(found, _judges_agree(table[:, :4]) and _judges_agree(table[:, 4:]))


def differences(votes: Votes) -> dict[tuple[str, str], Estimate]:
    """For each two generators, how much easier the first is told from real pictures than the second."""
    return {
        (one, two): difference(votes.of_model(one), votes.of_model(two)) for one, two in combinations(votes.models(), 2)
    }


def by_position(votes: Votes, *, blocks: int = 5, trials: tuple[int, int] | None = None) -> list[Estimate]:
    """Accuracy over a session cut into equal blocks of trials: learning, or fatigue.

    Args:
        votes: the table.
        blocks: how many.
        trials: first and last number of the study's counted trials, so that the answers of a judge who left early fall
            into the first blocks; default: the lowest and highest in `votes`.
    """
    if not len(votes):
        return [accuracy(votes)] * blocks
    first, last = trials or (int(votes.trial.min()), int(votes.trial.max()))
    block = (votes.trial - first) * blocks // (last - first + 1)
    return [accuracy(votes.where(block == one)) for one in range(blocks)]


def by_exposure(votes: Votes) -> dict[float, Estimate]:
    """Accuracy at each exposure time (milliseconds) of a timed study."""
    times = np.unique(votes.exposure_ms[~np.isnan(votes.exposure_ms)]).tolist()
    return {
        int(time) if time.is_integer() else time: accuracy(votes.where(votes.exposure_ms == time)) for time in times
    }


def thresholds(votes: Votes) -> list[float]:
    """The exposure in milliseconds at which each judge's staircase settles, without judges of too few reversals."""
    found = []
    for judge in np.unique(votes.judge):
        own = votes.where(votes.judge == judge)
        found.append(threshold_ms(own.exposure_ms[np.argsort(own.trial)].tolist()))
    return [one for one in found if not np.isnan(one)]


def response_times(votes: Votes) -> dict[str, tuple[float, float, float]]:
    """Quartiles of the response time, in milliseconds, on real pictures and on each model's (pairs: by model).

    Where models had different judges, the real pictures have a row for the judges of each model: "real, judges of A".
    """
    real, models = votes.where(votes.model == REAL), votes.models()
    parts = {name: votes.where(votes.model == name) for name in models}
    judges_of = [set(votes.judge[votes.model == name].tolist()) for name in models]
    if len(real) and any(one != judges_of[0] for one in judges_of):
        shown = {name: votes.of_model(name) for name in models}
        parts |= {f"{REAL}, judges of {name}": one.where(one.model == REAL) for name, one in shown.items()}
    else:
        parts = {REAL: real, **parts}
    found = {}
    for name, part in parts.items():
        times = part.response_ms[~np.isnan(part.response_ms)]
        if len(times):
            low, middle, high = np.quantile(times, [0.25, 0.5, 0.75])
            found[name] = (float(low), float(middle), float(high))
    return found
