"""`improved-gan classify`: label, class probabilities, real_score and uncertainty of images, as CSV; a page to label.

Where classes are known, the error; of single images, the label.

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
from improved_gan.commands.accuracy import Truth, truth_of
from improved_gan.commands.classify_report import tell, tell_accuracy, tell_single
from improved_gan.commands.classify_setup import check_classes, columns, decoder_of, identity, progress_bar
from improved_gan.commands.review import ReviewOptions, write_review
from improved_gan.commands.trust import trust_or_ask
from improved_gan.data.dataset import DataError, to_float01
from improved_gan.data.folder_snapshot import recorded_path
from improved_gan.data.image_pages import further_pages, pages_notice
from improved_gan.data.image_sources import Read
from improved_gan.data.ordered_map import chunked, num_workers, ordered_map
from improved_gan.data.range_watch import MEASURED, RangeWatch, uses_little
from improved_gan.data.value_range import ValueRange, stored_range
from improved_gan.recipes.load_run import Trained, choose_device, load_trained
from improved_gan.techniques import real_logit
from improved_gan.training.errors import InterruptedRunError, RunError
from improved_gan.training.reporting import say, warn
from improved_gan.training.signals import StopRequest, catch_signals

__all__ = ["run_classification"]

_TOGETHER = 8  # images that a thread takes at a time: waiting ones are in memory
_BATCH = 64  # always whole: how a product is cut, and with it the last bit, depends on its rows


@dataclass(frozen=True)
class _Read:
    """Images that one thread has read: those that are known, those decoded, those that cannot be used."""

    known: int = 0
    changed: int = 0
    further: dict[str, int] = field(default_factory=dict)  # pages beyond the first, by file
    good: list[tuple[str, str, Tensor]] = field(default_factory=list)  # file, sha256, (C, H, W) uint8
    bad: list[tuple[str, str]] = field(default_factory=list)
    dark: list[tuple[str, bytes]] = field(default_factory=list)  # content of some that use few gray levels


def run_classification(
    run: Path,
    images: list[Path],
    *,
    out: Path | None,
    fit: bool,
    invert: bool = False,
    values: ValueRange | None = None,
    device: str | None,
    console: Console,
    workers: int | None = None,
    labels: Path | None = None,
    json_file: Path | None = None,
    review: ReviewOptions | None = None,
    trust: bool = False,
) -> int:
    """Classify every image that can be read, a row each; a stopped run goes on, a finished one does only what is new.

    Args:
        run: folder of the run.
        images: files, folders, archives.
        out: the CSV file; None keeps none.
        fit: convert and scale images that are not of the run's shape.
        invert: swap dark and light.
        values: black and white in the values of the files; None takes the run's own range, where it has one.
        device: None for a GPU where there is one.
        console: where to print.
        workers: threads that decode.
        labels: a file with classes to compare with; None takes those of class folders, where there are any.
        json_file: where to write the error and all that belongs to it.
        review: a page of images to label; needs `out`.
        trust: whether code that the run folder holds may be executed.

    Returns:
        How many images could not be read; each was reported on the console.

    Raises:
        DataError, RunError: no such images or run, or no image could be read; `out` is not touched.
        InterruptedRunError: stopped; the same command goes on.
    """
    trusted = trust_or_ask(console, trust=trust)
    trained = load_trained(run, device=choose_device(device), warn=partial(warn, console), trust=trusted)
    check_classes(trained, run, console)
    found = ImageList(images, root=None if review is None else recorded_path(run))
    for line in found.notices:
        warn(console, line)
    truth = truth_of(found, trained.class_names, labels)
    _check_json(trained, truth, json_file)
    values = values or stored_range(trained.settings.get("value_range"))
    decode = decoder_of(trained, fit=fit, invert=invert, values=values)
    with _file_for(out) as file:
        made_by = identity(trained, fit=fit, invert=invert, values=values)
        try:
            with Predictions(file, columns(trained), made_by) as predictions:
                work = _Classification(trained, found, predictions, console, decode, RangeWatch(values))
                finished = work.run(workers or num_workers())
        except OSError as error:
            raise RunError(f"could not write {file}: {error.strerror or error}") from error
        for line in pages_notice(work.further):
            warn(console, line)
        _tell_work(finished, work, out, console)
        tell_single(images, file, console)
        if truth is not None:
            tell_accuracy(run, trained, truth, file, json_file, console)
        if review is not None and out is not None:
            write_review(run, trained, found, out, review, decode, console, values=values)
    return len(work.bad)


@contextmanager
def _file_for(out: Path | None) -> Iterator[Path]:
    """OUT, or a file that is gone at the end."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "predictions.csv"


