"""The files of CIFAR-10's python and binary versions; the pickles are read without running any code in them."""

import io
import pickle
from typing import Any

import numpy as np
import torch

from improved_gan.data.dataset import DataError, LabelledImages

__all__ = ["BINARY_FILES", "PYTHON_FILES", "read_binary_batch", "read_python_batch"]

PYTHON_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")  # the test images last
BINARY_FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")

_PIXELS = 3 * 32 * 32


def read_binary_batch(content: bytes, name: object) -> LabelledImages:
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
    return _labelled(rows[:, 1:], rows[:, 0], name)


def read_python_batch(content: bytes, name: object) -> LabelledImages:
    """One file of the python version: a pickled dictionary with `data` (N, 3072) uint8 and `labels`.

    A pickle can name any function for its reader to call; here only those that rebuild NumPy arrays are allowed.

    Raises:
        DataError: not such a pickle, or one that asks for anything else.
    """
    try:
        batch = _Restricted(io.BytesIO(content), encoding="bytes").load()
    except MemoryError:
        raise
    except Exception as error:  # damaged pickles raise a dozen kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name} is no batch of CIFAR-10 ({reason}): get it again") from error
    fields: dict[str, Any] = {}
    if isinstance(batch, dict):
        fields = {key.decode() if isinstance(key, bytes) else str(key): value for key, value in batch.items()}
    pixels = fields.get("data")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
        raise DataError(f"{name} holds no data of (N, {_PIXELS}) uint8: take CIFAR-10's python version (not CIFAR-100)")
    labels = fields.get("labels")
    if not isinstance(labels, list) or not all(isinstance(one, int) for one in labels):
        raise DataError(f"{name} holds no list of labels: take CIFAR-10's python version (not CIFAR-100)")
    return _labelled(pixels, np.asarray(labels, dtype=np.int64), name)


def _labelled(pixels: np.ndarray, labels: np.ndarray, name: object) -> LabelledImages:
    if len(labels) != len(pixels) or labels.min(initial=0) < 0 or labels.max(initial=0) > 9:
        raise DataError(
            f"{name} must have a class from 0 to 9 for each of its {len(pixels)} images; it has {len(labels)}, from "
            f"{labels.min(initial=0)} to {labels.max(initial=0)}: get it again"
        )
    images = torch.from_numpy(np.array(pixels, order="C")).reshape(-1, 3, 32, 32)
    return LabelledImages(images, torch.from_numpy(labels.astype(np.int64)))


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How Python 3 writes bytes into a pickle of protocol 2; the real function would look any codec up."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in encoding {encoding!r}")
    return text.encode("latin1")


class _Restricted(pickle.Unpickler):
    """Finds what NumPy needs to rebuild an array and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """A function or class that the pickle asks for."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch of images needs")
        return _ALLOWED[module, name]


_RECONSTRUCT: Any = np.zeros(0).__reduce__()[0]  # has another address in each version of NumPy
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("_codecs", "encode"): _encode,
}
