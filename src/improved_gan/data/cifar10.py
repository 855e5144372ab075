"""CIFAR-10: 50,000 training and 10,000 test images of ten classes, 32x32 in color (Krizhevsky, 2009).

Read from the published archives (python or binary version), from either of them unpacked, or from image files in class
folders (`train/cat/0000.jpg`, `test/...`; a folder or an archive of it). The archives and the python version's unpacked
files must carry the published MD5 sums; the binary version's unpacked files, for which no sums are known, must hold
10,000 images each. Looked for in the folder given, in IMPROVED_GAN_DATA (the folder itself or its subfolder `cifar10`),
then in the cache, into which the binary version is downloaded. Decoded image files are kept in the cache.

The pickles of the python version are read without running any code in them (`plain_pickles`).
"""

import hashlib
import tarfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from improved_gan.data.dataset import DataError, Dataset, LabeledImages
from improved_gan.data.dataset_paths import check_md5, first_existing
from improved_gan.data.decoded_cache import decode_images
from improved_gan.data.download import cache_folder, download
from improved_gan.data.image_index import index_images
from improved_gan.data.image_sources import open_images
from improved_gan.data.images import IMAGE_SUFFIXES
from improved_gan.data.ordered_map import num_cores
from improved_gan.data.plain_pickles import PickleError, read_plain_pickle

__all__ = [
    "BINARY_FILES",
    "CIFAR10_ARCHIVES",
    "CIFAR10_CLASSES",
    "CIFAR10_MIRRORS",
    "PYTHON_FILES",
    "load_cifar10",
    "read_binary_batch",
    "read_python_batch",
]


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
            f"{name} has {len(content):,} bytes, which is not a multiple of {1 + _PIXELS} (class and pixels): "
            "it is truncated or damaged: download it again"
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
        raise DataError(f"{name} is not a batch of CIFAR-10 ({error}): download it again") from error
    fields: dict[str, Any] = {}
    if isinstance(batch, dict):
        fields = {_text(key): value for key, value in batch.items()}
    pixels = fields.get("data")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
        raise DataError(f"{name} holds no data of (N, {_PIXELS}) uint8: use CIFAR-10's python version (not CIFAR-100)")
    labels = fields.get("labels")
    if not isinstance(labels, list) or not all(type(one) is int and abs(one) < 2**31 for one in labels):
        raise DataError(f"{name} holds no list of labels: use CIFAR-10's python version (not CIFAR-100)")
    return _labeled(pixels, np.array(labels, dtype=np.int64), name)


def _text(key: str | bytes) -> str:
    """Python 2's keys are bytes."""
    return key.decode("latin1") if isinstance(key, bytes) else key


def _labeled(pixels: np.ndarray, labels: np.ndarray, name: object) -> LabeledImages:
    if len(labels) != len(pixels) or labels.min(initial=0) < 0 or labels.max(initial=0) > 9:
        raise DataError(
            f"{name} must have a class from 0 to 9 for each of its {len(pixels)} images; it has {len(labels)}, from "
            f"{labels.min(initial=0)} to {labels.max(initial=0)}: download it again"
        )
    images = torch.from_numpy(np.array(pixels, order="C")).reshape(-1, 3, 32, 32)
    return LabeledImages(images, torch.from_numpy(labels.astype(np.int64)))


CIFAR10_ARCHIVES = {  # MD5 of the published files
    "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
}
CIFAR10_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_BINARY = "cifar-10-binary.tar.gz"  # what is downloaded: bytes and nothing else
_LARGEST_DOWNLOAD = 1 << 28  # bytes; it has 170 MB
_UNPACKED = ("", "cifar-10-batches-py", "cifar-10-batches-bin")
_REMEDY = (
    "the folder with CIFAR-10's archive (python or binary version), with one of them unpacked, or with train/cat/*.jpg"
)