def _check_json(trained: Trained, truth: Truth | None, json_file: Path | None) -> None:
    if truth is None and json_file is not None:
        raise DataError(
            f"--json is for the error, and no class is known: name folders after classes of the run "
            f"({', '.join(trained.class_names[:5])} ...), or give --labels FILE"
        )


def _tell_work(finished: Finished, work: "_Classification", out: Path | None, console: Console) -> None:
    """What was done, and what is odd about the images.

    Raises:
        DataError: nothing could be done.
    """
    if not finished.rows:
        raise DataError(f"none of the {len(work.images)} images could be read, so nothing was written")
    if (warning := work.watch.warning()) is not None:
        warn(console, warning)
    tell(finished, out, console, known=work.known, changed=work.changed, judged=work.judged)


class _Classification:
    """One pass over the images: read in threads, judged in batches, kept as rows."""

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
        self.measured = frozenset(islice(images.files(), MEASURED))  # the same whatever thread is first
        self.bad: set[str] = set()
        self.further: dict[str, int] = {}
        self.known = self.changed = self.judged = 0
        self.stop = StopRequest()

    def run(self, workers: int) -> Finished:
        """All images; those whose row is there already are read and compared, not judged again."""
        if self.predictions.num_kept:
            say(self.console, f"continuing: {self.predictions.num_kept} images were done before")
        with catch_signals() as self.stop, progress_bar(self.console) as progress:
            task = progress.add_task("classify", total=len(self.images))
            for batch in self._batches(workers, lambda num: progress.update(task, advance=num)):
                self.predictions.append(judge(self.trained, batch))
                self.judged += len(batch)
        return self.predictions.finish(self.images.files(), without=self.bad)

    def _batches(self, workers: int, advance: Callable[[int], object]) -> Iterator[list[tuple[str, str, Tensor]]]:
        waiting: list[tuple[str, str, Tensor]] = []
        for read in ordered_map(self._read, chunked(self.images.stream(), _TOGETHER), workers=workers):
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
                done = self.known + self.judged + len(self.bad)
                raise InterruptedRunError(
                    f"stopped after {done} of {len(self.images)} images: run the same command to go on",
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
def judge(trained: Trained, batch: list[tuple[str, str, Tensor]]) -> list[list[str]]:
    """One CSV row an image (file, sha256, (C, H, W) uint8)."""
    device = next(trained.discriminator.parameters()).device
    # Filled up with the images themselves, so that one that looks at its batch mates sees nothing strange.
    pixels = torch.stack([batch[place % len(batch)][2] for place in range(_BATCH)])
    logits = trained.discriminator(to_float01(pixels.to(device))).logits[: len(batch)]
    log_probabilities = logits.double().log_softmax(1).cpu()
    real_score = torch.sigmoid(real_logit(logits)).cpu().tolist()
    labels, uncertainties = log_probabilities.argmax(1).tolist(), entropy(log_probabilities).tolist()
    rows = []
    for index, (file, digest, _) in enumerate(batch):
        numbers = [*log_probabilities[index].exp().tolist(), real_score[index], uncertainties[index]]
        rows.append([file, trained.class_names[labels[index]], *(f"{one:.6f}" for one in numbers), digest])
    return rows
