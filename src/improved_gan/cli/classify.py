"""`improved-gan classify`: label, class probabilities, real score and entropy of images, as CSV; an annotation page."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import device_option, run_argument, trust_option, value_range_option
from improved_gan.cli.trust import trust_or_ask

if TYPE_CHECKING:
    from rich.console import Console

    from improved_gan.active_learning.accuracy import Truth
    from improved_gan.active_learning.classification import Classification
    from improved_gan.active_learning.image_stream import Decode, ImageList
    from improved_gan.active_learning.predictions import Finished
    from improved_gan.data.value_range import ValueRange
    from improved_gan.runs import Networks

__all__ = ["ClassifyOptions", "classify", "classify_images"]

_MOST_SINGLE = 20  # images whose labels are printed
_MOST_WORKERS = 4  # by default


@dataclass(frozen=True)
class ClassifyOptions:
    """The options of `classify`."""

    run: Path = run_argument()
    images: tuple[Path, ...] = argument(help="Image files, or folders or archives of images.")
    out: Path | None = option(None, help="CSV file to write, one row for each image; default: no file.", written="file")
    resize: bool = option(False, help="Convert mode and size of the images to those of the training images.")
    invert: bool = option(False, help="Invert the gray levels (scans of ink on paper, for MNIST).")
    annotate: int | None = option(
        None, help="Write a page for labeling the N images with the highest entropy.", min=1, metavar="N"
    )
    diversity: bool = option(False, help="With --annotate: of the 10 N most uncertain images, N with distant features.")
    labels: Path | None = option(
        None,
        help="CSV file of true classes, for the error; with --annotate these images are not shown again.",
    )
    json: Path | None = option(
        None, help="Write error, interval, confusion matrix and recalls to this JSON file.", written="file"
    )
    value_range: str | None = value_range_option()
    num_workers: int | None = option(None, help="Threads that decode images; default: at most 4.", min=1)
    trust: bool = trust_option()
    device: str | None = device_option()

    def __post_init__(self) -> None:
        if self.annotate is None and self.diversity:
            raise click.BadParameter("--diversity needs --annotate N", param_hint="--annotate")
        if self.annotate is not None and self.out is None:
            raise click.BadParameter(
                "the page is written beside the predictions: give --out CSV", param_hint="--annotate"
            )


def classify(options: ClassifyOptions, console: "Console") -> int:
    """Classify images with a trained run: label, class probabilities, probability of being real, and entropy.

    If true classes are known, from class folders or --labels, the command prints the error with its 95% interval, the
    confusion matrix and the recall of each class. For images named one by one it prints the label.

    A stopped command continues when it is repeated; a later call processes only images that are new or have changed.
    An image that cannot be used is reported and skipped, and the exit code is then 1.

    Examples: `improved-gan classify runs/folder holdout/`, `improved-gan classify runs/folder one.png`,
    `improved-gan classify runs/mnist scans/ --resize --invert --out predictions.csv --annotate 100`.
    """
    return int(classify_images(options, console) > 0)


def classify_images(options: ClassifyOptions, console: "Console") -> int:
    """Classify every image that can be read, one row each; a stopped command continues, a repeated one adds new images.

    Returns:
        The number of images that could not be read; each was reported on the console.

    Raises:
        DataError, RunError: no such images or run, or no image could be read; `out` is not changed.
        InterruptedRunError: stopped; the same command continues.
    """
    from improved_gan.active_learning.accuracy import truth_of
    from improved_gan.active_learning.annotate import AnnotateOptions, write_annotation_page
    from improved_gan.active_learning.classification import check_classes, decoder_of
    from improved_gan.active_learning.image_stream import ImageList
    from improved_gan.console import warn
    from improved_gan.data.dataset import DataError
    from improved_gan.data.folder_snapshot import recorded_path
    from improved_gan.data.value_range import parse_plain_range, stored_range
    from improved_gan.embeddings.backbone import load_backbone
    from improved_gan.runs import Run
    from improved_gan.training.process_group import choose_device

    asked = None if options.value_range is None else parse_plain_range(options.value_range)
    trusted = trust_or_ask(console, trust=options.trust)
    networks = Run(options.run).load(device=choose_device(options.device), warn=partial(warn, console), trust=trusted)
    backbone = load_backbone(
        networks.run, device=choose_device(options.device), warn=partial(warn, console), trust=trusted
    )
    networks = networks if backbone is None else backbone.before(networks)
    check_classes(networks, options.run, console)
    root = None if options.annotate is None else recorded_path(options.run)
    images = ImageList(list(options.images), root=root)
    for line in images.notices:
        warn(console, line)
    truth = truth_of(images, networks.run.class_names, options.labels)
    _check_json(networks, truth, options.json)
    values = asked or stored_range(networks.run.settings.get("value_range"))
    if backbone is not None and (options.resize or options.invert):
        raise DataError("--resize and --invert are for runs on pixels: a pretrained network takes images of any size")
    if backbone is None:
        decode = decoder_of(networks, resize=options.resize, invert=options.invert, values=values)
    else:
        decode = backbone.decoder(values)
    with _file_for(options.out) as file:
        num_bad = _write_rows(options, networks, images, decode, values, file, console)
        _print_single(options.images, file, console)
        if truth is not None:
            _report_accuracy(options, networks, truth, file, console)
        if options.annotate is not None and options.out is not None:
            chosen = AnnotateOptions(options.annotate, options.diversity, options.labels)
            write_annotation_page(options.run, networks, images, options.out, chosen, decode, console, values=values)
    return num_bad


def _check_json(networks: "Networks", truth: "Truth | None", json_file: Path | None) -> None:
    from improved_gan.data.dataset import DataError

    if truth is None and json_file is not None:
        raise DataError(
            f"--json reports the error, and no true class is known: name folders after classes of the run "
            f"({', '.join(networks.run.class_names[:5])} ...), or give --labels FILE"
        )


@contextmanager
def _file_for(out: Path | None) -> Iterator[Path]:
    """OUT, or a temporary file."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "predictions.csv"


