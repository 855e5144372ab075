"""The report of a study: what the rules removed, then every figure with its interval; as data, for page, text and JSON.

Use: `make_report(read_votes("votes.csv")).to_dict()`.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from improved_gan.turing_test.agreement import PictureFigures, krippendorff_alpha, picture_figures
from improved_gan.turing_test.chance import GUESSING, chance_by_judge
from improved_gan.turing_test.exclusions import Exclusion, Rules, apply_rules
from improved_gan.turing_test.figures import (
    ModelFigures,
    accuracy,
    by_exposure,
    by_position,
    differences,
    model_figures,
    p_above_chance,
    response_times,
    thresholds,
)
from improved_gan.turing_test.intervals import Estimate
from improved_gan.turing_test.votes import REAL, Votes

__all__ = ["Report", "make_report", "plain"]


@dataclass(frozen=True)
class Report:
    """Everything that a study says. Accuracies, rates and shares are in 0 to 1, times in milliseconds.

    `chance` is the accuracy that judges of an arm reach without looking at a picture.
    """

    rules: Rules
    exclusions: list[Exclusion]
    judges_before: int
    votes_before: int
    judges: int
    votes: int
    correct: int
    accuracy_before: Estimate
    accuracy: Estimate
    chance: dict[str, float]
    p_above_chance: float
    models: list[ModelFigures]
    differences: list[tuple[str, str, Estimate]]
    arms: dict[str, Estimate]
    learning: dict[str, list[Estimate]]
    response_times: dict[str, tuple[float, float, float]]
    agreement: float
    exposures: dict[float, Estimate]
    thresholds: list[float]
    pictures: list[PictureFigures]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it; a figure that is not defined is None."""
        return dict(plain(asdict(self)))


def plain(value: Any) -> Any:
    """A value as JSON holds it: names as text, tuples as lists, None for what is not defined."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def make_report(votes: Votes, rules: Rules | None = None) -> Report:
    """Apply the rules and compute every figure; an empty table gives an empty report.

    Example:
        >>> from improved_gan.turing_test.simulation import Population, simulate
        >>> report = make_report(simulate(Population({"dcgan": 0.787}), judges=30, trials=60))
        >>> report.models[0].accuracy.contains(0.787), report.p_above_chance < 0.001
        (True, True)
    """
    rules = rules or Rules()
    main = votes.where(votes.kind == "main")
    kept, exclusions = apply_rules(votes, rules)
    arms = [str(arm) for arm in np.unique(kept.arm)]
    trials = (int(main.trial.min()), int(main.trial.max())) if len(main) else None
    by_judge = chance_by_judge(main)
    level = np.array([by_judge[judge] for judge in kept.judge.tolist()])
    chance = {arm: float(level[kept.arm == arm].mean()) for arm in arms}
    return Report(
        rules=rules,
        exclusions=exclusions,
        judges_before=len(np.unique(main.judge)),
        votes_before=len(main),
        judges=len(np.unique(kept.judge)),
        votes=len(kept),
        correct=int(kept.correct.sum()),
        accuracy_before=accuracy(main),
        accuracy=accuracy(kept),
        chance=chance,
        p_above_chance=p_above_chance(kept, chance=float(level.mean()) if len(kept) else 0.5),
        models=[model_figures(kept, name) for name in kept.models()],
        differences=[(one, two, found) for (one, two), found in differences(kept).items()],
        arms={arm: accuracy(kept.where(kept.arm == arm)) for arm in arms},
        learning={arm: by_position(kept.where(kept.arm == arm), trials=trials) for arm in arms},
        response_times=response_times(kept),
        agreement=_agreement(kept),
        exposures=by_exposure(kept),
        thresholds=thresholds(kept),
        pictures=picture_figures(kept),
        notes=list(_notes(chance, between=_is_between(kept))),
    )


def _notes(chance: dict[str, float], *, between: bool) -> Iterable[str]:
    """What a reader must know of how the votes were collected."""
    if between:
        yield "each judge saw one model: differences between models are differences between groups of judges"
    for arm, level in chance.items():
        if level > GUESSING:
            yield (
                f"in the arm {arm} every session has the same number of each kind, so a judge who looks at no picture "
                f"and counts what feedback told is right in up to {level:.1%}: compare this arm with that, not with 50%"
            )


def _is_between(votes: Votes) -> bool:
    """Whether there are several models, and every judge saw one of them only."""
    seen = {(int(judge), str(name)) for judge, name in zip(votes.judge, votes.model, strict=True) if name != REAL}
    return len(votes.models()) > 1 and len(seen) == len({judge for judge, _ in seen})


def _agreement(votes: Votes) -> float:
    """Krippendorff's alpha of what judges said about a picture; in pairs, whether the generated one was found.

    Votes whose picture is not known are left out: they would pass for votes about one and the same picture. So are a
    judge's later votes about a picture that came again: a judge's agreement with oneself is none between judges.
    """
    votes = votes.where(votes.picture >= 0)
    order = np.lexsort((votes.trial, votes.picture, votes.judge))
    judge, picture = votes.judge[order], votes.picture[order]
    again = np.zeros(len(votes), dtype=bool)
    again[order[1:]] = (judge[1:] == judge[:-1]) & (picture[1:] == picture[:-1])
    votes = votes.where(~again)
    pairs = np.isin(votes.design, ("two_alternative", "odd_one_out"))
    return krippendorff_alpha(votes.picture, np.where(pairs, votes.correct, votes.response))
