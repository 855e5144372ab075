"""SVHN, cropped digits: 73,257 training and 26,032 test photographs of house numbers, 32x32 in color (Netzer et al.).

Looked for in the folder given, in IMPROVED_GAN_DATA (the folder itself or its subfolder `svhn`), then in the cache,
into which it is downloaded. The files are MATLAB 5: `X` (32, 32, 3, N) uint8 and `y` (N, 1), 10 for the digit 0.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from improved_gan.data.dataset import DataError, Dataset, LabeledImages
from improved_gan.data.dataset_paths import check_md5, first_existing
from improved_gan.data.download import cache_folder, download
from improved_gan.data.matlab_file import MatlabError, read_matlab

__all__ = ["SVHN_FILES", "SVHN_MIRRORS", "load_svhn", "read_svhn"]

SVHN_FILES = {  # MD5 of the files, training images first
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
_LARGEST_DOWNLOAD = 1 << 28  # bytes; the training images have 182 MB
SVHN_MIRRORS = ("http://ufldl.stanford.edu/housenumbers/",)


def load_svhn(
    folder: Path | None = None, *, files: Mapping[str, str] = SVHN_FILES, mirrors: Sequence[str] = SVHN_MIRRORS
) -> Dataset:
    """SVHN from a folder, from IMPROVED_GAN_DATA, from the cache, or from a mirror into the cache.

    Args:
        folder: holds the two files; None looks in the other paths.
        files: name and MD5: of the training images, of the test images.
        mirrors: addresses of folders that hold them.

    Returns:
        Images (N, 3, 32, 32) uint8, ten classes; class 0 is the digit 0.

    Raises:
        DataError: a file is missing, damaged, of another kind or altered, or no mirror answers.

    Source: Y. Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011.
    """
    folder = _find_folder(folder, files) or _downloaded(files, mirrors)
    train, test = (read_svhn(folder / name, md5=md5) for name, md5 in files.items())
    return Dataset(name="svhn", class_names=tuple("0123456789"), train=train, test=test)


def read_svhn(path: Path, *, md5: str | None = None) -> LabeledImages:
    """One of the two files.

    Args:
        path: a MATLAB 5 file with `X` and `y`.
        md5: the sum that it must have.

    Returns:
        Images (N, 3, 32, 32) uint8 and the digits, 0 to 9.

    Raises:
        DataError: unreadable, another sum, or not of this form.
    """
    if md5 is not None:
        check_md5(path, md5)
    content = _matlab(path)
    images, labels = content["X"], content["y"].reshape(-1, order="F")
    if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or images.dtype != np.uint8:
        raise DataError(
            f"{path}: X must be (32, 32, 3, N) uint8; it is {images.shape} {images.dtype}: take the cropped digits "
            "(train_32x32.mat, test_32x32.mat)"
        )
    if len(labels) != images.shape[3] or not np.isin(labels, range(1, 11)).all():
        raise DataError(
            f"{path}: y must hold {images.shape[3]} digits from 1 to 10 (10 is the digit 0); it has {len(labels)}, "
            f"from {labels.min(initial=0)} to {labels.max(initial=0)}: get the file again"
        )
    rows = torch.from_numpy(np.ascontiguousarray(images.transpose(3, 2, 0, 1)))
    return LabeledImages(rows, torch.from_numpy(labels.astype(np.int64) % 10))


def _matlab(path: Path) -> Mapping[str, np.ndarray]:
    try:
        content = read_matlab(path.read_bytes(), ("X", "y"))
    except (OSError, MatlabError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read as a MATLAB 5 file ({reason}): delete it and get it again") from error
    if missing := [name for name in ("X", "y") if name not in content]:
        raise DataError(f"{path} holds no {' and no '.join(missing)}: take train_32x32.mat and test_32x32.mat of SVHN")
    return content


def _find_folder(folder: Path | None, files: Mapping[str, str]) -> Path | None:
    """The folder given (which must hold both files), else the first search path that holds them."""
    if folder is None:
        return first_existing("svhn", lambda path: None if _missing(path, files) else path)
    if missing := _missing(folder, files):
        raise DataError(f"{folder} lacks {', '.join(missing)}: name the folder that holds SVHN's cropped digits")
    return folder


def _missing(folder: Path, files: Mapping[str, str]) -> list[str]:
    return [name for name in files if not (folder / name).is_file()]


def _downloaded(files: Mapping[str, str], mirrors: Sequence[str]) -> Path:
    """Fetch the missing files into the cache; a file is checked before it gets its name."""
    folder = cache_folder() / "svhn"
    for name in _missing(folder, files):
        download(
            [f"{mirror}{name}" for mirror in mirrors],
            folder / name,
            check=partial(check_md5, md5=files[name]),
            remedy=f"or give the folder that holds {' and '.join(files)}: --data DIR",
            largest=_LARGEST_DOWNLOAD,
        )
    return folder