_Reader = Callable[[bytes, object], LabeledImages]
_READERS: tuple[tuple[tuple[str, ...], _Reader], ...] = (
    (tuple(PYTHON_FILES), read_python_batch),
    (BINARY_FILES, read_binary_batch),
)


def load_cifar10(
    folder: str | Path | None = None,
    *,
    archives: Mapping[str, str] = CIFAR10_ARCHIVES,
    files: Mapping[str, str] = PYTHON_FILES,
    num_images: int = 10_000,
    mirrors: Sequence[str] = CIFAR10_MIRRORS,
) -> Dataset:
    """CIFAR-10 from a folder or archive, from IMPROVED_GAN_DATA, from the cache, or from a mirror into the cache.

    Args:
        folder: what the module's docstring lists, or None to search the other paths.
        archives: names and MD5 of the python and the binary version.
        files: names and MD5 of the python version's files when unpacked, test images last.
        num_images: in each of these.
        mirrors: addresses of folders that hold the binary version.

    Returns:
        Images (N, 3, 32, 32) uint8, ten classes. From class folders the name is "cifar10-jpeg", because the
        losses of JPEG change results a little.

    Raises:
        DataError: nothing of that kind is there, something is damaged or altered, or no mirror answers.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    look = partial(_found, archives=archives, files=files, num_images=num_images)
    if folder is not None:
        folder = Path(folder)
        load = look(folder)
        if load is None:
            state = "holds no CIFAR-10" if folder.exists() else "does not exist"
            raise DataError(f"{folder} {state}: give {_REMEDY}")
    else:
        load = first_existing("cifar10", look)
    return load() if load is not None else _from_archive(_downloaded(archives, mirrors), archives)


def _found(
    place: Path, *, archives: Mapping[str, str], files: Mapping[str, str], num_images: int
) -> Callable[[], Dataset] | None:
    """A loader for the files at this path, or None."""
    if place.is_file():
        return partial(_from_archive, place, archives)
    for below in (place / name for name in _UNPACKED):
        for names, read in _READERS:
            if (below / names[0]).is_file():
                return partial(_from_folder, below, names, read, sums=files, num_images=num_images)
    for name in archives:
        if (place / name).is_file():
            return partial(_from_archive, place / name, archives)
    for below in (place, place / "cifar10-jpeg"):
        if (below / "train" / CIFAR10_CLASSES[0]).is_dir():
            return partial(_from_images, below)
    packed = sorted(place.glob("cifar10-jpeg.*")) if place.is_dir() else []
    return partial(_from_images, packed[0]) if packed else None


def _from_folder(
    folder: Path, names: Sequence[str], read: _Reader, *, sums: Mapping[str, str], num_images: int
) -> Dataset:
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise DataError(f"{folder} lacks {', '.join(missing)}: unpack the archive again")
    try:
        return _joined([_checked(folder / name, read, sums.get(name), num_images) for name in names])
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}): unpack the archive again") from error


def _checked(path: Path, read: _Reader, md5: str | None, num_images: int) -> LabeledImages:
    """One unpacked file, compared with what is published before anything in it is read."""
    content = path.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and found != md5:
        raise DataError(
            f"{path} has MD5 {found}, where {md5} is published: it is damaged, or a copy that was saved again; unpack "
            "the published archive again, or give its images as train/CLASS/*.png and test/CLASS/*.png"
        )
    batch = read(content, path)
    if len(batch) != num_images:
        raise DataError(f"{path} holds {len(batch):,} images, where {num_images:,} are published: unpack it again")
    return batch


def _from_archive(path: Path, archives: Mapping[str, str]) -> Dataset:
    """An archive of either version, whatever it is called, or of image files."""
    if not tarfile.is_tarfile(path):
        return _from_images(path)  # a zip, or an error in words
    try:
        with tarfile.open(path) as archive:
            first = next((PurePosixPath(one.name) for one in archive if _tells_kind(one)), PurePosixPath())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read ({error}): it is truncated or damaged: download it again") from error
    for (files, read), md5 in zip(_READERS, archives.values(), strict=True):
        if first.name in files:
            check_md5(path, md5)
            return _joined(_batches(path, files, read))
    return _from_images(path)


def _tells_kind(entry: tarfile.TarInfo) -> bool:
    name = PurePosixPath(entry.name)
    return entry.isfile() and (
        any(name.name in files for files, _ in _READERS) or name.suffix.lower() in IMAGE_SUFFIXES
    )


def _batches(path: Path, files: Sequence[str], read: _Reader) -> list[LabeledImages]:
    """The six files of an archive whose sum was right, read without unpacking."""
    found = {}
    with tarfile.open(path) as archive:
        for entry in archive:
            name = PurePosixPath(entry.name).name
            if name in files and (content := archive.extractfile(entry)) is not None:
                found[name] = read(content.read(), f"{path}: {name}")
    if missing := [name for name in files if name not in found]:
        raise DataError(f"{path} lacks {', '.join(missing)}: download it again")
    return [found[name] for name in files]


def _joined(batches: Sequence[LabeledImages]) -> Dataset:
    """Five files of training images and one of test images."""
    train = LabeledImages(
        torch.cat([one.images for one in batches[:-1]]), torch.cat([one.labels for one in batches[:-1]])
    )
    return Dataset(name="cifar10", class_names=CIFAR10_CLASSES, train=train, test=batches[-1])


def _from_images(path: Path) -> Dataset:
    """Image files in train/CLASS and test/CLASS, decoded into the cache."""
    workers = num_cores()
    scan = index_images(open_images(path), workers=workers)
    places = [PurePosixPath(name).parts[-3:-1] for name in scan.names]
    wrong = next((name for name, place in zip(scan.names, places, strict=True) if not _is_place(place)), None)
    if wrong is not None:
        raise DataError(f"{path}: {wrong} is not in train/CLASS or test/CLASS of CIFAR-10: give {_REMEDY}")
    if (scan.sizes != 32).any():
        raise DataError(f"{path}: the images of CIFAR-10 are 32x32 pixels; other sizes are for the `folder` recipe")
    decoded = decode_images(scan, channels=3, size=32, folder=cache_folder() / "decoded", workers=workers)
    if bad := [*scan.bad, *(scan.names[row] for row in decoded.bad)]:
        raise DataError(f"{path}: {len(bad)} images cannot be read ({', '.join(bad[:5])}): copy or download them again")
    parts = np.array([place[0] for place in places])
    labels = torch.tensor([CIFAR10_CLASSES.index(place[1]) for place in places])
    train, test = (_part(decoded.images, labels, parts == part, path) for part in ("train", "test"))
    return Dataset(name="cifar10-jpeg", class_names=CIFAR10_CLASSES, train=train, test=test)


def _is_place(place: tuple[str, ...]) -> bool:
    return len(place) == 2 and place[0] in ("train", "test") and place[1] in CIFAR10_CLASSES


def _part(images: torch.Tensor, labels: torch.Tensor, mask: np.ndarray, path: Path) -> LabeledImages:
    """The images come in order of name, so each part is one block, which is not copied."""
    rows = np.flatnonzero(mask)
    if not len(rows):
        raise DataError(f"{path} has no train/ or no test/ images: give {_REMEDY}")
    block = slice(int(rows[0]), int(rows[-1]) + 1)
    return LabeledImages(images[block], labels[block])


def _downloaded(archives: Mapping[str, str], mirrors: Sequence[str]) -> Path:
    """The binary version in the cache; it is checked before it gets its name."""
    target = cache_folder() / "cifar10" / _BINARY
    download(
        [f"{mirror}{_BINARY}" for mirror in mirrors],
        target,
        check=partial(check_md5, md5=archives[_BINARY]),
        remedy=f"or give {_REMEDY}: --data DIR",
        largest=_LARGEST_DOWNLOAD,
    )
    return target
