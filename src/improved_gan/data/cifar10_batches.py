"""The files of CIFAR-10's python and binary versions; the pickles are read without running any code in them."""

from typing import Any

import numpy as np
import torch

from improved_gan.data.dataset import DataError, LabeledImages
from improved_gan.data.plain_pickles import PickleError, read_plain_pickle

__all__ = ["BINARY_FILES", "PYTHON_FILES", "read_binary_batch", "read_python_batch"]

PYTHON_FILES = {  # MD5 of the published archive's files; the test images last
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
BINARY_FILES = tuple(f"{name}.bin" for name in PYTHON_FILES)

_PIXELS = 3 * 32 * 32


def read_binary_batch(content: bytes, name: object) -> LabeledImages:
    """One file of the binary version: for each image a byte for the class and 3 x 32 x 32 bytes.

    Raises:
        DataError: another length, or a class beyond 9.

    >>> len(read_binary_batch(bytes([7]) + bytes(3072), "data_batch_1.bin"))
    1
    """
    if not content or len(content) % (1 + _PIXELS):
        raise DataError(
            f"{name} has {len(content):,} bytes, which is no multiple of {1 + _PIXELS} (class and pixels of an image): "
            "it is cut short or something else: get it again"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
    return _labeled(rows[:, 1:], rows[:, 0], name)


def read_python_batch(content: bytes, name: object) -> LabeledImages:
    """One file of the python version: a pickled dictionary with `data` (N, 3072) uint8 and `labels`.

    A pickle can name any function for its reader to call; here none is called (see `plain_pickles`).

    Raises:
        DataError: not such a pickle, or one that asks for anything else.
    """
    try:
        batch = read_plain_pickle(content)
    except PickleError as error:
        raise DataError(f"{name} is no batch of CIFAR-10 ({error}): get it again") from error
    fields: dict[str, Any] = {}
    if isinstance(batch, dict):
        fields = {_text(key): value for key, value in batch.items()}
    pixels = fields.get("data")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
        raise DataError(f"{name} holds no data of (N, {_PIXELS}) uint8: take CIFAR-10's python version (not CIFAR-100)")
    labels = fields.get("labels")
    if not isinstance(labels, list) or not all(type(one) is int and abs(one) < 2**31 for one in labels):
        raise DataError(f"{name} holds no list of labels: take CIFAR-10's python version (not CIFAR-100)")
    return _labeled(pixels, np.array(labels, dtype=np.int64), name)


def _text(key: str | bytes) -> str:
    """Python 2's keys are bytes."""
    return key.decode("latin1") if isinstance(key, bytes) else key


def _labeled(pixels: np.ndarray, labels: np.ndarray, name: object) -> LabeledImages:
    if len(labels) != len(pixels) or labels.min(initial=0) < 0 or labels.max(initial=0) > 9:
        raise DataError(
            f"{name} must have a class from 0 to 9 for each of its {len(pixels)} images; it has {len(labels)}, from "
            f"{labels.min(initial=0)} to {labels.max(initial=0)}: get it again"
        )
    images = torch.from_numpy(np.array(pixels, order="C")).reshape(-1, 3, 32, 32)
    return LabeledImages(images, torch.from_numpy(labels.astype(np.int64)))
