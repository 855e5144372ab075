"""The table for the terminal, as Markdown, as JSON, and as two plots.

The plots show our results next to the paper's, and the learning curves of the runs. matplotlib is an extra: it is
imported when a plot is drawn, and its absence gives an error with the command.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from improved_gan.console import print_whole
from improved_gan.io import write_atomically
from improved_gan.reproduction.plan import Plan
from improved_gan.reproduction.provenance import made_by
from improved_gan.reproduction.results import NO_RECIPE, Cell
from improved_gan.reproduction.statistics import FORMULA, figure
from improved_gan.reproduction.tables import Figure, Measure
from improved_gan.runs import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing


__all__ = [
    "Curve",
    "as_json",
    "as_markdown",
    "as_text",
    "curve",
    "draw_curves",
    "draw_logs",
    "draw_table",
    "notes",
    "print_table",
]


_HEADER = ("", "models", "paper", "ours", "splits", "z", "minutes")


def as_text(plan: Plan, cells: list[Cell]) -> Table:
    """For the terminal, without the title."""
    table = Table(box=None, pad_edge=False)
    for name in _HEADER:
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for cell in cells:
        table.add_row(*_words(cell, plan.table.measure))
    return table


def print_table(plan: Plan, cells: list[Cell], console: Console) -> None:
    """Print the title and the table; in a file or a pipe at the table's full width."""
    console.print(plan.table.title, style="bold", markup=False, highlight=False, soft_wrap=True)
    print_whole(console, as_text(plan, cells))


def as_markdown(plan: Plan, cells: list[Cell], *, plots: list[str]) -> str:
    """A page with the table, the notes and the plots; their paths are relative to it."""
    lines = [f"# {plan.table.title}", "", _markdown_row(_HEADER), _markdown_row(["---"] * len(_HEADER))]
    lines += [_markdown_row(_words(cell, plan.table.measure)) for cell in cells]
    lines += ["", *(f"- {note}" for note in notes(plan, cells)), ""]
    lines += [f"![{name}]({name})" for name in plots]
    return "\n".join(lines).rstrip() + "\n"


def as_json(plan: Plan, cells: list[Cell]) -> dict[str, Any]:
    """All results, with single values by run."""
    return {
        "table": plan.table.name,
        "title": plan.table.title,
        "measure": plan.table.measure.name,
        "splits": plan.splits,
        "models_per_split": plan.models,
        "formula": FORMULA,
        **made_by(plan),
        "cells": [_cell_as_json(cell) for cell in cells],
    }


def notes(plan: Plan, cells: list[Cell]) -> list[str]:
    """Remarks on the table, and its missing values."""
    said = [text for cell in cells if (text := _single_values(cell, plan.table.measure))]
    said += [
        f"ours: mean ± standard deviation (n - 1) over finished label splits; {FORMULA}",
        "minutes: mean training time of one value, without evaluation",
    ]
    if plan.table.note:
        said.append(plan.table.note)
    if plan.models > 1:
        said.append("one model: the value of a split is that of its first model")
        said += [text for cell in cells if (text := _all_models(cell, plan.table.measure))]
    if any(cell.models > 1 for cell in cells):
        said.append(f"{plan.ensemble} models: their class probabilities averaged, all trained on the same label split")
    missing = list(dict.fromkeys(cell.row.recipe for cell in cells if cell.note == NO_RECIPE))
    if missing:
        said.append(f"no recipe yet: {', '.join(missing)}; the row is filled as soon as a recipe of that name exists")
    for note in dict.fromkeys(cell.note for cell in cells if cell.note and cell.note != NO_RECIPE):
        said.append(f"{'; '.join(_name(cell) for cell in cells if cell.note == note)}: {note}")
    for cell in cells:
        said += [f"{cell.row.title}, {name} failed: {message}" for name, message in cell.failures.items()]
        begun = [f"{name} at epoch {epoch}" for name, epoch in cell.begun.items()]
        said += [f"{cell.row.title}, not finished: {', '.join(begun)}"] if begun else []
    return said


