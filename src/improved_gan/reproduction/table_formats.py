"""The table in three formats: for the terminal, as Markdown, as JSON."""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from improved_gan.reproduction.plan import Plan
from improved_gan.reproduction.provenance import made_by
from improved_gan.reproduction.results import NO_RECIPE, Cell
from improved_gan.reproduction.statistics import FORMULA, figure
from improved_gan.reproduction.tables import Figure, Measure

__all__ = ["as_json", "as_markdown", "as_text", "notes", "print_table"]

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
    table, width = as_text(plan, cells), console.width
    if not console.is_terminal:
        console.width = max(width, console.measure(table, options=console.options.update(width=10_000)).maximum)
    try:
        console.print(table)
    finally:
        console.width = width


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
        said.append(f"no recipe yet: {', '.join(missing)}; the table fills as soon as one of that name is there")
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
