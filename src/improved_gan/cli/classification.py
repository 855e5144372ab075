"""`improved-gan classify`: label, class probabilities, real score and entropy of images, as CSV; an annotation page.

Where the true classes are known, also the error; for images named one by one, the label is printed.

Columns: file, label, p(CLASS) for each class (their sum is 1), real_score (D(x), the probability that the image is real
rather than generated; paper, section 5), entropy (of the class probabilities, in nats), sha256 (of the file).
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from improved_gan.active_learning.image_stream import Decode, ImageList
from improved_gan.active_learning.predictions import Finished, Predictions
from improved_gan.active_learning.uncertainty_sampling import entropy
from improved_gan.cli.accuracy import Truth, truth_of
from improved_gan.cli.annotate import AnnotateOptions, write_annotation_page
from improved_gan.cli.classify_report import print_counts, print_single, report_accuracy
from improved_gan.cli.classify_setup import check_classes, columns, decoder_of, identity, progress_bar
from improved_gan.cli.trust import trust_or_ask
from improved_gan.data.dataset import DataError, to_float01
from improved_gan.data.folder_snapshot import recorded_path
from improved_gan.data.image_pages import further_pages, pages_notice
from improved_gan.data.image_sources import Read
from improved_gan.data.ordered_map import chunked, num_workers, ordered_map
from improved_gan.data.range_watch import MEASURED, RangeWatch, uses_little
from improved_gan.data.value_range import ValueRange, parse_plain_range, stored_range
from improved_gan.recipes.load_run import Trained, choose_device, load_trained
from improved_gan.techniques import real_logit
from improved_gan.training.errors import InterruptedRunError, RunError
from improved_gan.training.reporting import say, warn
from improved_gan.training.signals import StopRequest, catch_signals

__all__ = ["ClassifyOptions", "run_classification"]

_CHUNK = 8  # images that a thread reads at a time; those that wait are kept in memory
_BATCH = 64  # always filled: a matrix product's last bit depends on its number of rows


@dataclass(frozen=True)
class _Read:
    """Images that one thread has read: those with a row already, those decoded, those that cannot be used."""

    known: int = 0
    changed: int = 0
    further: dict[str, int] = field(default_factory=dict)  # pages beyond the first, by file
    good: list[tuple[str, str, Tensor]] = field(default_factory=list)  # file, sha256, (C, H, W) uint8
    bad: list[tuple[str, str]] = field(default_factory=list)
    dark: list[tuple[str, bytes]] = field(default_factory=list)  # content of some that use few gray levels


@dataclass(frozen=True)
class ClassifyOptions:
    """What the user asked for; the fields are the options of the command."""

    run: Path
    images: list[Path]
    out: Path | None = None
    resize: bool = False
    invert: bool = False
    annotate: int | None = None
    diversity: bool = False
    labels: Path | None = None
    json: Path | None = None
    value_range: str | None = None
    num_workers: int | None = None
    trust: bool = False
    device: str | None = None


def run_classification(options: ClassifyOptions, console: Console) -> int:
    """Classify every image that can be read, one row each; a stopped command continues, a repeated one adds new images.

    Returns:
        The number of images that could not be read; each was reported on the console.

    Raises:
        DataError, RunError: no such images or run, or no image could be read; `out` is not changed.
        InterruptedRunError: stopped; the same command continues.
    """
    asked = None if options.value_range is None else parse_plain_range(options.value_range)
    trusted = trust_or_ask(console, trust=options.trust)
    trained = load_trained(
        options.run, device=choose_device(options.device), warn=partial(warn, console), trust=trusted
    )
    check_classes(trained, options.run, console)
    images = ImageList(options.images, root=None if options.annotate is None else recorded_path(options.run))
    for line in images.notices:
        warn(console, line)
    truth = truth_of(images, trained.class_names, options.labels)
    _check_json(trained, truth, options.json)
    values = asked or stored_range(trained.settings.get("value_range"))
    decode = decoder_of(trained, resize=options.resize, invert=options.invert, values=values)
    with _file_for(options.out) as file:
        num_bad = _classify(options, trained, images, decode, values, file, console)
        print_single(options.images, file, console)
        if truth is not None:
            report_accuracy(options.run, trained, truth, file, options.json, console)
        if options.annotate is not None and options.out is not None:
            chosen = AnnotateOptions(options.annotate, options.diversity, options.labels)
            write_annotation_page(options.run, trained, images, options.out, chosen, decode, console, values=values)
    return num_bad


def _classify(
    options: ClassifyOptions,
    trained: Trained,
    images: ImageList,
    decode: Decode,
    values: ValueRange | None,
    file: Path,
    console: Console,
) -> int:
    """Write `file` and print what was done; the number of images that could not be read."""
    made_by = identity(trained, resize=options.resize, invert=options.invert, values=values)
    try:
        with Predictions(file, columns(trained), made_by) as predictions:
            work = _Classification(trained, images, predictions, console, decode, RangeWatch(values))
            finished = work.run(options.num_workers or num_workers())
    except OSError as error:
        raise RunError(f"could not write {file}: {error.strerror or error}") from error
    for line in pages_notice(work.further):
        warn(console, line)
    _print_result(finished, work, options.out, console)
    return len(work.bad)


@contextmanager
def _file_for(out: Path | None) -> Iterator[Path]:
    """OUT, or a temporary file."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "predictions.csv"