def _write_rows(
    options: ClassifyOptions,
    networks: "Networks",
    images: "ImageList",
    decode: "Decode",
    values: "ValueRange | None",
    file: Path,
    console: "Console",
) -> int:
    """Write `file` and print what was done; the number of images that could not be read."""
    from improved_gan.active_learning.classification import Classification, columns, identity
    from improved_gan.active_learning.predictions import Predictions
    from improved_gan.console import warn
    from improved_gan.data.image_pages import pages_notice
    from improved_gan.data.ordered_map import num_cores
    from improved_gan.data.range_watch import RangeWatch
    from improved_gan.training.errors import RunError

    made_by = identity(networks, resize=options.resize, invert=options.invert, values=values)
    try:
        with Predictions(file, columns(networks), made_by) as predictions:
            work = Classification(networks, images, predictions, console, decode, RangeWatch(values))
            finished = work.run(options.num_workers or min(_MOST_WORKERS, num_cores()))
    except OSError as error:
        raise RunError(f"could not write {file}: {error.strerror or error}") from error
    for line in pages_notice(work.further):
        warn(console, line)
    _print_counts(finished, work, options.out, console)
    return len(work.bad)


def _print_counts(finished: "Finished", work: "Classification", out: Path | None, console: "Console") -> None:
    """How many images have which label, how many of them are new, and warnings about the images.

    Raises:
        DataError: no image could be read.
    """
    from improved_gan.console import say, warn
    from improved_gan.data.dataset import DataError

    if not finished.rows:
        raise DataError(f"none of the {len(work.images)} images could be read, so nothing was written")
    if (warning := work.watch.warning()) is not None:
        warn(console, warning)
    if not finished.changed:
        say(console, f"nothing to do: {out} already holds all {finished.rows} images")
        return
    counts = ", ".join(f"{label}: {count}" for label, count in sorted(finished.labels.items()))
    say(console, f"{finished.rows} images classified{'' if out is None else f' into {out}'} ({counts})")
    if out is None:
        say(console, "nothing was written: --out CSV writes one row for each image")
    if work.known:
        say(console, f"{work.known} of these were classified before, {work.changed} have changed since, "
                     f"{work.classified - work.changed} are new")  # fmt: skip


def _print_single(images: Sequence[Path], predictions: Path, console: "Console") -> None:
    """Label and probability of each image that was named one by one."""
    from improved_gan.active_learning.image_stream import ImageList
    from improved_gan.active_learning.query import rows_of
    from improved_gan.console import say
    from improved_gan.data.image_sources import is_archive

    files = [path for path in images if path.is_file() and not is_archive(path.name)]
    single = {Path(file).resolve() for path in files for file in ImageList([path]).files()}
    if not single or len(single) > _MOST_SINGLE:
        return
    rows = rows_of(predictions)
    names, ends = [name[2:-1] for name in next(rows) if name.startswith("p(")], {path.name for path in files}
    for row in rows:
        if Path(row[0]).name in ends and Path(row[0]).resolve() in single:  # a folder may have been named before it
            most_probable = Counter(dict(zip(names, map(float, row[2:]), strict=False))).most_common(3)
            (label, probability), *others = most_probable
            rest = ", ".join(f"{name} {probability:.1%}" for name, probability in others)
            say(console, f"{row[0]}: {label}, probability {probability:.1%} (then {rest})")


def _report_accuracy(
    options: ClassifyOptions, networks: "Networks", truth: "Truth", predictions: Path, console: "Console"
) -> None:
    """Print error, confusion matrix and recalls; write them as JSON if a file is named."""
    from improved_gan.active_learning.accuracy import measure, show_accuracy
    from improved_gan.console import say
    from improved_gan.data.folder_snapshot import hashes_of_part
    from improved_gan.io import write_atomically
    from improved_gan.metrics.network import digest_of

    trained_on = hashes_of_part(options.run, "train")
    found = measure(predictions, truth, networks.run.class_names, trained_on=trained_on)
    show_accuracy(found, console)
    if options.json is None:
        return
    about = {
        "format": 1,
        "run": str(options.run),
        "step": networks.step,
        "weights_sha256": digest_of(networks.discriminator.state_dict()),
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.json, json.dumps(about | found.as_dict(), indent=1).encode(errors="surrogateescape"))
    say(console, f"written: {options.json}")
