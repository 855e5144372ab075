"""Checkpoints: tensors only, written whole or not at all, checked when read.

A file is written under a temporary name, flushed to the disk and renamed; it carries the SHA-256 of its tensors and
the fingerprint of the run's settings. The newest two are kept, so that a damaged one costs little.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from improved_gan.training.errors import RunError

__all__ = ["load_checkpoint", "load_newest", "newest_checkpoint", "save_checkpoint", "write_atomically"]

_KEPT = 2


def save_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], *, fingerprint: str) -> Path:
    """Write `folder/step-00000012.safetensors` and drop all but it and the one before.

    Files of later steps go too: the run came back from before them because they were damaged.

    Raises:
        RunError: the disk is full or the folder cannot be written; earlier checkpoints stay as they are.
    """
    path = folder / f"step-{step:08d}.safetensors"
    metadata = {"fingerprint": fingerprint, "sha256": _digest(tensors, fingerprint)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, safetensors.torch.save(tensors, metadata))
    except OSError as error:
        last = _newest_first(folder)
        kept = f"the last good one, {last[0].name}, is kept and continued from" if last else "there was none before it"
        raise RunError(
            f"could not save the checkpoint of step {step} ({error.strerror or error}); {kept}: "
            "make room and run the same command again"
        ) from error
    paths = _newest_first(folder)
    for other in [*paths[: paths.index(path)], *paths[paths.index(path) + _KEPT :]]:
        other.unlink(missing_ok=True)
    return path


def newest_checkpoint(folder: Path) -> str | None:
    """The name of the newest checkpoint, whole or not; None where there is none."""
    paths = _newest_first(folder)
    return paths[0].name if paths else None


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new, never a part.

    `durable` waits for the disk, so that this holds for a power cut too.
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
    """The new name, too, must survive a power cut; Windows opens no folders and has no such call."""
    directory = getattr(os, "O_DIRECTORY", None)
    if directory is None:
        return
    opened = os.open(folder, os.O_RDONLY | directory)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def load_newest(folder: Path, *, fingerprint: str, warn: Callable[[str], None]) -> dict[str, Tensor] | None:
    """The tensors of the newest checkpoint that is whole; None where there is none at all.

    Args:
        folder: the run's checkpoint folder.
        fingerprint: what the checkpoint must have been made with.
        warn: told of each damaged checkpoint that was passed over.

    Raises:
        RunError: a checkpoint of other settings, or every one is damaged.
    """
    paths = _newest_first(folder)
    for path in paths:
        try:
            return load_checkpoint(path, fingerprint=fingerprint)
        except DamagedError as error:
            warn(f"{path.name} is damaged ({error}); going back to the one before")
    if paths:
        raise RunError(f"every checkpoint in {folder} is damaged: delete the run folder and start again")
    return None


def load_checkpoint(path: Path, *, fingerprint: str) -> dict[str, Tensor]:
    """The tensors of one checkpoint.

    Raises:
        DamagedError: the file is not whole.
        RunError: it was made with other settings.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except Exception as error:  # whatever the reader makes of wrong bytes, the file is not whole
        raise DamagedError(f"{type(error).__name__}: {error}") from error
    if metadata.get("sha256") != _digest(tensors, metadata.get("fingerprint", "")):
        raise DamagedError("its content does not match its checksum")
    if metadata.get("fingerprint") != fingerprint:
        raise RunError(f"{path} was made with other settings than the run folder's recipe.json says; use another --out")
    return tensors


class DamagedError(Exception):
    """A checkpoint that is not whole."""


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _digest(tensors: dict[str, Tensor], fingerprint: str) -> str:
    digest = hashlib.sha256(fingerprint.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
