"""Mode collapse on a ring of eight Gaussians, with and without minibatch discrimination (paper, section 3.2).

Without it D classifies each example independently: where G's examples are concentrated their gradients all have the
same direction, and they move together from Gaussian to Gaussian. With minibatch discrimination D's features include
o(x_i) = sum_j c(x_i, x_j), the similarity to the batch, and concentrated examples are classified as generated.

All else is equal: networks, seeds, data and steps, -log D for the generator. The GANs of all seeds are trained together
in batched layers; a seed gives the same GAN whatever other seeds are trained with it.

The data, and how well generated points cover them (`ring_coverage`):

    centers 2 (cos k pi/4, sin k pi/4), k = 0..7, standard deviation 0.1, an eighth of the points each

`mode_collapse_demo` is `improved-gan theory mode-collapse`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from improved_gan.techniques.adversarial import adversarial_discriminator_loss, non_saturating_generator_loss
from improved_gan.techniques.minibatch_discrimination import minibatch_similarity
from improved_gan.theory.plots import COLORS, label, new_figure, write_figure, write_table
from improved_gan.theory.threads import single_threaded

if TYPE_CHECKING:
    from matplotlib.axes import Axes


__all__ = ["MODES", "STD", "RingRun", "mode_collapse_demo", "ring_coverage", "sample_ring", "train_on_ring"]


Floats = NDArray[np.float64]

STD = 0.1
MODES: Floats = 2.0 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def sample_ring(num_points: int, generator: torch.Generator) -> Tensor:
    """(num_points, 2) independent draws from the mixture of eight Gaussians of standard deviation `STD`.

    >>> sample_ring(5, torch.Generator().manual_seed(0)).shape
    torch.Size([5, 2])
    """
    modes = torch.from_numpy(MODES).float()[torch.randint(len(MODES), (num_points,), generator=generator)]
    return modes + STD * torch.randn(num_points, 2, generator=generator)


def ring_coverage(points: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    """The number of Gaussians that the points cover, and the fraction of good points.

    A point is good within three standard deviations of a Gaussian; a Gaussian is covered if at least 1% of all points
    are good and belong to it (its probability is 1/8).

    Args:
        points: (..., P, 2) generated points.

    Returns:
        (...) Gaussians covered, 0 to 8, and (...) the fraction of good points, 0 to 1.

    Raises:
        ValueError: another shape.

    >>> modes, good = ring_coverage([[2.0, 0.0], [2.1, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> print(modes, good)
    2 0.75
    """
    points = np.asarray(points, np.float64)
    if points.ndim < 2 or points.shape[-1] != 2 or points.shape[-2] == 0:
        raise ValueError(f"points must have shape (..., P, 2) with P >= 1; got {points.shape}")
    distances = np.linalg.norm(points[..., None, :] - MODES, axis=-1)
    good = (distances.min(-1) <= 3 * STD)[..., None] & (distances.argmin(-1)[..., None] == np.arange(len(MODES)))
    return (good.mean(-2) >= 0.01).sum(-1), np.asarray(good.any(-1).mean(-1))


_LATENT, _HIDDEN, _KERNELS, _KERNEL_DIM = 8, 64, 8, 3
_KERNEL_GAIN, _LAST_GAIN = 0.1, 0.1


@dataclass(frozen=True)
class RingRun:
    """The results of training: S seeds, evaluated K times with P points each.

    `steps` (K,); `modes_covered` and `good_fraction` (K, S), see `ring_coverage`; `points` (S, P, 2) at the end.
    """

    steps: NDArray[np.int64]
    modes_covered: NDArray[np.int64]
    good_fraction: Floats
    points: Floats


@single_threaded()
def train_on_ring(
    seeds: Sequence[int],
    *,
    minibatch_discrimination: bool,
    num_steps: int = 1500,
    batch_size: int = 48,
    learning_rates: tuple[float, float] = (0.005, 0.003),
    num_evaluations: int = 20,
    num_points: int = 2000,
) -> RingRun:
    """Train one small GAN per seed, all together.

    G is 8 normal latents - 64 - 64 - 2 and D is 2 - 64 - 64 - logit, ReLU; minibatch discrimination gives D's last
    layer 8 similarities more (kernels of 3). Adam with beta1 0.5; learning rates decay to 0 over the second half.

    Args:
        seeds: one GAN each.
        minibatch_discrimination: whether D has minibatch discrimination.
        num_steps: updates of each network.
        batch_size: real examples per step, and generated ones.
        learning_rates: of D and of G.
        num_evaluations: the number of evaluations during training, the end included.
        num_points: generated points in each evaluation.

    Raises:
        ValueError: no seeds, or not 1 <= num_evaluations <= num_steps.
    """
    if not seeds or not 1 <= num_evaluations <= num_steps:
        raise ValueError(
            "at least one seed and 1 <= num_evaluations <= num_steps are required; "
            f"got {seeds}, {num_evaluations} and {num_steps}"
        )
    gans = _StackedGANs(seeds, minibatch_discrimination=minibatch_discrimination)
    optimizers = [
        torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999), foreach=True)
        for parameters, rate in zip((gans.discriminator, gans.generator), learning_rates, strict=True)
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 2 * (1 - step / num_steps)))
        for optimizer in optimizers
    ]
    steps = np.unique(np.linspace(0, num_steps, num_evaluations + 1).astype(int)[1:])
    evaluations = []
    for step in range(1, num_steps + 1):
        _train_step(gans, optimizers, batch_size)
        for schedule in schedules:
            schedule.step()
        if step in steps:
            with torch.no_grad():
                points = gans.generate(num_points).double().numpy()
            evaluations.append(ring_coverage(points))
    modes, good = (np.stack(column) for column in zip(*evaluations, strict=True))
    return RingRun(steps, modes, good, points)


class _StackedGANs:
    """S GANs with stacked weights, (S, inputs, outputs) each, and the random streams of their seeds."""

    def __init__(self, seeds: Sequence[int], *, minibatch_discrimination: bool) -> None:
        self.streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.generator = self._dense(_LATENT, _HIDDEN) + self._dense(_HIDDEN, _HIDDEN) + self._dense(_HIDDEN, 2)
        self.discriminator = self._dense(2, _HIDDEN) + self._dense(_HIDDEN, _HIDDEN)
        features = _HIDDEN + (_KERNELS if minibatch_discrimination else 0)
        self.discriminator += self._dense(features, 1, gain=_LAST_GAIN)
        # T is initialized small, so that no kernel has all similarities 0; then o is about N for all examples, and the
        # last layer is initialized small too, so that D's logits are near 0
        self.projection = _KERNEL_GAIN * self._normal(_HIDDEN, _KERNELS * _KERNEL_DIM) / math.sqrt(_HIDDEN)
        self.minibatch_discrimination = minibatch_discrimination
        if minibatch_discrimination:
            self.discriminator.append(self.projection)
        for parameter in self.generator + self.discriminator:
            parameter.requires_grad_()

    def generate(self, num_points: int) -> Tensor:
        """(S, num_points, 2) from fresh latents."""
        return _run(self.generator, self._normal(num_points, _LATENT))

    def real(self, num_points: int) -> Tensor:
        """(S, num_points, 2) fresh draws from the ring."""
        return torch.stack([sample_ring(num_points, stream) for stream in self.streams])

    def logits(self, *minibatches: Tensor) -> tuple[Tensor, ...]:
        """(S, N, 2) each -> (S, N) each, in one pass; points are compared within a minibatch of one GAN only."""
        features = torch.relu(_run(self.discriminator[:4], torch.cat(minibatches, dim=1)))
        if self.minibatch_discrimination:
            features = torch.cat([features, self.similarities(features, len(minibatches))], dim=-1)
        return _run(self.discriminator[4:6], features).squeeze(-1).chunk(len(minibatches), dim=1)

    def similarities(self, features: Tensor, num_minibatches: int = 1) -> Tensor:
        """(S, G N, A) -> (S, G N, B): o within each of G minibatches of N.

        Kernels are independent, so S G minibatches with B kernels are one minibatch with S G B kernels.
        """
        num_gans, num_points, _ = features.shape
        projections = torch.bmm(features, self.projection)
        groups = projections.reshape(num_gans, num_minibatches, -1, _KERNELS, _KERNEL_DIM).permute(2, 0, 1, 3, 4)
        summed = minibatch_similarity(groups.flatten(1, 3), across_ranks=False).reshape(groups.shape[:4])
        return summed.permute(1, 2, 0, 3).reshape(num_gans, num_points, _KERNELS)

    def _dense(self, inputs: int, outputs: int, *, gain: float = 1.0) -> list[Tensor]:
        weight = gain * math.sqrt(2 / inputs) * self._normal(inputs, outputs)
        return [weight, torch.zeros(len(self.streams), 1, outputs)]

    def _normal(self, *shape: int) -> Tensor:
        return torch.stack([torch.randn(shape, generator=stream) for stream in self.streams])


def _run(layers: Sequence[Tensor], values: Tensor) -> Tensor:
    """Dense layers with ReLU between them; the last one is linear."""
    for index in range(0, len(layers), 2):
        values = torch.baddbmm(layers[index + 1], torch.relu(values) if index else values, layers[index])
    return values


def _train_step(gans: _StackedGANs, optimizers: Sequence[torch.optim.Optimizer], batch_size: int) -> None:
    """One update of each network; means over the stacked batch times S are sums over the independent GANs."""
    num_gans = len(gans.streams)
    with torch.no_grad():
        generated = gans.generate(batch_size)
    real_logits, generated_logits = gans.logits(gans.real(batch_size), generated)
    loss = num_gans * adversarial_discriminator_loss(real_logits.flatten(), generated_logits.flatten())
    _descend(optimizers[0], loss)
    (generated_logits,) = gans.logits(gans.generate(batch_size))
    loss = num_gans * non_saturating_generator_loss(generated_logits.flatten())
    _descend(optimizers[1], loss)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    parameters = optimizer.param_groups[0]["params"]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()


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
