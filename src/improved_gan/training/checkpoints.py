"""Checkpoints: tensors only, written whole or not at all, checked when read.

A file is written under a temporary name, flushed to disk and renamed; it contains the SHA-256 of its tensors and the
fingerprint of the run's settings. The newest two are kept, so that a damaged one costs little.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from improved_gan.io import write_atomically
from improved_gan.training.errors import RunError

__all__ = ["load_checkpoint", "load_newest", "newest_checkpoint", "save_checkpoint"]

_KEPT = 2


def save_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], *, fingerprint: str) -> Path:
    """Write `folder/step-00000012.safetensors` and delete all but it and the one before.

    Files of later steps are deleted too: they were damaged, so the run resumed from an earlier one.

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
    """The name of the newest checkpoint, damaged or not; None if there is none."""
    paths = _newest_first(folder)
    return paths[0].name if paths else None


def load_newest(folder: Path, *, fingerprint: str, warn: Callable[[str], None]) -> dict[str, Tensor] | None:
    """The tensors of the newest undamaged checkpoint; None if there is no checkpoint.

    Args:
        folder: the run's checkpoint folder.
        fingerprint: that of the run's settings, which the checkpoint must have.
        warn: called with a message for each damaged checkpoint that is skipped.

    Raises:
        RunError: a checkpoint has other settings, or all are damaged.
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
        DamagedError: the file is damaged.
        RunError: it has other settings.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except Exception as error:  # the reader may fail in any way on wrong bytes
        raise DamagedError(f"{type(error).__name__}: {error}") from error
    if metadata.get("sha256") != _digest(tensors, metadata.get("fingerprint", "")):
        raise DamagedError("its content does not match its checksum")
    if metadata.get("fingerprint") != fingerprint:
        raise RunError(f"{path} was made with other settings than the run folder's recipe.json says; use another --out")
    return tensors


class DamagedError(Exception):
    """A checkpoint that cannot be read or does not match its checksum."""


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _digest(tensors: dict[str, Tensor], fingerprint: str) -> str:
    digest = hashlib.sha256(fingerprint.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
