"""A cache of features on disk, addressed by the content of the images, the network and the preprocessing.

Images are taken in chunks of 32. A chunk's key is a SHA-256 of its files' bytes and the network's identity, so that
nothing depends on a name or a date, a run that was stopped goes on, and of a folder that has changed, only the chunks
from the first change on are computed again. Files are written whole or not at all, with a checksum; one that is damaged
is made again.
"""

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from improved_gan.io import write_atomically
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.frechet_distance import FeatureStatistics

__all__ = ["CHUNK", "ChunkFeatures", "FeatureCache"]

CHUNK = 32


@dataclass(frozen=True)
class ChunkFeatures:
    """A network's outputs for one chunk of images.

    Attributes:
        features: (N, A) float32 of the good images.
        logits: (N, K) float32 of the good images.
        good: their positions in the chunk.
        bad: position -> why the image could not be used.
        conversions: how often each conversion was made.
        shape: (C, H, W) of the good images as the network took them; empty where there is none.
        hashes: SHA-256 of the good images' files, in hexadecimal.
    """

    features: Tensor
    logits: Tensor
    good: tuple[int, ...]
    bad: dict[int, str] = field(default_factory=dict)
    conversions: dict[str, int] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    hashes: tuple[str, ...] = ()


class FeatureCache:
    """Chunks and statistics in one folder; several processes may share it.

    Args:
        folder: made when something is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str) -> ChunkFeatures | None:
        """The chunk, or None where it is not there or damaged."""
        try:
            with safetensors.safe_open(self._chunk(key), framework="pt") as file:
                metadata = file.metadata() or {}
                features, logits = file.get_tensor("features"), file.get_tensor("logits")
            notes = metadata["notes"]
            intact = metadata["sha256"] == _digest(features, logits, notes)
            return _chunk_of(features, logits, notes) if intact else None
        except (OSError, safetensors.SafetensorError, KeyError):
            return None

    def require(self, key: str) -> ChunkFeatures:
        """The chunk.

        Raises:
            MetricError: it is not there any more, or another process wrote it elsewhere.
        """
        chunk = self.load(key)
        if chunk is None:
            raise MetricError(
                f"{self._chunk(key)} is missing: several processes must share one cache folder; run the command again"
            )
        return chunk

    def save(self, key: str, chunk: ChunkFeatures) -> None:
        """Write a chunk whole."""
        names = ("good", "bad", "conversions", "shape", "hashes")
        notes = json.dumps({name: getattr(chunk, name) for name in names})
        tensors = {"features": chunk.features.contiguous(), "logits": chunk.logits.clone().contiguous()}
        metadata = {"notes": notes, "sha256": _digest(chunk.features, chunk.logits, notes)}
        self._write(self._chunk(key), safetensors.torch.save(tensors, metadata))

    def load_statistics(self, key: str) -> FeatureStatistics | None:
        """Mean and covariance of a set of chunks, or None."""
        try:
            with self._statistics(key).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                mean, covariance = torch.from_numpy(file["mean"]), torch.from_numpy(file["covariance"])
                return FeatureStatistics.from_moments(int(file["count"]), mean, covariance)
        except MemoryError:
            raise
        except Exception:  # a damaged file fails in zipfile, zlib, or NumPy's parser, each in its own way
            return None

    def save_statistics(self, key: str, statistics: FeatureStatistics) -> None:
        """Keep mean and covariance."""
        buffer = io.BytesIO()
        np.savez(buffer, mean=statistics.mean, covariance=statistics.covariance, count=np.array(statistics.count))
        self._write(self._statistics(key), buffer.getvalue())

    def _chunk(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def _statistics(self, key: str) -> Path:
        return self.folder / f"statistics-{key}.npz"

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content, durable=False)


def _digest(features: Tensor, logits: Tensor, notes: str) -> str:
    """SHA-256 of a chunk: detects bytes that have changed on the disk, which would change the metrics silently."""
    digest = hashlib.sha256(notes.encode())
    for tensor in (features, logits):
        digest.update(f" {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _chunk_of(features: Tensor, logits: Tensor, text: str) -> ChunkFeatures:
    """What `save` was given; the text is as it was written, as the digest has verified."""
    notes = json.loads(text)
    bad = {int(position): reason for position, reason in notes["bad"].items()}
    good, shape, hashes = (tuple(notes[name]) for name in ("good", "shape", "hashes"))
    return ChunkFeatures(features, logits, good, bad, notes["conversions"], shape, hashes)
