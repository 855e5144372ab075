"""Wrappers of the networks for a step whose batch is divided: over ranks, or into micro-batches.

Over ranks, rank 0 draws the latents of all ranks and each takes its own rows: the same latents as in one process. Noise
and dropout come from each rank's own random stream.

A micro-batch of at most `micro_batch` rows keeps no activations: its forward pass is recomputed, with the same noise,
for its gradient. The objective still gets the outputs of the whole batch, so every loss, also one over means or pairs
of rows, and its gradient are exactly those of the undivided step, for one more forward pass. This requires networks
whose rows are independent of each other.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from improved_gan.distributed import broadcast_from_rank0, rank, world_size
from improved_gan.kernels.random_source import pass_and_recomputation
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput, Generator

__all__ = ["MicrobatchedDiscriminator", "MicrobatchedGenerator", "wrap_networks"]

_Output = TypeVar("_Output", Tensor, DiscriminatorOutput)


def wrap_networks(
    generator: Generator | None, discriminator: Discriminator, micro_batch: int
) -> tuple[Generator | None, Discriminator]:
    """The networks for one step; unchanged if the batch is not divided.

    Args:
        generator: maps latents to images; None for none.
        discriminator: scores them.
        micro_batch: maximum number of rows in a forward pass; 0 for the whole batch.

    Raises:
        ValueError: micro-batches with a discriminator that compares rows.
    """
    if micro_batch and not discriminator.is_batch_independent:
        raise ValueError(
            f"the outputs of {type(discriminator).__name__} depend on the whole batch (minibatch features or batch "
            f"norm), so it cannot be split into micro-batches of {micro_batch}: use micro_batch 0, a smaller batch, or "
            "a discriminator without them"
        )
    if generator is not None and (world_size() > 1 or (micro_batch and generator.is_batch_independent)):
        generator = MicrobatchedGenerator(generator, micro_batch if generator.is_batch_independent else 0)
    return generator, MicrobatchedDiscriminator(discriminator, micro_batch) if micro_batch else discriminator


class MicrobatchedGenerator(Generator):
    """A generator that draws this rank's latents, and runs in micro-batches.

    Args:
        network: the generator.
        micro_batch: rows of a forward pass; 0 for all.
    """

    def __init__(self, network: Generator, micro_batch: int) -> None:
        super().__init__()
        self.network, self.micro_batch = network, micro_batch
        self.is_batch_independent = network.is_batch_independent

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        """The rows of this rank among the latents that rank 0 draws for all ranks."""
        if source is not None or world_size() == 1:
            return self.network.draw_latents(num, source=source)
        # Every rank draws; only rank 0's numbers are used.
        latents = broadcast_from_rank0(self.network.draw_latents(num * world_size()))
        return latents[rank() * num : (rank() + 1) * num]

    def forward(self, latents: Tensor) -> Tensor:
        """As the wrapped network."""
        return torch.cat(_microbatched(self.network, latents, self.micro_batch))

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """As the wrapped network."""
        with self.network.cache_weights():
            yield


class MicrobatchedDiscriminator(Discriminator):
    """A discriminator that runs in micro-batches.

    Args:
        network: the discriminator; its rows are independent.
        micro_batch: rows of a forward pass.
    """

    def __init__(self, network: Discriminator, micro_batch: int) -> None:
        super().__init__()
        self.network, self.micro_batch = network, micro_batch

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """As the wrapped network."""
        logits, features = zip(*_microbatched(self.network, images, self.micro_batch), strict=True)
        return DiscriminatorOutput(torch.cat(logits), torch.cat(features))

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """As the wrapped network."""
        with self.network.cache_weights():
            yield

    def invalidate_weight_cache(self) -> None:
        """As the wrapped network."""
        self.network.invalidate_weight_cache()


def _microbatched(network: Callable[[Tensor], _Output], rows: Tensor, micro_batch: int) -> list[_Output]:
    if micro_batch == 0 or len(rows) <= micro_batch:
        return [network(rows)]
    if not torch.is_grad_enabled():
        return [network(part) for part in torch.split(rows, micro_batch)]
    parts = torch.split(rows, micro_batch)
    return [checkpoint(network, part, use_reentrant=False, context_fn=pass_and_recomputation) for part in parts]
