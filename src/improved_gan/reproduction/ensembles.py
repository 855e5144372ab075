"""Ensembles: the mean of the class probabilities of models that were trained on the same label split.

The paper's standard deviation of ensembles over the label subsets is nearly as large as that of single models (445 and
452 with 20 labels), so the ten models of one ensemble share a label subset and differ in all other random choices.
Averaging models of *different* splits would use more labels than the budget; it is not done here.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from improved_gan.data.dataset import Dataset, LabeledImages, to_float01
from improved_gan.io import write_atomically
from improved_gan.reproduction.job_status import read_note
from improved_gan.reproduction.plan import Job
from improved_gan.runs import Run
from improved_gan.runs.own_code import Trust, is_file_of
from improved_gan.training.errors import RunError

__all__ = ["average_probabilities", "count_ensemble_errors", "known_ensemble"]

_BATCH = 1000


def count_ensemble_errors(
    jobs: Sequence[Job], load_data: Callable[[], Dataset], *, device: str, warn: Callable[[str], None]
) -> tuple[int, int]:
    """Number of test images that the ensemble of these runs misclassifies, and number of test images.

    The result is stored in the runs' group folder, for these members with these settings and checkpoints.

    Args:
        jobs: the members, all done, of one split.
        load_data: loads the data set; called only if the result is not stored.
        device: device of the networks.
        warn: called with a line for each damaged checkpoint that is skipped.

    Raises:
        RunError: a run cannot be loaded.
    """
    if (known := known_ensemble(jobs)) is not None:
        return known
    members, test = _members(jobs), load_data().test
    # The user named the recipe file in this command, so copies of it are trusted.
    trust = jobs[0].options.trust or is_file_of(jobs[0].recipe)
    folders = [job.folder for job in jobs]
    probabilities = average_probabilities(folders, test, device=device, warn=warn, trust=trust)
    wrong = int((probabilities.argmax(1) != test.labels).sum())
    content = {"members": members, "wrong": wrong, "of": len(test)}
    write_atomically(_kept(jobs), json.dumps(content, indent=1).encode())
    return wrong, len(test)


def known_ensemble(jobs: Sequence[Job]) -> tuple[int, int] | None:
    """The stored result; None if there is none for these members and checkpoints."""
    known = read_note(_kept(jobs))
    wrong, num = known.get("wrong"), known.get("of")
    fits = known.get("members") == _members(jobs) and isinstance(wrong, int) and isinstance(num, int)
    return (int(wrong), int(num)) if fits else None  # type: ignore[arg-type]


@torch.no_grad()
def average_probabilities(
    folders: Sequence[Path],
    images: LabeledImages,
    *,
    device: str,
    warn: Callable[[str], None],
    trust: Trust = False,
) -> Tensor:
    """(N, K) float64, the mean over the runs of softmax(logits) of each image, with averaged weights."""
    total = torch.zeros(())
    for folder in folders:  # one after the other, so that only one discriminator is in memory
        discriminator = Run(folder).load(device=device, warn=warn, trust=trust).discriminator
        parts = [
            discriminator(to_float01(some.to(device))).logits.double().softmax(1).cpu()
            for some in torch.split(images.images, _BATCH)
        ]
        total = total + torch.cat(parts)
    return total / len(folders)


def _members(jobs: Sequence[Job]) -> dict[str, Any]:
    return {job.name: _identity(job.folder) for job in jobs}


def _kept(jobs: Sequence[Job]) -> Path:
    return jobs[0].group / f"ensemble-split-{jobs[0].split}-of-{len(jobs)}.json"


def _identity(folder: Path) -> dict[str, Any]:
    """Identity of a trained model: its settings and its checkpoint file."""
    run = Run(folder)
    if (newest := run.newest_checkpoint()) is None:
        raise RunError(f"{folder} has no checkpoint: train it again")
    about = newest.stat()  # hashing the content would read gigabytes for a whole table
    return {
        "fingerprint": run.fingerprint,
        "checkpoint": newest.name,
        "bytes": about.st_size,
        "written": about.st_mtime_ns,
    }
