"""The paper's toy game, with and without historical averaging (paper, section 3.3).

Two players share the value

    V(x, y) = (f(x) - 1)(y - 1),    f(x) = x for x < 0 and x^2 otherwise;

one minimizes V over x, the other maximizes it over y. The equilibrium is (1, 1). Gradient descent orbits around it;
with historical averaging each player's cost has the additional term

    w || theta - (1/t) sum_{i<=t} theta[i] ||^2,    theta[i] the player's parameter at step i (no gradient through it),

and both converge to it. Near the equilibrium the game is linear, and two results follow: the weights w for which a step
of descent reduces the distance (`stable_weights`), and the rate of convergence, t^(-1/(1 + w^2)) (`decay_exponent`).
f'(0) is taken from the right, so a start with x = 0 stays there.

`game_demo` is `improved-gan theory game`: trajectories of the toy game, distances over time, convergence maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from improved_gan.theory.plots import COLORS, label, new_figure, write_figure, write_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


__all__ = [
    "EQUILIBRIUM",
    "convergence_map",
    "decay_exponent",
    "distance_to_equilibrium",
    "game_demo",
    "game_value",
    "stable_weights",
    "trajectory",
]


Floats = NDArray[np.float64]

EQUILIBRIUM = (1.0, 1.0)


def game_value(x: ArrayLike, y: ArrayLike) -> Floats:
    """V(x, y), the amount that the player of x pays to the player of y.

    Args:
        x: (...) parameter of the player who lowers V.
        y: (...) parameter of the player who raises V, broadcast against x.

    Returns:
        (...) the value.

    Source: paper, section 3.3.

    >>> float(game_value(3.0, 2.0))
    8.0
    """
    return np.asarray((_payoff(np.asarray(x, np.float64)) - 1) * (np.asarray(y, np.float64) - 1))


def trajectory(
    start: tuple[float, float] = (0.5, 2.5),
    *,
    weight: float = 0.0,
    alternating: bool = False,
    step_size: float = 0.01,
    num_steps: int = 20_000,
) -> Floats:
    """The trajectory of both players under gradient descent.

    Args:
        start: (x, y) at step 0.
        weight: w of historical averaging; 0 is plain gradient descent.
        alternating: the gradient for y uses the updated x; otherwise both are updated simultaneously.
        step_size: of both players.
        num_steps: T.

    Returns:
        (T+1, 2) x and y at each step, the start included; infinite or nan where the game diverged.

    Raises:
        ValueError: a negative weight, a step size that is not positive, or no steps.

    Source: paper, section 3.3.

    >>> path = trajectory(weight=0.1)
    >>> print(path[-1].round(2))
    [1. 1.]
    """
    steps = _play(start[0], start[1], weight, alternating=alternating, step_size=step_size, num_steps=num_steps)
    return np.array([(float(x), float(y)) for x, y in steps])


def distance_to_equilibrium(points: ArrayLike) -> Floats:
    """(..., 2) points x, y to (...) Euclidean distances from (1, 1); infinite where the game diverged.

    >>> print(distance_to_equilibrium([[1.0, 1.0], [4.0, 5.0]]))
    [0. 5.]
    """
    points = np.asarray(points, np.float64)
    if points.ndim == 0 or points.shape[-1] != 2:
        raise ValueError(f"points must have shape (..., 2), x and y; got {points.shape}")
    return _distance(points[..., 0], points[..., 1])


def convergence_map(
    x: ArrayLike,
    y: ArrayLike,
    weight: ArrayLike,
    *,
    alternating: bool = False,
    step_size: float = 0.01,
    num_steps: int = 20_000,
    window: int = 1000,
) -> Floats:
    """The final distance of many games to the equilibrium, computed together.

    Args:
        x: (...) starting values of x.
        y: (...) starting values of y, broadcast against x.
        weight: (...) weights of historical averaging, broadcast against both.
        alternating: as in `trajectory`, like the next two.
        step_size: of both players.
        num_steps: T.
        window: number of last steps that count: about three orbits with the default step size.

    Returns:
        (...) the largest distance to (1, 1) within the window, small only where the game has converged.

    Raises:
        ValueError: as for `trajectory`, or a window longer than the game.

    >>> distances = convergence_map(0.5, 2.5, [0.0, 0.1])
    >>> print(distances < 0.05)
    [False  True]
    """
    if not 1 <= window <= num_steps:
        raise ValueError(f"window must be from 1 to num_steps = {num_steps}; got {window}")
    farthest = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y), np.shape(weight)))
    games = _play(x, y, weight, alternating=alternating, step_size=step_size, num_steps=num_steps)
    for step, (x_now, y_now) in enumerate(games):
        if step > num_steps - window:
            np.maximum(farthest, _distance(x_now, y_now), out=farthest)
    return farthest


def stable_weights(step_size: float) -> tuple[float, float]:
    """(lowest, highest) weight with which simultaneous descent is locally stable at the equilibrium.

    With a fixed mean a step multiplies the distance by |1 + eta (2i - 2w)|, below 1 if w > eta (1 + w^2). Alternating
    descent multiplies it by |1 - 2 eta w|: it is stable for any weight from 0 to 1/eta.

    Raises:
        ValueError: eta is not between 0 and 1/2; above it no weight is stable.

    >>> lowest, highest = stable_weights(0.01)
    >>> print(f"{lowest:.4f} to {highest:.1f}")
    0.0100 to 100.0
    """
    if not 0 < step_size < 0.5:
        raise ValueError(f"step_size must be between 0 and 1/2; got {step_size}")
    root = float(np.sqrt(1 - 4 * step_size**2))
    return 2 * step_size / (1 + root), (1 + root) / (2 * step_size)


def decay_exponent(weight: float) -> float:
    """The exponent a of distance ~ t^-a, after the fast oscillation has decayed.

    For z = (x - 1) + i(y - 1) and its mean m, the fast dynamics is stationary where 2i z = 2w (z - m); with
    dm/dt = (z - m)/t it follows that |m| ~ t^(-1/(1 + w^2)) and |z| = |m| w / sqrt(1 + w^2): a large w is slow.

    >>> decay_exponent(1.0)
    0.5
    """
    return 1 / (1 + weight**2)


def _play(
    start_x: ArrayLike, start_y: ArrayLike, weights: ArrayLike, *, alternating: bool, step_size: float, num_steps: int
) -> Iterator[tuple[Floats, Floats]]:
    """The state of all games at each step, the start included; the penalty's gradient is 2w (theta - mean)."""
    shape = np.broadcast_shapes(np.shape(start_x), np.shape(start_y), np.shape(weights))
    x, y, weight = (np.broadcast_to(np.asarray(v, np.float64), shape).copy() for v in (start_x, start_y, weights))
    if not (np.all(weight >= 0) and step_size > 0 and num_steps >= 1):
        raise ValueError(
            f"weight >= 0, step_size > 0 and num_steps >= 1 are required; got {weight}, {step_size} and {num_steps}"
        )
    mean_x, mean_y = x.copy(), y.copy()
    yield x, y
    with np.errstate(over="ignore", invalid="ignore"):
        for count in range(1, num_steps + 1):
            slope = np.where(x < 0, 1.0, 2 * x)
            next_x = x - step_size * (slope * (y - 1) + 2 * weight * (x - mean_x))
            current_x = next_x if alternating else x
            y = y + step_size * (_payoff(current_x) - 1 - 2 * weight * (y - mean_y))
            x = next_x
            # the uniform mean of theta[1..t], the current parameter included
            mean_x = mean_x + (x - mean_x) / (count + 1)
            mean_y = mean_y + (y - mean_y) / (count + 1)
            yield x, y


def _payoff(x: Floats) -> Floats:
    """f(x)."""
    return np.where(x < 0, x, x * x)


def _distance(x: Floats, y: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.hypot(x - EQUILIBRIUM[0], y - EQUILIBRIUM[1])
    return np.where(np.isnan(distance), np.inf, distance)


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
