"""Embeddings of images in a file: features of a pretrained network with names, content hashes and the network.

A .npz file (`evaluate` reads it, too):

    features      (N, A) float32 or float16, one row an image
    names         (N,) text: the file of each image, relative to its folder or archive
    image_sha256  (N, 32) uint8: of each file's content
    logits        (N, K) float32, where the network has class scores
    network, sha256, resize, precision    text: the network, its weights, how images are prepared
    spec, weights, source                 text: what names the network and its weight file again; the images' folder
    values                                text: of the files, black and white (0:4095); "" as the format says
    mean, std                             (A,) float32, of a run's file: how its networks see the features

A run on embeddings trains on them as on images of one line of pixels, scaled to [0, 1] and stored in 8 bits: rounding
moves a value by 0.001 (standard deviation), and the discriminator adds noise of 0.3.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.npyio import NpzFile
from torch import Tensor, nn

from improved_gan.data.dataset import DataError, Dataset

__all__ = [
    "EMBEDDINGS_FILE",
    "EmbeddingScaling",
    "Embeddings",
    "as_embeddings",
    "constant_columns",
    "read_embeddings",
    "read_scaling",
    "write_embeddings",
]

EMBEDDINGS_FILE = "embeddings.npz"  # in a run folder
_GAIN = 1.5
_TEXTS = ("network", "sha256", "resize", "precision", "spec", "weights", "source", "values")
_BLOCK = 4096  # rows that are looked at together
_ROUNDING = 2e-6  # of a number near 1, in rows of float32 that were divided by their norms


@dataclass(frozen=True)
class Embeddings:
    """Features of images.

    Attributes:
        features: (N, A) float32 or float16, finite, not all rows equal.
        names: (N,) of the images' files; "row 0", ... for a file without names.
        hashes: (N,) SHA-256 of the files' content, in hexadecimal; empty for a file without them.
        about: the texts of the file: network, sha256, resize, precision, spec, weights, source, values.
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


def constant_columns(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Which columns of rows of norm 1 are constant: their standard deviation is rounding, not to be scaled up.

    Args:
        mean: (A,) of the columns.
        std: (A,) their standard deviation.

    Returns:
        (A,) bool.

    >>> constant_columns(np.array([0.0, 0.5, 0.5]), np.array([0.0, 3e-8, 0.1]))
    array([ True,  True, False])
    """
    return np.asarray(std <= _ROUNDING * np.abs(mean))


class EmbeddingScaling(nn.Module):
    """Features (N, A) -> (N, 1, 1, A) in [0, 1]: u = 1 / (1 + exp(-1.5 (x / |x| - mean) / std)).

    The same as `scaling="embedding"` of the estimators.

    Args:
        mean, std: (A,) of the training images' features, each divided by its norm; `std` is 1 for a constant column.

    >>> scaling = EmbeddingScaling.of(np.eye(3, dtype=np.float32))
    >>> scaling(torch.eye(3)).shape, scaling.to_bytes(torch.eye(3)).dtype
    (torch.Size([3, 1, 1, 3]), torch.uint8)
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: np.ndarray, std: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("std", torch.from_numpy(std).float())

    @classmethod
    def of(cls, features: np.ndarray) -> "EmbeddingScaling":
        """That of training images (N, A)."""
        rows = features.astype(np.float64)
        largest = np.abs(rows).max(1, keepdims=True)
        rows /= np.where(largest > 0, largest, 1)  # squares neither overflow nor vanish, as in `forward`
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.where(norms > 0, norms, 1)
        mean, std = rows.mean(0), rows.std(0)
        return cls(mean, np.where(constant_columns(mean, std), 1.0, std))

    def forward(self, features: Tensor) -> Tensor:
        """(N, A) -> (N, 1, 1, A) float32."""
        rows = features.to(torch.promote_types(features.dtype, torch.float32))
        largest = rows.abs().amax(1, keepdim=True)
        rows = (rows / torch.where(largest > 0, largest, torch.ones_like(largest))).float()
        scaled = (F.normalize(rows) - self.mean) / self.std
        return torch.sigmoid(_GAIN * scaled.clamp(-20, 20))[:, None, None, :]

    def to_bytes(self, features: Tensor) -> Tensor:
        """(N, A) -> (N, 1, 1, A) uint8, as a data set holds it."""
        scaled: Tensor = self(features)
        return scaled.mul(255).round().to(torch.uint8)


def as_embeddings(
    data: Dataset, rows: Sequence[Sequence[str]], embeddings: Embeddings, scaling: EmbeddingScaling | None = None
) -> tuple[Dataset, EmbeddingScaling]:
    """The same data set with embeddings in place of images, which it keeps as `shown_images`.

    Args:
        data: of a folder.
        rows: of its images: file, part, label, SHA-256 (`folder.CustomImages.rows`).
        embeddings: of these images, found by the hash of their content.
        scaling: of the run; None: that of the training images.

    Raises:
        DataError: images without an embedding, or embeddings without hashes.
    """
    if not embeddings.hashes:
        raise DataError("these embeddings have no hashes of their images: make the file with improved-gan embed")
    known = {digest: row for row, digest in enumerate(embeddings.hashes)}
    parts = np.array([row[1] for row in rows])
    training, evaluated = np.flatnonzero(parts == "train"), np.flatnonzero(parts == data.test_kind)
    inside = np.arange(training[0], training[-1] + 1)  # validation images may be between them
    if missing := [rows[row][0] for row in (*inside, *evaluated) if rows[row][3] not in known]:
        raise DataError(
            f"{len(missing)} images have no embedding (the first, {missing[0]}): they were added or changed since; run "
            "improved-gan embed again"
        )

    def features_of(chosen: np.ndarray) -> Tensor:
        return torch.from_numpy(embeddings.features[[known[rows[row][3]] for row in chosen]])

    scaling = scaling or EmbeddingScaling.of(features_of(training).numpy())
    names = ("network", "sha256", "resize", "spec", "weights")
    about = {name: embeddings.about.get(name, "") for name in names}
    parts_of_digest = (data.digest, about["network"], about["sha256"], about["resize"], embeddings.features.dtype.name)
    digest = hashlib.sha256(" ".join(parts_of_digest).encode())
    train, test = (
        replace(part, images=scaling.to_bytes(features_of(chosen)))
        for part, chosen in ((data.train, inside), (data.test, evaluated))
    )
    shown_images = (data.train.images, data.test.images)
    found = replace(data, train=train, test=test, digest=digest.hexdigest(), shown_images=shown_images, embedding=about)
    return found, scaling


def read_scaling(path: Path) -> EmbeddingScaling:
    """That of a run's file, of which nothing else is read.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            return EmbeddingScaling(file["mean"], file["std"])
    except Exception as error:  # see `read_embeddings`
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read ({text}): put a copy of it back, or train the run again") from error


def write_embeddings(path: Path, embeddings: Embeddings, scaling: EmbeddingScaling | None = None) -> None:
    """Write the file whole, or leave what is there as it is; of a run with its scaling."""
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
    if scaling is not None:
        arrays |= {"mean": scaling.mean.numpy(), "std": scaling.std.numpy()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # not in memory once more
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
