"""The networks of a recipe with the weights of a checkpoint, as they are used after training, and their errors."""

import numpy as np
import torch
from torch import Tensor, nn

from improved_gan.data.dataset import LabeledImages, to_float01
from improved_gan.distributed import single_process
from improved_gan.modes import in_mode
from improved_gan.networks.interface import Discriminator, Generator, evaluation_batch_size
from improved_gan.recipes.recipe import Recipe
from improved_gan.techniques.weight_ema import WeightEMA
from improved_gan.training.sampling import ema_generator
from improved_gan.training.state import with_prefix

__all__ = ["count_errors", "logits_of", "trained_networks"]


def trained_networks(recipe: Recipe, tensors: dict[str, Tensor]) -> tuple[Generator | None, Discriminator]:
    """G as it makes samples (None where no GAN is trained), and D with averaged weights.

    Args:
        recipe: how they are built.
        tensors: of a checkpoint.

    Raises:
        RuntimeError, KeyError: the tensors are of other networks.
    """
    generator = None if recipe.generator is None else recipe.generator()
    discriminator = recipe.discriminator()
    average = WeightEMA(discriminator, recipe.ema_decay, every=recipe.ema_every)
    for prefix, module in {"generator": generator, "discriminator": discriminator, "average": average}.items():
        if module is None:
            continue
        module.load_state_dict(with_prefix(tensors, prefix))
    if generator is not None and recipe.generator_ema_decay is not None:
        generator_ema = WeightEMA(generator, recipe.generator_ema_decay)
        generator_ema.load_state_dict(with_prefix(tensors, "generator_ema"))
        generator = ema_generator(generator, generator_ema)
    averaged = average.averaged(discriminator)
    assert isinstance(averaged, Discriminator)
    return generator, averaged


@torch.no_grad()
def logits_of(
    discriminator: nn.Module,
    images: Tensor,
    *,
    device: torch.device | str,
    batch_size: int,
    share: tuple[int, int] = (0, 1),
) -> tuple[Tensor, Tensor]:
    """The logits of images in evaluation mode, wherever a test error or a probability comes from.

    A discriminator that is not batch-independent gets batches as in training: of `batch_size`, in a fixed random order;
    the last batch is filled up with rows from the start of that order. The mode of each module is restored afterwards.

    Args:
        discriminator: the network.
        images: (N, C, H, W) uint8.
        device: where the network is.
        batch_size: of training.
        share: (r, R): only every R-th batch from r on is evaluated.

    Returns:
        (n,) the rows that were evaluated, in their order, and their logits (n, ...) on the CPU.
    """
    independent = getattr(discriminator, "is_batch_independent", True)
    order = torch.arange(len(images))
    if independent:
        batch_size = evaluation_batch_size(discriminator, images.shape[1:])
    else:
        order = torch.from_numpy(np.random.RandomState(0).permutation(len(images)))
    (first, step), found = share, []
    chosen = torch.split(order, batch_size)[first::step]
    with single_process(), in_mode(discriminator, training=False):
        for own in chosen:
            rows = own if independent else torch.cat([own, order.repeat(-(-batch_size // len(order)))])[:batch_size]
            found.append(discriminator(to_float01(images[rows].to(device))).logits[: len(own)].cpu())
    if not found:  # more ranks than batches
        return torch.arange(0), torch.zeros(0, 1)
    evaluated, position = torch.cat(chosen).sort()
    return evaluated, torch.cat(found)[position]


def count_errors(
    discriminator: nn.Module,
    images: LabeledImages,
    *,
    device: torch.device,
    batch_size: int = 1000,
    share: tuple[int, int] = (0, 1),
) -> int:
    """The number of misclassified images (`logits_of`); `images` have labels, the other arguments are the same."""
    rows, logits = logits_of(discriminator, images.images, device=device, batch_size=batch_size, share=share)
    return int((logits.argmax(1) != images.labels[rows]).sum())
