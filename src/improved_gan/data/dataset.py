"""A data set in memory: images as uint8, converted to floating point a batch at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["DataError", "Dataset", "LabeledImages", "to_float01"]


class DataError(ValueError):
    """Data that is missing, damaged or does not fit; the message says what to do."""


@dataclass(frozen=True)
class LabeledImages:
    """Images (N, C, H, W) uint8 and their classes (N,) int64, -1 where no label is known.

    The images may be a memory-mapped file that cannot be written to: treat them as constants.

    Raises:
        DataError: shapes or dtypes that disagree.

    >>> len(LabeledImages(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.zeros(5).long()))
    5
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dim() != 4 or self.images.dtype != torch.uint8:
            raise DataError(f"images must be (N, C, H, W) uint8; got {tuple(self.images.shape)} {self.images.dtype}")
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != torch.int64:
            raise DataError(
                f"labels must be ({len(self.images)},) int64, one an image; "
                f"got {tuple(self.labels.shape)} {self.labels.dtype}"
            )

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Dataset:
    """Training and test images with the names of their classes.

    Args:
        name: of the data set.
        class_names: of the K classes; none for a set without labels.
        train: the training images; label -1 where none is known.
        test: labeled images that training does not use; may be none.
        test_kind: what these are, "test" or "validation".
        held_out: positions in `train` that training must leave out, because `test` has copies of them.
        digest: SHA-256 of the content, where it may change between two starts of a run; else empty.
        value_range: the values of the files that became 0 and 255, where the user or percentiles set them.
        shown_images: for a set whose `images` are embeddings (N, 1, 1, A): the training and test images that they are
            of, (N, C, H, W) uint8, to be shown.
        embedding: of such a set, the network: name, sha256, resize, and what names it again.
    """

    name: str
    class_names: tuple[str, ...]
    train: LabeledImages
    test: LabeledImages
    test_kind: str = "test"
    held_out: tuple[int, ...] = ()
    digest: str = ""
    value_range: tuple[float, float] | None = None
    shown_images: tuple[Tensor, Tensor] | None = None
    embedding: Mapping[str, str] | None = None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W) of every image."""
        return tuple(self.train.images.shape[1:])


def to_float01(images: Tensor) -> Tensor:
    """(N, C, H, W) uint8 0..255 to float32 in [0, 1].

    >>> to_float01(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0., 1.])
    """
    return images.to(torch.float32).div_(255)
