"""The optimal discriminator under smoothed labels, and why only the real ones are smoothed (paper, section 3.4).

With targets alpha for real and beta for generated examples, densities p of the data and q of the generator,

    D*(x)    = (alpha p + beta q) / (p + q)
    g(x)     = d/dx log D*(x)     the direction in which the generator's loss -log D moves a generated example at x

With beta = 0 this gradient is that without smoothing, for any alpha: (1 - s)(log p - log q)' with s = p/(p + q); where
there are no data (s = 0) it is (log p - log q)', toward the data. With beta > 0 it is multiplied by
(alpha - beta) s / (beta + (alpha - beta) s), which goes to 0 with s: examples far from the data are not moved.

`train_discriminators` trains small networks on samples, which converge to D*.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from improved_gan.theory.mixture import Mixture
from improved_gan.theory.threads import single_threaded

__all__ = ["generator_gradient", "optimal_discriminator", "train_discriminators"]

Floats = NDArray[np.float64]


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

    >>> from improved_gan.theory.mixture import Mixture
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
