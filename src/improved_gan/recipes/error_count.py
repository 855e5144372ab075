"""The number of images that a discriminator misclassifies."""

import numpy as np
import torch
from torch import nn

from improved_gan.data.dataset import LabeledImages, to_float01
from improved_gan.distributed import single_process
from improved_gan.modes import in_mode

__all__ = ["count_errors"]

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
