"""What `improved-gan classify` says at its end: labels, those of single images, and the error."""

import json
from collections import Counter
from pathlib import Path

from rich.console import Console

from improved_gan.active_learning.image_stream import ImageList
from improved_gan.active_learning.predictions import Finished
from improved_gan.active_learning.query import rows_of
from improved_gan.commands.accuracy import Truth, measure, show_accuracy
from improved_gan.data.folder_snapshot import hashes_of_part
from improved_gan.data.image_sources import is_archive
from improved_gan.metrics.network import digest_of
from improved_gan.recipes.load_run import Trained
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.reporting import say

__all__ = ["tell", "tell_accuracy", "tell_single"]

_MOST_SINGLE = 20  # images whose labels are printed


def tell(finished: Finished, out: Path | None, console: Console, *, known: int, changed: int, judged: int) -> None:
    """How many images have which label, and what was done."""
    if not finished.changed:
        say(console, f"nothing to do: {out} holds all {finished.rows} images as they are")
        return
    counts = ", ".join(f"{label}: {count}" for label, count in sorted(finished.labels.items()))
    say(console, f"{finished.rows} images classified{'' if out is None else f' into {out}'} ({counts})")
    if out is None:
        say(console, "nothing was written: --out CSV keeps a row an image")
    if known:
        say(console, f"of these {known} were done before, {changed} had changed since, "
                     f"{judged - changed} were new")  # fmt: skip


def tell_single(images: list[Path], predictions: Path, console: Console) -> None:
    """Label and probability of each image that was named itself."""
    single = {
        file for path in images if path.is_file() and not is_archive(path.name) for file in ImageList([path]).files()
    }
    if not single or len(single) > _MOST_SINGLE:
        return
    rows = rows_of(predictions)
    names = [name[2:-1] for name in next(rows) if name.startswith("p(")]
    for row in rows:
        if row[0] in single:
            argmax_class = Counter(dict(zip(names, map(float, row[2:]), strict=False))).most_common(3)
            (label, probability), *others = argmax_class
            rest = ", ".join(f"{name} {share:.1%}" for name, share in others)
            say(console, f"{row[0]}: {label}, probability {probability:.1%} (then {rest})")


def tell_accuracy(
    run: Path, trained: Trained, truth: Truth, predictions: Path, json_file: Path | None, console: Console
) -> None:
    """Error, confusion and recalls; as JSON too where a file is named."""
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
