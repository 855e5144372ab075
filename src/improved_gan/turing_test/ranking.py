"""Ranking of models by preferences: Bradley-Terry scores, win matrix, indistinguishable groups, transitivity.

Whole judges are resampled for every interval (`intervals`). "Both bad" counts as a tie in the scores and is reported
beside them. Two models can be told apart where the difference of their scores is beyond chance, all pairs together at
95% (`multiple_comparisons`: max-t with standard errors not below those of independent answers, or a sign test where
all answers about a pair are the same).
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from improved_gan.turing_test.bradley_terry import Davidson, fit_davidson, outcome_probabilities
from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.exclusions import Exclusion, Rules, apply_rules
from improved_gan.turing_test.intervals import (
    Estimate,
    cluster_bootstrap,
    percentile_interval,
    resampled,
    with_fallback,
)
from improved_gan.turing_test.multiple_comparisons import signs
from improved_gan.turing_test.preferences import Preferences
from improved_gan.turing_test.report import plain

__all__ = ["Ranked", "Ranking", "Win", "preference_counts", "rank_models"]

Floats = NDArray[np.float64]
_NO_SPREAD = 1e-9


@dataclass(frozen=True)
class Ranked:
    """One model, with the counts of its comparisons.

    `rank_low` to `rank_high` are the ranks that are not excluded; models that cannot be told apart share a letter of
    `group`. `score` is theta, `elo` is 1000 + 400 theta / ln 10.
    """

    model: str
    score: Estimate
    elo: Estimate
    rank_low: int
    rank_high: int
    group: str
    comparisons: int
    wins: int
    losses: int
    ties: int
    both_bad: int


@dataclass(frozen=True)
class Win:
    """How often `model` was preferred to `other`, ties as half, over their comparisons; the share the scores give."""

    model: str
    other: str
    comparisons: int
    share: Estimate
    fitted: float


@dataclass(frozen=True)
class Ranking:
    """The answers to one question.

    `cycles`: three models, each preferred to the next beyond chance. `p_transitive`: how often pairs would depart so
    far from one score a model if such scores were right (NaN: too few judges).
    """

    question: str
    exclusions: list[Exclusion]
    judges_before: int
    answers_before: int
    judges: int
    answers: int
    models: list[Ranked]
    wins: list[Win]
    ties: float
    both_bad: float
    left_share: Estimate
    cycles: list[tuple[str, str, str]]
    p_transitive: float
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; a figure that is not defined is None."""
        return dict(plain(asdict(self)))


def preference_counts(table: Preferences) -> tuple[list[str], NDArray[np.int64], Floats]:
    """Models, pairs (P, 2) of their numbers, and counts (J, P, 3) of each judge: first preferred, second, neither."""
    models = table.models()
    number = {name: place for place, name in enumerate(models)}
    left = np.array([number[str(one)] for one in table.left], dtype=np.int64)
    right = np.array([number[str(one)] for one in table.right], dtype=np.int64)
    pairs = np.array(list(combinations(range(len(models)), 2)), dtype=np.int64).reshape(-1, 2)
    place = {(int(i), int(j)): k for k, (i, j) in enumerate(pairs)}
    _, judge = np.unique(table.judge, return_inverse=True)
    counts = np.zeros((judge.max(initial=-1) + 1, len(pairs), 3))
    for j, one, two, outcome in zip(judge, left.tolist(), right.tolist(), table.outcome, strict=True):
        first = (outcome == "left") == (one < two)
        kind = 2 if outcome in ("tie", "both_bad") else 0 if first else 1
        counts[j, place[min(one, two), max(one, two)], kind] += 1
    return models, pairs, counts


