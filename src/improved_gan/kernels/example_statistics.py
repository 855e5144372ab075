"""Mean and variance of each example, and of each example together with a reference batch (paper, section 3.5)."""

import torch
from torch import Tensor

__all__ = ["mixed_statistics", "own_statistics"]


def own_statistics(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (N, C) of each example (N, C, ...) over its spatial positions.

    On CPUs several times as fast as torch.var_mean.

    >>> own_statistics(torch.tensor([[[1.0, 3.0]]]))
    (tensor([[2.]]), tensor([[1.]]))
    """
    if values.dim() == 2:
        return values, torch.zeros_like(values)
    mean = values.flatten(2).mean(2)
    return mean, (values.flatten(2) - mean.unsqueeze(2)).square().mean(2)


def mixed_statistics(
    mean: Tensor, variance: Tensor, size: int, own_mean: Tensor, own_variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and variance (N, C) of each example together with a reference (C,) of `size` examples.

    >>> mixed_statistics(torch.zeros(1), torch.ones(1), 1, torch.full((1, 1), 2.0), torch.ones(1, 1))
    (tensor([[1.]]), tensor([[2.]]))
    """
    w, difference = 1 / (size + 1), own_mean - mean
    return mean + w * difference, (1 - w) * variance + w * own_variance + w * (1 - w) * difference.square()
