"""A network whose features and logits the metrics use: name, weights, input preparation, outputs.

A metric depends on its network, so each result names it, with a SHA-256 of its weights. `SampleScores` gives the scores
that training logs and tables compare: of samples as a tensor, against real images.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.float32 import full_float32
from improved_gan.metrics.frechet_distance import FeatureStatistics, frechet_distance
from improved_gan.metrics.inception import Inception2015, Outputs, prepare
from improved_gan.metrics.inception_onnx import onnx_runtime
from improved_gan.metrics.inception_score import inception_score

__all__ = [
    "OnnxFile",
    "SampleScores",
    "ScoringNetwork",
    "check_logits",
    "digest_of",
    "inception_network",
    "some_of",
]

_SPLITS, _BATCH = 10, 100  # of the scores of samples
_PROCESSOR_BATCH = 8  # images of Inception on a processor: the activations of 32 cost a tenth more time
_ROW_SUM_TOLERANCE = 1e-2  # probabilities in half precision sum to 1 only so far


@dataclass(frozen=True)
class OnnxFile:
    """What is needed to join a network's ONNX file with what comes after it.

    Attributes:
        path: the file.
        taken, given: names of its input, and of the output with the features.
        prepare: (N, C, H, W) uint8 of the network's size -> its input.
        run: the same images -> what the network gives under `given`: (N, A), or (N, A, 1, 1).
    """

    path: Path
    taken: str
    given: str
    prepare: nn.Module
    run: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ScoringNetwork:
    """A network and all that its outputs depend on.

    Attributes:
        name: of the network.
        digest: SHA-256 of its weights (and code, where it is the user's).
        channels: of the images, 3 or 1.
        size: (H, W) that images are scaled to when they are read; None leaves it to `prepare`.
        resize: how images get the network's size, in words.
        precision: of the network, "float32" (without TF32) or "bfloat16".
        prepare: (C, H, W) uint8 -> the network's input for this image; called in the reading threads.
        run: prepared images (N, ...) -> features and logits.
        has_logits: whether it has class scores; else they are (N, 0).
        module: what `run` calls, where that is a PyTorch module of prepared images; None else.
        input_size: (H, W) of prepared images, where one is known.
        onnx: the file, of an ONNX network for any number of images.
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
    onnx: OnnxFile | None = None

    @property
    def identity(self) -> str:
        """A SHA-256 of everything that the outputs depend on."""
        arithmetic = "float32 without TF32" if self.precision == "float32" else self.precision
        parts = (self.name, self.digest, str(self.channels), str(self.size), self.resize, arithmetic)
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
    """The 2015 Inception network; on a processor, in float32, by ONNX Runtime where that is installed (it is faster).

    Args:
        state: the tensors of the weight file.
        digest: SHA-256 of that file.
        precision: "float32" for the reference numbers, or "bfloat16".
        device: where to run.

    Raises:
        MetricError: other weights.
    """
    network = Inception2015(state, dtype=getattr(torch, precision)).to(device)
    faster = onnx_runtime(network) if (device, precision) == ("cpu", "float32") else None
    function: Callable[[Tensor], Outputs] = faster or network

    @full_float32()  # products and convolutions in bfloat16 are not affected
    def run(prepared: Tensor) -> Outputs:
        some = torch.split(prepared, _PROCESSOR_BATCH if device == "cpu" else max(1, len(prepared)))
        features, logits = zip(*(function(batch.to(device)) for batch in some), strict=True)
        return Outputs(torch.cat(features).cpu(), torch.cat(logits).cpu())

    resize = "TensorFlow 1 bilinear to 299 x 299, no half-pixel centers, no antialiasing"
    return ScoringNetwork("inception-2015-12-05", digest, 3, None, resize, precision, prepare, run)


class SampleScores:
    """Inception score and Fréchet distance of samples by any network.

    Args:
        network: the scoring network.
        real: (N, C, H, W) uint8 images that samples are compared with.
        num: how many samples will be scored, at least 10.

    Raises:
        MetricError: too few samples, or the network cannot take such images.
    """

    def __init__(self, network: ScoringNetwork, real: Tensor, *, num: int) -> None:
        if num < _SPLITS:
            raise MetricError(f"the score has {_SPLITS} splits, so it needs at least as many samples; got {num}")
        self.num = num
        self._network, self._real_images = network, real
        self._real: FeatureStatistics | None = None
        next(self._outputs(real[:2]))  # fails before training if the network cannot take such images

    def of(self, samples: Tensor) -> dict[str, float]:
        """`samples/inception_score`, its standard deviation over 10 splits, and `samples/frechet_distance`.

        Args:
            samples: (M, C, H, W) uint8; the first `num` are scored.
        """
        if self._real is None:
            self._real = FeatureStatistics.of(torch.cat([one.features for one in self._outputs(self._real_images)]))
        outputs = list(self._outputs(samples[: self.num]))
        score = inception_score(torch.cat([one.logits for one in outputs]).double().softmax(1), _SPLITS)
        features = FeatureStatistics.of(torch.cat([one.features for one in outputs]))
        return {
            "samples/inception_score": score.mean,
            "samples/inception_score_std": score.std,
            "samples/frechet_distance": frechet_distance(features, self._real),
        }

    def _outputs(self, images: Tensor) -> Iterator[Outputs]:
        network, channels, size = self._network, images.shape[1], tuple(images.shape[2:])
        if channels == 1 and network.channels == 3:
            images = images.expand(-1, 3, -1, -1)
        elif channels != network.channels:
            raise MetricError(f"{network.name} takes {network.channels} channels, the samples have {channels}")
        if network.size is not None and network.size != size:
            raise MetricError(f"{network.name} takes images of {network.size} pixels, the samples have {size}")
        for some in torch.split(images, _BATCH):
            yield network.run(torch.stack([network.prepare(image) for image in some]))


def some_of(images: Tensor, num: int) -> Tensor:
    """At most `num` of the images, drawn with a fixed seed (their order may be by class).

    >>> some_of(torch.arange(3), 5)
    tensor([0, 1, 2])
    """
    if len(images) <= num:
        return images
    return images[torch.from_numpy(np.random.RandomState(1).permutation(len(images))[:num])]
