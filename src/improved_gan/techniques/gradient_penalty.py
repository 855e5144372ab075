"""R1 and R2 gradient penalties (Mescheder et al., 2018) on the squared norm of D's gradient at the data.

    R1 = gamma/2 E_x || grad_x D(x) ||^2          at real examples
    R2 = gamma/2 E_z || grad D(G(z)) ||^2         at generated examples: the same function, called with them
    lazy (Karras et al., 2020)    at every k-th step only, k times as strong: the mean over steps is the same

D is the logit, without a sigmoid. It is a term of the discriminator's loss, never of the generator's. The paper's
historical averaging has the same aim, gradient descent that converges, and acts on the parameters instead.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from improved_gan.distributed import global_mean
from improved_gan.kernels.logits import over_discriminators
from improved_gan.kernels.precision import precise

__all__ = ["gradient_penalty"]


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor | Sequence[Tensor]],
    inputs: Tensor,
    *,
    gamma: float = 10.0,
    step: int = 0,
    every: int = 1,
    reduction: str = "mean",
) -> Tensor:
    """gamma/2 E ||grad D||^2 at `inputs`, differentiable in the discriminator's parameters.

    Args:
        discriminator: from inputs (N, A...) to logits (N,), or to a list of such logits of several discriminators.
        inputs: (N, A...) real examples (R1) or generated ones (R2), in the discriminator's units. They are constants
            unless they require a gradient: detach generated ones.
        gamma: the strength, >= 0: 10 in the source; it grows with the image size.
        step: the number of the training step; counts only with every > 1.
        every: k of the lazy form: 0 at other steps (the discriminator is not called), k times the penalty at each
            k-th.
        reduction: "mean" or "sum" over several discriminators, as in their loss.

    Returns:
        () the penalty, >= 0; float32 for half precision, else in the inputs' dtype. The mean is over all ranks' rows.

    Raises:
        ValueError: gamma, step or every out of range, inputs that are empty or no floats, or logits that are not (N,).

    Source: Mescheder et al., 2018, equation 9; lazy: Karras et al., 2020 (StyleGAN2), appendix B.

    A discriminator that compares rows (minibatch discrimination) has the gradient of the sum of its logits, in which
    the others' share is included.

    >>> weight = torch.tensor([3.0, 4.0])
    >>> gradient_penalty(lambda x: x @ weight, torch.randn(8, 2), gamma=1.0)
    tensor(12.5000)
    >>> gradient_penalty(lambda x: x @ weight, torch.randn(8, 2), step=3, every=16)
    tensor(0.)
    """
    if not gamma >= 0 or every < 1 or step < 0:
        raise ValueError(f"gamma and step must be at least 0, every at least 1; got {gamma=}, {step=}, {every=}")
    if inputs.dim() == 0 or len(inputs) == 0 or not inputs.is_floating_point():
        raise ValueError(f"inputs must be floats (N, A...), not empty; got {tuple(inputs.shape)} of {inputs.dtype}")
    if step % every:
        return precise(inputs.new_zeros(()))
    with torch.enable_grad():
        points = inputs if inputs.requires_grad else inputs.detach().requires_grad_()
        logits = discriminator(points)
        penalty = over_discriminators(lambda one: _mean_square(one, points), reduction=reduction, logits=logits)
        return 0.5 * gamma * every * penalty


def _mean_square(logits: Tensor, points: Tensor) -> Tensor:
    """The mean over examples of the squared gradient of one discriminator's logits."""
    if len(logits) != len(points):
        raise ValueError(
            f"the discriminator must give one logit an example, ({len(points)},); got {tuple(logits.shape)}. Take the "
            f"mean over patches: logits.flatten(1).mean(1)."
        )
    (gradient,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
    return global_mean(precise(gradient).flatten(1).square().sum(1))
