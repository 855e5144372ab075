"""Images to evaluate, one by one from files or arrays, and what is checked on the first of them."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from improved_gan.data.image_sources import open_images
from improved_gan.data.images import decode_image
from improved_gan.data.range_watch import RangeWatch, uses_little
from improved_gan.data.value_range import ValueRange
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.extraction import Decode, Read
from improved_gan.metrics.features import random_order
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork

__all__ = [
    "EvaluationImages",
    "array_content",
    "array_decoder",
    "array_images",
    "check_precision",
    "image_files",
    "network_outputs",
    "range_warnings",
    "score_change",
    "with_value_range",
]

_BATCH = 32
_CHECKED, _FEWEST = 256, 32  # images on which bfloat16 is compared with float32
_TOLERANCE = 1e-2  # relative change of the score: CIFAR-10's differs by 0.8% between splits of 5,000 images
_SLOWER = 1.05  # bfloat16 over float32: less is noise of the clock
_SEEN = 64  # images whose value range is looked at


class EvaluationImages:
    """Images to score: their names and order, and how their bytes become pixels.

    Args:
        label: the path that the user gave.
        names: names of all images.
        stream: (name, read) in that order.
        decode: bytes -> pixels and conversions.
        files: whether these are image files rather than samples of a run or rows of an array.
        shuffled: whether their order is random already, as that of a run's samples is.
        notices: what was left out.
    """

    def __init__(
        self,
        label: str,
        names: tuple[str, ...],
        stream: Callable[[], Iterator[tuple[str, Read]]],
        decode: Decode,
        *,
        files: bool = False,
        shuffled: bool = False,
        notices: tuple[str, ...] = (),
    ) -> None:
        self.label, self.names, self.decode, self.files, self.notices = label, names, decode, files, notices
        self.shuffled = shuffled
        self._stream = stream

    def __len__(self) -> int:
        return len(self.names)

    def only(self, chosen: set[int]) -> "EvaluationImages":
        """The images at these indices, in the same order."""
        names = tuple(self.names[i] for i in sorted(chosen))
        part = EvaluationImages(self.label, names, self._stream, self.decode, files=self.files, shuffled=self.shuffled)
        part._stream = lambda: (item for index, item in enumerate(self._stream()) if index in chosen)
        return part

    def drawn(self, num: int | None) -> "EvaluationImages":
        """`num` of the images in a fixed random order, as the first ones by name may be of one class; None for all.

        Raises:
            MetricError: there are fewer.
        """
        if num is None or num == len(self):
            return self
        if num > len(self):
            raise MetricError(f"--num {num} is more than the {len(self)} images in {self.label}")
        return self.only(set((random_order(len(self)) < num).nonzero().flatten().tolist()))

    def some(self, num: int) -> Iterator[tuple[str, Read]]:
        """At most `num` of the images that stand for all: the first ones only where their order is random."""
        return islice(self, num) if self.shuffled else iter(self.drawn(min(num, len(self))))

    def __iter__(self) -> Iterator[tuple[str, Read]]:
        return self._stream()


def image_files(path: Path, network: ScoringNetwork, *, values: ValueRange | None = None) -> EvaluationImages:
    """The images of a folder or archive, decoded as the network takes them.

    Raises:
        DataError: the path does not exist or holds no images.
    """
    source = open_images(path)

    def decode(content: bytes) -> tuple[Tensor, tuple[str, ...]]:
        return decode_image(content, "", channels=network.channels, size=network.size, values=values)

    return EvaluationImages(str(path), source.names, source.stream, decode, files=True, notices=source.notices)


def array_images(path: Path, images: Tensor, network: ScoringNetwork) -> EvaluationImages:
    """The images (N, C, H, W) uint8 of an array file, which is read row by row."""
    names = tuple(f"row {index}" for index in range(len(images)))

    def stream() -> Iterator[tuple[str, Read]]:
        for name, image in zip(names, images, strict=True):
            yield name, lambda image=image: array_content(image)  # type: ignore[misc]

    decode = array_decoder(tuple(images.shape[1:]), network)
    return EvaluationImages(str(path), names, stream, decode)


def array_content(image: Tensor) -> bytes:
    """One image (C, H, W) uint8 and its shape: the same bytes in another shape are another image to the cache."""
    return image.contiguous().numpy().tobytes() + str(tuple(image.shape)).encode()


def array_decoder(shape: tuple[int, ...], network: ScoringNetwork) -> Decode:
    """From `array_content` of an image to what the network takes: color or grayscale, as files are; its size (bicubic).

    Args:
        shape: (C, H, W) of the images, C 1 or 3.
        network: which takes them.
    """

    def decode(content: bytes) -> tuple[Tensor, tuple[str, ...]]:
        pixels = bytearray(content[: math.prod(shape)])
        return _fitted(torch.frombuffer(pixels, dtype=torch.uint8).view(shape), network)

    return decode


def _fitted(image: Tensor, network: ScoringNetwork) -> tuple[Tensor, tuple[str, ...]]:
    """(C, H, W) uint8 in the channels and the size of the network, and what was done."""
    done = []
    if len(image) == 1 and network.channels == 3:
        image = image.expand(3, *image.shape[1:]).contiguous()
    elif len(image) != network.channels:
        gray = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")
        image = torch.from_numpy(np.array(gray))[None]
        done.append("RGB to L")
    if network.size is not None and network.size != tuple(image.shape[1:]):
        height, width = network.size
        array = image.permute(1, 2, 0).numpy()
        pillow = Image.fromarray(array.squeeze(2) if len(image) == 1 else array)
        scaled = pillow.resize((width, height), Image.Resampling.BICUBIC)
        image = torch.from_numpy(np.array(scaled).reshape(height, width, -1)).permute(2, 0, 1).contiguous()
        done.append(f"scaled to {width} x {height} (bicubic)")
    return image, tuple(done)


def network_outputs(images: Tensor, network: ScoringNetwork) -> Outputs:
    """Features and logits of images in a tensor, prepared as `evaluate` prepares those of an array file.

    Args:
        images: (N, C, H, W) uint8, 0 black and 255 white, C 1 or 3, any size, on any device.
        network: of `improved_gan.embeddings.choose_network`.

    Returns:
        (N, A) and (N, K) float32 on the processor.

    Raises:
        MetricError: no such images, as floating-point ones, or the network gives NaN or infinity.
    """
    if images.dim() != 4 or images.shape[1] not in (1, 3) or images.dtype != torch.uint8 or not len(images):
        raise MetricError(
            f"images must be (N, C, H, W) uint8, C 1 or 3; got {tuple(images.shape)} {images.dtype}. From x in [-1, 1] "
            "take (127.5 * x + 127.5).round().clamp(0, 255).to(torch.uint8)"
        )
    parts = []
    for some in torch.split(images, _BATCH):
        parts.append(network.run(torch.stack([network.prepare(_fitted(image, network)[0]) for image in some.cpu()])))
        if not all(one.isfinite().all() for one in parts[-1]):
            raise MetricError(f"{network.name} gives NaN or infinity: check its weights")
    return Outputs(*(torch.cat(one) for one in zip(*parts, strict=True)))


def check_precision(
    network: ScoringNetwork,
    exact: Callable[[], ScoringNetwork],
    images: EvaluationImages,
    *,
    asked: str = "float32",
    note: Callable[[str], object] = lambda text: None,
    clock: Callable[[], float] = time.process_time,
) -> tuple[ScoringNetwork, list[str]]:
    """The network, or its float32 form unless bfloat16 surely keeps the score.

    It is kept where |change of the score| + 2 standard errors is below 1%, over 256 of the images (all, if they are
    fewer): a small change that may be chance is not enough.

    Args:
        network: in the precision asked for.
        exact: makes the float32 form.
        images: to be scored.
        asked: precision, for a warning where it does not apply.
        note: called with a line where the network takes longer than its float32 form, by more than 5%: in whole batches
            of 32 images, without the first, in which both set up memory and kernels.
        clock: seconds that this process has computed.

    Returns:
        The network to take, and warnings.
    """
    if network.precision == "float32":
        ignored = f"--precision {asked} applies to Inception only, not to {network.name}"
        return network, [ignored] if asked != "float32" else []
    reference, prepared = exact(), _prepared(images.some(_CHECKED), images.decode, network)
    logits, times = [], []
    for some in iter(lambda: list(islice(prepared, _BATCH)), []):
        ran = [_timed(one, torch.stack(some), clock) for one in (network, reference)]
        logits.append(torch.stack([one for one, _ in ran]))
        times += [[seconds for _, seconds in ran]] if len(some) == _BATCH else []
    if (slower := _ratio(times[1:])) > _SLOWER:
        note(
            f"{network.precision} takes {slower:.1f} times as long as float32 on this processor (over "
            f"{_BATCH * len(times[1:])} images): take --precision float32"
        )
    num = sum(one.shape[1] for one in logits)
    if num < _FEWEST:
        return reference, [f"{num} images cannot show what {network.precision} changes: float32 is used instead"]
    change, error = score_change(*torch.cat(logits, 1))
    if abs(change) + 2 * error < _TOLERANCE:
        return network, []
    return reference, [
        f"{network.precision} changes the score by {change:+.2%} with a standard error of {error:.2%} over "
        f"{num} images, so that a change below {_TOLERANCE:.0%} is not sure: float32 is used instead"
    ]


def _timed(network: ScoringNetwork, images: Tensor, clock: Callable[[], float]) -> tuple[Tensor, float]:
    """Logits, and the seconds that they took."""
    started = clock()
    logits = network.run(images).logits
    return logits, clock() - started


def _ratio(times: list[list[float]]) -> float:
    """The time of the first network over that of the second; 0 where none was measured."""
    first, second = (sum(some) for some in zip(*times, strict=True)) if times else (0.0, 0.0)
    return first / second if second else 0.0


def _prepared(images: Iterable[tuple[str, Read]], decode: Decode, network: ScoringNetwork) -> Iterator[Tensor]:
    for _, read in images:
        with suppress(ValueError, OSError):  # invalid images are reported later
            yield network.prepare(decode(read())[0])


def score_change(logits: Tensor, reference: Tensor) -> tuple[float, float]:
    """The relative change of the Inception score between two networks on the same images, and its standard error.

    Jackknife of the difference of the logarithms of the two scores: with d of all N images and d_i of all but image i,
    the mean and the standard error of N d - (N - 1) d_i. So the bias of few images (of order 1/N) cancels.

    Args:
        logits: (N, K).
        reference: (N, K), of the same images.

    Source: Efron and Stein, 1981, "The jackknife estimate of variance".

    >>> score_change(torch.eye(3), torch.eye(3))
    (0.0, 0.0)
    """
    whole, without = _log_scores(logits)
    whole_reference, without_reference = _log_scores(reference)
    num = len(logits)
    values = num * (whole - whole_reference) - (num - 1) * (without - without_reference)
    return float(values.mean()), float(values.std() / num**0.5)


def _log_scores(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Of all N images, (), and of all but each, (N,)."""
    p = logits.double().softmax(1)
    negentropy, marginal, others = torch.special.xlogy(p, p).sum(1), p.mean(0), len(p) - 1
    left = (p.sum(0) - p).clamp(min=0) / others
    whole = negentropy.mean() - torch.special.xlogy(marginal, marginal).sum()
    return whole, (negentropy.sum() - negentropy) / others - torch.special.xlogy(left, left).sum(1)


def with_value_range(network: ScoringNetwork, values: ValueRange | None) -> ScoringNetwork:
    """The network with the value range in its identity, so that cached features of another range are not used."""
    return network if values is None else replace(network, resize=f"{network.resize}, after values {values} to 0:255")


def range_warnings(images: EvaluationImages, values: ValueRange | None) -> list[str]:
    """Warnings if the first image files use a small part of the range between black and white."""
    if not images.files:
        return []
    watch = RangeWatch(values)
    for name, read in islice(images, _SEEN):
        with suppress(ValueError, OSError):  # invalid images are reported later
            content = read()
            pixels = images.decode(content)[0]
            watch.add(pixels)
            if uses_little(pixels):
                watch.measure([(name, content)])
    warning = watch.warning()
    return [] if warning is None else [f"{images.label}: {warning}"]
