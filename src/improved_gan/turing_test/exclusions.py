"""Exclusion rules for judges and answers, and the number that each rule removed.

Set the rules before looking at the results; they are part of the report.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.preferences import Preferences
from improved_gan.turing_test.votes import Votes

Answers = TypeVar("Answers", Votes, Preferences)

__all__ = ["Exclusion", "Rules", "apply_rules"]


@dataclass(frozen=True)
class Rules:
    """What is left out.

    Args:
        max_failed_checks: judges who failed more attention checks than this are left out; None: no such rule.
        min_median_ms: judges whose median response is faster are left out, in milliseconds.
        min_answer_ms: single answers faster than this are left out, in milliseconds.
        min_trials: judges with fewer main answers are left out.

    Raises:
        TuringTestError: a negative number.
    """

    max_failed_checks: int | None = 1
    min_median_ms: float = 300.0
    min_answer_ms: float = 100.0
    min_trials: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not 0 <= value < np.inf:
                raise TuringTestError(f"the exclusion rule {name} must be 0 or more, not {value}")


@dataclass(frozen=True)
class Exclusion:
    """One rule in words, and the judges and main votes that it removed from what the rules above it had left."""

    rule: str
    judges: int
    votes: int


def apply_rules(votes: Answers, rules: Rules) -> tuple[Answers, list[Exclusion]]:
    """The main votes that count, and what each rule removed, in order.

    Practice trials never count; attention checks serve the first rule only.

    Example:
        >>> from improved_gan.turing_test.simulation import Population, simulate
        >>> kept, removed = apply_rules(simulate(Population(), judges=5, trials=20, seed=1), Rules())
        >>> len(kept), [one.votes for one in removed]
        (100, [0, 0, 0, 0])
    """
    kept = votes.where(votes.kind == "main")
    removed: list[Exclusion] = []
    if rules.max_failed_checks is not None:
        checks = votes.where((votes.kind == "check") & ~votes.correct)
        judges, failed = np.unique(checks.judge, return_counts=True)
        bad = judges[failed > rules.max_failed_checks]
        words = f"judges who failed more than {rules.max_failed_checks} attention checks"
        kept = _without(kept, np.isin(kept.judge, bad), words, removed)
    judges, medians = _median_ms(kept)
    words = f"judges with a median response under {rules.min_median_ms:g} ms"
    kept = _without(kept, np.isin(kept.judge, judges[medians < rules.min_median_ms]), words, removed)
    words = f"single answers faster than {rules.min_answer_ms:g} ms"
    kept = _without(kept, kept.response_ms < rules.min_answer_ms, words, removed)
    judges, counts = np.unique(kept.judge, return_counts=True)
    words = f"judges with fewer than {rules.min_trials} answers left"
    kept = _without(kept, np.isin(kept.judge, judges[counts < rules.min_trials]), words, removed)
    return kept, removed


def _without(votes: Answers, out: NDArray[np.bool_], rule: str, removed: list[Exclusion]) -> Answers:
    kept = votes.where(~out)
    lost = len(np.unique(votes.judge)) - len(np.unique(kept.judge))
    removed.append(Exclusion(rule, lost, len(votes) - len(kept)))
    return kept


def _median_ms(votes: Votes | Preferences) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each judge's median response time; without times (NaN) a judge is not slow nor fast."""
    judges = np.unique(votes.judge)
    times = [votes.response_ms[(votes.judge == judge) & ~np.isnan(votes.response_ms)] for judge in judges]
    return judges, np.array([np.median(some) if len(some) else np.inf for some in times])
