"""A network that scores pictures: what it is called, which weights it has, how pictures come in, what comes out.

A number is worth as much as its network, so each result names it, with a SHA-256 of its weights.
"""

import hashlib
import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.inception import Inception2015, Outputs, prepare

__all__ = ["ScoringNetwork", "digest_of", "inception_network", "own_network"]


@dataclass(frozen=True)
class ScoringNetwork:
    """A network and all that its numbers depend on.

    Attributes:
        name: of the network.
        digest: SHA-256 of its weights (and code, where it is the user's).
        channels: of the pictures, 3 or 1.
        size: (H, W) that pictures are scaled to when they are read; None leaves it to `prepare`.
        resize: how pictures get the network's size, in words.
        precision: of the network, "float32" or "bfloat16".
        prepare: (C, H, W) uint8 -> the network's input for this picture; runs in reading threads.
        run: prepared pictures (N, ...) -> features and logits.
    """

    name: str
    digest: str
    channels: int
    size: tuple[int, int] | None
    resize: str
    precision: str
    prepare: Callable[[Tensor], Tensor]
    run: Callable[[Tensor], Outputs]

    @property
    def identity(self) -> str:
        """A SHA-256 of everything that decides the numbers."""
        parts = (self.name, self.digest, str(self.channels), str(self.size), self.resize, self.precision)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def as_dict(self) -> dict[str, str]:
        """For the score card."""
        return {"name": self.name, "sha256": self.digest, "resize": self.resize, "precision": self.precision}


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

    resize = "TensorFlow 1 bilinear to 299 x 299, no half-pixel centres, no antialiasing"
    return ScoringNetwork("inception-2015-12-05", digest, 3, None, resize, precision, prepare, run)


def own_network(spec: str) -> ScoringNetwork:
    """A classifier of the user's: `module:name`, where name is a callable, best an `nn.Module`.

    It takes (N, C, H, W) uint8 and returns logits (N, K), or a pair of features (N, A) and logits. Its attribute
    `image_shape`, (C, H, W), says which pictures it takes; without it pictures come in colour and must have one size.

    Raises:
        MetricError: no such module or name, or no callable.
    """
    module_name, _, name = spec.partition(":")
    if not (module_name and name):
        raise MetricError(f"a classifier of your own is given as module:function; got {spec!r}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise MetricError(f"cannot import {module_name!r} ({error}): is it in this folder or installed?") from error
    finally:
        sys.path.pop(0)
    function = getattr(module, name, None)
    if not callable(function):
        raise MetricError(f"{module_name} has no callable {name!r}")
    digest = hashlib.sha256()
    if module.__file__:
        digest.update(Path(module.__file__).read_bytes())
    if isinstance(function, nn.Module):
        function.eval()
        digest.update(digest_of(function.state_dict()).encode())
    shape = getattr(function, "image_shape", None)
    channels, size = (3, None) if shape is None else (int(shape[0]), (int(shape[1]), int(shape[2])))
    resize = "none: all pictures have one size" if size is None else f"Pillow bicubic to {size[1]} x {size[0]}"

    @torch.no_grad()
    def run(pictures: Tensor) -> Outputs:
        return _outputs(function(pictures), spec, len(pictures))

    return ScoringNetwork(spec, digest.hexdigest(), channels, size, resize, "float32", lambda picture: picture, run)


def _outputs(result: object, spec: str, num: int) -> Outputs:
    pair = result if isinstance(result, tuple) else (result, result)
    if len(pair) != 2 or not all(isinstance(one, Tensor) and one.dim() == 2 and len(one) == num for one in pair):
        raise MetricError(f"{spec} must return logits ({num}, K), or features and logits, for {num} pictures")
    features, logits = pair
    return Outputs(features.float().cpu(), logits.float().cpu())
