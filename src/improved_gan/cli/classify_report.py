"""What `improved-gan classify` prints at its end: counts of labels, labels of single images, and the error."""

import json
from collections import Counter
from pathlib import Path

from rich.console import Console

from improved_gan.active_learning.image_stream import ImageList
from improved_gan.active_learning.predictions import Finished
from improved_gan.active_learning.query import rows_of
from improved_gan.cli.accuracy import Truth, measure, show_accuracy
from improved_gan.data.folder_snapshot import hashes_of_part
from improved_gan.data.image_sources import is_archive
from improved_gan.metrics.network import digest_of
from improved_gan.recipes.load_run import Trained
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.reporting import say

__all__ = ["print_counts", "print_single", "report_accuracy"]

_MOST_SINGLE = 20  # images whose labels are printed


def print_counts(
    finished: Finished, out: Path | None, console: Console, *, known: int, changed: int, classified: int
) -> None:
    """How many images have which label, and how many of them are new."""
    if not finished.changed:
        say(console, f"nothing to do: {out} already holds all {finished.rows} images")
        return
    counts = ", ".join(f"{label}: {count}" for label, count in sorted(finished.labels.items()))
    say(console, f"{finished.rows} images classified{'' if out is None else f' into {out}'} ({counts})")
    if out is None:
        say(console, "nothing was written: --out CSV writes one row for each image")
    if known:
        say(console, f"{known} of these were classified before, {changed} have changed since, "
                     f"{classified - changed} are new")  # fmt: skip


def print_single(images: list[Path], predictions: Path, console: Console) -> None:
    """Label and probability of each image that was named one by one."""
    single = {
        file for path in images if path.is_file() and not is_archive(path.name) for file in ImageList([path]).files()
    }
    if not single or len(single) > _MOST_SINGLE:
        return
    rows = rows_of(predictions)
    names = [name[2:-1] for name in next(rows) if name.startswith("p(")]
    for row in rows:
        if row[0] in single:
            most_probable = Counter(dict(zip(names, map(float, row[2:]), strict=False))).most_common(3)
            (label, probability), *others = most_probable
            rest = ", ".join(f"{name} {probability:.1%}" for name, probability in others)
            say(console, f"{row[0]}: {label}, probability {probability:.1%} (then {rest})")


def report_accuracy(
    run: Path, trained: Trained, truth: Truth, predictions: Path, json_file: Path | None, console: Console
) -> None:
    """Print error, confusion matrix and recalls; write them as JSON if a file is named."""
    found = measure(predictions, truth, trained.class_names, trained_on=hashes_of_part(run, "train"))
    show_accuracy(found, console)
    if json_file is None:
        return
    about = {
        "format": 1,
        "run": str(run),
        "step": trained.step,
        "weights_sha256": digest_of(trained.discriminator.state_dict()),
    }
    json_file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(json_file, json.dumps(about | found.as_dict(), indent=1).encode(errors="surrogateescape"))
    say(console, f"written: {json_file}")
