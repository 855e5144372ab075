"""What training requires of a network: a generator maps latents to images, a discriminator scores images.

Images are (N, C, H, W) in [0, 1]; class logits leave out "generated", whose logit is 0 (paper, section 5).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from improved_gan.techniques.weight_norm import data_dependent_init_

__all__ = [
    "Discriminator",
    "DiscriminatorOutput",
    "Generator",
    "evaluation_batch_size",
    "forward_batches",
    "frozen",
    "generate_in_batches",
    "weights_computed_once",
]

_ROWS = 1000  # images in a pass without gradients
_NUMBERS = 2**18  # of the images in a pass through convolutions on a CPU, whose activations then stay in its cache
_FIRST = 16  # latents in the first pass of a generator with convolutions, from which the image size is known


class DiscriminatorOutput(NamedTuple):
    """A discriminator's output for N images."""

    logits: Tensor  # (N, K) logits of the K real classes, or (N,) the logit of "real"
    features: Tensor  # (N, A...) the intermediate layer f(x) that feature matching compares


class Generator(nn.Module, ABC):
    """Maps latents to images.

    `is_batch_independent`: an image does not depend on the other latents of its batch. False with batch norm.
    """

    is_batch_independent: bool = False

    @abstractmethod
    def draw_latents(self, num: int, *, source: torch.Generator | None = None) -> Tensor:
        """`num` latent vectors (num, Z), drawn from `source` (default: the global random state)."""

    @abstractmethod
    def forward(self, latents: Tensor) -> Tensor:
        """(N, Z) latents -> (N, C, H, W) images."""

    def init_from_data_(self, num: int) -> None:
        """Data-dependent initialization from `num` latents; by default nothing is drawn or set."""

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """While entered no parameter may change: a network may cache what depends on parameters alone.

        By default nothing is cached: the forward passes inside run with and without gradients.
        """
        yield


