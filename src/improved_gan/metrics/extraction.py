"""Features of images: decoded in threads while the network computes, stored by chunk, distributed over ranks.

The chunks are the same however many processes there are, and rank r computes chunks r, r + W, ...; so the features, and
every metric of them, are the same bit for bit (on one kind of processor).
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import torch
from torch import Tensor

from improved_gan.data.ordered_map import num_cores
from improved_gan.distributed import gather_rows, rank, world_size
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.feature_cache import CHUNK, ChunkFeatures, FeatureCache
from improved_gan.metrics.frechet_distance import FeatureStatistics
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork

__all__ = ["Decode", "FeatureSet", "extract"]

Read = Callable[[], bytes]
Decode = Callable[[bytes], tuple[Tensor, tuple[str, ...]]]
_AHEAD = 3  # chunks that are read while one is in the network
_MOST_WORKERS = 4  # threads that read


@dataclass(frozen=True)
class FeatureSet:
    """The features of a set of images, on disk, in the order of the images.

    Attributes:
        cache: where they are stored.
        keys: of the chunks.
    """

    cache: FeatureCache
    keys: tuple[str, ...]

    def __iter__(self) -> Iterator[ChunkFeatures]:
        return (self.cache.require(key) for key in self.keys)

    @property
    def digest(self) -> str:
        """SHA-256 of the images' content and the network."""
        return hashlib.sha256("".join(self.keys).encode()).hexdigest()

    @property
    def num_images(self) -> int:
        """The number of images that could be decoded."""
        return sum(len(chunk.good) for chunk in self)

    def batches(self) -> Iterator[Outputs]:
        """Features and logits of the images that could be decoded."""
        return (Outputs(chunk.features, chunk.logits) for chunk in self if chunk.good)

    def row_hashes(self) -> Iterator[str]:
        """SHA-256 of each image's content."""
        return (one for chunk in self for one in chunk.hashes)

    def matrix(self) -> None:
        """None: the features lie in many files."""

    def load_statistics(self) -> FeatureStatistics | None:
        """Mean and covariance from the cache."""
        return self.cache.load_statistics(self.digest)

    def save_statistics(self, statistics: FeatureStatistics) -> None:
        """Put mean and covariance into the cache, under the digest of the content."""
        self.cache.save_statistics(self.digest, statistics)


_Done: TypeAlias = tuple[int, str, tuple[int, ...], tuple[int, int]]  # index, key, shape of images, features, classes


@dataclass(frozen=True)
class _Chunk:
    """One that was read: its key, and what the cache or the decoder gave."""

    index: int
    key: str
    names: list[str]
    known: ChunkFeatures | None
    prepared: list[Tensor]
    good: tuple[int, ...]
    bad: dict[int, str]
    conversions: dict[str, int]
    hashes: tuple[str, ...]


def extract(
    images: Iterable[tuple[str, Read]],
    *,
    decode: Decode,
    network: ScoringNetwork,
    cache: FeatureCache,
    advance: Callable[[int, bool], object] = lambda num, known: None,
    interrupted: Callable[[], bool] = lambda: False,
    share: tuple[int, int] | None = None,
) -> FeatureSet | None:
    """Run every image through the network, or take its features from the cache.

    Args:
        images: name and a function that reads the bytes, in a fixed order.
        decode: bytes -> (C, H, W) uint8 and the conversions made; ValueError or OSError for an image that cannot be
            used, which is then counted as bad.
        network: whose features and logits are computed.
        cache: where features are kept.
        advance: called after each chunk of this rank with the number of its images, and whether they were in the cache.
        interrupted: called after each chunk; True stops, and the same call continues later.
        share: (r, W): only chunks r, r + W, ..., for a process that fills the cache beside others; None: the ranks of
            the process group share the chunks.

    Returns:
        The features of all images, on every rank (those of the share, if one is given); None where it was interrupted.

    Raises:
        MetricError: the network gives NaN for an image, other numbers of features or classes for other images, or
            there are images of several sizes and the network takes one.
    """
    done: list[_Done] = []
    for chunk in _read_ahead(images, decode, network, cache, share or (rank(), world_size())):
        made = chunk.known or _run(chunk, network)
        if chunk.known is None:
            cache.save(chunk.key, made)
        done.append((chunk.index, chunk.key, made.shape, (made.features.shape[1], made.logits.shape[1])))
        _check_alike(network, [done[0], done[-1]])  # at once where it can be seen; of all of them at the end
        advance(len(chunk.names), chunk.known is not None)
        if interrupted():
            return None
    if share is not None:
        return FeatureSet(cache, tuple(key for _, key, _, _ in done))
    everywhere = _of_all_ranks(done)
    _check_alike(network, everywhere)
    return FeatureSet(cache, tuple(key for _, key, _, _ in everywhere))


