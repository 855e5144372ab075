"""The table and the plot of few_labels.py, from its cells."""

import statistics
from pathlib import Path
from typing import Any

__all__ = ["draw", "print_table"]

_COLORS = {
    "GAN": "C0",
    "GAN from spread labels": "C6",
    "supervised baseline": "C1",
    "LabelSpreading": "C2",
    "SelfTraining": "C3",
    "linear probe": "C4",
    "LAMDA-SSL": "C5",
}
Cells = list[dict[str, Any]]


def _of(cells: Cells, **wanted: Any) -> Cells:
    return [cell for cell in cells if all(cell[key] == value for key, value in wanted.items())]


def _std(errors: list[float]) -> float:
    return statistics.stdev(errors) if len(errors) > 1 else 0.0


def print_table(cells: Cells, methods: list[str]) -> None:
    """A Markdown table per data set: error in % (mean ± standard deviation over splits, their number), CPU seconds."""
    for data in sorted({cell["data"] for cell in cells}):
        own = _of(cells, data=data)
        budgets = sorted({cell["labels"] for cell in own})
        print(f"\n{data}: error on {own[0]['of']} test images, %\n")
        print("| method | " + " | ".join(f"{budget} labels" for budget in budgets) + " | seconds per fit |")
        print("|---" * (len(budgets) + 2) + "|")
        for method in methods:
            if not (rows := _of(own, method=method)):
                continue
            texts = []
            for budget in budgets:
                errors = [100 * cell["error"] for cell in _of(rows, labels=budget)]
                several = f" ± {_std(errors):.1f} ({len(errors)})" if len(errors) > 1 else " (1)"
                mean = f"{statistics.mean(errors):.1f}{several}" if errors else "-"
                texts.append(mean)
            seconds = statistics.median(cell["cpu_seconds"] for cell in rows)
            texts.append(f"{seconds:.2g}" if seconds < 100 else f"{seconds:.0f}")
            print(f"| {method} | " + " | ".join(texts) + " |")


def draw(cells: Cells, methods: list[str], path: Path) -> Path:
    """Error over labels, one panel per data set, bars for the standard deviation over splits."""
    from matplotlib.figure import Figure

    names = sorted({cell["data"] for cell in cells})
    figure = Figure(figsize=(1 + 4.5 * len(names), 4.2), layout="constrained")
    for place, data in enumerate(names):
        axes = figure.add_subplot(1, len(names), place + 1)
        own = _of(cells, data=data)
        budgets = sorted({cell["labels"] for cell in own})
        for method in methods:
            points = {
                budget: [100 * cell["error"] for cell in _of(own, method=method, labels=budget)] for budget in budgets
            }
            points = {budget: errors for budget, errors in points.items() if errors}
            if points:
                means = [statistics.mean(errors) for errors in points.values()]
                stds = [_std(errors) for errors in points.values()]
                shift = 1 + 0.015 * (methods.index(method) - 2.5)  # so that bars do not overlap
                axes.errorbar(
                    [budget * shift for budget in points], means, stds, color=_COLORS[method], label=method,
                    marker="o", markersize=4, capsize=2, linewidth=1.5,
                )  # fmt: skip
        axes.set(xscale="log", xlabel="labels", ylabel="test error, %", title=data)
        axes.set_xticks(budgets, [str(budget) for budget in budgets])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
