"""Feature matching (paper, section 3.1): G matches the mean of an intermediate layer f of D on real data.

    paper               || E_x f(x) - E_z f(G(z)) ||_2^2
    released-mnist      mean over features of the squared difference of the two means
    released-cifar10    mean over features of the absolute difference of the two means (SVHN too)
    pairwise-l1         mean over examples and features of | f(x_i) - f(G(z_i)) |: after the paper (pix2pixHD, HiFi-GAN)

The first three compare distributions: x and z are drawn independently. The last one compares pairs: G(z_i) must be a
rendering of x_i (of its label map, its spectrogram, its code); on independent draws its optimum is the median of the
data, a blur. Over several ranks the means are those of the global batch, taken before the norm.

The first three are the generator's only loss; D is trained as usual. The real batch should be another one than that of
D's last update, and D stays in training mode (noise and dropout on) for both passes. `pairwise-l1` is a term beside an
adversarial loss. With a fixed network's features (VGG) in place of D's it is the perceptual loss of pix2pixHD.

Several layers of several discriminators: a list, or nested lists, of feature maps of any rank. Each map gives one
number; `reduction` combines them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from torch import Tensor

from improved_gan.distributed import global_mean
from improved_gan.kernels.precision import precise

__all__ = ["feature_matching_loss"]

FeatureMaps: TypeAlias = Tensor | Sequence["FeatureMaps"]
Weights: TypeAlias = float | Sequence["Weights"]

# The measure of the difference of the two means, a tensor of features, in each variant.
_MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "paper": lambda difference: difference.square().sum(),
    "released-mnist": lambda difference: difference.square().mean(),
    "released-cifar10": lambda difference: difference.abs().mean(),
}
_PAIRWISE = "pairwise-l1"


def feature_matching_loss(
    real_features: FeatureMaps,
    generated_features: FeatureMaps,
    *,
    variant: str = "paper",
    reduction: str | Sequence[Weights] = "mean",
) -> Tensor:
    """The distance between the features of real and of generated examples, of one layer or of many.

    The real features are constants for the generator: no gradient flows into them.

    Args:
        real_features: (N, A...) f(x) of N real examples; or a list of such tensors, one a layer; or nested lists, as
            discriminator x layer. N and A... may differ between the tensors.
        generated_features: (M, A...) f(G(z)) of M generated examples, in the same nesting. M may differ from N, except
            for "pairwise-l1".
        variant: "paper", "released-mnist", "released-cifar10" or "pairwise-l1", the formulas above.
        reduction: of the layers' numbers: "mean" over all tensors, "sum", or weights of the sum, one for each tensor,
            nested as the features or flat in their order.

    Returns:
        () the loss; float32 for half-precision features, else in their dtype.

    Raises:
        ValueError: unknown variant or reduction, an empty batch or list, feature shapes, numbers of layers or of
            weights that differ, or pairs of different N and M.
        TypeError: something in a list that is neither a tensor nor a list.

    Source: paper, section 3.1; the released MNIST and CIFAR-10 experiments. Pairs: Wang et al., 2018 (pix2pixHD, mean
        over discriminators and layers), and Kong et al., 2020 (HiFi-GAN: "sum", weight 2).

    >>> import torch
    >>> feature_matching_loss(torch.ones(8, 5), torch.zeros(4, 5))
    tensor(5.)
    >>> feature_matching_loss(torch.ones(8, 5), torch.zeros(4, 5), variant="released-mnist")
    tensor(1.)
    >>> real = [[torch.ones(2, 4, 16), torch.ones(2, 8, 4)], [torch.ones(2, 4, 9)]]  # two discriminators
    >>> generated = [[torch.zeros(2, 4, 16), torch.zeros(2, 8, 4)], [torch.zeros(2, 4, 9)]]
    >>> feature_matching_loss(real, generated, variant="pairwise-l1", reduction="sum")
    tensor(3.)
    """
    if variant not in (*_MEASURES, _PAIRWISE):
        raise ValueError(f"variant must be one of {', '.join([*_MEASURES, _PAIRWISE])}; got {variant!r}")
    losses = [_distance(*pair, variant) for pair in _pairs(real_features, generated_features, "")]
    if not losses:
        raise ValueError("there must be at least one feature map; got empty lists")
    factors = _factors(reduction, len(losses))
    weighted = [loss if factor == 1 else factor * loss for factor, loss in zip(factors, losses, strict=True)]
    return sum(weighted[1:], weighted[0])


def _distance(real: Tensor, generated: Tensor, place: str, variant: str) -> Tensor:
    """The loss of one layer; `place` is its index in the lists, for messages."""
    if real.dim() < 2:
        raise ValueError(
            f"real_features{place} must be (N, A...), one row of features an example; got {tuple(real.shape)}"
        )
    if real.shape[1:] != generated.shape[1:]:
        raise ValueError(
            f"real_features{place} (N, A...) and generated_features{place} (M, A...) must agree in A...; got "
            f"{tuple(real.shape)} and {tuple(generated.shape)}"
        )
    for features in (real, generated):
        if features.shape[0] == 0:
            shape = tuple(features.shape)
            raise ValueError(f"the mean of an empty batch is undefined; got features{place} of shape {shape}")
    if variant != _PAIRWISE:
        return _MEASURES[variant](global_mean(real.detach()) - global_mean(generated))
    if len(real) != len(generated):
        raise ValueError(
            f"'pairwise-l1' compares pairs: real_features{place} and generated_features{place} must have the same N; "
            f"got {tuple(real.shape)} and {tuple(generated.shape)}. For independent batches take another variant."
        )
    # The mean over examples last, so that ranks with different numbers of rows agree with one process.
    return global_mean((precise(real.detach()) - precise(generated)).abs().flatten(1).mean(1))


def _pairs(real: FeatureMaps, generated: FeatureMaps, place: str) -> Iterator[tuple[Tensor, Tensor, str]]:
    """The tensors of two nestings that must agree, and where each pair stands."""
    if isinstance(real, Tensor) and isinstance(generated, Tensor):
        yield real, generated, place
        return
    for name, given in (("real", real), ("generated", generated)):
        if not isinstance(given, Tensor | list | tuple):
            wanted = "a tensor (N, A...), or a list of such tensors or lists"
            raise TypeError(f"{name}_features{place} must be {wanted}; got {type(given).__name__}")
    if isinstance(real, Tensor) or isinstance(generated, Tensor) or len(real) != len(generated):
        found = " and ".join("a tensor" if isinstance(one, Tensor) else str(len(one)) for one in (real, generated))
        raise ValueError(f"real_features{place} and generated_features{place} must have the same layers; got {found}")
    for index, both in enumerate(zip(real, generated, strict=True)):
        yield from _pairs(*both, f"{place}[{index}]")


def _factors(reduction: str | Sequence[Weights], num: int) -> list[float]:
    """The weight of each of `num` numbers."""
    if isinstance(reduction, str):
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction must be 'mean', 'sum' or weights; got {reduction!r}")
        return [1 / num if reduction == "mean" else 1.0] * num
    weights = list(_flat(reduction))
    if len(weights) != num:
        raise ValueError(f"there must be one weight for each of the {num} feature maps; got {len(weights)}")
    return weights


def _flat(weights: Weights) -> Iterator[float]:
    if isinstance(weights, Sequence):
        for one in weights:
            yield from _flat(one)
    else:
        yield float(weights)
