"""One-sided label smoothing (paper, section 3.4): D's target for real examples is alpha = 0.9 instead of 1.

With l the logit of D(x) = sigmoid(l(x)) and H the cross entropy H(t, l) = -t log D - (1 - t) log(1 - D):

    discriminator   L_D = E_x H(alpha, l(x)) + E_z H(0, l(G(z)));  the optimal D is alpha p_data / (p_data + p_model)
    K+1 classes     the same with l = L(x) = logsumexp_k l_k(x); the class targets are never smoothed
    divergence      the released ImageNet form: H(alpha, l) less its minimum, the entropy of alpha, which is
                    KL(alpha || D), alpha = 0.75; G's loss is KL(alpha/2 || D(G(z))), 0 at the equilibrium

Only the positive target is smoothed: with a target beta > 0 for generated examples the optimal D, (alpha p_data + beta
p_model) / (p_data + p_model), has no gradient that moves generated examples far from the data. At the equilibrium D =
alpha/2, not 1/2. In the paper G's target stays 1 (`non_saturating_generator_loss`).
"""

import math

import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels.logits import Logits, one_logit_an_example, over_discriminators
from improved_gan.kernels.precision import precise

__all__ = [
    "divergence_discriminator_loss",
    "divergence_generator_loss",
    "smoothed_discriminator_loss",
    "smoothed_unsupervised_loss",
]


def smoothed_discriminator_loss(
    real_logits: Logits, generated_logits: Logits, *, positive_target: float = 0.9, reduction: str = "mean"
) -> Tensor:
    """The discriminator's cross entropy with the target `positive_target` for real examples, 0 for generated ones.

    Args:
        real_logits: (N,) logits of D for real examples, D(x) = sigmoid(logit); a list of such tensors for several D.
        generated_logits: (M,) logits of D for generated examples; a list likewise.
        positive_target: alpha, 0 < alpha <= 1; 1 is the plain loss.
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, in nats.

    Raises:
        ValueError: a batch that is empty or not one-dimensional, lists of different lengths, unknown reduction, or
            alpha is out of range.

    Source: paper, section 3.4.

    >>> import torch
    >>> smoothed_discriminator_loss(torch.zeros(4), torch.zeros(4))
    tensor(1.3863)
    """
    target = _target(positive_target)
    return over_discriminators(
        lambda real, generated: _cross_entropy(real, target) - F.logsigmoid(-generated).mean(),
        reduction=reduction,
        real_logits=real_logits,
        generated_logits=generated_logits,
    )


def smoothed_unsupervised_loss(
    unlabeled_logits: Tensor, generated_logits: Tensor, *, positive_target: float = 0.9
) -> Tensor:
    """The real-or-generated term of a K+1-class discriminator, smoothed; use it in place of L_unsupervised.

    Args:
        unlabeled_logits: (N, K) class logits of real examples; the logit of "generated" is fixed at 0.
        generated_logits: (M, K) class logits of generated examples.
        positive_target: alpha, 0 < alpha <= 1; 1 is L_unsupervised of `semi_supervised_losses`.

    Returns:
        () the loss, in nats.

    Raises:
        ValueError: a batch that is empty or not two-dimensional, K that differ, or alpha is out of range.

    Source: paper, sections 3.4 and 5.

    >>> import torch
    >>> smoothed_unsupervised_loss(torch.zeros(4, 1), torch.zeros(4, 1))
    tensor(1.3863)
    """
    shapes = tuple(unlabeled_logits.shape), tuple(generated_logits.shape)
    if any(len(shape) != 2 or 0 in shape for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            f"the two batches of logits must be (N, K) and (M, K), not empty; got {shapes[0]}, {shapes[1]}"
        )
    real, generated = (precise(logits).logsumexp(1) for logits in (unlabeled_logits, generated_logits))
    return smoothed_discriminator_loss(real, generated, positive_target=positive_target)


def divergence_discriminator_loss(
    real_logits: Tensor, generated_logits: Tensor, *, positive_target: float = 0.75
) -> Tensor:
    """E_x KL(alpha || D(x)) + E_z KL(0 || D(G(z))): the smoothed loss, less the entropy of its target.

    The gradient is that of `smoothed_discriminator_loss`; the value is 0 where D meets its targets.

    Args:
        real_logits: (N,) logits of D for real examples; for K+1 classes L(x) - l_{K+1}(x).
        generated_logits: (M,) logits of D for generated examples.
        positive_target: alpha, 0 < alpha <= 1.

    Returns:
        () the loss, in nats; never negative.

    Raises:
        ValueError: either batch is empty or not one-dimensional, or alpha is out of range.

    Source: released ImageNet experiment.

    >>> import torch
    >>> divergence_discriminator_loss(torch.logit(torch.full((4,), 0.75)), torch.full((4,), -100.0)).abs() < 1e-6
    tensor(True)
    """
    loss = smoothed_discriminator_loss(real_logits, generated_logits, positive_target=positive_target)
    return loss - _entropy(positive_target)


def divergence_generator_loss(generated_logits: Tensor, *, positive_target: float = 0.75) -> Tensor:
    """E_z KL(alpha/2 || D(G(z))): G moves D(G(z)) to alpha/2, its value at the equilibrium.

    Args:
        generated_logits: (M,) logits of D for generated examples.
        positive_target: alpha of D's loss, 0 < alpha <= 1.

    Returns:
        () the loss, in nats; never negative.

    Raises:
        ValueError: the batch is empty or not one-dimensional, or alpha is out of range.

    Source: released ImageNet experiment.

    >>> import torch
    >>> divergence_generator_loss(torch.logit(torch.full((4,), 0.375))).abs() < 1e-6
    tensor(True)
    """
    target = _target(positive_target) / 2
    return _cross_entropy(one_logit_an_example(generated_logits, "generated_logits"), target) - _entropy(target)


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    """The mean of H(t, l) = -t log_sigmoid(l) - (1 - t) log_sigmoid(-l)."""
    return -(target * F.logsigmoid(logits) + (1 - target) * F.logsigmoid(-logits)).mean()


def _entropy(target: float) -> float:
    """H(t, t), 0 for a certain target."""
    return 0.0 if target in (0, 1) else -target * math.log(target) - (1 - target) * math.log1p(-target)


def _target(positive_target: float) -> float:
    if not 0 < positive_target <= 1:
        raise ValueError(f"positive_target must lie in 0 < alpha <= 1; got {positive_target}")
    return positive_target
