"""The output of `improved-gan theory game`: trajectories of the toy game, distances over time, convergence maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from improved_gan.theory.games import (
    convergence_map,
    decay_exponent,
    distance_to_equilibrium,
    stable_weights,
    trajectory,
)
from improved_gan.theory.plots import COLORS, label, new_figure, write_figure, write_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["game_demo"]

Floats = NDArray[np.float64]

_WEIGHT, _STEP_SIZE, _NUM_STEPS, _NEAR = 0.1, 0.01, 20_000, 0.05
_PLAYS = {
    "simultaneous": (0.0, False, COLORS["red"]),
    "alternating": (0.0, True, COLORS["orange"]),
    f"simultaneous, averaging {_WEIGHT}": (_WEIGHT, False, COLORS["blue"]),
    f"alternating, averaging {_WEIGHT}": (_WEIGHT, True, COLORS["green"]),
}
_FRACTION_WEIGHTS = np.array([0.0, *np.geomspace(0.001, 3.0, 14)])
_MAP_WEIGHTS = np.array([0.01, 0.02, 0.05, 0.1, 0.5, 1.0])
_NUM_STARTS, _MAP_SIZE = 200, 24  # even, so that no cell center lies on the fixed line x = 0


def game_demo(out: Path, seed: int) -> tuple[list[Path], str]:
    """Simulate, plot and write; `seed` is that of the random starting points, the rest is not random."""
    figure, map_figure = new_figure(width=13, height=4.4), new_figure(width=10, height=6.6)
    paths = {
        name: trajectory(weight=weight, alternating=alternating) for name, (weight, alternating, _) in _PLAYS.items()
    }
    distances = {name: distance_to_equilibrium(path) for name, path in paths.items()}
    fractions = _fractions(seed)
    edges_x, edges_y = np.linspace(-2, 3, _MAP_SIZE + 1), np.linspace(-2, 4, _MAP_SIZE + 1)
    x, y = (edges_x[1:] + edges_x[:-1]) / 2, (edges_y[1:] + edges_y[:-1]) / 2
    maps = convergence_map(x, y[:, None], _MAP_WEIGHTS[:, None, None])
    left, middle, right = figure.subplots(1, 3)
    _draw_paths(left, paths)
    _draw_distances(middle, distances)
    _draw_fractions(right, fractions)
    _draw_maps(map_figure, edges_x, edges_y, maps)
    steps = sorted({int(step) for step in np.geomspace(1, _NUM_STEPS, 400)} | {0})
    rows = [(name, t, *map(float, paths[name][t]), float(distances[name][t])) for name in paths for t in steps]
    ends = [
        (float(_MAP_WEIGHTS[w]), float(x[i]), float(y[j]), float(maps[w, j, i])) for w, j, i in np.ndindex(maps.shape)
    ]
    fraction_rows = [tuple(map(float, row)) for row in zip(_FRACTION_WEIGHTS, *fractions, strict=True)]
    files = [
        write_figure(figure, out / "game.png"),
        write_figure(map_figure, out / "game_map.png"),
        write_table(out / "game.csv", ["descent", "step", "x", "y", "distance"], rows),
        write_table(out / "game_map.csv", ["weight", "start_x", "start_y", "distance"], ends),
        write_table(out / "game_shares.csv", ["weight", "simultaneous", "alternating"], fraction_rows),
    ]
    return files, _words(distances, fractions)


def _fractions(seed: int) -> tuple[Floats, Floats]:
    """(W,) fractions of random starting points that converge to (1, 1), for simultaneous and alternating descent."""
    random = np.random.default_rng(seed)
    x, y = random.uniform(-2, 3, _NUM_STARTS), random.uniform(-2, 4, _NUM_STARTS)
    simultaneous, alternating = (
        (convergence_map(x, y, _FRACTION_WEIGHTS[:, None], alternating=alternating) < _NEAR).mean(1)
        for alternating in (False, True)
    )
    return simultaneous, alternating


def _draw_paths(axes: Axes, paths: dict[str, Floats]) -> None:
    for name in list(paths)[:3]:  # the fourth lies on the third
        part = paths[name] if _PLAYS[name][0] else paths[name][:2500]
        axes.plot(part[:, 0], part[:, 1], color=_PLAYS[name][2], linewidth=1.1, label=name)
    axes.plot(*paths["simultaneous"][0], "o", color=COLORS["black"], markersize=5)
    axes.annotate("start", paths["simultaneous"][0], xytext=(6, 4), textcoords="offset points", fontsize=8.5)
    axes.plot(1, 1, "*", color=COLORS["black"], markersize=11, zorder=5)
    axes.set_ylim(-2.2, 3.7)
    axes.legend(fontsize=8, loc="lower center", ncols=2, frameon=False)
    label(axes, title="Paths (plain descent: first 2,500 steps)", x="x, minimizes V", y="y, maximizes V")


def _draw_distances(axes: Axes, distances: dict[str, Floats]) -> None:
    steps = np.arange(1, _NUM_STEPS + 1)
    for name, distance in distances.items():
        axes.loglog(steps, distance[1:], color=_PLAYS[name][2], linewidth=1.1, label=name)
    late = steps >= 4000
    law = distances[f"simultaneous, averaging {_WEIGHT}"][-1] * (steps[late] / _NUM_STEPS) ** -decay_exponent(_WEIGHT)
    axes.loglog(steps[late], 0.6 * law, "--", color=COLORS["black"], linewidth=1, label="slope $-1/(1 + w^2)$")
    axes.legend(fontsize=8, loc="lower left")
    label(axes, title="Distance to the equilibrium (1, 1)", x="step", y="distance")


def _draw_maps(figure: Figure, edges_x: Floats, edges_y: Floats, maps: Floats) -> None:
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for axes, weight, distances in zip(panels.flat, _MAP_WEIGHTS, maps, strict=True):
        logs = np.log10(np.clip(distances, 1e-9, 1e9))
        shades = axes.pcolormesh(edges_x, edges_y, logs, cmap="viridis_r", vmin=-3, vmax=1)
        axes.plot(1, 1, "*", color="white", markeredgecolor=COLORS["black"], markersize=11)
        label(axes, title=f"w = {weight:g}: {100 * (distances < _NEAR).mean():.0f}% converge", x="", y="")
        axes.grid(False)
    bar = figure.colorbar(shades, ax=panels, ticks=[-3, -2, np.log10(_NEAR), -1, 0, 1], extend="both")
    bar.ax.set_yticklabels(["0.001", "0.01", f"{_NEAR} (converged)", "0.1", "1", "10"], fontsize=8.5)
    bar.set_label("farthest from (1, 1) in the last 1,000 of 20,000 steps", fontsize=9)
    figure.suptitle("Where simultaneous descent ends, by starting point and weight w", fontsize=11, fontweight="bold")
    figure.supxlabel("x at the start", fontsize=9.5)
    figure.supylabel("y at the start", fontsize=9.5)


def _draw_fractions(axes: Axes, fractions: tuple[Floats, Floats]) -> None:
    for fraction, name, color in zip(fractions, ("simultaneous", "alternating"), ("blue", "green"), strict=True):
        axes.semilogx(_FRACTION_WEIGHTS[1:], 100 * fraction[1:], "o-", color=COLORS[color], markersize=4, label=name)
    lowest = stable_weights(_STEP_SIZE)[0]
    axes.axvline(lowest, color=COLORS["black"], linestyle="--", linewidth=1)
    axes.annotate(
        f"simultaneous:\nunstable\nbelow {lowest:.3g}",
        (lowest, 55),
        xytext=(-7, 0),
        textcoords="offset points",
        fontsize=8.5,
        ha="right",
    )
    axes.annotate("too large:\nslow", (0.8, 40), fontsize=8.5)
    axes.legend(fontsize=8, loc="upper left")
    axes.set_ylim(-3, 112)
    title = f"Random starts that end within {_NEAR} of (1, 1)"
    label(axes, title=title, x="weight w of historical averaging", y="fraction of starting points [%]")


def _words(distances: dict[str, Floats], fractions: tuple[Floats, Floats]) -> str:
    ends = "\n".join(f"  {name:32} ends at distance {distance[-1]:.4f}" for name, distance in distances.items())
    lowest = stable_weights(_STEP_SIZE)[0]
    best = [f"{100 * fraction.max():.0f}% at w = {_FRACTION_WEIGHTS[fraction.argmax()]:.2g}" for fraction in fractions]
    return (
        f"The paper's toy game from (0.5, 2.5), step {_STEP_SIZE}, {_NUM_STEPS:,} steps; the equilibrium is (1, 1):\n"
        f"{ends}\n"
        f"Plain descent orbits (diverging with simultaneous updates); historical averaging converges.\n"
        f"Of {_NUM_STARTS} random starts converge {best[0]} (simultaneous) and {best[1]} (alternating),\n"
        f"with no weight {100 * fractions[0][0]:.0f}% and {100 * fractions[1][0]:.0f}%. Below w = {lowest:.3g} "
        f"simultaneous descent\ndoes not converge; a large weight makes it slow."
    )
