"""Search for a published data set: in the given folder, in IMPROVED_GAN_DATA, and in the cache of downloads."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from improved_gan.data.dataset import DataError
from improved_gan.data.download import cache_folder

__all__ = ["check_md5", "first_existing", "search_paths"]

_BLOCK = 1 << 20

Found = TypeVar("Found")


def search_paths(name: str) -> list[Path]:
    """Folders to look in when none is given: IMPROVED_GAN_DATA/name, IMPROVED_GAN_DATA, and the cache's `name`.

    Without a home directory there may be no cache to look in.

    >>> search_paths("svhn")[-1].name
    'svhn'
    """
    found = []
    if os.environ.get("IMPROVED_GAN_DATA"):
        root = Path(os.environ["IMPROVED_GAN_DATA"])
        found = [root / name, root]
    with suppress(DataError):
        found.append(cache_folder() / name)
    return found


def first_existing(name: str, look: Callable[[Path], Found | None]) -> Found | None:
    """What `look` finds in the first of the search paths, or None."""
    return next((found for path in search_paths(name) if (found := look(path)) is not None), None)


def check_md5(path: Path, md5: str) -> None:
    """Compare a file with its published sum.

    Raises:
        DataError: another sum, or it cannot be read.
    """
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): check its permissions, or download it again"
        ) from error
    if digest.hexdigest() != md5:
        raise DataError(
            f"{path} has MD5 {digest.hexdigest()}, where {md5} is published: delete it and download it again"
        )
