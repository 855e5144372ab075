"""Nearest neighbors under the image deformation model, kept in memory and, of many images, on disk.

They depend on no label and no seed and take a minute or more, so models of one process share them, and so do other
processes: one computes them, while others that begin at the same time wait for its file. A file's name is a SHA-256 of
all that the neighbors depend on: the images, the pixel layout, the numbers that were asked for, the source code that
computes them, and whether compiled kernels do.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from improved_gan.data.dataset import DataError
from improved_gan.data.download import cache_folder
from improved_gan.data.waiting_lock import waiting_lock
from improved_gan.io import write_atomically
from improved_gan.kernels import cpp_extension
from improved_gan.label_spreading.image_deformation_model import idm_neighbors
from improved_gan.label_spreading.layout_conv import apply_pixel_layout

__all__ = ["idm_neighbor_cache"]

_STORED = 10_000  # images from which on a file is worth its place
_KEPT = 2
_PART = 4096
_LONGEST = 900.0  # seconds that a process waits for another's neighbors; 60,000 images take 100
_PACKAGE = Path(__file__).parents[1]
_SOURCES = (
    "label_spreading/image_deformation_model.py",
    "label_spreading/knn.py",
    "label_spreading/layout_conv.py",
    "label_spreading/pixel_layout.py",
    "kernels/cpp_extension.py",
    "kernels/deformation.cpp",
)
_found: OrderedDict[tuple[str, ...], tuple[Tensor, Tensor]] = OrderedDict()


def idm_neighbor_cache(
    images: Tensor, positions: Tensor | None, num: int, max_displacement: int
) -> tuple[Tensor, Tensor]:
    """`idm_neighbors` of images, from memory or from a file in the user's cache where they are known.

    Args:
        images: (N, C, H, W) of a real dtype.
        positions: (H * W, 2) the pixel layout; None: rows and columns.
        num: k.
        max_displacement: how far each pixel may move, see `idm_neighbors`.

    Returns:
        (N, k) int64 indices and (N, k) float32 distances; not to be modified.
    """
    layout = "rows and columns" if positions is None else _digest(positions)
    key = (_digest(images), layout, str(num), str(max_displacement), str(images.device))
    found = _found.get(key)
    if found is None:
        file = _file(key) if len(images) >= _STORED else None
        stored = _stored(images, positions, num, max_displacement, file)
        found = stored[0].to(images.device), stored[1].to(images.device)
    _found[key] = found
    _found.move_to_end(key)
    while len(_found) > _KEPT:
        _found.popitem(last=False)
    return found


def _stored(
    images: Tensor, positions: Tensor | None, num: int, max_displacement: int, file: Path | None
) -> tuple[Tensor, Tensor]:
    """Those of the file; where there is none, it is written, by one process while others wait."""
    shape = len(images), num
    found = None if file is None else _load(file, shape)
    if found is not None:
        return found
    with _alone(file):
        found = None if file is None else _load(file, shape)  # what another process has written meanwhile
        if found is None:
            ordered = images if positions is None else apply_pixel_layout(images, positions)
            found = idm_neighbors(ordered, num, max_displacement=max_displacement)
            if file is not None:
                _save(file, found)
    return found


@contextmanager
def _alone(file: Path | None) -> Iterator[None]:
    """While entered, other processes wait. The system frees the lock of a process that dies.

    Some network disks know no locks: there a file stands for one, which stays where its process was killed on another
    machine, so nobody waits for longer than the neighbors would take.
    """
    with ExitStack() as stack:
        with suppress(OSError, NotImplementedError):  # a read-only disk, or a lock that stays: each computes its own
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                busy = "waiting for another process that computes the nearest neighbors of the same images"
                stack.enter_context(waiting_lock(file.with_suffix(".lock"), busy=busy, timeout=_LONGEST))
        yield


def _load(file: Path, shape: tuple[int, int]) -> tuple[Tensor, Tensor] | None:
    """None where there is no file, or where it is damaged."""
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            neighbors, distances = opened.get_tensor("neighbors"), opened.get_tensor("distances")
            written = (opened.metadata() or {})["sha256"]
    except (OSError, safetensors.SafetensorError, KeyError):
        return None
    intact = written == _digest(neighbors) + _digest(distances) and neighbors.shape == distances.shape == shape
    return (neighbors, distances) if intact else None


def _save(file: Path, found: tuple[Tensor, Tensor]) -> None:
    neighbors, distances = (one.cpu().contiguous() for one in found)
    about = {"sha256": _digest(neighbors) + _digest(distances)}
    content = safetensors.torch.save({"neighbors": neighbors, "distances": distances}, about)
    with suppress(OSError):  # a full or read-only disk: the next run computes them again
        write_atomically(file, content, durable=False)


def _file(key: tuple[str, ...]) -> Path | None:
    """None for an installation without its source code, whose changes could not be seen, or without a cache."""
    kernels = "plain" if cpp_extension.library() is None else "compiled"
    try:
        parts, folder = (*key, torch.__version__, kernels, _code()), cache_folder()
    except (OSError, DataError):
        return None
    return folder / "neighbors" / f"{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()}.safetensors"


def _code() -> str:
    digest = hashlib.sha256()
    for source in _SOURCES:
        digest.update((_PACKAGE / source).read_bytes())
    return digest.hexdigest()


def _digest(values: Tensor) -> str:
    digest = hashlib.sha256(repr((tuple(values.shape), values.dtype)).encode())
    for part in torch.split(values, _PART):
        digest.update(part.contiguous().cpu().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
