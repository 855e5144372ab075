"""A network whose features and logits the metrics use: name, weights, input preparation, outputs.

A metric depends on its network, so each result names it, with a SHA-256 of its weights.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.inception import Inception2015, Outputs, prepare

__all__ = ["ScoringNetwork", "check_logits", "digest_of", "inception_network"]

_ROW_SUM_TOLERANCE = 1e-2  # probabilities in half precision sum to 1 only so far


@dataclass(frozen=True)
class ScoringNetwork:
    """A network and all that its outputs depend on.

    Attributes:
        name: of the network.
        digest: SHA-256 of its weights (and code, where it is the user's).
        channels: of the images, 3 or 1.
        size: (H, W) that images are scaled to when they are read; None leaves it to `prepare`.
        resize: how images get the network's size, in words.
        precision: of the network, "float32" or "bfloat16".
        prepare: (C, H, W) uint8 -> the network's input for this image; called in the reading threads.
        run: prepared images (N, ...) -> features and logits.
        has_logits: whether it has class scores; else they are (N, 0).
        module: what `run` calls, where that is a PyTorch module of prepared images; None else.
        input_size: (H, W) of prepared images, where one is known.
    """

    name: str
    digest: str
    channels: int
    size: tuple[int, int] | None
    resize: str
    precision: str
    prepare: Callable[[Tensor], Tensor]
    run: Callable[[Tensor], Outputs]
    has_logits: bool = True
    module: nn.Module | None = None
    input_size: tuple[int, int] | None = None

    @property
    def identity(self) -> str:
        """A SHA-256 of everything that the outputs depend on."""
        parts = (self.name, self.digest, str(self.channels), str(self.size), self.resize, self.precision)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def as_dict(self) -> dict[str, str]:
        """For the JSON report of `evaluate`."""
        return {"name": self.name, "sha256": self.digest, "resize": self.resize, "precision": self.precision}


def check_logits(logits: Tensor, name: str, *, remedy: str = "return logits") -> None:
    """Whether what a network gives can be logits: a softmax of probabilities makes every network look unsure.

    Args:
        logits: (N, K).
        name: of the network.
        remedy: what its owner can do.

    Raises:
        MetricError: no row has a negative number, and all of them sum to 1.

    >>> check_logits(torch.tensor([[2.0, -1.0]]), "mine:net")
    >>> check_logits(torch.tensor([[0.25, 0.75]]), "a:b")
    Traceback (most recent call last):
    improved_gan.metrics.errors.MetricError: the rows of a:b sum to 1: they are probabilities; return logits
    """
    if not len(logits) or logits.shape[1] < 2:
        return
    rows = logits.detach().double()
    if bool((rows >= 0).all() and ((rows.sum(1) - 1).abs() <= _ROW_SUM_TOLERANCE).all()):
        raise MetricError(f"the rows of {name} sum to 1: they are probabilities; {remedy}")


def digest_of(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors, with their names, dtypes and shapes.

    >>> digest_of({"w": torch.zeros(2)}) == digest_of({"w": torch.zeros(1, 2)})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def inception_network(
    state: Mapping[str, Tensor], digest: str, *, precision: str = "float32", device: str = "cpu"
) -> ScoringNetwork:
    """The 2015 Inception network.

    Args:
        state: the tensors of the weight file.
        digest: SHA-256 of that file.
        precision: "float32" for the reference numbers, or "bfloat16".
        device: where to run.

    Raises:
        MetricError: other weights.
    """
    network = Inception2015(state, dtype=getattr(torch, precision)).to(device)

    def run(prepared: Tensor) -> Outputs:
        features, logits = network(prepared.to(device))
        return Outputs(features.cpu(), logits.cpu())

    resize = "TensorFlow 1 bilinear to 299 x 299, no half-pixel centers, no antialiasing"
    return ScoringNetwork("inception-2015-12-05", digest, 3, None, resize, precision, prepare, run)
