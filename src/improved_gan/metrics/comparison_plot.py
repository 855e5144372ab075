"""A figure of a comparison: one panel a number, one dot and 95% interval a model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["comparison_figure"]

_COLUMNS = 3
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F")  # Okabe & Ito, 2008
_READING = {  # what the best value of each number of `compare` is
    "Inception score": "higher is better",
    "FID": "0 is best",
    "FID infinity": "0 is best",
    "KID": "0 is best",
    "CMMD": "0 is best",
    "precision": "1 is best",
    "recall": "1 is best",
    "density": "1 as real images",
    "coverage": "higher is better",
    "Vendi score": "best as real images",
    "near-copies": "best as new images",
    "support size": "higher is better",
}


def comparison_figure(comparison: dict[str, Any]) -> Figure:
    """The numbers of `compare`, without a window or global state; save it with `savefig`.

    Raises:
        ModuleNotFoundError: matplotlib is not installed; the message names the command that installs it.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need matplotlib: pip install 'improved-gan[plots]'") from error
    numbers, models = comparison["numbers"], [_short(name) for name in comparison["models"]]
    columns = min(_COLUMNS, len(numbers))
    rows = math.ceil(len(numbers) / columns)
    figure = Figure(figsize=(1.2 + 3.2 * columns, 0.8 + rows * (1.0 + 0.28 * len(models))), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for index, (panel, (title, number)) in enumerate(zip(panels, numbers.items(), strict=False)):
        _draw(panel, title, number, models if index % columns == 0 else [""] * len(models))
    for panel in panels[len(numbers) :]:
        panel.set_visible(False)
    if comparison["replicates"]:
        figure.suptitle(f"95% intervals, {comparison['replicates']} bootstrap replicates", fontsize=9)
    return figure


def _draw(panel: Axes, title: str, number: dict[str, Any], names: list[str]) -> None:
    for place, (value, interval) in enumerate(zip(number["values"], number["intervals"], strict=True)):
        if value is None:
            continue
        color = _COLORS[place % len(_COLORS)]
        if interval is not None:
            panel.plot(interval, [place, place], color=color, linewidth=2, solid_capstyle="butt")
        panel.plot([value], [place], "o", color=color, markersize=6)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_title(f"{title} ({_READING[title]})", fontsize=9)
    panel.grid(axis="x", alpha=0.3)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"...{name[-21:]}"