def _words(cell: Cell, measure: Measure) -> list[str]:
    ours, paper, difference = cell.ours, cell.paper, cell.difference
    words = [cell.row.title, str(cell.models), _figure(paper, measure.decimals) if paper else "-"]
    if cell.note == NO_RECIPE:
        return [*words, cell.note, "-", "-", "-"]
    words += [_figure(ours, measure.decimals) if ours else "-", cell.finished]
    words += [f"{difference.z:+.2f}" if difference else "-"]
    minutes = [cell.minutes_of(split) for split in cell.values]
    return [*words, f"{sum(minutes) / len(minutes):.1f}" if minutes else "-"]


def _single_values(cell: Cell, measure: Measure) -> str:
    """Every split's value and minutes by its number."""
    values = (
        f"{split}: {value:.{_decimals(value, measure)}f} ({cell.minutes_of(split):.1f} min)"
        for split, value in cell.values.items()
    )
    return f"{_name(cell)}, by split: {', '.join(values)}" if cell.values else ""


def _all_models(cell: Cell, measure: Measure) -> str:
    """Mean and standard deviation over all models."""
    every = figure(list(cell.single.values()))
    return f"{_name(cell)}, over all {every.num} models: {_figure(every, measure.decimals)}" if every else ""


def _name(cell: Cell) -> str:
    return f"{cell.row.title}, {_models(cell)}"


def _models(cell: Cell) -> str:
    return "one" if cell.models == 1 else f"{cell.models} averaged"


def _decimals(value: float, measure: Measure) -> int:
    """Counts need none, means of counts one."""
    return measure.decimals if measure.decimals or value == int(value) else 1


def _figure(one: Figure, decimals: int) -> str:
    """Mean and standard deviation; a small one of counts has a decimal, as in the paper."""
    digits = decimals or (0 if one.std >= 10 else 1)
    mean = f"{one.mean:.{digits}f}".removesuffix(".0") if not decimals else f"{one.mean:.{digits}f}"
    return mean if math.isnan(one.std) else f"{mean} ± {one.std:.{digits}f}"


def _markdown_row(words: Any) -> str:
    return f"| {' | '.join(words)} |"


def _cell_as_json(cell: Cell) -> dict[str, Any]:
    difference = cell.difference
    return {
        "row": cell.row.title,
        "recipe": cell.row.recipe,
        "labels": cell.row.labels,
        "models": cell.models,
        "paper": _figure_as_json(cell.paper),
        "ours": _figure_as_json(cell.ours),
        "z": difference and difference.z,
        "degrees_of_freedom": difference and difference.degrees,
        "p_value": difference and difference.p_value,
        "splits_finished": len(cell.values),
        "splits": cell.splits,
        "values": {str(split): value for split, value in cell.values.items()},
        "single_values": cell.single,
        "minutes": {name: round(value, 3) for name, value in cell.minutes.items()},
        "failed": cell.failures,
        "begun": cell.begun,
        "note": cell.note,
    }


def _figure_as_json(one: Figure | None) -> dict[str, float | int | None] | None:
    if one is None:
        return None
    return {"mean": one.mean, "std": None if math.isnan(one.std) else one.std, "splits": one.num}


# Okabe & Ito, 2008: distinguishable for color-blind readers.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_PANELS = {  # log entry -> title, unit, factor, whether on a logarithmic axis
    "test/error": ("test error, averaged weights", "%", 100.0, True),
    "discriminator/supervised": ("D: loss on labeled images", "nats", 1.0, True),
    "discriminator/unsupervised": ("D: unsupervised loss, weighted", "nats", 1.0, False),
    "generator/feature_matching": ("G: distance of mean features", "", 1.0, True),
}

# Epochs, and the mean, smallest and largest value over the runs at each.
Curve = tuple[list[int], list[float], list[float], list[float]]


def draw_table(plan: Plan, cells: Sequence[Cell], path: Path) -> Path:
    """The paper's figures and ours side by side, every single value as a dot."""
    figure = _new_figure(max(5.0, 1.6 * len(cells)), 4.2)
    axes = figure.add_subplot()
    for x, cell in enumerate(cells):
        paper, ours = cell.paper, cell.ours
        if paper:
            axes.errorbar(x - 0.15, paper.mean, paper.std, fmt="s", color="#7F7F7F", capsize=4, label="paper")
        if ours:
            std = ours.std if ours.num > 1 else 0.0
            axes.errorbar(x + 0.15, ours.mean, std, fmt="o", color=_COLORS[0], capsize=4, label="ours")
            values = list(cell.values.values())
            axes.plot([x + 0.3] * len(values), values, ".", color=_COLORS[1], alpha=0.6, label="single splits")
    if plan.table.measure.lower_is_better and any(cell.ours or cell.paper for cell in cells):
        _logarithmic(axes)
    axes.set_xticks(range(len(cells)), [_title(cell) for cell in cells])
    axes.set_xlim(-0.5, len(cells) - 0.5)
    _label(axes, plan.table.title, "", plan.table.measure.name)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # one entry per kind
    if handles:
        axes.legend(handles.values(), handles.keys(), frameon=False, fontsize=9)
    return _write(figure, path)


