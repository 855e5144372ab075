"""Interpolation between latents: it shows whether the generator's output changes smoothly with its input.

Latents drawn uniformly from a box are joined by straight lines: the box is convex, so every point of the line is one
that could have been drawn; an arc about the origin would leave the box. Latents drawn from a normal distribution
are joined along the arc between them: in many dimensions they lie near a sphere, and the middle of a straight line
would be shorter by a factor of 1.4 than the latents in training (White, 2016, "Sampling Generative Networks").
"""

import torch
from torch import Tensor

from improved_gan.modes import in_mode
from improved_gan.networks.interface import Generator
from improved_gan.training.sampling import to_uint8

__all__ = ["PATHS", "generate", "latent_path", "linear", "path_for", "spherical"]

_PROBED = 4096


def linear(start: Tensor, end: Tensor, num: int) -> Tensor:
    """(num, Z) from start (Z,) to end (Z,) in equal steps, both included.

    >>> linear(torch.zeros(1), torch.ones(1), 3).flatten().tolist()
    [0.0, 0.5, 1.0]
    """
    fraction = torch.linspace(0, 1, num, dtype=start.dtype)[:, None]
    return (1 - fraction) * start + fraction * end


def spherical(start: Tensor, end: Tensor, num: int) -> Tensor:
    """(num, Z) in equal angles from start (Z,) to end (Z,); lengths in between change in equal steps.

    Directions that are alike or opposite have no arc of their own: they are joined by a straight line.

    >>> spherical(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 3).norm(dim=1)
    tensor([1.0000, 1.0000, 1.0000])
    """
    lengths = start.norm(), end.norm()
    cosine = torch.dot(start, end) / (lengths[0] * lengths[1])
    if not abs(cosine) < 1 - 1e-6:  # also where a length is 0
        return linear(start, end, num)
    angle = torch.arccos(cosine)
    fraction = torch.linspace(0, 1, num, dtype=start.dtype)[:, None]
    arc = torch.sin((1 - fraction) * angle) * start / lengths[0] + torch.sin(fraction * angle) * end / lengths[1]
    path: Tensor = ((1 - fraction) * lengths[0] + fraction * lengths[1]) * arc / torch.sin(angle)
    return path


PATHS = {"linear": linear, "spherical": spherical}


def path_for(generator: Generator) -> str:
    """The path that fits the distribution of the latents, by the kurtosis of 4096 draws.

    The fourth moment over the square of the second, about the mean, is 1.8 for a uniform distribution, 3 for a normal.
    """
    values = generator.draw_latents(_PROBED, source=torch.Generator().manual_seed(0)).double().cpu()
    centered = values - values.mean(0)
    kurtosis = centered.pow(4).mean() / centered.pow(2).mean().square()
    return "linear" if kurtosis < 2.4 else "spherical"


def latent_path(generator: Generator, *, path: str, num_paths: int, steps: int, seed: int) -> Tensor:
    """(num_paths * steps, Z) on the CPU: each path starts at the end of the one before, the first at the last.

    Args:
        generator: draws the latents.
        path: a name of `PATHS`.
        num_paths: how many paths.
        steps: points of each path, its ends included.
        seed: seed of the latents.
    """
    latents = generator.draw_latents(num_paths, source=torch.Generator().manual_seed(seed)).cpu()
    flat = latents.flatten(1)
    ends = flat.roll(-1, 0)
    paths = torch.cat([PATHS[path](start, end, steps) for start, end in zip(flat, ends, strict=True)])
    return paths.view(-1, *latents.shape[1:])


@torch.no_grad()
def generate(generator: Generator, latents: Tensor, *, device: torch.device | str, batch: int = 64) -> Tensor:
    """Images (N, C, H, W) uint8 of latents (N, Z), in evaluation mode, on the CPU."""
    with in_mode(generator, training=False):
        return torch.cat([to_uint8(generator(some.to(device))) for some in torch.split(latents, batch)])
