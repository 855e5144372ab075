"""The output of `improved-gan theory smoothed-discriminator`: optimal D, trained networks, gradients for G."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from improved_gan.theory.mixture import Mixture
from improved_gan.theory.plots import COLORS, label, new_figure, write_figure, write_table
from improved_gan.theory.smoothed_discriminator import generator_gradient, optimal_discriminator, train_discriminators

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["smoothed_discriminator_demo"]

Floats = NDArray[np.float64]

# half of the generated examples are near the data, half are outliers where there are no data
_DATA, _GENERATOR = Mixture((1.0,), (1.5,), (0.6,)), Mixture((0.5, 0.5), (-2.0, 1.0), (0.5, 0.8))
_OUTLIER = -2.0
_TARGETS = {(1.0, 0.0): "black", (0.9, 0.0): "blue", (0.9, 0.1): "red"}
_X = np.linspace(-3.2, 3.2, 257)


def smoothed_discriminator_demo(out: Path, seed: int) -> tuple[list[Path], str]:
    """Train, plot and write; `seed` is that of the networks' weights and samples."""
    figure = new_figure(width=8, height=8.6)
    log_p, log_q = _DATA.log_density(_X), _GENERATOR.log_density(_X)
    best, gradient = np.empty((2, len(_TARGETS), len(_X)))
    for t, (alpha, beta) in enumerate(_TARGETS):
        best[t] = optimal_discriminator(log_p, log_q, positive_target=alpha, negative_target=beta)
        gradient[t] = generator_gradient(_X, _DATA, _GENERATOR, positive_target=alpha, negative_target=beta)
    trained, trained_gradient = train_discriminators(_X, _DATA, _GENERATOR, list(_TARGETS), seed=seed)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[0.6, 1, 1])
    _draw_densities(top, np.exp(log_p), np.exp(log_q))
    _draw_pairs(middle, best, trained)
    label(middle, title="D(x): optimum (lines) and trained networks (dots)", x="", y="D(x)")
    middle.legend(fontsize=8, loc="upper left")
    _draw_pairs(bottom, gradient, trained_gradient)
    bottom.axhline(0, color=COLORS["gray"], linewidth=0.8)
    title = "Gradient for a generated example, d/dx log D(x): 0 for outliers with beta > 0"
    label(bottom, title=title, x="x", y="gradient")
    rows = [
        (alpha, beta, *(float(column[i]) for column in (_X, best[t], trained[t], gradient[t], trained_gradient[t])))
        for t, (alpha, beta) in enumerate(_TARGETS)
        for i in range(len(_X))
    ]
    header = ["alpha", "beta", "x", "optimum", "trained", "optimal_gradient", "trained_gradient"]
    files = [
        write_figure(figure, out / "smoothed_discriminator.png"),
        write_table(out / "smoothed_discriminator.csv", header, rows),
    ]
    density = (np.exp(log_p) + np.exp(log_q)) / 2
    gaps = (np.abs(trained - best) * density).sum(1) / density.sum()
    return files, _words(gaps, trained_gradient[:, np.abs(_X - _OUTLIER).argmin()])


def _draw_densities(axes: Axes, data: Floats, generated: Floats) -> None:
    axes.fill_between(_X, data, color=COLORS["green"], alpha=0.35, linewidth=0, label="data p")
    axes.fill_between(_X, generated, color=COLORS["orange"], alpha=0.35, linewidth=0, label="generator q")
    axes.annotate("outliers", (_OUTLIER, 0.42), ha="center", fontsize=8.5)
    axes.set_ylim(0, 0.75)
    axes.legend(fontsize=8, loc="upper left")
    label(axes, title="Densities", x="", y="density")


def _draw_pairs(axes: Axes, exact: Floats, trained: Floats) -> None:
    for ((alpha, beta), color), curve, dots in zip(_TARGETS.items(), exact, trained, strict=True):
        line = {"linestyle": "--", "zorder": 3} if alpha == 1 else {"linewidth": 2}
        axes.plot(_X, curve, color=COLORS[color], label=f"alpha = {alpha:g}, beta = {beta:g}", **line)
        axes.plot(_X[::8], dots[::8], "o", color=COLORS[color], markersize=3.5, alpha=0.8)


def _words(gaps: Floats, outlier_gradients: Floats) -> str:
    lines = []
    for (alpha, beta), gap, learned in zip(_TARGETS, gaps, outlier_gradients, strict=True):
        exact = float(generator_gradient(_OUTLIER, _DATA, _GENERATOR, positive_target=alpha, negative_target=beta))
        lines.append(
            f"  alpha = {alpha:g}, beta = {beta:g}: a trained network is within {gap:.3f} of the optimum on average; "
            f"gradient at x = {_OUTLIER:g}: optimum {exact:.2g}, network {learned:.2g}"
        )
    return (
        "The optimal discriminator under smoothed labels is (alpha p + beta q)/(p + q):\n" + "\n".join(lines) + "\n"
        "Smoothing the real labels does not change the generator's gradient. Smoothing the generated ones makes it 0\n"
        "where there are no data and many generated examples. So beta = 0. (The network's gradient is below the\n"
        "optimum's there: D is nearly 0 and cannot be estimated accurately from samples.)"
    )
