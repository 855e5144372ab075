"""Feature matching (paper, section 3.1): G matches the mean of an intermediate layer f of D on real data.

    paper               || E_x f(x) - E_z f(G(z)) ||_2^2
    released-mnist      mean over features of the squared difference of the two means
    released-cifar10    mean over features of the absolute difference of the two means (SVHN too)

It is the generator's only loss; D is trained as usual. The real batch should be another one than that of D's last
update, and D stays in training mode (noise and dropout on) for both passes. Over several ranks the means are those of
the global batch, taken before the norm.
"""

from collections.abc import Callable

from torch import Tensor

from improved_gan.distributed import global_mean

__all__ = ["feature_matching_loss"]

# The measure of the difference of the two means, a tensor of features, in each variant.
_MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "paper": lambda difference: difference.square().sum(),
    "released-mnist": lambda difference: difference.square().mean(),
    "released-cifar10": lambda difference: difference.abs().mean(),
}


def feature_matching_loss(real_features: Tensor, generated_features: Tensor, *, variant: str = "paper") -> Tensor:
    """The distance between the mean features of real and of generated examples.

    The real features are constants for the generator: no gradient flows into them.

    Args:
        real_features: (N, A...) f(x) of N real examples.
        generated_features: (M, A...) f(G(z)) of M generated examples; M may differ from N.
        variant: "paper", "released-mnist" or "released-cifar10", the formulas above.

    Returns:
        () the loss; float32 for half-precision features, else in their dtype.

    Raises:
        ValueError: unknown variant, an empty batch, or feature shapes that differ.

    Source: paper, section 3.1; the released MNIST and CIFAR-10 experiments.

    >>> import torch
    >>> feature_matching_loss(torch.ones(8, 5), torch.zeros(4, 5))
    tensor(5.)
    >>> feature_matching_loss(torch.ones(8, 5), torch.zeros(4, 5), variant="released-mnist")
    tensor(1.)
    """
    if variant not in _MEASURES:
        raise ValueError(f"variant must be one of {', '.join(_MEASURES)}; got {variant!r}")
    if real_features.dim() < 2 or real_features.shape[1:] != generated_features.shape[1:]:
        raise ValueError(
            f"real_features (N, A...) and generated_features (M, A...) must agree in A...; got "
            f"{tuple(real_features.shape)} and {tuple(generated_features.shape)}"
        )
    for features in (real_features, generated_features):
        if features.shape[0] == 0:
            raise ValueError(f"the mean of an empty batch is undefined; got features of shape {tuple(features.shape)}")
    difference = global_mean(real_features.detach()) - global_mean(generated_features)
    return _MEASURES[variant](difference)
