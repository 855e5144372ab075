"""The weight file of the 2015 Inception network: search, verification and download."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from improved_gan.data.dataset import DataError
from improved_gan.data.download import cache_folder, download

__all__ = ["FILE_NAME", "SHA256", "URLS", "load_weights", "sha256_of"]

FILE_NAME = "weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_LARGEST_DOWNLOAD = 1 << 28  # bytes; it has 96 MB
URLS = (f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE_NAME}",)


def load_weights(path: Path | None = None, *, urls: tuple[str, ...] = URLS) -> tuple[dict[str, Tensor], str]:
    """The tensors and the SHA-256 of the file.

    Args:
        path: the user's file, taken as it is (its hash is named in every result); None for the known file from the
            cache (also PyTorch's), else downloaded there and checked.
        urls: where it can be had.

    Raises:
        DataError: there is no such file, it is damaged, or it could not be downloaded; the line says where to put it.
    """
    if path is not None:
        if not path.is_file():
            raise DataError(f"there is no weight file {path}: --weights wants {FILE_NAME} or one of the same layout")
        return _tensors(path), sha256_of(path)
    target = cache_folder() / FILE_NAME
    for path in (target, Path(torch.hub.get_dir()) / "checkpoints" / FILE_NAME):
        if path.is_file() and sha256_of(path) == SHA256:
            return _tensors(path), SHA256
    remedy = f"or put the file into {target.parent}, or name it with --weights, or score with another --network"
    download(urls, target, check=_check, remedy=remedy, largest=_LARGEST_DOWNLOAD)
    return _tensors(target), SHA256


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path) -> None:
    found = sha256_of(path)
    if found != SHA256:
        raise DataError(f"its sha256 is {found}, it must be {SHA256}")


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # anything, for a file of another kind; PyTorch's advice to unpickle it is a bad one
        raise DataError(
            f"{path} is not a PyTorch weight file, or a damaged one: --weights wants {FILE_NAME}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path} holds no dictionary of tensors: --weights wants {FILE_NAME}")
    return state
