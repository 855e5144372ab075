"""The figures of a report as SVG: color-blind-safe, one look, readable without the page around them."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from improved_gan.turing_test.chance import GUESSING
from improved_gan.turing_test.errors import needs_extra
from improved_gan.turing_test.intervals import Estimate
from improved_gan.turing_test.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PLOTS", "Plot", "draw"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe & Ito, 2008
_GRAY = "#6B6B6B"
_ARMS = {"feedback": "with feedback", "no_feedback": "without feedback"}


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
