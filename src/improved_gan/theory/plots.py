"""Figures and tables of the demonstrations: one style, and files that are reproducible byte for byte.

matplotlib is an optional dependency: it is imported when a figure is made; if it is missing the error has the command
that installs it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "label", "new_figure", "write_figure", "write_table"]

# Okabe & Ito, 2008: distinguishable for color-blind readers
COLORS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "gray": "#7F7F7F",
    "black": "#222222",
}


def new_figure(*, width: float, height: float) -> Figure:
    """An empty figure, sizes in inches, without a window or global state.

    Raises:
        ModuleNotFoundError: matplotlib is not installed; the message names the command that installs it.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need matplotlib: pip install 'improved-gan[plots]'") from error
    return Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor="white")


def label(axes: Axes, *, title: str, x: str, y: str) -> None:
    """Set title and axis labels, two spines and a light grid below the data."""
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
    axes.set_xlabel(x, fontsize=9.5)
    axes.set_ylabel(y, fontsize=9.5)
    axes.tick_params(labelsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def write_figure(figure: Figure, path: Path) -> Path:
    """Save as PNG, without date and version in its metadata."""
    figure.savefig(path, metadata={"Software": "improved-gan"})
    return path


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Save as CSV; numbers with ten digits, so that the file does not depend on the last bit of a sum."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([f"{value:.10g}" if isinstance(value, float) else value for value in row])
    return path