def _read_ahead(
    images: Iterable[tuple[str, Read]],
    decode: Decode,
    network: ScoringNetwork,
    cache: FeatureCache,
    share: tuple[int, int],
) -> Iterator[_Chunk]:
    """The chunks of this process, decoded in threads a few chunks ahead."""
    stream, waiting = iter(images), deque[Future[_Chunk]]()
    with ThreadPoolExecutor(max_workers=min(_MOST_WORKERS, num_cores())) as pool:
        for index in range(2**62):
            files = list(islice(stream, CHUNK))
            if not files:
                break
            if index % share[1] == share[0]:
                waiting.append(pool.submit(_read_chunk, index, files, decode, network, cache))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read_chunk(
    index: int, files: list[tuple[str, Read]], decode: Decode, network: ScoringNetwork, cache: FeatureCache
) -> _Chunk:
    contents = [_content(read) for _, read in files]
    digest = hashlib.sha256(network.identity.encode())
    hashes = [hashlib.sha256(one if isinstance(one, bytes) else one.encode()) for one in contents]
    for one in hashes:
        digest.update(one.digest())
    key, names = digest.hexdigest(), [name for name, _ in files]
    known = cache.load(key)
    prepared: list[Tensor] = []
    good: list[int] = []
    bad: dict[int, str] = {}
    conversions: dict[str, int] = {}
    for index_in_chunk, content in enumerate(contents if known is None else []):
        try:
            if not isinstance(content, bytes):
                raise ValueError(content)
            pixels, converted = decode(content)
            prepared.append(network.prepare(pixels))
            good.append(index_in_chunk)
        except (ValueError, OSError) as error:
            bad[index_in_chunk] = str(error).strip()
            continue
        for conversion in converted:
            conversions[conversion] = conversions.get(conversion, 0) + 1
    of_good = tuple(hashes[position].hexdigest() for position in good)
    return _Chunk(index, key, names, known, prepared, tuple(good), bad, conversions, of_good)


def _content(read: Read) -> bytes | str:
    """The bytes, or why there are none."""
    try:
        return read()
    except (ValueError, OSError) as error:
        return f"cannot be read: {error}"


def _run(chunk: _Chunk, network: ScoringNetwork) -> ChunkFeatures:
    if not chunk.prepared:
        nothing = torch.zeros(0, 0)
        return ChunkFeatures(nothing, nothing, (), chunk.bad, chunk.conversions)
    _check_one_size(network, {tuple(one.shape) for one in chunk.prepared})
    # Always whole chunks: how a matrix product is cut into threads, and with it the last bit, depends on its rows.
    count = len(chunk.prepared)
    padded = chunk.prepared + [chunk.prepared[-1]] * (CHUNK - count)
    features, logits = (rows[:count] for rows in network.run(torch.stack(padded)))
    finite = features.isfinite().all(1) & logits.isfinite().all(1)
    if not finite.all():
        names = [chunk.names[position] for position, fine in zip(chunk.good, finite.tolist(), strict=True) if not fine]
        listed = ", ".join(names[:5]) + " ..." * (len(names) > 5)
        raise MetricError(f"{network.name} gives NaN or infinity for {listed}: check its weights")
    shape = tuple(chunk.prepared[0].shape)
    return ChunkFeatures(features, logits, chunk.good, chunk.bad, chunk.conversions, shape, chunk.hashes)


def _check_one_size(network: ScoringNetwork, shapes: set[tuple[int, ...]]) -> None:
    """Of all images, not of a chunk alone: one network input, else another resize for each."""
    sizes = sorted({f"{shape[-1]} x {shape[-2]}" for shape in shapes if shape})
    if len(sizes) > 1:
        raise MetricError(f"{network.name} takes images of one size; got {', '.join(sizes)}: give it an image_shape")


def _check_alike(network: ScoringNetwork, done: list[_Done]) -> None:
    """All images have one size, where the network takes one, and as many features and classes as the others."""
    _check_one_size(network, {shape for _, _, shape, _ in done})
    widths = {width for _, _, shape, width in done if shape}
    if len(widths) > 1:
        found = ", ".join(f"{features} and {classes}" for features, classes in sorted(widths))
        raise MetricError(
            f"{network.name} gives other numbers of features and classes for other images ({found}): a network must "
            "give rows of one length, whatever the image"
        )


def _of_all_ranks(done: list[_Done]) -> list[_Done]:
    """What all ranks have done, in the order of the chunks.

    A row that is gathered: the chunk's index, its key (32 bytes as 4 int64), shape of the images, numbers of features
    and classes.
    """
    rows = torch.zeros(len(done), 10, dtype=torch.int64)
    for row, (index, key, shape, width) in zip(rows, done, strict=True):
        row[0] = index
        row[1:5] = torch.frombuffer(bytearray(bytes.fromhex(key)), dtype=torch.int64)
        row[8 - len(shape) : 8] = torch.tensor(shape, dtype=torch.int64)
        row[8:] = torch.tensor(width, dtype=torch.int64)
    rows = gather_rows(rows)
    found: list[_Done] = []
    for row in rows[rows[:, 0].argsort()]:
        index, *_, channels, height, width, num_features, num_classes = row.tolist()
        key, shape = row[1:5].numpy().tobytes().hex(), (channels, height, width)
        found.append((index, key, shape if any(shape) else (), (num_features, num_classes)))
    return found
