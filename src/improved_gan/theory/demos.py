"""The demonstrations by name, for `improved-gan theory NAME --out DIR --seed S`.

Each writes one or two PNG files and its numbers as CSV into a folder and returns a text that explains them; the same
seed gives the same files. Each takes well under a minute on two cores. Three stand beside what they show;
`divergences_demo` (both figures of Huszar's note, and the preference loss) is here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from improved_gan.theory.divergences import (
    bernoulli_minibatch_divergence,
    bernoulli_preference_divergence,
    gaussian_divergence,
    gaussian_preference_divergence,
    kullback_leibler_terms,
)
from improved_gan.theory.plots import COLORS, label, new_figure, write_figure, write_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from improved_gan.theory.games import game_demo
from improved_gan.theory.mode_collapse import mode_collapse_demo
from improved_gan.theory.smoothed_discriminator import smoothed_discriminator_demo

__all__ = ["DEMOS", "Demo", "divergences_demo", "sampled_minibatch_js", "show"]


Floats = NDArray[np.float64]

_P, _SIZES = 0.2, (1, 2, 3, 8)
_SHADES = dict(zip(_SIZES, ("black", "blue", "green", "red"), strict=True))
_SAMPLED_Q = np.array([0.01, 0.05, 0.4, 0.6, 0.8, 0.95])
_COLUMNS = {
    "kl_pq": ("black", "KL[P||Q]"),
    "kl_qp": ("gray", "KL[Q||P]"),
    "js": ("blue", "JS"),
    "preference_js": ("red", "preference, JS"),
}


def sampled_minibatch_js(p: float, q: float, num_draws: int, *, seed: int = 0, num_batches: int = 20_000) -> float:
    """JS[P^N || Q^N] in bits from a discriminator's loss: 1 + E log2 D/2 + E log2 (1 - D)/2 over sampled minibatches.

    D is the optimal one, P^N/(P^N + Q^N), on `num_batches` minibatches of each kind.

    >>> abs(sampled_minibatch_js(0.2, 0.8, 3) - bernoulli_minibatch_divergence(0.2, 0.8, 3)) < 0.01
    np.True_
    """
    random = np.random.default_rng([seed, num_draws])
    real, generated = (random.binomial(num_draws, chance, num_batches) for chance in (p, q))
    of_one, of_zero = np.log(p / q), np.log((1 - p) / (1 - q))
    real_logit, generated_logit = (k * of_one + (num_draws - k) * of_zero for k in (real, generated))
    loss = np.logaddexp(0, -real_logit).mean() + np.logaddexp(0, generated_logit).mean()
    return float(1 - loss / (2 * np.log(2)))


def divergences_demo(out: Path, seed: int) -> tuple[list[Path], str]:
    """Compute, plot and write; `seed` is that of the sampled minibatches (dots), the curves are exact."""
    figure = new_figure(width=11, height=8)
    q = np.linspace(0.0, 1.0, 401)
    js = np.array([bernoulli_minibatch_divergence(_P, q, size) for size in _SIZES])
    kl = np.array([bernoulli_minibatch_divergence(_P, q, size, terms=kullback_leibler_terms) for size in _SIZES])
    preference = np.full_like(js, np.nan)
    preference[:, 1:-1] = [bernoulli_preference_divergence(_P, q[1:-1], size) for size in _SIZES]
    dots = np.array([[sampled_minibatch_js(_P, x, size, seed=seed) for x in _SAMPLED_Q] for size in _SIZES])
    stds, gaussian = np.geomspace(0.05, 5, 61), {}
    gaussian["kl_pq"] = np.array([gaussian_divergence(0, 1, 0, s, terms=kullback_leibler_terms) for s in stds])
    gaussian["kl_qp"] = np.array([gaussian_divergence(0, s, 0, 1, terms=kullback_leibler_terms) for s in stds])
    gaussian["js"] = np.array([gaussian_divergence(0, 1, 0, s) for s in stds])
    gaussian["preference_js"] = np.array([gaussian_preference_divergence(0, 1, 0, s) for s in stds])
    (top_left, top_right), (left, right) = figure.subplots(2, 2)
    _draw_js(top_left, q, js, dots, per_example=False)
    _draw_js(top_right, q, js, dots, per_example=True)
    _draw_kl_and_preference(left, q, kl, preference)
    _draw_gaussians(right, stds, gaussian)
    rows = [
        (size, float(x), float(js[n, i]), float(js[n, i] / size), float(kl[n, i]), float(preference[n, i]))
        for n, size in enumerate(_SIZES)
        for i, x in enumerate(q)
    ]
    files = [
        write_figure(figure, out / "divergences.png"),
        write_table(out / "divergences.csv", ["num_draws", "q", "js", "js_over_n", "kl", "preference_js"], rows),
        write_table(
            out / "divergences_gaussian.csv",
            ["std_q", *gaussian],
            [tuple(map(float, row)) for row in zip(stds, *gaussian.values(), strict=True)],
        ),
        write_table(
            out / "divergences_sampled.csv",
            ["num_draws", "q", "js_sampled"],
            [(n, float(x), float(dots[i, j])) for i, n in enumerate(_SIZES) for j, x in enumerate(_SAMPLED_Q)],
        ),
    ]
    return files, _words(np.abs(dots - _exact_dots()).max())


def _exact_dots() -> Floats:
    return np.array([bernoulli_minibatch_divergence(_P, _SAMPLED_Q, size) for size in _SIZES])


def _draw_js(axes: Axes, q: Floats, js: Floats, dots: Floats, *, per_example: bool) -> None:
    for size, curve, dot in zip(_SIZES, js, dots, strict=True):
        scale, color = size if per_example else 1, COLORS[_SHADES[size]]
        axes.plot(q, curve / scale, color=color, label=f"N = {size}")
        axes.plot(_SAMPLED_Q, dot / scale, "o", color=color, markersize=4)
    axes.plot([], [], "o", color=COLORS["gray"], markersize=4, label="sampled")
    axes.axvspan(0, 0.1, color="#F2E6C8", zorder=0)
    axes.annotate("low\nentropy", (0.05, 0.98), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=8.5)
    axes.legend(fontsize=8, loc="upper center" if not per_example else "upper left", bbox_to_anchor=(0.33, 1.0))
    title = (
        "JS per example decreases first where Q is farthest from P"
        if per_example
        else "JS between minibatches: it saturates at 1 bit"
    )
    label(
        axes, title=title, x=f"q of the generator (data: p = {_P})", y="JS / N [bits]" if per_example else "JS [bits]"
    )


def _draw_kl_and_preference(axes: Axes, q: Floats, kl: Floats, preference: Floats) -> None:
    axes.plot(q, kl[0], color=COLORS["black"], linewidth=4, alpha=0.35, label="KL, N = 1")
    axes.plot(q, kl[-1] / _SIZES[-1], "--", color=COLORS["black"], linewidth=1, label=f"KL / N, N = {_SIZES[-1]}")
    for size, curve in zip(_SIZES, preference, strict=True):
        axes.plot(q, curve / size, color=COLORS[_SHADES[size]], label=f"preference JS / N, N = {size}")
    axes.set_ylim(-0.03, 1.9)
    axes.legend(fontsize=8, loc="upper center", ncols=2)
    label(
        axes,
        title="KL / N is the same for any N; the preference loss is not",
        x=f"q of the generator (data: p = {_P})",
        y="bits",
    )


def _draw_gaussians(axes: Axes, stds: Floats, curves: dict[str, Floats]) -> None:
    for name, (color, words) in _COLUMNS.items():
        axes.loglog(stds, np.maximum(curves[name], 1e-9), color=COLORS[color], label=words)
    axes.set_ylim(1e-3, 400)
    axes.legend(fontsize=8, loc="upper center", ncols=2)
    label(axes, title="Gaussians: P = N(0, 1), Q = N(0, s²)", x="s, standard deviation of the generator", y="bits")


def _words(largest_gap: float) -> str:
    def relative(size: int) -> float:
        low, wrong = bernoulli_minibatch_divergence(_P, [0.02, 0.8], size)
        return float(low / wrong)

    ratios = ", ".join(f"{100 * relative(size):.0f}% (N = {size})" for size in _SIZES)
    one, many = (bernoulli_minibatch_divergence(_P, 0.6, n, terms=kullback_leibler_terms) for n in (1, 10_000))
    return (
        f"Minibatches of N Bernoulli draws, p = {_P} in the data, q from 0 to 1 in the generator, all in bits:\n"
        f"  KL of minibatches is N KL: at q = 0.6 KL(10,000)/(10,000 KL) - 1 = {many / (10_000 * one) - 1:.0e}.\n"
        f"  JS saturates at 1 bit and JS/N decreases, most where the generator is farthest from the data.\n"
        f"  So the JS of too little entropy (q = 0.02) grows relative to that of a wrong mean (q = 0.8):\n  {ratios}.\n"
        f"  Dots: the optimal discriminator on 20,000 sampled minibatches, within {largest_gap:.3f} bits of exact.\n"
        f"  Gaussians: KL[P||Q] is unbounded for a narrow generator, JS and the preference loss stay below 1 bit."
    )


DEMOS: dict[str, Callable[[Path, int], tuple[list[Path], str]]] = {
    "game": game_demo,
    "divergences": divergences_demo,
    "smoothed-discriminator": smoothed_discriminator_demo,
    "mode-collapse": mode_collapse_demo,
}


@dataclass(frozen=True)
class Demo:
    """The files that were written, the first of them a PNG figure, and a text that explains them."""

    files: tuple[Path, ...]
    text: str


def show(name: str, out: str | Path, *, seed: int = 0) -> Demo:
    """Run one demonstration and write its figures and tables.

    Args:
        name: one of `DEMOS`.
        out: folder to write to, created if it does not exist; files of the same names are replaced.
        seed: of all random numbers, >= 0.

    Raises:
        ValueError: an unknown name (the message has the nearest ones) or a negative seed.
        ModuleNotFoundError: matplotlib is missing; the message has the command that installs it.

    >>> list(DEMOS)
    ['game', 'divergences', 'smoothed-discriminator', 'mode-collapse']
    """
    if name not in DEMOS:
        near = get_close_matches(name, DEMOS, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"no demonstration is called {name!r}: {hint}There are {', '.join(DEMOS)}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more; got {seed}")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    files, text = DEMOS[name](folder, seed)
    return Demo(tuple(files), text)
