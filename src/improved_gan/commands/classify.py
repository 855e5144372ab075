"""`improved-gan classify`: label, class probabilities, realness and uncertainty of images, as CSV; a page to label."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from improved_gan.commands.review import ReviewOptions, write_review
from improved_gan.commands.trust import trust_or_ask
from improved_gan.data.dataset import DataError, unit_range
from improved_gan.data.image_pages import further_pages, pages_notice
from improved_gan.data.image_sources import Read
from improved_gan.data.in_order import in_chunks, in_order, num_workers
from improved_gan.data.recorded_folder import recorded_path
from improved_gan.labelling.predictions import Finished, Predictions
from improved_gan.labelling.reading import Decode, ImageList, decoder
from improved_gan.labelling.uncertainty import entropy
from improved_gan.metrics.network import digest_of
from improved_gan.recipes.trained import Trained, choose_device, load_trained
from improved_gan.techniques import real_logit
from improved_gan.training.errors import InterruptedRunError, RunError
from improved_gan.training.interruption import StopRequest, listen_for_signals
from improved_gan.training.reporting import say, warn

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


def run_classification(
    run: Path,
    images: list[Path],
    *,
    out: Path,
    fit: bool,
    invert: bool = False,
    device: str | None,
    console: Console,
    workers: int | None = None,
    review: ReviewOptions | None = None,
    trust: bool = False,
) -> int:
    """Classify every image that can be read, a row each; a stopped run goes on, a finished one does only what is new.

    Columns: file, label, p(CLASS) for each class (their sum is 1), realness (D(x), the probability that the image is
    real rather than generated; paper, section 5), entropy (of the class probabilities, in nats), sha256 (of the file).

    Returns:
        How many images could not be read; each was reported on the console.

    Raises:
        DataError, RunError: no such images or run, or no image could be read; `out` is not touched.
        InterruptedRunError: stopped; the same command goes on.
    """
    trusted = trust_or_ask(console, trust=trust)
    trained = load_trained(run, device=choose_device(device), warn=partial(warn, console), trust=trusted)
    _check_classes(trained, run, console)
    found = ImageList(images, root=None if review is None else recorded_path(run))
    for line in found.notices:
        warn(console, line)
    decode = decoder_of(trained, fit=fit, invert=invert)
    try:
        with Predictions(out, _columns(trained), _identity(trained, fit=fit, invert=invert)) as predictions:
            work = _Classification(trained, found, predictions, console, decode)
            finished = work.run(workers or num_workers())
    except OSError as error:
        raise RunError(f"could not write {out}: {error.strerror or error}") from error
    if not finished.rows:
        raise DataError(f"none of the {len(found)} images could be read, so nothing was written")
    for line in pages_notice(work.further):
        warn(console, line)
    _tell(finished, work, out, console)
    if review is not None:
        write_review(trained, found, out, review, decode, console)
    return len(work.bad)


def decoder_of(trained: Trained, *, fit: bool, invert: bool) -> Decode:
    """How this run wants its images; one of `train folder` takes any, as it did in training."""
    square = trained.settings["recipe"] == "folder"
    return decoder(trained.image_shape, fit=fit, invert=invert, square=square)


@torch.no_grad()
def _check_classes(trained: Trained, run: Path, console: Console) -> None:
    """That there are classes, and whether an image is judged by itself."""
    device = next(trained.discriminator.parameters()).device
    pixels = torch.rand(4, *trained.image_shape, generator=torch.Generator().manual_seed(0)).to(device)
    logits = trained.discriminator(pixels).logits
    if logits.dim() != 2 or logits.shape[1] != len(trained.class_names) or logits.shape[1] < 2:
        raise RunError(f"{run} was trained without classes, so it cannot classify: train it with labels")
    if (logits[:2] - trained.discriminator(pixels[:2]).logits).abs().max() > 1e-3 * logits.abs().max():
        warn(console, "this run compares the images of a batch (minibatch features): what it says of an image depends "
                      "on those judged with it, here its 63 neighbours in order of name")  # fmt: skip


def _columns(trained: Trained) -> list[str]:
    return ["file", "label", *(f"p({name})" for name in trained.class_names), "realness", "entropy", "sha256"]


def _identity(trained: Trained, *, fit: bool, invert: bool) -> dict[str, object]:
    """All that a row depends on beside the image."""
    return {
        "format": 1,
        "recipe": trained.settings["recipe"],
        "step": trained.step,
        "weights_sha256": digest_of(trained.discriminator.state_dict()),
        "class_names": trained.class_names,
        "image_shape": list(trained.image_shape),
        "fit": fit,
        "invert": invert,
    }


class _Classification:
    """One pass over the images: read in threads, judged in batches, kept as rows."""

    def __init__(
        self,
        trained: Trained,
        images: ImageList,
        predictions: Predictions,
        console: Console,
        decode: Decode,
    ) -> None:
        self.trained, self.images, self.predictions, self.console = trained, images, predictions, console
        self.decode = decode
        self.bad: set[str] = set()
        self.further: dict[str, int] = {}
        self.known = self.changed = self.judged = 0
        self.stop = StopRequest()

    def run(self, workers: int) -> Finished:
        """All images; those whose row is there already are read and compared, not judged again."""
        if self.predictions.num_kept:
            say(self.console, f"continuing: {self.predictions.num_kept} images were done before")
        with listen_for_signals() as self.stop, _bar(self.console) as progress:
            task = progress.add_task("classify", total=len(self.images))
            for batch in self._batches(workers, lambda num: progress.update(task, advance=num)):
                self.predictions.append(judge(self.trained, batch))
                self.judged += len(batch)
        return self.predictions.finish(self.images.files(), without=self.bad)

    def _batches(self, workers: int, advance: Callable[[int], object]) -> Iterator[list[tuple[str, str, Tensor]]]:
        waiting: list[tuple[str, str, Tensor]] = []
        for read in in_order(self._read, in_chunks(self.images.stream(), _TOGETHER), workers=workers):
            advance(read.known + len(read.good) + len(read.bad))
            self.known, self.changed = self.known + read.known, self.changed + read.changed
            self._report(read.bad)
            self.further |= read.further
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
        further, good, bad = dict[str, int](), [], []
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
                changed += state == "changed"
            except DataError as error:
                bad.append((file, str(error)))
            except OSError as error:
                bad.append((file, f"{file} cannot be read: {error.strerror or error}"))
        return _Read(known, changed, further, good, bad)

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
    logits = trained.discriminator(unit_range(pixels.to(device))).logits[: len(batch)]
    log_probabilities = logits.double().log_softmax(1).cpu()
    realness = torch.sigmoid(real_logit(logits)).cpu().tolist()
    labels, uncertainties = log_probabilities.argmax(1).tolist(), entropy(log_probabilities).tolist()
    rows = []
    for index, (file, digest, _) in enumerate(batch):
        numbers = [*log_probabilities[index].exp().tolist(), realness[index], uncertainties[index]]
        rows.append([file, trained.class_names[labels[index]], *(f"{one:.6f}" for one in numbers), digest])
    return rows


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("ETA"),
               TimeRemainingColumn(elapsed_when_finished=True))  # fmt: skip
    return Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=60)


def _tell(finished: Finished, work: _Classification, out: Path, console: Console) -> None:
    if not finished.changed:
        say(console, f"nothing to do: {out} holds all {finished.rows} images as they are")
        return
    counts = ", ".join(f"{label}: {count}" for label, count in sorted(finished.labels.items()))
    say(console, f"{finished.rows} images classified into {out} ({counts})")
    if work.known:
        say(console, f"of these {work.known} were done before, {work.changed} had changed since, "
                     f"{work.judged - work.changed} were new")  # fmt: skip