def _check_json(trained: Trained, truth: Truth | None, json_file: Path | None) -> None:
    if truth is None and json_file is not None:
        raise DataError(
            f"--json reports the error, and no true class is known: name folders after classes of the run "
            f"({', '.join(trained.class_names[:5])} ...), or give --labels FILE"
        )


def _print_result(finished: Finished, work: "_Classification", out: Path | None, console: Console) -> None:
    """Print what was done, and warnings about the images.

    Raises:
        DataError: no image could be read.
    """
    if not finished.rows:
        raise DataError(f"none of the {len(work.images)} images could be read, so nothing was written")
    if (warning := work.watch.warning()) is not None:
        warn(console, warning)
    print_counts(finished, out, console, known=work.known, changed=work.changed, classified=work.classified)


class _Classification:
    """One pass over the images: read in threads, classified in batches, appended as rows."""

    def __init__(
        self,
        trained: Trained,
        images: ImageList,
        predictions: Predictions,
        console: Console,
        decode: Decode,
        watch: RangeWatch,
    ) -> None:
        self.trained, self.images, self.predictions, self.console = trained, images, predictions, console
        self.decode, self.watch = decode, watch
        self.measured = frozenset(islice(images.files(), MEASURED))  # the same in whatever order the threads finish
        self.bad: set[str] = set()
        self.further: dict[str, int] = {}
        self.known = self.changed = self.classified = 0
        self.stop = StopRequest()

    def run(self, workers: int) -> Finished:
        """All images; those that have a row already are read and compared by hash, not classified again."""
        if self.predictions.num_kept:
            say(self.console, f"continuing: {self.predictions.num_kept} images were classified before")
        with catch_signals() as self.stop, progress_bar(self.console) as progress:
            task = progress.add_task("classify", total=len(self.images))
            for batch in self._batches(workers, lambda num: progress.update(task, advance=num)):
                self.predictions.append(classify_batch(self.trained, batch))
                self.classified += len(batch)
        return self.predictions.finish(self.images.files(), without=self.bad)

    def _batches(self, workers: int, advance: Callable[[int], object]) -> Iterator[list[tuple[str, str, Tensor]]]:
        waiting: list[tuple[str, str, Tensor]] = []
        for read in ordered_map(self._read, chunked(self.images.stream(), _CHUNK), workers=workers):
            advance(read.known + len(read.good) + len(read.bad))
            self.known, self.changed = self.known + read.known, self.changed + read.changed
            self._report(read.bad)
            self.further |= read.further
            self.watch.measure(read.dark)
            for _, _, pixels in read.good:
                self.watch.add(pixels)
            waiting += read.good
            while len(waiting) >= _BATCH:
                yield waiting[:_BATCH]
                waiting = waiting[_BATCH:]
            if self.stop:
                done = self.known + self.classified + len(self.bad)
                raise InterruptedRunError(
                    f"stopped after {done} of {len(self.images)} images: run the same command to continue",
                    self.stop.signal_number or 0,
                )
        if waiting:
            yield waiting

    def _read(self, some: list[tuple[str, Read]]) -> _Read:
        known = changed = 0
        further, good, bad, dark = dict[str, int](), [], [], []
        for file, read in some:
            try:
                content = read()
                if num := further_pages(content):
                    further[file] = num
                digest = hashlib.sha256(content).hexdigest()
                state = self.predictions.state(file, digest)
                if state == "known":
                    known += 1
                    continue
                good.append((file, digest, self.decode(file, content)))
                if file in self.measured and uses_little(good[-1][2]):
                    dark.append((file, content))
                changed += state == "changed"
            except DataError as error:
                bad.append((file, str(error)))
            except OSError as error:
                bad.append((file, f"{file} cannot be read: {error.strerror or error}"))
        return _Read(known, changed, further, good, bad, dark)

    def _report(self, bad: list[tuple[str, str]]) -> None:
        for file, reason in bad:
            warn(self.console, f"skipped: {reason if file in reason else f'{file} {reason}'}")
            self.bad.add(file)


@torch.no_grad()
def classify_batch(trained: Trained, batch: list[tuple[str, str, Tensor]]) -> list[list[str]]:
    """One CSV row for each image (file, sha256, (C, H, W) uint8)."""
    device = next(trained.discriminator.parameters()).device
    # Filled up by repeating the images: minibatch features then compare images of the same distribution.
    pixels = torch.stack([batch[index % len(batch)][2] for index in range(_BATCH)])
    logits = trained.discriminator(to_float01(pixels.to(device))).logits[: len(batch)]
    log_probabilities = logits.double().log_softmax(1).cpu()
    real_score = torch.sigmoid(real_logit(logits)).cpu().tolist()
    labels, uncertainties = log_probabilities.argmax(1).tolist(), entropy(log_probabilities).tolist()
    rows = []
    for index, (file, digest, _) in enumerate(batch):
        numbers = [*log_probabilities[index].exp().tolist(), real_score[index], uncertainties[index]]
        rows.append([file, trained.class_names[labels[index]], *(f"{number:.6f}" for number in numbers), digest])
    return rows
