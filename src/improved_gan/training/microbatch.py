"""The wrap_networks as an objective sees them when a step is divided: over ranks, or into passes of a few rows.

Over ranks, latents are drawn on rank 0 for everyone and each rank takes its own rows: what one process would have
drawn. Noise and dropout come from each rank's own random stream.

In passes of at most `micro_batch` rows each pass keeps no activations: it is computed again when its gradient is asked
for, with the same noise. What the objective sees is the whole batch, so every loss, also one over means or pairs of
rows, and its gradient are exactly those of the undivided step; the price is one more forward pass. That needs networks
whose rows do not depend on each other.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from improved_gan.distributed import broadcast_from_rank0, rank, world_size
from improved_gan.networks.interface import Discriminator, DiscriminatorOutput, Generator

__all__ = ["MicrobatchedDiscriminator", "MicrobatchedGenerator", "wrap_networks"]

_Output = TypeVar("_Output", Tensor, DiscriminatorOutput)


def wrap_networks(
    generator: Generator, discriminator: Discriminator, micro_batch: int
) -> tuple[Generator, Discriminator]:
    """The pair for one step: as it is where nothing is divided.

    Args:
        generator: makes images.
        discriminator: judges them.
        micro_batch: the most rows of a pass; 0 for all in one.

    Raises:
        ValueError: passes of a few rows, and a discriminator that compares rows.
    """
    if micro_batch and not discriminator.is_batch_independent:
        raise ValueError(
            f"the judgments of {type(discriminator).__name__} depend on the whole batch (minibatch features or batch "
            f"norm), so it cannot be gone through {micro_batch} rows at a time: use micro_batch 0, a smaller batch, or "
            "a discriminator without them"
        )
    if world_size() > 1 or (micro_batch and generator.is_batch_independent):
        generator = MicrobatchedGenerator(generator, micro_batch if generator.is_batch_independent else 0)
    return generator, MicrobatchedDiscriminator(discriminator, micro_batch) if micro_batch else discriminator


class MicrobatchedGenerator(Generator):
    """A generator that hands out this rank's latents, and runs a few rows at a time.

    Args:
        network: the generator.
        micro_batch: rows of a pass; 0 for all.
    """

    def __init__(self, network: Generator, micro_batch: int) -> None:
        super().__init__()
        self.network, self.micro_batch = network, micro_batch
        self.is_batch_independent = network.is_batch_independent

    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        """The rows of this rank, of the latents that rank 0 draws for all."""
        if source is not None or world_size() == 1:
            return self.network.draw_latents(num, source=source)
        everyones = broadcast_from_rank0(self.network.draw_latents(num * world_size()))
        return everyones[rank() * num : (rank() + 1) * num]

    def forward(self, latents: Tensor) -> Tensor:
        """As the network's own."""
        return torch.cat(_microbatched(self.network, latents, self.micro_batch))

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """As the network's own."""
        with self.network.cache_weights():
            yield


class MicrobatchedDiscriminator(Discriminator):
    """A discriminator that judges a few rows at a time.

    Args:
        network: the discriminator; its rows are independent.
        micro_batch: rows of a pass.
    """

    def __init__(self, network: Discriminator, micro_batch: int) -> None:
        super().__init__()
        self.network, self.micro_batch = network, micro_batch

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """As the network's own."""
        logits, features = zip(*_microbatched(self.network, images, self.micro_batch), strict=True)
        return DiscriminatorOutput(torch.cat(logits), torch.cat(features))

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """As the network's own."""
        with self.network.cache_weights():
            yield

    def invalidate_weight_cache(self) -> None:
        """As the network's own."""
        self.network.invalidate_weight_cache()


def _microbatched(network: Callable[[Tensor], _Output], rows: Tensor, micro_batch: int) -> list[_Output]:
    if micro_batch == 0 or len(rows) <= micro_batch:
        return [network(rows)]
    if not torch.is_grad_enabled():
        return [network(part) for part in torch.split(rows, micro_batch)]
    return [checkpoint(network, part, use_reentrant=False) for part in torch.split(rows, micro_batch)]
