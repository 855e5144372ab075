"""Embeddings of images in a file: features of a pretrained network with names, content hashes and the network.

A .npz file (`evaluate` reads it, too):

    features      (N, A) float32 or float16, one row an image
    names         (N,) text: the file of each image, relative to its folder or archive
    image_sha256  (N, 32) uint8: of each file's content
    logits        (N, K) float32, where the network has class scores
    network, sha256, resize, precision    text: the network, its weights, how images are prepared
    spec, weights, source                 text: what names the network and its weight file again; the images' folder
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from improved_gan.data.dataset import DataError

__all__ = ["Embeddings", "read_embeddings", "write_embeddings"]

_TEXTS = ("network", "sha256", "resize", "precision", "spec", "weights", "source")
_BLOCK = 4096  # rows that are looked at together


@dataclass(frozen=True)
class Embeddings:
    """Features of images.

    Attributes:
        features: (N, A) float32 or float16, finite, not all rows equal.
        names: (N,) of the images' files; "row 0", ... for a file without names.
        hashes: (N,) SHA-256 of the files' content, in hexadecimal; empty for a file without them.
        about: the texts of the file: network, sha256, resize, precision, spec, weights, source.
        logits: (N, K) float32, or None.
    """

    features: np.ndarray
    names: tuple[str, ...]
    hashes: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    logits: np.ndarray | None = None

    def __post_init__(self) -> None:
        features = self.features
        if features.ndim != 2 or features.dtype.kind != "f" or 0 in features.shape:
            raise DataError(f"embeddings must be (N, A) of floating point; got {features.shape} {features.dtype}")
        for what, rows in (("names", self.names), ("hashes", self.hashes or self.names), ("logits", self.logits)):
            if rows is not None and len(rows) != len(features):
                raise DataError(f"{len(features)} rows of features have {len(rows)} {what}")
        bad = [
            start + int(row)
            for start in range(0, len(features), _BLOCK)
            for row in np.flatnonzero(~np.isfinite(features[start : start + _BLOCK]).all(1))
        ]
        if bad:
            listed = ", ".join(self.names[row] for row in bad[:5]) + (" ..." if len(bad) > 5 else "")
            raise DataError(
                f"the embeddings of {len(bad)} of {len(features)} images hold NaN or infinity ({listed}): embed again, "
                "in float32 if the numbers are too large for float16"
            )
        if len(features) > 1 and (features == features[0]).all():
            raise DataError(
                "all embeddings are the same: the network does not see the images (wrong weights or preprocessing?)"
            )

    def __len__(self) -> int:
        return len(self.features)

    @property
    def num_duplicates(self) -> int:
        """The number of rows that equal an earlier one."""
        rows = (hashlib.sha256(row.tobytes()).digest() for row in self.features)
        return len(self) - len(set(rows))


def read_embeddings(path: Path) -> Embeddings:
    """The embeddings in a file of `embed`, or in any .npz with `features`.

    Raises:
        DataError: no such file, one of another kind, damaged, or numbers that cannot be used.
    """
    if not path.is_file():
        raise DataError(f"there is no {path}: improved-gan embed IMAGES --network NETWORK --out {path}")
    try:
        with path.open("rb") as opened:  # by NumPy, a damaged file would stay open
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, NpzFile):
                raise ValueError("it holds one array (.npy), not several by name (.npz)")
            if "features" not in file:
                raise ValueError(f"it has no `features`, but {', '.join(file.files) or 'nothing'}")
            features = file["features"]
            names = map(str, file["names"]) if "names" in file else (f"row {row}" for row in range(len(features)))
            hashes = (row.tobytes().hex() for row in file["image_sha256"]) if "image_sha256" in file else ()
            about = {name: str(file[name]) for name in _TEXTS if name in file}
            logits = file.get("logits")
            found = (features, tuple(names), tuple(hashes), about, logits)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file fails in zipfile, zlib, or NumPy's parser, each in its own way
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read as embeddings (truncated or of another kind?): {text}") from error
    try:
        return Embeddings(*found)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write the file whole, or leave what is there as it is."""
    arrays = {
        "features": embeddings.features,
        "names": np.array(embeddings.names),
        **{name: np.array(text) for name, text in embeddings.about.items()},
    }
    if embeddings.hashes:
        digests = b"".join(map(bytes.fromhex, embeddings.hashes))
        arrays["image_sha256"] = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32)
    if embeddings.logits is not None:
        arrays["logits"] = embeddings.logits
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # not in memory once more
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
