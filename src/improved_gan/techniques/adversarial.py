"""The losses of adversarial training without further techniques (paper, section 2; Goodfellow et al., 2014).

With l the logit of D(x) = sigmoid(l(x)):

    discriminator   L_D = -E_x log D(x) - E_z log(1 - D(G(z))) = E_x softplus(-l) + E_z softplus(l)
    generator       non-saturating  -E_z log D(G(z))      =  E_z softplus(-l)
                    minimax          E_z log(1 - D(G(z))) = -E_z softplus(l)

After the paper, with l an unbounded number and alpha the target of real examples (1, or less: one-sided smoothing):

    hinge           L_D = E_x max(0, 1 - l(x)) + E_z max(0, 1 + l(G(z)))       L_G = -E_z l(G(z))
    least squares   L_D = 1/2 E_x (l(x) - alpha)^2 + 1/2 E_z l(G(z))^2         L_G = 1/2 E_z (l(G(z)) - 1)^2
    relativistic    L_D = E softplus(l(G(z_i)) - l(x_i)), over pairs            L_G = E softplus(l(x_i) - l(G(z_i)))

Each takes the logits of one discriminator, (N,), or a list with those of several, whose losses are averaged or summed.
softplus(l) is computed as -log_sigmoid(-l), which neither overflows nor takes log 0 for large logits (PyTorch's own
softplus is the identity above 20).
"""

import torch.nn.functional as F
from torch import Tensor

from improved_gan.kernels.logits import Logits, over_discriminators

__all__ = [
    "adversarial_discriminator_loss",
    "hinge_discriminator_loss",
    "hinge_generator_loss",
    "least_squares_discriminator_loss",
    "least_squares_generator_loss",
    "minimax_generator_loss",
    "non_saturating_generator_loss",
    "relativistic_discriminator_loss",
    "relativistic_generator_loss",
]


def adversarial_discriminator_loss(real_logits: Logits, generated_logits: Logits, *, reduction: str = "mean") -> Tensor:
    """The discriminator's cross entropy, -E log D(x) - E log(1 - D(G(z))).

    Args:
        real_logits: (N,) logits of D for real examples, D(x) = sigmoid(logit); a list of such tensors for several D.
        generated_logits: (M,) logits of D for generated examples; a list likewise.
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, in nats; 2 log 2 where D(x) = 1/2 for all examples.

    Raises:
        ValueError: a batch that is empty or not one-dimensional, lists of different lengths, or unknown reduction.

    Source: paper, section 2.

    >>> import torch
    >>> adversarial_discriminator_loss(torch.zeros(4), torch.zeros(4))
    tensor(1.3863)
    >>> adversarial_discriminator_loss([torch.zeros(4), torch.zeros(9)], [torch.zeros(4), torch.zeros(9)])
    tensor(1.3863)
    """
    return over_discriminators(
        lambda real, generated: -F.logsigmoid(real).mean() - F.logsigmoid(-generated).mean(),
        reduction=reduction,
        real_logits=real_logits,
        generated_logits=generated_logits,
    )


def non_saturating_generator_loss(generated_logits: Logits, *, reduction: str = "mean") -> Tensor:
    """The generator's usual loss, -E log D(G(z)): its gradient stays large where D(G(z)) is near 0.

    Args:
        generated_logits: (M,) logits of D for generated examples; a list of such tensors for several D.
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, in nats.

    Raises:
        ValueError: a batch that is empty or not one-dimensional, an empty list, or unknown reduction.

    Source: Goodfellow et al., 2014, section 3.

    >>> import torch
    >>> non_saturating_generator_loss(torch.zeros(4))
    tensor(0.6931)
    """
    return over_discriminators(
        lambda logits: -F.logsigmoid(logits).mean(), reduction=reduction, generated_logits=generated_logits
    )


def minimax_generator_loss(generated_logits: Logits, *, reduction: str = "mean") -> Tensor:
    """The generator's zero-sum loss, E log(1 - D(G(z))) = -E softplus(logit).

    The released CIFAR-10 and SVHN scripts with minibatch discrimination train G on this form.

    Args:
        generated_logits: (M,) logits of D for generated examples; a list of such tensors for several D.
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, in nats; never positive.

    Raises:
        ValueError: a batch that is empty or not one-dimensional, an empty list, or unknown reduction.

    Source: paper, section 2.

    >>> import torch
    >>> minimax_generator_loss(torch.zeros(4))
    tensor(-0.6931)
    """
    return over_discriminators(
        lambda logits: F.logsigmoid(-logits).mean(), reduction=reduction, generated_logits=generated_logits
    )


