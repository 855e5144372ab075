"""The output of `improved-gan theory mode-collapse`: GANs on a ring, with and without minibatch discrimination."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from improved_gan.theory.mode_collapse import RingRun, train_on_ring
from improved_gan.theory.plots import COLORS, label, new_figure, write_figure, write_table
from improved_gan.theory.ring import MODES, STD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mode_collapse_demo"]

Floats = NDArray[np.float64]

_NUM_SEEDS = 5
_STYLES = {"plain": "red", "minibatch discrimination": "blue"}


def mode_collapse_demo(out: Path, seed: int) -> tuple[list[Path], str]:
    """Train, plot and write; the GANs have the seeds `seed` to `seed` + 4."""
    seeds = range(seed, seed + _NUM_SEEDS)
    figure = new_figure(width=10.5, height=7.2)
    runs = {name: train_on_ring(seeds, minibatch_discrimination=name != "plain") for name in _STYLES}
    scatter, curves = figure.subfigures(2, 1, height_ratios=[1.55, 1])  # type: ignore[misc]
    _draw_points(scatter.subplots(2, _NUM_SEEDS, sharex=True, sharey=True), runs, seeds)
    left, right = curves.subplots(1, 2)
    _draw_curves(left, runs, "modes_covered", 1)
    left.set_ylim(-0.2, 8.4)
    label(left, title="Gaussians covered (line: mean of the five)", x="step", y="covered, of 8")
    left.legend(fontsize=8, loc="lower right")
    _draw_curves(right, runs, "good_fraction", 100)
    label(right, title="Good samples: within 3 std of a Gaussian", x="step", y="fraction [%]")
    history = [
        (name, seeds[s], int(step), int(run.modes_covered[k, s]), float(run.good_fraction[k, s]))
        for name, run in runs.items()
        for k, step in enumerate(run.steps)
        for s in range(_NUM_SEEDS)
    ]
    points = [
        (name, seeds[s], round(float(x), 4), round(float(y), 4))
        for name, run in runs.items()
        for s in range(_NUM_SEEDS)
        for x, y in run.points[s, :500]
    ]
    files = [
        write_figure(figure, out / "mode_collapse.png"),
        write_table(out / "mode_collapse.csv", ["gan", "seed", "step", "modes_covered", "good_fraction"], history),
        write_table(out / "mode_collapse_points.csv", ["gan", "seed", "x", "y"], points),
    ]
    return files, _words(runs)


def _draw_points(panels: NDArray[np.object_], runs: dict[str, RingRun], seeds: range) -> None:
    for row, (name, run) in zip(panels, runs.items(), strict=True):
        for axes, points, modes, seed in zip(row, run.points, run.modes_covered[-1], seeds, strict=True):
            axes.scatter(*MODES.T, s=90, facecolors="none", edgecolors=COLORS["gray"], linewidths=0.8)
            axes.plot(*points[:250].T, ".", color=COLORS[_STYLES[name]], markersize=2, alpha=0.5)
            axes.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[-2, 0, 2], yticks=[-2, 0, 2], aspect="equal")
            label(axes, title=f"seed {seed}: {modes} of 8", x="", y=name if axes is row[0] else "")


def _draw_curves(axes: Axes, runs: dict[str, RingRun], field: str, scale: float) -> None:
    for name, run in runs.items():
        values = scale * getattr(run, field)
        axes.plot(run.steps, values, color=COLORS[_STYLES[name]], linewidth=0.8, alpha=0.35)
        axes.plot(run.steps, values.mean(1), color=COLORS[_STYLES[name]], linewidth=2.4, label=name)


def _words(runs: dict[str, RingRun]) -> str:
    lines = [
        f"  {name:25} covers {', '.join(map(str, run.modes_covered[-1]))}: "
        f"{run.modes_covered[-1].mean():.1f} of 8 on average; "
        f"good samples {100 * run.good_fraction[-1].mean():.0f}%"
        for name, run in runs.items()
    ]
    return (
        f"Five GANs on a ring of eight Gaussians of standard deviation {STD}, equal except for the discriminator:\n"
        + "\n".join(lines)
        + "\nThe samples of the plain GANs cover few Gaussians, with good samples. With minibatch discrimination they\n"
        "cover more of the ring, with some samples between the Gaussians."
    )
