"""The images of `improved-gan train-folder`: read, reported on, and compared with those at the start of the run."""

import csv
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from improved_gan.console import say, warn
from improved_gan.data.dataset import DataError
from improved_gan.data.download import cache_folder
from improved_gan.data.embeddings import EMBEDDINGS_FILE, as_embeddings, read_embeddings, write_embeddings
from improved_gan.data.folder import CustomImages, FolderOptions, load_folder
from improved_gan.data.folder_snapshot import HEADER as _HEADER
from improved_gan.data.folder_snapshot import IMAGES_FILE, read_listing
from improved_gan.data.folder_snapshot import REPORT_FILE as _REPORT_FILE
from improved_gan.data.ordered_map import num_cores
from improved_gan.data.value_range import ValueRange, parse_value_range
from improved_gan.embeddings.embed import Embedding, embed_images
from improved_gan.io import write_atomically
from improved_gan.runs.own_code import Trust
from improved_gan.training.errors import RunError
from improved_gan.training.process_group import choose_device

__all__ = [
    "IMAGES_FILE",
    "ImageOptions",
    "check_unchanged",
    "embed_custom_images",
    "load_images",
    "print_report",
    "write_listing",
]

_LISTED = 5


@dataclass(frozen=True)
class ImageOptions:
    """Options for custom images; None: chosen automatically."""

    images: Path
    labels_file: Path | None = None
    size: int | None = None
    validation: float = FolderOptions.validation
    cache: Path | None = None
    workers: int | None = None
    value_range: str | None = None
    network: str | None = None
    weights: Path | None = None
    embeddings: Path | None = None


def load_images(options: ImageOptions, *, labels: int | None) -> CustomImages:
    """Read, check and decode the images.

    Args:
        options: of the command line.
        labels: 0 for training without labels.

    Raises:
        DataError: they cannot be used.
    """
    return load_folder(
        FolderOptions(
            images=options.images,
            labels=options.labels_file,
            use_labels=labels != 0,
            size=options.size,
            validation=options.validation,
            cache=options.cache or cache_folder() / "decoded",
            workers=options.workers or num_cores(),
            values=None if options.value_range is None else parse_value_range(options.value_range),
        )
    )


def embed_custom_images(
    own: CustomImages, options: ImageOptions, console: Console, *, device: str | None, trust: Trust
) -> CustomImages:
    """The same with embeddings in place of images, from a file or made now.

    Raises:
        DataError, MetricError: a network or file that cannot be used, or that has no embedding of some images.
    """
    values = None if own.dataset.value_range is None else ValueRange(*own.dataset.value_range)
    if options.embeddings is not None:
        embeddings = read_embeddings(options.embeddings)
        if not embeddings.about.get("spec"):
            raise DataError(f"{options.embeddings} names no network: make it with improved-gan embed")
        _check_values(options.embeddings, embeddings.about.get("values", ""), values)
    else:
        assert options.network is not None
        how = Embedding(
            network=options.network,
            cache=cache_folder() / "features",
            weights=options.weights,
            device=choose_device(device),
            values=values,
            skip_invalid=True,
            check_range=False,  # the report of the images has that warning
        )
        embeddings = embed_images(options.images, how, console, trust=trust)
    dataset, scaling = as_embeddings(own.dataset, own.rows, embeddings)
    if copies := embeddings.num_duplicates:
        warn(console, f"{copies} of {len(embeddings)} embeddings equal an earlier one: copies of the same image")
    say(console, f"{embeddings.features.shape[1]} features of {embeddings.about['network']} in place of pixels "
                 f"(sha256 {embeddings.about['sha256'][:12]}; {embeddings.about['resize']})")  # fmt: skip
    return replace(own, dataset=dataset, embeddings=(embeddings, scaling))


def _check_values(path: Path, made: str, values: ValueRange | None) -> None:
    """New images are read as the run says, so its embeddings must have been, too."""
    if made != str(values or ""):
        wanted = "no --value-range" if not made else f"--value-range {made}"
        raise DataError(
            f"{path} was made with {wanted}, and these images are read with {values or 'none'}: give {wanted} here, or "
            "embed again"
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
    if own.embeddings is not None:
        write_embeddings(run / EMBEDDINGS_FILE, *own.embeddings)
    report = json.dumps(own.report.as_dict(), indent=1)
    write_atomically(run / _REPORT_FILE, report.encode(errors="surrogateescape"))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_LISTED]) + (" ..." if len(names) > _LISTED else "")