def hinge_discriminator_loss(
    real_logits: Logits, generated_logits: Logits, *, positive_target: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """E max(0, 1 - l(x)) + E max(0, 1 + l(G(z))): examples beyond the margin of 1 have no gradient.

    Args:
        real_logits: (N,) logits of D for real examples; a list of such tensors for several D.
        generated_logits: (M,) logits of D for generated examples; a list likewise.
        positive_target: 1 and no other: a margin is no probability, so one-sided label smoothing is not defined.
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, >= 0; 2 where all logits are 0.

    Raises:
        ValueError: a positive_target other than 1, or as in `adversarial_discriminator_loss`.

    Source: Lim & Ye, 2017; Tran et al., 2017.

    >>> import torch
    >>> hinge_discriminator_loss(torch.tensor([0.0, 3.0]), torch.tensor([0.0, -3.0]))
    tensor(1.)
    """
    _refuse_smoothing(positive_target, "hinge loss, which has a margin")
    return over_discriminators(
        lambda real, generated: F.relu(1 - real).mean() + F.relu(1 + generated).mean(),
        reduction=reduction,
        real_logits=real_logits,
        generated_logits=generated_logits,
    )


def hinge_generator_loss(generated_logits: Logits, *, reduction: str = "mean") -> Tensor:
    """-E l(G(z)), the generator's counterpart of the hinge loss: no margin, so its gradient never vanishes.

    Args:
        generated_logits: (M,) logits of D for generated examples; a list of such tensors for several D.
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, of either sign.

    Raises:
        ValueError: a batch that is empty or not one-dimensional, an empty list, or unknown reduction.

    Source: Lim & Ye, 2017.

    >>> import torch
    >>> hinge_generator_loss(torch.tensor([1.0, 3.0]))
    tensor(-2.)
    """
    return over_discriminators(lambda logits: -logits.mean(), reduction=reduction, generated_logits=generated_logits)


def least_squares_discriminator_loss(
    real_logits: Logits, generated_logits: Logits, *, positive_target: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """1/2 E (l(x) - alpha)^2 + 1/2 E l(G(z))^2.

    Its optimal D is alpha p_data / (p_data + p_model), as that of the smoothed cross entropy.

    Args:
        real_logits: (N,) outputs of D for real examples, without a sigmoid; a list of such tensors for several D.
        generated_logits: (M,) outputs of D for generated examples; a list likewise.
        positive_target: alpha, 0 < alpha <= 1; less than 1 is one-sided label smoothing (paper, section 3.4).
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, >= 0. HiFi-GAN and CycleGAN leave out the factor 1/2, so theirs is twice as much.

    Raises:
        ValueError: alpha out of range, or as in `adversarial_discriminator_loss`.

    Source: Mao et al., 2017 (LSGAN), with a = 0, b = alpha, c = 1.

    >>> import torch
    >>> least_squares_discriminator_loss(torch.zeros(4), torch.ones(4))
    tensor(1.)
    """
    if not 0 < positive_target <= 1:
        raise ValueError(f"positive_target must lie in 0 < alpha <= 1; got {positive_target}")
    return over_discriminators(
        lambda real, generated: 0.5 * (real - positive_target).square().mean() + 0.5 * generated.square().mean(),
        reduction=reduction,
        real_logits=real_logits,
        generated_logits=generated_logits,
    )


def least_squares_generator_loss(generated_logits: Logits, *, reduction: str = "mean") -> Tensor:
    """1/2 E (l(G(z)) - 1)^2; its target stays 1 where the discriminator's is smoothed.

    Args:
        generated_logits: (M,) outputs of D for generated examples; a list of such tensors for several D.
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, >= 0.

    Raises:
        ValueError: a batch that is empty or not one-dimensional, an empty list, or unknown reduction.

    Source: Mao et al., 2017 (LSGAN), with c = 1.

    >>> import torch
    >>> least_squares_generator_loss(torch.zeros(4))
    tensor(0.5000)
    """
    return over_discriminators(
        lambda logits: 0.5 * (logits - 1).square().mean(), reduction=reduction, generated_logits=generated_logits
    )


def relativistic_discriminator_loss(
    real_logits: Logits, generated_logits: Logits, *, positive_target: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """E softplus(l(G(z_i)) - l(x_i)): each real example must be more real than the generated one beside it.

    Args:
        real_logits: (N,) logits of D for real examples; a list of such tensors for several D.
        generated_logits: (N,) logits of D for as many generated examples; a list likewise.
        positive_target: 1 and no other: only differences count, so one-sided label smoothing is not defined.
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, in nats; log 2 where D cannot tell them apart.

    Raises:
        ValueError: different N, a positive_target other than 1, or as in `adversarial_discriminator_loss`.

    Source: Jolicoeur-Martineau, 2019 (RpGAN); Huang et al., 2024, with R1 and R2.

    >>> import torch
    >>> relativistic_discriminator_loss(torch.ones(4), torch.ones(4))
    tensor(0.6931)
    """
    _refuse_smoothing(positive_target, "relativistic loss, which compares pairs")
    return over_discriminators(
        _relativistic, reduction=reduction, real_logits=real_logits, generated_logits=generated_logits
    )


def relativistic_generator_loss(real_logits: Logits, generated_logits: Logits, *, reduction: str = "mean") -> Tensor:
    """E softplus(l(x_i) - l(G(z_i))): the discriminator's loss with real and generated exchanged.

    Args:
        real_logits: (N,) logits of D for real examples; a list of such tensors for several D.
        generated_logits: (N,) logits of D for as many generated examples; a list likewise.
        reduction: "mean" or "sum" over the discriminators of a list.

    Returns:
        () the loss, in nats.

    Raises:
        ValueError: different N, or as in `adversarial_discriminator_loss`.

    Source: Jolicoeur-Martineau, 2019 (RpGAN).

    >>> import torch
    >>> relativistic_generator_loss(torch.full((4,), 100.0), torch.zeros(4))
    tensor(100.)
    """
    return over_discriminators(
        lambda real, generated: _relativistic(generated, real),
        reduction=reduction,
        real_logits=real_logits,
        generated_logits=generated_logits,
    )


def _relativistic(better: Tensor, worse: Tensor) -> Tensor:
    if better.shape != worse.shape:
        raise ValueError(
            f"pairs need as many real as generated logits; got {tuple(better.shape)} and {tuple(worse.shape)}"
        )
    return -F.logsigmoid(better - worse).mean()


def _refuse_smoothing(positive_target: float, loss: str) -> None:
    if positive_target != 1:
        raise ValueError(
            f"one-sided label smoothing is not defined for the {loss} and no target; got {positive_target=}. Use "
            f"smoothed_discriminator_loss or least_squares_discriminator_loss."
        )
