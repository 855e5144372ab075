"""Atomic writing of files."""

import os
from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that a crash at any moment leaves the old or the new content, never a part.

    `durable` waits for the disk, so that this holds after a power cut too.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Flush the rename to disk, too; Windows has no such call."""
    directory = getattr(os, "O_DIRECTORY", None)
    if directory is None:
        return
    opened = os.open(folder, os.O_RDONLY | directory)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
