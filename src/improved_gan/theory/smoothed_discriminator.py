"""The optimal discriminator under smoothed labels, and why only the real ones are smoothed (paper, section 3.4).

With targets alpha for real and beta for generated examples, densities p of the data and q of the generator,

    D*(x)    = (alpha p + beta q) / (p + q)
    g(x)     = d/dx log D*(x)     the direction in which the generator's loss -log D moves a generated example at x

With beta = 0 this gradient is that without smoothing, for any alpha: (1 - s)(log p - log q)' with s = p/(p + q); where
there are no data (s = 0) it is (log p - log q)', toward the data. With beta > 0 it is multiplied by
(alpha - beta) s / (beta + (alpha - beta) s), which goes to 0 with s: examples far from the data are not moved.

`train_discriminators` trains small networks on samples, which converge to D*.

Data and generator of the demonstration are mixtures of Gaussians (`Mixture`):

    p(x) = sum_j w_j N(x; m_j, s_j^2),    p'(x)/p(x) = sum_j r_j(x) (m_j - x)/s_j^2,  r_j the responsibility of part j

`smoothed_discriminator_demo` is `improved-gan theory smoothed-discriminator`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from improved_gan.theory.plots import COLORS, label, new_figure, write_figure, write_table
from improved_gan.theory.threads import single_threaded

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = [
    "Mixture",
    "generator_gradient",
    "optimal_discriminator",
    "smoothed_discriminator_demo",
    "train_discriminators",
]


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """A mixture of one-dimensional Gaussians; weights must sum to 1.

    >>> print(Mixture((1.0,), (0.0,), (2.0,)).log_density([0.0, 2.0]).round(3))
    [-1.612 -2.112]
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the numbers of each part."""
        sizes = len(self.weights), len(self.means), len(self.stds)
        if len(set(sizes)) != 1 or abs(sum(self.weights) - 1) > 1e-9 or min(self.weights + self.stds) <= 0:
            raise ValueError(
                f"a mixture takes as many positive weights (of sum 1) as means and positive stds; got {self}"
            )

    def log_density(self, x: ArrayLike) -> Floats:
        """(...) the logarithm of the density at x (...), in nats; finite for any finite x."""
        return np.asarray(np.logaddexp.reduce(self._log_parts(x), axis=-1))

    def score(self, x: ArrayLike) -> Floats:
        """(...) the derivative of the log density at x (...)."""
        x, parts = np.asarray(x, np.float64)[..., None], self._log_parts(x)
        responsibilities = np.exp(parts - np.logaddexp.reduce(parts, axis=-1, keepdims=True))
        return np.asarray((responsibilities * (np.array(self.means) - x) / np.array(self.stds) ** 2).sum(-1))

    def sample(self, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
        """Independent draws in an array of that shape."""
        part = random.choice(len(self.weights), shape, p=self.weights)
        return np.asarray(random.normal(np.array(self.means)[part], np.array(self.stds)[part]))

    def _log_parts(self, x: ArrayLike) -> Floats:
        """(..., parts) log of weight times density of each part."""
        means, stds = np.array(self.means), np.array(self.stds)
        z = (np.asarray(x, np.float64)[..., None] - means) / stds
        return np.asarray(np.log(self.weights) - np.log(stds) - 0.5 * np.log(2 * np.pi) - 0.5 * z**2)


def optimal_discriminator(
    log_p: ArrayLike, log_q: ArrayLike, *, positive_target: float = 0.9, negative_target: float = 0.0
) -> Floats:
    """D* = (alpha p + beta q)/(p + q) from the log densities, also where both densities underflow.

    Args:
        log_p: (...) log density of the data.
        log_q: (...) log density of the generator, broadcast against log_p.
        positive_target: alpha, the target for real examples.
        negative_target: beta, the target for generated ones; 0 in the paper.

    Returns:
        (...) D*, between beta and alpha.

    Raises:
        ValueError: unless 0 <= beta < alpha <= 1.

    Source: paper, section 3.4.

    >>> print(optimal_discriminator(np.log([1.0, 1.0, 1e-9]), np.log([1e-9, 1.0, 1.0])).round(3))
    [0.9  0.45 0.  ]
    """
    _check_targets(positive_target, negative_target)
    real_probability = _real_probability(np.asarray(log_p, np.float64) - np.asarray(log_q, np.float64))
    return np.asarray(negative_target + (positive_target - negative_target) * real_probability)


def generator_gradient(
    x: ArrayLike, data: Mixture, generator: Mixture, *, positive_target: float = 0.9, negative_target: float = 0.0
) -> Floats:
    """d/dx log D*(x): the negative gradient of the generator's loss -log D with respect to an example at x.

    Args:
        x: (...) the generated example.
        data: p.
        generator: q.
        positive_target: alpha, as in `optimal_discriminator`.
        negative_target: beta, as in `optimal_discriminator`.

    Returns:
        (...) the gradient.

    Raises:
        ValueError: unless 0 <= beta < alpha <= 1.

    Source: paper, section 3.4: with beta > 0 such examples have "no incentive to move nearer to the data".

    >>> from improved_gan.theory.smoothed_discriminator import Mixture
    >>> data, generator = Mixture((1.0,), (2.0,), (0.5,)), Mixture((1.0,), (-2.0,), (0.5,))
    >>> one_sided = generator_gradient(-2.0, data, generator)
    >>> two_sided = generator_gradient(-2.0, data, generator, negative_target=0.1)
    >>> print(f"{one_sided:.1f} {two_sided:.0e}")
    16.0 2e-12
    """
    _check_targets(positive_target, negative_target)
    log_ratio = data.log_density(x) - generator.log_density(x)
    real, generated = _real_probability(log_ratio), _real_probability(-log_ratio)
    gap = positive_target - negative_target
    damping = gap * real / (negative_target + gap * real) if negative_target > 0 else 1.0
    return np.asarray(damping * generated * (data.score(x) - generator.score(x)))


@single_threaded()
def train_discriminators(
    x: ArrayLike,
    data: Mixture,
    generator: Mixture,
    targets: ArrayLike,
    *,
    seed: int = 0,
    num_steps: int = 1000,
    batch_size: int = 256,
    hidden: int = 32,
    learning_rate: float = 0.01,
) -> tuple[Floats, Floats]:
    """Train a small network for each pair of targets on samples of p and q, all together on the same samples.

    Each is x - hidden - hidden - logit with SiLU, trained by Adam on the cross entropy with its targets and a cosine
    learning rate schedule.

    Args:
        x: (N,) at which the trained networks are evaluated.
        data: p, the distribution of real examples.
        generator: q, the distribution of generated examples.
        targets: (S, 2) alpha and beta of each network.
        seed: of weights and samples.
        num_steps: steps of Adam.
        batch_size: real examples per step, and generated ones.
        hidden: units of each hidden layer.
        learning_rate: initial learning rate.

    Returns:
        (S, N) D(x) of each network, and (S, N) d/dx log D(x), to be compared with `optimal_discriminator` and
        `generator_gradient`.

    Raises:
        ValueError: targets of another shape, or not 0 <= beta < alpha <= 1.
    """
    pairs = np.asarray(targets, np.float64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"targets must have shape (S, 2), alpha and beta of each network; got {pairs.shape}")
    for alpha, beta in pairs:
        _check_targets(alpha, beta)
    alphas, betas = (torch.tensor(column)[:, None].float() for column in pairs.T)
    random = np.random.default_rng(seed)
    layers = _initial_weights(len(pairs), hidden, random)
    optimizer = torch.optim.Adam(layers, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for _ in range(num_steps):
        draws = (torch.from_numpy(source.sample((batch_size,), random)).float() for source in (data, generator))
        real, generated = (_logits(layers, batch.expand(len(pairs), -1)) for batch in draws)
        loss = F.binary_cross_entropy_with_logits(real, alphas.expand_as(real), reduction="none").mean(1).sum()
        loss += F.binary_cross_entropy_with_logits(generated, betas.expand_as(real), reduction="none").mean(1).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    points = torch.tensor(np.asarray(x), dtype=torch.float32).expand(len(pairs), -1).clone().requires_grad_()
    log_d = F.logsigmoid(_logits(layers, points))
    (gradient,) = torch.autograd.grad(log_d.sum(), points)
    return log_d.detach().double().exp().numpy(), gradient.double().numpy()


def _initial_weights(num_networks: int, hidden: int, random: np.random.Generator) -> list[Tensor]:
    """Weights and biases of three layers, the same for each network; the first biases spread over [-4, 4]."""
    shapes = [(1, hidden), (1, hidden), (hidden, hidden), (1, hidden), (hidden, 1), (1, 1)]
    scales = [1.0, 2.0, hidden**-0.5, 0.0, hidden**-0.5, 0.0]
    values = [random.normal(0, scale, shape) for shape, scale in zip(shapes, scales, strict=True)]
    return [torch.tensor(v).float().expand(num_networks, -1, -1).clone().requires_grad_() for v in values]


def _logits(layers: list[Tensor], x: Tensor) -> Tensor:
    """(S, N) -> (S, N) logits, row s by network s."""
    w1, b1, w2, b2, w3, b3 = layers
    hidden = F.silu(x.unsqueeze(-1) * w1 + b1)
    hidden = F.silu(torch.baddbmm(b2, hidden, w2))
    return torch.baddbmm(b3, hidden, w3).squeeze(-1)


def _real_probability(log_ratio: Floats) -> Floats:
    """p/(p + q) = sigmoid(log p/q), without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -log_ratio)))


def _check_targets(positive_target: float, negative_target: float) -> None:
    if not 0 <= negative_target < positive_target <= 1:
        raise ValueError(
            f"targets must be 0 <= negative_target < positive_target <= 1; got {negative_target} and {positive_target}"
        )


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