def _title(cell: Cell) -> str:
    """Under a cell: its name, and the number of finished splits if some are missing."""
    missing = f"\n{cell.finished} splits" if cell.failures or len(cell.values) < cell.splits else ""
    return f"{cell.row.title}\n{'one model' if cell.models == 1 else f'{cell.models} averaged'}{missing}"


def draw_curves(plan: Plan, path: Path) -> Path:
    """Learning curves of the runs of a table: one color per row, mean and range over its runs."""
    logs = {}
    for row, jobs in plan.jobs.items():
        some = [Run(job.folder).log.lines for job in jobs or ()]
        if some := [log for log in some if log]:
            logs[f"{row.title} ({len(some)} run{'s' * (len(some) != 1)})"] = some
    return draw_logs(logs, path)


def draw_logs(logs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], path: Path) -> Path:
    """Test error, both losses of D and the feature distance over epochs, if the runs logged them.

    Args:
        logs: by name, the runs' logs, each a list of reports.
        path: the PNG file.
    """
    reports = [report for some in logs.values() for log in some for report in log]
    panels = {name: panel for name, panel in _PANELS.items() if any(name in report for report in reports)} or _PANELS
    rows = -(-len(panels) // 2)
    figure = _new_figure(9.5, 3.2 * rows)
    all_axes = list(figure.subplots(rows, 2).flat)
    for axes in all_axes[len(panels) :]:
        axes.set_visible(False)
    for axes, (name, (title, unit, factor, logarithmic)) in zip(all_axes, panels.items(), strict=False):
        for color, (label, some) in zip(_COLORS * len(logs), logs.items(), strict=False):
            epochs, mean, low, high = curve(some, name, factor)
            axes.plot(epochs, mean, color=color, linewidth=1.6, label=label)
            axes.fill_between(epochs, low, high, color=color, alpha=0.2, linewidth=0)
        if logarithmic and any(min(line.get_ydata(), default=0) > 0 for line in axes.lines):
            _logarithmic(axes)
        _label(axes, title, "epoch", unit)
    if logs:
        figure.axes[0].legend(frameon=False, fontsize=9)
    return _write(figure, path)


def curve(logs: Sequence[Sequence[Mapping[str, Any]]], name: str, factor: float = 1.0) -> Curve:
    """Mean and extremes over runs of one entry, at the epochs that at least half of them have reached.

    >>> curve([[{"epoch": 1, "a": 1.0}], [{"epoch": 1, "a": 3.0}]], "a")
    ([1], [2.0], [1.0], [3.0])
    """
    by_epoch: dict[int, list[float]] = {}
    for log in logs:
        for report in log:
            if name in report:
                by_epoch.setdefault(int(report["epoch"]), []).append(report[name] * factor)
    kept = {epoch: values for epoch, values in sorted(by_epoch.items()) if 2 * len(values) >= len(logs)}
    means = [sum(values) / len(values) for values in kept.values()]
    return list(kept), means, [min(values) for values in kept.values()], [max(values) for values in kept.values()]


def _new_figure(width: float, height: float) -> Drawing:
    try:
        from matplotlib.figure import Figure as Drawing
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("they need matplotlib: pip install 'improved-gan[plots]'") from error
    return Drawing(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
    axes.set_xlabel(x, fontsize=9.5)
    axes.set_ylabel(y, fontsize=9.5)
    axes.tick_params(labelsize=8.5, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def _logarithmic(axes: Axes) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5 of each decade; at more where it is hardly longer."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 20 * low else (1, 1.5, 2, 3, 4, 5, 7)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _write(figure: Drawing, path: Path) -> Path:
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": "improved-gan"})
    write_atomically(path, buffer.getvalue(), durable=False)
    return path