def rank_models(table: Preferences, question: str | None = None, rules: Rules | None = None,
                *, adaptive: bool = False) -> Ranking:  # fmt: skip
    """Apply the exclusion rules and rank the models by the answers to one question.

    Args:
        table: the answers.
        question: which; default: the only one.
        rules: of exclusion.
        adaptive: whether pairs were chosen by earlier answers, which a note then tells.

    Raises:
        TuringTestError: several questions and none named, or fewer than two models compared.

    Example:
        >>> from improved_gan.turing_test.simulation import simulate_preferences
        >>> table = simulate_preferences({"a": 1.0, "b": 0.0, "c": -1.0}, judges=30, trials=30)
        >>> [(one.model, one.group) for one in rank_models(table).models]
        [('a', 'a'), ('b', 'b'), ('c', 'c')]
    """
    names = table.questions()
    if question is None and len(names) > 1:
        raise TuringTestError(f"the study asked {len(names)} questions ({', '.join(names)}): choose one")
    question = question or (names[0] if names else "preference")
    checks = (table.kind == "check") if question in names else np.zeros(len(table), dtype=bool)
    asked = table.where((table.question == question) | checks)
    main = asked.where(asked.kind == "main")
    kept, exclusions = apply_rules(asked, rules or Rules())
    kept = kept.where((kept.kind == "main") & (kept.question == question))
    models, pairs, counts = preference_counts(kept)
    if len(models) == 1:
        raise TuringTestError("a ranking needs answers about two models")
    ranked, wins, p_transitive, cycles = _ranked(kept, models, pairs, counts) if models else ([], [], np.nan, [])
    decided = np.isin(kept.outcome, ("left", "right"))
    return Ranking(
        question=question, exclusions=exclusions, judges_before=len(np.unique(main.judge)),
        answers_before=len(main), judges=len(counts), answers=len(kept), models=ranked, wins=wins,
        ties=_share(kept.outcome == "tie"), both_bad=_share(kept.outcome == "both_bad"),
        left_share=_left_share(kept.where(decided)), cycles=cycles, p_transitive=float(p_transitive),
        notes=list(_notes(models, pairs, counts, adaptive=adaptive)),
    )  # fmt: skip


