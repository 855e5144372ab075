"""The report in words, for a terminal."""

import math

from improved_gan.turing_test.intervals import Estimate
from improved_gan.turing_test.ranking import Ranking
from improved_gan.turing_test.report import Report

__all__ = ["ranking_text", "report_text"]

_ARMS = {"feedback": "with feedback", "no_feedback": "without feedback"}


def _percent(found: Estimate) -> str:
    if math.isnan(found.value):
        return "not defined"
    return f"{found.value:6.1%}" + ("" if math.isnan(found.low) else f" [{found.low:.1%}, {found.high:.1%}]")


def _plain(found: Estimate) -> str:
    if math.isnan(found.value):
        return "not defined"
    return f"{found.value:.2f}" + ("" if math.isnan(found.low) else f" [{found.low:.2f}, {found.high:.2f}]")


def report_text(report: Report) -> str:
    """Several lines: what was left out, then accuracy, d' and bias by model, arms, learning, agreement.

    Example:
        >>> from improved_gan.turing_test import Population, make_report, simulate
        >>> print(report_text(make_report(simulate(Population(), judges=9, trials=20))).splitlines()[0])
        180 answers of 9 judges; left out by the rules:
    """
    lines = [f"{report.votes_before} answers of {report.judges_before} judges; left out by the rules:"]
    lines += [f"  {one.rule}: {one.judges} judges, {one.votes} answers" for one in report.exclusions]
    lines.append(f"  correct before {_percent(report.accuracy_before)}, after {_percent(report.accuracy)}")
    if not report.votes:
        return "\n".join([*lines, "no answers are left"])
    share = f"{report.correct} right ({report.correct / report.votes:.1%})"
    lines.append(f"{report.votes} answers of {report.judges} judges count: {share}")
    if not math.isnan(report.p_above_chance):
        lines.append(f"above chance: p = {report.p_above_chance:.2g} (one-sided, judges as clusters)")
    lines += [f"note: {one}" for one in report.notes]
    lines.append("by model, 95% intervals over judges:")
    for one in report.models:
        lines.append(
            f"  {one.model}: correct {_percent(one.accuracy)}, d' {_plain(one.sensitivity)}, bias {_plain(one.bias)}"
        )
        lines.append(f"    hits {_percent(one.hit_rate)}, false alarms {_percent(one.false_alarm_rate)}")
        if one.roc_area is not None:
            lines.append(f"    area under the ROC curve {_plain(one.roc_area)}")
    lines += [f"  {one} minus {two}: {_percent(found)}" for one, two, found in report.differences]
    lines.append("by arm, and from the first to the last fifth of the session:")
    for arm, found in report.arms.items():
        blocks = " ".join(f"{block.value:.0%}" if block.value == block.value else "-" for block in report.learning[arm])
        lines.append(f"  {_ARMS.get(arm, arm)}: {_percent(found)}; {blocks}")
    for time, found in report.exposures.items():
        lines.append(f"  shown for {time} ms: {_percent(found)}")
    if report.thresholds:
        lines.append(f"staircases settle at {', '.join(f'{one:.0f}' for one in report.thresholds)} ms (70.7% correct)")
    for name, (low, middle, high) in report.response_times.items():
        lines.append(f"response time, {name}: median {middle:.0f} ms, middle half {low:.0f} to {high:.0f}")
    if not math.isnan(report.agreement):
        lines.append(f"agreement about the same picture: alpha = {report.agreement:.2f} (Krippendorff)")
    return "\n".join(lines)


def ranking_text(ranking: Ranking) -> str:
    """Several lines: what was left out, scores with groups, wins in pairs, transitivity.

    Example:
        >>> from improved_gan.turing_test.preference_simulation import simulate_preferences
        >>> from improved_gan.turing_test.ranking import rank_models
        >>> ranking = rank_models(simulate_preferences({"a": 1, "b": 0}, judges=9, trials=20))
        >>> print(ranking_text(ranking).splitlines()[0])
        question preference: 180 answers of 9 judges; left out by the rules:
    """
    lines = [
        f"question {ranking.question}: {ranking.answers_before} answers of {ranking.judges_before} judges; left out by "
        "the rules:"
    ]
    lines += [f"  {one.rule}: {one.judges} judges, {one.votes} answers" for one in ranking.exclusions]
    if not ranking.models:
        return "\n".join([*lines, "no answers are left"])
    lines.append(f"{ranking.answers} answers of {ranking.judges} judges count")
    lines += [f"note: {one}" for one in ranking.notes]
    lines.append("scores (log odds), 95% intervals over judges; models that share a letter cannot be told apart:")
    width = max(len(one.model) for one in ranking.models)
    for one in ranking.models:
        ranks = f"rank {one.rank_low}" + (f" to {one.rank_high}" if one.rank_high > one.rank_low else "")
        lines.append(
            f"  {one.model:{width}} {one.group:3} {_plain(one.score)}, Elo {one.elo.value:.0f}; {ranks}; "
            f"{one.wins} won, {one.losses} lost, {one.ties} ties, {one.both_bad} both bad"
        )
    lines.append("preferred, ties as half:")
    for win in ranking.wins:
        scores = f"; by the scores {win.fitted:.1%}"
        lines.append(f"  {win.model} over {win.other}: {_percent(win.share)} of {win.comparisons}{scores}")
    sides = f"left side preferred {_percent(ranking.left_share)}"
    lines.append(f"ties {ranking.ties:.1%}, both bad {ranking.both_bad:.1%}; {sides}")
    if not math.isnan(ranking.p_transitive):
        lines.append(f"one score a model describes all pairs: p = {ranking.p_transitive:.2g}")
    lines += [f"not transitive: {a} over {b} over {c} over {a}" for a, b, c in ranking.cycles]
    return "\n".join(lines)
