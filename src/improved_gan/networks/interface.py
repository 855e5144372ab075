"""What training needs of a network: a generator makes images from latents, a discriminator judges images.

Images are (N, C, H, W) in [0, 1]; class logits leave out "generated", whose logit is 0 (paper, section 5).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from improved_gan.networks.weight_cache import weights_computed_once
from improved_gan.techniques import data_dependent_init_

__all__ = ["Discriminator", "DiscriminatorOutput", "Generator", "forward_batches", "frozen"]


class DiscriminatorOutput(NamedTuple):
    """What a discriminator says of N images."""

    logits: Tensor  # (N, K) logits of the K real classes, or (N,) the logit of "real"
    features: Tensor  # (N, A...) the intermediate layer f(x) that feature matching compares


class Generator(nn.Module, ABC):
    """Makes images from latents.

    `is_batch_independent` says that an image does not depend on the other latents of its batch: not so with batch norm.
    """

    is_batch_independent: bool = False

    @abstractmethod
    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        """`num` latent vectors (num, Z), drawn from `source` (default: the global random state)."""

    @abstractmethod
    def forward(self, latents: Tensor) -> Tensor:
        """(N, Z) latents -> (N, C, H, W) images."""

    def init_from_data_(self, num: int) -> None:
        """What is set before the first step from a batch of `num` latents; by default nothing is drawn or set."""

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """While entered no parameter may change: a network may keep what it computes from parameters alone.

        By default nothing is kept: the passes inside are made with and without gradients.
        """
        yield


class Discriminator(nn.Module, ABC):
    """Judges images: classes, real or generated, and the features that a generator may match.

    `is_batch_independent`: the output for an image does not depend on the other images of its batch, so several batches
    may share one forward pass. A discriminator with batch normalization or minibatch features sets it to False.
    `compares_real_and_generated`: each image is compared with the real and with the generated ones (the last of the
    batches of `forward_each`), so the generator's step needs real images too.
    """

    is_batch_independent: bool = True
    compares_real_and_generated: bool = False

    @abstractmethod
    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """(N, C, H, W) images -> their judgment."""

    def hidden_layers(self, images: Tensor) -> list[Tensor]:
        """What the hidden layers make of images, each (N, A...), the first layer first: by default f(x) alone."""
        return [self(images).features]

    def forward_each(self, batches: Sequence[Tensor]) -> list[DiscriminatorOutput]:
        """One judgment a batch: each in a pass of its own, unless a network knows better."""
        return [self(batch) for batch in batches]

    def forward_real_and_generated(
        self, constants: Tensor, make_images: Callable[[], Tensor]
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """Judge images without a graph, then those that are made now: in two passes, unless a network knows better."""
        with torch.no_grad():
            judgment: DiscriminatorOutput = self(constants)
        return judgment, self(make_images())

    def init_from_data_(self, images: Tensor) -> None:
        """Set what follows from one batch of real images (N, C, H, W): by default the scales of weight norm."""
        data_dependent_init_(self, images)

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """While entered no parameter may change: what is computed from parameters alone is computed once."""
        with weights_computed_once(self):
            yield

    @contextmanager
    def cache_weights_across_steps(self) -> Iterator[None]:
        """While entered only `train_step` may change parameters, and says so by `invalidate_weight_cache`.

        So what is computed from parameters alone may be kept from the end of a step into the next.
        """
        yield

    def invalidate_weight_cache(self) -> None:
        """The parameters have changed: what was computed from them is void."""


@contextmanager
def frozen(discriminator: Discriminator) -> Iterator[None]:
    """No gradients for the parameters: passes towards the images alone spare a third of the work.

    The normalized weights cannot change meanwhile either, so each is computed once for all passes.
    """
    learnt = [parameter for parameter in discriminator.parameters() if parameter.requires_grad]
    for parameter in learnt:
        parameter.requires_grad_(False)
    try:
        with discriminator.cache_weights():
            yield
    finally:
        for parameter in learnt:
            parameter.requires_grad_(True)


def forward_batches(discriminator: Discriminator, batches: Sequence[Tensor]) -> list[DiscriminatorOutput]:
    """Judge several batches, in one pass where the discriminator allows it; they never see each other.

    One pass costs one weight normalization, one cast and larger matrix products in place of several small ones.

    Args:
        discriminator: the judge.
        batches: tensors (N_i, C, H, W) of images.

    Returns:
        One judgment a batch, in their order.
    """
    if not discriminator.is_batch_independent:
        return discriminator.forward_each(batches)
    sizes = [len(batch) for batch in batches]
    logits, features = discriminator(torch.cat(list(batches)))
    return [DiscriminatorOutput(*parts) for parts in zip(logits.split(sizes), features.split(sizes), strict=True)]