class Discriminator(nn.Module, ABC):
    """Scores images: class logits or a real logit, and the features that a generator may match.

    `is_batch_independent`: the output for an image does not depend on the other images of its batch, so several batches
    may share one forward pass. A discriminator with batch normalization or minibatch features sets it to False.
    `compares_real_and_generated`: each image is compared with the real and with the generated ones (the last of the
    batches of `forward_each`), so the generator's step needs real images too.
    """

    is_batch_independent: bool = True
    compares_real_and_generated: bool = False

    @abstractmethod
    def forward(self, images: Tensor) -> DiscriminatorOutput:
        """(N, C, H, W) images -> logits and features."""

    def hidden_layers(self, images: Tensor) -> list[Tensor]:
        """The activations of the hidden layers, each (N, A...), the first layer first: by default f(x) alone."""
        return [self(images).features]

    def forward_each(self, batches: Sequence[Tensor]) -> list[DiscriminatorOutput]:
        """One output per batch, by default each in a forward pass of its own."""
        return [self(batch) for batch in batches]

    def forward_real_and_generated(
        self, constants: Tensor, make_images: Callable[[], Tensor]
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """Outputs for constant images, without gradient, and for `make_images()`: by default in two forward passes.

        In one pass where the discriminator compares the two.
        """
        if self.compares_real_and_generated:
            real, generated = self.forward_each([constants, make_images()])
            return DiscriminatorOutput(real.logits.detach(), real.features.detach()), generated
        with torch.no_grad():
            output: DiscriminatorOutput = self(constants)
        return output, self(make_images())

    def init_from_data_(self, images: Tensor) -> None:
        """Data-dependent initialization from real images (N, C, H, W): by default the scales of weight norm."""
        data_dependent_init_(self, images)

    @contextmanager
    def cache_weights(self) -> Iterator[None]:
        """While entered no parameter may change: what depends on parameters alone is computed once."""
        with weights_computed_once(self):
            yield

    @contextmanager
    def cache_weights_across_steps(self) -> Iterator[None]:
        """While entered only `train_step` may change parameters, and it calls `invalidate_weight_cache` when it does.

        So what depends on parameters alone may be cached from the end of a step into the next.
        """
        yield

    def invalidate_weight_cache(self) -> None:
        """The parameters have changed: drop what was computed from them."""


@contextmanager
def frozen(discriminator: Discriminator) -> Iterator[None]:
    """No gradients for the parameters: a pass with gradients for the images alone takes a third less work.

    The weights cannot change meanwhile, so each normalized weight is computed once for all passes.
    """
    trainable = [parameter for parameter in discriminator.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        with discriminator.cache_weights():
            yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def forward_batches(discriminator: Discriminator, batches: Sequence[Tensor]) -> list[DiscriminatorOutput]:
    """Outputs for several batches, in one forward pass if rows are independent: the same results as in separate passes.

    One pass takes one weight normalization, one cast and larger matrix products in place of several small ones.

    Args:
        discriminator: scores the images.
        batches: tensors (N_i, C, H, W) of images.

    Returns:
        One output per batch, in their order.
    """
    if not discriminator.is_batch_independent:
        return discriminator.forward_each(batches)
    sizes = [len(batch) for batch in batches]
    logits, features = discriminator(torch.cat(list(batches)))
    return [DiscriminatorOutput(*parts) for parts in zip(logits.split(sizes), features.split(sizes), strict=True)]


def evaluation_batch_size(network: nn.Module, image_shape: Sequence[int]) -> int:
    """How many images a pass without gradients has: 1,000, or on a CPU with convolutions about 2^18 numbers of images.

    Through convolutions larger passes take up to three times as long and twelve times the memory; a dense network reads
    its weights anew in each pass, so that small ones cost time.

    Args:
        network: a generator or discriminator.
        image_shape: (C, H, W).

    Returns:
        at least 1, at most 1,000.

    >>> evaluation_batch_size(nn.Conv2d(3, 8, 3), (3, 32, 32)), evaluation_batch_size(nn.Linear(3072, 8), (3, 32, 32))
    (85, 1000)
    """
    if not _has_convolutions_on_cpu(network):
        return _ROWS
    return max(1, min(_ROWS, _NUMBERS // math.prod(image_shape)))


def generate_in_batches(generator: Generator, latents: Tensor) -> Iterator[Tensor]:
    """The images of latents (N, Z), in their order and in pieces (n, C, H, W) of `evaluation_batch_size`.

    The generator is in evaluation mode, where an image does not depend on the others. The first piece is smaller with
    convolutions on a CPU.
    """
    images = generator(latents[: _FIRST if _has_convolutions_on_cpu(generator) else _ROWS])
    yield images
    start, step = len(images), evaluation_batch_size(generator, images.shape[1:])
    for first in range(start, len(latents), step):
        yield generator(latents[first : first + step])


def _has_convolutions_on_cpu(network: nn.Module) -> bool:
    return any(one.dim() >= 4 and one.device.type == "cpu" for one in network.parameters())


@contextmanager
def weights_computed_once(network: nn.Module) -> Iterator[None]:
    """While entered no parameter of the network may change: each parametrized tensor is computed at its first use.

    Nested uses share the outermost cache. Like `torch.nn.utils.parametrize.cached`, but per network: that cache is
    global and is emptied when the last thread leaves it, so training in another thread would go on with outdated
    weights.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    >>> with weights_computed_once(layer):
    ...     layer.weight is layer.weight
    True
    >>> layer.weight is layer.weight
    False
    """
    ours = [one for one in _parametrized(network) if "forward" not in vars(one)]
    for one in ours:
        one.forward = _once(one.forward)
    try:
        yield
    finally:
        for one in ours:
            del one.forward


def _once(compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
    kept: list[Tensor] = []

    def value() -> Tensor:
        if not kept:
            kept.append(compute())
        return kept[0]

    return value


def _parametrized(network: nn.Module) -> Iterator[nn.Module]:
    """The ones that `network.modules()` would find, in a fraction of its time."""
    for child in network.children():
        if isinstance(child, parametrize.ParametrizationList):
            yield child
        else:
            yield from _parametrized(child)
