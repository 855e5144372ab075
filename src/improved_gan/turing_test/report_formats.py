"""The report in words, for a terminal; its figures as SVG: color-blind-safe, readable without the page around them."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from improved_gan.turing_test.chance import GUESSING
from improved_gan.turing_test.errors import needs_extra
from improved_gan.turing_test.intervals import Estimate
from improved_gan.turing_test.ranking import Ranking
from improved_gan.turing_test.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["PLOTS", "Plot", "draw", "ranking_text", "report_text"]


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
        lines.append(f"  shown for {time:g} ms: {_percent(found)}")
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
        >>> from improved_gan.turing_test.simulation import simulate_preferences
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


_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe & Ito, 2008
_GRAY = "#6B6B6B"


@dataclass(frozen=True)
class Plot:
    """A figure: its title, whether a report has something for it, and how it is drawn."""

    title: str
    applies: Callable[[Report], bool]
    paint: Callable[["Axes", Report], None]


def draw(name: str, report: Report) -> bytes:
    """One of PLOTS as SVG.

    Raises:
        TuringTestError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    rows = {"accuracy": len(report.models) + len(report.arms), "response_times": len(report.response_times)}
    figure = Figure(figsize=(6.4, max(2.2, 1.2 + 0.42 * rows[name]) if name in rows else 3.4), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E3E3E3", linewidth=0.6)
    axes.set_axisbelow(True)
    PLOTS[name].paint(axes, report)
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _bars(found: Estimate) -> tuple[list[float], list[float]]:
    """Lengths of the error bar below and above; none where there is no interval."""
    below, above = (max(0.0, one) for one in (found.value - found.low, found.high - found.value))
    return [np.nan_to_num(below)], [np.nan_to_num(above)]


def _guessing(report: Report) -> float:
    """What guessing gives: a third with three pictures, else one half."""
    return min([GUESSING, *report.chance.values()])


def _accuracy(axes: "Axes", report: Report) -> None:
    rows = [(one.model, one.accuracy, _COLORS[0]) for one in report.models]
    rows += [(_ARMS.get(arm, arm), found, _COLORS[1]) for arm, found in report.arms.items()]
    for place, (_, found, color) in enumerate(rows):
        axes.errorbar([100 * found.value], [place], xerr=100 * np.array(_bars(found)), fmt="o", color=color, capsize=3)
        axes.annotate(f"{found.value:.1%}", (100 * found.value, place), (0, 7), textcoords="offset points",
                      ha="center", fontsize=8.5, color=color)  # fmt: skip
    axes.axvline(100 * _guessing(report), color=_GRAY, linewidth=1, linestyle="--")
    for place, arm in enumerate(report.arms, len(report.models)):
        if report.chance[arm] > GUESSING:  # counting what feedback told
            axes.plot([100 * report.chance[arm]], [place], marker="|", markersize=16, color=_GRAY)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.7)
    axes.set_xlim(min(100 * _guessing(report) - 10, *(100 * found.value - 10 for _, found, _ in rows)), 102)
    axes.set_xlabel("correct (%), 95% interval over judges; dashed: guessing")


def _learning(axes: "Axes", report: Report) -> None:
    for color, shift, (arm, blocks) in zip(_COLORS, (-0.04, 0.04), report.learning.items(), strict=False):
        places = np.arange(1, len(blocks) + 1) + shift
        bars = 100 * np.hstack([np.array(_bars(one)) for one in blocks])
        values = [100 * one.value for one in blocks]
        axes.errorbar(places, values, yerr=bars, fmt="o-", color=color, capsize=3, label=_ARMS.get(arm, arm))
    axes.axhline(100 * _guessing(report), color=_GRAY, linewidth=1, linestyle="--")
    axes.set_xticks(range(1, 6), ["first fifth", "second", "third", "fourth", "last fifth"])
    axes.set_ylabel("correct (%)")
    axes.legend(frameon=False, fontsize=9)


def _response_times(axes: "Axes", report: Report) -> None:
    names = sorted(report.response_times, key=lambda name: (not name.startswith("real"), name))
    for place, name in enumerate(names):
        low, middle, high = (one / 1000 for one in report.response_times[name])
        color = _GRAY if name.startswith("real") else _COLORS[0]
        axes.plot([low, high], [place, place], color=color, linewidth=5, alpha=0.35, solid_capstyle="round")
        axes.plot([middle], [place], "o", color=color)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds to the answer: median and middle half")


def _exposures(axes: "Axes", report: Report) -> None:
    times = list(report.exposures)
    found = list(report.exposures.values())
    bars = 100 * np.hstack([np.array(_bars(one)) for one in found])
    axes.errorbar(times, [100 * one.value for one in found], yerr=bars, fmt="o-", color=_COLORS[0], capsize=3)
    axes.axhline(100 * _guessing(report), color=_GRAY, linewidth=1, linestyle="--")
    axes.set_xscale("log")
    axes.set_xticks([100, 200, 500, 1000, 2000, 5000], ["0.1", "0.2", "0.5", "1", "2", "5"], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("seconds shown")
    axes.set_ylabel("correct (%)")


def _pictures(axes: "Axes", report: Report) -> None:
    groups = [one.model for one in report.models]
    names = [*groups, "real"]
    rates = [[100 * one.rate for one in report.pictures if one.model == name] for name in names]
    kept = [(name, values) for name, values in zip(names, rates, strict=True) if values]
    axes.hist([values for _, values in kept], bins=np.linspace(0, 100, 11).tolist(), label=[name for name, _ in kept],
              color=[_GRAY if name == "real" else _COLORS[groups.index(name) % 6] for name, _ in kept])  # fmt: skip
    axes.set_xlabel("judges misled by the picture (%)")
    axes.set_ylabel("pictures")
    axes.legend(frameon=False, fontsize=9)


PLOTS = {
    "accuracy": Plot("Correct answers by model and arm", lambda report: bool(report.models), _accuracy),
    "learning": Plot("Learning over the session", lambda report: bool(report.learning), _learning),
    "response_times": Plot("Response times", lambda report: bool(report.response_times), _response_times),
    "pictures": Plot("How pictures mislead", lambda report: bool(report.pictures), _pictures),
    "exposures": Plot("Exposure time", lambda report: bool(report.exposures), _exposures),
}
