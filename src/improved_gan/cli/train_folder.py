"""`improved-gan train folder`: read custom images, report on them, and detect later changes."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from improved_gan.data.download import cache_folder
from improved_gan.data.folder import CustomImages, FolderOptions, load_folder
from improved_gan.data.folder_snapshot import HEADER as _HEADER
from improved_gan.data.folder_snapshot import IMAGES_FILE, read_listing
from improved_gan.data.folder_snapshot import REPORT_FILE as _REPORT_FILE
from improved_gan.data.ordered_map import num_workers
from improved_gan.data.value_range import parse_value_range
from improved_gan.recipes.recipe import RecipeError
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.errors import RunError
from improved_gan.training.reporting import say, warn

__all__ = [
    "IMAGES_FILE",
    "ImageOptions",
    "check_unchanged",
    "labels_or_file",
    "load_images",
    "print_report",
    "write_listing",
]

_LISTED = 5


@dataclass(frozen=True)
class ImageOptions:
    """Options for custom images; None: chosen automatically."""

    images: Path | None = None
    labels_file: Path | None = None
    size: int | None = None
    validation: float | None = None
    cache: Path | None = None
    workers: int | None = None
    value_range: str | None = None

    def refuse(self, recipe: str) -> None:
        """Check that no option for custom images is given with another recipe.

        Raises:
            RecipeError: an option was given that only the recipe `folder` has.
        """
        names = {
            "--images": self.images,
            "--labels FILE": self.labels_file,
            "--size": self.size,
            "--validation": self.validation,
            "--cache-dir": self.cache,
            "--num-workers": self.workers,
            "--value-range": self.value_range,
        }
        if given := [name for name, value in names.items() if value is not None]:
            raise RecipeError(f"{' and '.join(given)}: only for the recipe `folder`; {recipe} loads its own data")


def labels_or_file(labels: str | None, num_labels: int | None) -> tuple[int | None, Path | None]:
    """Number of labels and labels file, from `--labels` and `--num-labels`.

    Raises:
        RecipeError: two different numbers.

    >>> labels_or_file("100", None), labels_or_file("labels.csv", 20)
    ((100, None), (20, PosixPath('labels.csv')))
    """
    try:
        num = None if labels is None else int(labels)
    except ValueError:
        return num_labels, Path(str(labels))
    if num is not None and num_labels is not None:
        raise RecipeError(f"--labels {num} and --num-labels {num_labels} set the same value: give one of them")
    return (num_labels if num is None else num), None


def load_images(options: ImageOptions, *, labels: int | None) -> CustomImages:
    """Read, check and decode the images.

    Args:
        options: of the command line.
        labels: 0 for training without labels.

    Raises:
        RecipeError: no images are named.
        DataError: they cannot be used.
    """
    if options.images is None:
        raise RecipeError("the recipe `folder` needs your images: improved-gan train folder --images DIR")
    return load_folder(
        FolderOptions(
            images=options.images,
            labels=options.labels_file,
            use_labels=labels != 0,
            size=options.size,
            validation=FolderOptions.validation if options.validation is None else options.validation,
            cache=options.cache or cache_folder() / "decoded",
            workers=options.workers or num_workers(),
            values=None if options.value_range is None else parse_value_range(options.value_range),
        )
    )


def print_report(own: CustomImages, console: Console) -> None:
    """Print a summary of the images, and warnings."""
    for line in own.report.lines():
        say(console, line)
    for line in own.report.warnings():
        warn(console, line)


def check_unchanged(run: Path, own: CustomImages) -> None:
    """Check that the images are those of the run's start.

    Raises:
        RunError: images were changed, added or removed; the message names them.
    """
    file = run / IMAGES_FILE
    if not file.is_file():
        return
    before = {row[0]: row[3] for row in read_listing(file)}
    now = {name: digest for name, _, _, digest in own.rows}
    if sorted(before.values()) == sorted(now.values()) and list(before.values()) == list(now.values()):
        return
    changed = [name for name, digest in now.items() if before.get(name, digest) != digest]
    new, gone = [name for name in now if name not in before], [name for name in before if name not in now]
    found = [
        f"{len(names)} {word} ({_some(names)})"
        for word, names in (("changed", changed), ("new", new), ("missing", gone))
        if names
    ]
    raise RunError(
        f"the images have changed since {run} began: {', '.join(found)}: restore them, or give another --out"
    )


def write_listing(run: Path, own: CustomImages) -> None:
    """Write the list of images with part and label, and the report, into the run folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_HEADER, *own.rows])
    write_atomically(run / IMAGES_FILE, text.getvalue().encode(errors="surrogateescape"))
    report = json.dumps(own.report.as_dict(), indent=1)
    write_atomically(run / _REPORT_FILE, report.encode(errors="surrogateescape"))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (" ..." if len(names) > _LISTED else "")