def _share(chosen: NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if len(chosen) else float("nan")


def _left_share(decided: Preferences) -> Estimate:
    """How often the left picture was preferred: 50% where sides do not matter."""
    _, judge = np.unique(decided.judge, return_inverse=True)
    total = np.bincount(judge)
    left = np.bincount(judge, weights=decided.outcome == "left", minlength=len(total))
    if not len(decided):
        return Estimate(float("nan"), float("nan"), float("nan"))
    counts = np.stack([left, total], axis=1)
    found = cluster_bootstrap(counts, lambda sums: sums[..., 0] / sums[..., 1], bounds=(0.0, 1.0))
    return with_fallback(found, [(left.sum(), total.sum())])


def _ranked(
    kept: Preferences, models: list[str], pairs: NDArray[np.int64], counts: Floats
) -> tuple[list[Ranked], list[Win], float, list[tuple[str, str, str]]]:
    pooled, num_judges = counts.sum(0), len(counts)
    fit = fit_davidson(pooled, pairs)
    sums = resampled(counts.reshape(num_judges, -1)).reshape(-1, len(pairs), 3)
    resampled_fit = fit_davidson(sums, pairs)
    drawn = resampled_fit.scores
    beats = _beats(fit, drawn, pairs, counts)
    order = np.argsort(-fit.scores, kind="stable")
    letters = _letters(order, beats)
    to_elo = 400 / np.log(10)
    ranked = []
    for k in order.tolist():
        spread = drawn[:, k] if np.ptp(drawn[:, k]) > _NO_SPREAD else np.full(1, np.nan)  # no interval without spread
        own = [percentile_interval(float(a * fit.scores[k] + b), a * spread + b, num_judges)
               for a, b in ((1.0, 0.0), (to_elo, 1000.0))]  # fmt: skip
        ranked.append(Ranked(models[k], own[0], own[1], 1 + int(beats[:, k].sum()),
                             len(models) - int(beats[k].sum()), letters[k], *_tally(kept, models[k])))  # fmt: skip
    share, drawn_share = _win_shares(pooled), _win_shares(sums)
    judges = (counts.sum(-1) > 0).sum(0)  # who answered about each pair
    fitted = outcome_probabilities(fit.scores[pairs[:, 0]] - fit.scores[pairs[:, 1]], fit.log_tie) @ [1, 0, 0.5]
    wins = [
        Win(models[i], models[j], int(pooled[p].sum()), with_fallback(
            percentile_interval(float(share[p]), drawn_share[:, p], int(judges[p]), bounds=(0.0, 1.0)),
            [(pooled[p, 0] + pooled[p, 2] / 2, pooled[p].sum())]), float(fitted[p]))
        for p, (i, j) in enumerate(pairs.tolist())
    ]  # fmt: skip
    residuals, others = _residuals(pooled, pairs, fit), _residuals(sums, pairs, resampled_fit)
    used = pooled.sum(-1) > 0
    least = _independent_variance(pooled[used], pairs[used], fit)
    p_value = _p_transitive(residuals[used], others[:, used], least, len(models), num_judges)
    return ranked, wins, p_value, _cycles(models, pairs, share, drawn_share, counts)


def _tally(kept: Preferences, model: str) -> tuple[int, int, int, int, int]:
    is_left, is_right = kept.left == model, kept.right == model
    wins = (is_left & (kept.outcome == "left")) | (is_right & (kept.outcome == "right"))
    shown = is_left | is_right
    ties, bad = (int((shown & (kept.outcome == name)).sum()) for name in ("tie", "both_bad"))
    return int(shown.sum()), int(wins.sum()), int(shown.sum() - wins.sum()) - ties - bad, ties, bad


def _beats(fit: Davidson, drawn: Floats, pairs: NDArray[np.int64], counts: Floats) -> NDArray[np.bool_]:
    """(K, K): whether the row's model has a higher score than the column's, all statements together at 95%."""
    size = len(fit.scores)
    one, two = pairs.T
    contrasts = np.eye(size)[one] - np.eye(size)[two]
    seen = counts.sum(-1) > 0
    judges = np.array([seen[:, (pairs == k).any(1)].any(1).sum() for k in range(size)])  # who saw each model
    found = np.zeros((size, size), dtype=bool)
    independent = contrasts @ np.linalg.solve(fit.information, contrasts.T)
    sign = signs(contrasts @ fit.scores, drawn @ contrasts.T, independent, counts, np.minimum(judges[one], judges[two]))
    found[one, two], found[two, one] = sign > 0, sign < 0
    return found


def _letters(order: NDArray[np.int64], beats: NDArray[np.bool_]) -> dict[int, str]:
    """One letter for each longest row of neighbors in the ranking of which none beats another."""
    letters = {int(k): "" for k in order}
    alphabet, end = iter("abcdefghijklmnopqrstuvwxyz" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 0
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and not beats[np.ix_(order[start:stop], order[stop : stop + 1])].any():
            stop += 1
        if stop > end:
            letter, end = next(alphabet, "*"), stop
            for k in order[start:stop].tolist():
                letters[k] += letter
    return letters


def _win_shares(counts: Floats) -> Floats:
    total = counts.sum(-1)
    won = counts[..., 0] + counts[..., 2] / 2
    return np.asarray(np.divide(won, total, out=np.full(total.shape, np.nan), where=total > 0))


def _residuals(counts: Floats, pairs: NDArray[np.int64], fit: Davidson) -> Floats:
    """(..., P): the first model's wins in each pair, ties as half, minus those that the scores give."""
    difference = fit.scores[..., pairs[:, 0]] - fit.scores[..., pairs[:, 1]]
    expected = outcome_probabilities(difference, fit.log_tie[..., None]) @ np.array([1, 0, 0.5])
    return np.asarray(counts[..., 0] + counts[..., 2] / 2 - counts.sum(-1) * expected)


def _independent_variance(counts: Floats, pairs: NDArray[np.int64], fit: Davidson) -> Floats:
    """(P,): the variance n Var(1, 0 or 1/2) of the first model's wins in each pair if all answers were independent."""
    chances = outcome_probabilities(fit.scores[pairs[:, 0]] - fit.scores[pairs[:, 1]], fit.log_tie)
    return np.asarray(counts.sum(-1) * (chances @ [1, 0, 0.25] - (chances @ [1, 0, 0.5]) ** 2))


def _p_transitive(own: Floats, drawn: Floats, least: Floats, num_models: int, num_judges: int) -> float:
    """Whether one score a model is enough: whether all residuals may be 0 (Hotelling's T squared).

    The P residuals have P - K + 1 degrees of freedom, as the scores take K - 1 of them; their covariance is that of
    the resamples, in no direction below that of independent answers: judges who agree show no spread, and the residuals
    that the prior leaves to them would be beyond any measure.

    Args:
        own: (P,), the residuals of the pairs that were compared.
        drawn: (resamples, P), those of the resamples.
        least: (P,), their variance if all answers were independent.
        num_models: K.
        num_judges: J.
    """
    freedom = len(own) - num_models + 1
    if freedom < 1 or num_judges <= freedom + 1:
        return float("nan")
    covariance = np.cov(drawn.T).reshape(len(own), -1) * num_judges / (num_judges - 1)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[-freedom:], vectors[:, -freedom:]
    values = np.maximum(values, least @ vectors**2)
    statistic = float((((own @ vectors) ** 2) / np.maximum(values, 1e-12)).sum())
    scale = (num_judges - freedom) / (freedom * (num_judges - 1))
    return float(f_distribution.sf(statistic * scale, freedom, num_judges - freedom))


def _cycles(
    models: list[str], pairs: NDArray[np.int64], share: Floats, drawn: Floats, counts: Floats
) -> list[tuple[str, str, str]]:
    """Three models, each preferred to the next and the last to the first, all beyond chance together (95%)."""
    known = ~np.isnan(share) & ~np.isnan(drawn).any(0)
    if known.sum() < 3:
        return []
    pooled, judges = counts[:, known].sum(0), (counts[:, known].sum(-1) > 0).sum(0)
    independent = np.diag(pooled[:, :2].sum(-1) / 4 / pooled.sum(-1) ** 2)  # of shares that are 1/2 in truth
    sign = signs(share[known] - 0.5, drawn[:, known] - 0.5, independent, counts[:, known], judges)
    preferred = np.zeros((len(models), len(models)), dtype=bool)
    for (i, j), one in zip(pairs[known].tolist(), sign.tolist(), strict=True):
        preferred[i, j], preferred[j, i] = one > 0, one < 0
    found = []
    for i, j, k in combinations(range(len(models)), 3):
        for a, b, c in ((i, j, k), (i, k, j)):
            if preferred[a, b] and preferred[b, c] and preferred[c, a]:
                found.append((models[a], models[b], models[c]))
    return found


def _notes(models: list[str], pairs: NDArray[np.int64], counts: Floats, *, adaptive: bool) -> Iterable[str]:
    """What a reader must know of how the answers were collected."""
    shown = counts.sum((0, 2)) > 0 if len(counts) else np.zeros(len(pairs), dtype=bool)
    linked = {0} if models else set()
    for _ in models:
        linked |= {int(k) for pair in pairs[shown] if linked & set(pair.tolist()) for k in pair}
    if len(linked) < len(models):
        apart = ", ".join(name for k, name in enumerate(models) if k not in linked)
        yield f"no chain of comparisons links {models[0]} with {apart}: the difference of their scores is the prior's"
    if adaptive:
        yield (
            "pairs were chosen by earlier answers (close models are compared more often): wins over all opponents are "
            "not comparable between models, and scores of models that were ahead early by luck come down slower"
        )
