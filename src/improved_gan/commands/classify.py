"""`improved-gan classify`: label, class probabilities and realness of image files, as CSV."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from improved_gan.data.dataset import DataError, unit_range
from improved_gan.data.images import find_images, read_image
from improved_gan.recipes.trained import Trained, choose_device, load_trained
from improved_gan.techniques import real_logit
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.errors import RunError
from improved_gan.training.reporting import say, warn

__all__ = ["run_classification"]

_BATCH = 256


def run_classification(
    run: Path, images: list[Path], *, out: Path, fit: bool, invert: bool = False, device: str | None, console: Console
) -> int:
    """Classify every image that can be read and write one row each.

    Columns: file, label, p(CLASS) for each class (their sum is 1), realness (D(x), the probability that the image is
    real rather than generated; paper, section 5).

    Returns:
        How many images could not be read; each was reported on the console.

    Raises:
        DataError, RunError: no such images or run, or no image could be read; `out` is not touched.
    """
    trained = load_trained(run, device=choose_device(device), warn=partial(warn, console))
    files = list(find_images(images))
    rows, failures = [], 0
    for some in _batches(files):
        readable, tensors = [], []
        for file in some:
            try:
                tensors.append(read_image(file, trained.image_shape, fit=fit, invert=invert))
                readable.append(file)
            except DataError as error:
                failures += 1
                warn(console, f"skipped: {error}")
        if readable:
            rows += _judge(trained, readable, torch.stack(tensors))
    if not rows:
        raise DataError(f"none of the {len(files)} images could be read, so nothing was written")
    _write(out, trained.class_names, rows)
    counts = ", ".join(f"{label}: {count}" for label, count in sorted(Counter(row[1] for row in rows).items()))
    say(console, f"{len(rows)} images classified into {out} ({counts})")
    return failures


@torch.no_grad()
def _judge(trained: Trained, files: list[Path], images: Tensor) -> list[list[str]]:
    """One CSV row an image."""
    device = next(trained.discriminator.parameters()).device
    logits = trained.discriminator(unit_range(images.to(device))).logits
    probabilities, realness = logits.softmax(1).cpu(), torch.sigmoid(real_logit(logits)).cpu()
    return [
        [str(file), trained.class_names[int(p.argmax())], *(f"{one:.6f}" for one in p.tolist()), f"{real:.6f}"]
        for file, p, real in zip(files, probabilities, realness.tolist(), strict=True)
    ]


def _batches(files: list[Path]) -> Iterator[list[Path]]:
    for start in range(0, len(files), _BATCH):
        yield files[start : start + _BATCH]


def _write(out: Path, class_names: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", *(f"p({name})" for name in class_names), "realness"])
    writer.writerows(rows)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, text.getvalue().encode(errors="surrogateescape"))
    except OSError as error:
        raise RunError(f"could not write {out}: {error.strerror or error}") from error
