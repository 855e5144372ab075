"""The networks of a recipe with the weights of a checkpoint, as they are used after training, and their errors."""

import numpy as np
import torch
from torch import Tensor, nn

from improved_gan.data.dataset import LabeledImages, to_float01
from improved_gan.distributed import single_process
from improved_gan.modes import in_mode
from improved_gan.networks.interface import Discriminator, Generator
from improved_gan.recipes.recipe import Recipe
from improved_gan.techniques.weight_ema import WeightEMA
from improved_gan.training.sampling import ema_generator
from improved_gan.training.state import with_prefix

__all__ = ["count_errors", "trained_networks"]


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


_EVALUATION_BATCH = 1000


@torch.no_grad()
def count_errors(
    discriminator: nn.Module,
    images: LabeledImages,
    *,
    device: torch.device,
    batch_size: int = _EVALUATION_BATCH,
    share: tuple[int, int] = (0, 1),
) -> int:
    """The number of misclassified images, in evaluation mode.

    A discriminator that is not batch-independent gets batches as in training: of `batch_size`, in a fixed random order;
    the last batch is filled up with rows from the start of that order, which are not counted again. The mode of each
    module is restored afterwards.

    Args:
        discriminator: the network.
        images: with labels.
        device: where the network is.
        batch_size: of training.
        share: (r, R): only every R-th batch from r on is evaluated.
    """
    independent = getattr(discriminator, "is_batch_independent", True)
    order = torch.arange(len(images))
    if not independent:
        order = torch.from_numpy(np.random.RandomState(0).permutation(len(images)))
    wrong, (first, step) = 0, share
    with single_process(), in_mode(discriminator, training=False):
        for own in torch.split(order, _EVALUATION_BATCH if independent else batch_size)[first::step]:
            rows = own if independent else torch.cat([own, order.repeat(-(-batch_size // len(order)))])[:batch_size]
            predicted = discriminator(to_float01(images.images[rows].to(device))).logits.argmax(1).cpu()
            wrong += int((predicted[: len(own)] != images.labels[own]).sum())
    return wrong
