"""How many images a discriminator gets wrong."""

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
    """How many of the images get the wrong class, in evaluation mode; (r, R) looks at each R-th batch from r on.

    A discriminator that looks across the batch judges batches as in training: of `batch_size`, in a fixed random order.
    The last one is filled up with rows from the start of that order, which do not count a second time.
    Afterwards each module is in its own mode again.
    """
    single = getattr(discriminator, "is_batch_independent", True)
    order = torch.arange(len(images)) if single else torch.from_numpy(np.random.RandomState(0).permutation(len(images)))
    wrong, (first, step) = 0, share
    with single_process(), in_mode(discriminator, training=False):
        for own in torch.split(order, _EVALUATION_BATCH if single else batch_size)[first::step]:
            rows = own if single else torch.cat([own, order.repeat(-(-batch_size // len(order)))])[:batch_size]
            predicted = discriminator(to_float01(images.images[rows].to(device))).logits.argmax(1).cpu()
            wrong += int((predicted[: len(own)] != images.labels[own]).sum())
    return wrong
