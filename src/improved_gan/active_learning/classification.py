"""Classes, probabilities and uncertainty of many images: read in threads, classified in batches, appended as rows.

Columns: file, label, p(CLASS) for each class (their sum is 1), real_score (D(x), the probability that the image is real
rather than generated; paper, section 5), entropy (of the class probabilities, in nats), sha256 (of the file).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from improved_gan.active_learning.image_stream import Decode, ImageList, decoder
from improved_gan.active_learning.predictions import Finished, Predictions
from improved_gan.active_learning.uncertainty_sampling import entropy
from improved_gan.console import say, warn
from improved_gan.data.dataset import DataError
from improved_gan.data.image_pages import further_pages
from improved_gan.data.image_sources import Read
from improved_gan.data.ordered_map import chunked, ordered_map
from improved_gan.data.range_watch import MEASURED, RangeWatch, uses_little
from improved_gan.data.value_range import ValueRange
from improved_gan.metrics.network import digest_of
from improved_gan.runs import Networks
from improved_gan.techniques.semi_supervised import real_logit
from improved_gan.training.errors import InterruptedRunError, RunError
from improved_gan.training.signals import StopRequest, catch_signals

__all__ = ["Classification", "check_classes", "classify_batch", "columns", "decoder_of", "identity"]

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


class Classification:
    """One pass over the images: read in threads, classified in batches, appended as rows."""

    def __init__(
        self,
        networks: Networks,
        images: ImageList,
        predictions: Predictions,
        console: Console,
        decode: Decode,
        watch: RangeWatch,
    ) -> None:
        self.networks, self.images, self.predictions, self.console = networks, images, predictions, console
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
        with catch_signals() as self.stop, _progress_bar(self.console) as progress:
            task = progress.add_task("classify", total=len(self.images))
            for batch in self._batches(workers, lambda num: progress.update(task, advance=num)):
                self.predictions.append(classify_batch(self.networks, batch))
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
                if pixels.dtype == torch.uint8:  # not what Inception takes
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
                pixels = good[-1][2]
                if file in self.measured and pixels.dtype == torch.uint8 and uses_little(pixels):
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
def classify_batch(networks: Networks, batch: list[tuple[str, str, Tensor]]) -> list[list[str]]:
    """One CSV row for each image (file, sha256, (C, H, W) uint8).

    Raises:
        RunError: the network gives NaN for an image.
    """
    device = next(networks.discriminator.parameters()).device
    inputs = networks.inputs(torch.stack([pixels for _, _, pixels in batch]).to(device))
    # Filled up by repeating the images: minibatch features then compare images of the same distribution.
    filled = inputs[[index % len(batch) for index in range(_BATCH)]].to(device)
    logits = networks.discriminator(filled).logits[: len(batch)]
    log_probabilities = logits.double().log_softmax(1).cpu()
    if bad := [batch[row][0] for row in log_probabilities.isnan().any(1).nonzero().flatten().tolist()]:
        listed = ", ".join(bad[:5]) + ", ..." * (len(bad) > 5)
        raise RunError(f"the classifier gives NaN for {listed}: its weights are damaged or diverged, train it again")
    real_score = torch.sigmoid(real_logit(logits)).cpu().tolist()
    labels, uncertainties = log_probabilities.argmax(1).tolist(), entropy(log_probabilities).tolist()
    rows = []
    for index, (file, digest, _) in enumerate(batch):
        numbers = [*log_probabilities[index].exp().tolist(), real_score[index], uncertainties[index]]
        rows.append([file, networks.run.class_names[labels[index]], *(f"{number:.6f}" for number in numbers), digest])
    return rows


def decoder_of(networks: Networks, *, resize: bool, invert: bool, values: ValueRange | None = None) -> Decode:
    """The decoder for this run's images; a run of `train-folder` takes images of any size, as in training.

    Raises:
        RunError: a value range without `resize`, where images are not converted.
    """
    square = networks.run.settings["recipe"] == "folder"
    if values is not None and not (square or resize):
        raise RunError(f"--value-range {values} converts images, and this run converts them only with --resize: add it")
    return decoder(networks.run.image_shape, resize=resize, invert=invert, square=square, values=values)


@torch.no_grad()
def check_classes(networks: Networks, run: Path, console: Console) -> None:
    """Check that there are classes; warn where a prediction depends on its batch, and where the real score is none."""
    device = next(networks.discriminator.parameters()).device
    pixels = torch.rand(4, *networks.run.image_shape, generator=torch.Generator().manual_seed(0)).to(device)
    logits = networks.discriminator(pixels).logits
    if logits.dim() != 2 or logits.shape[1] != len(networks.run.class_names) or logits.shape[1] < 2:
        raise RunError(f"{run} was trained without classes, so it cannot classify: train it with labels")
    if (logits[:2] - networks.discriminator(pixels[:2]).logits).abs().max() > 1e-3 * logits.abs().max():
        warn(console, "this run compares the images of a batch (minibatch features): the prediction for an image "
                      "depends on the other images of its batch, here the 63 next to it in order of name")  # fmt: skip
    if not networks.run.has_generator:
        warn(console, "this run trains no GAN, so its real_score does not tell real images from generated ones")


def columns(networks: Networks) -> list[str]:
    """The header of the CSV file."""
    return ["file", "label", *(f"p({name})" for name in networks.run.class_names), "real_score", "entropy", "sha256"]


def identity(networks: Networks, *, resize: bool, invert: bool, values: ValueRange | None) -> dict[str, object]:
    """All that a row depends on, other than the image."""
    return {
        "format": 1,
        "recipe": networks.run.settings["recipe"],
        "step": networks.step,
        "weights_sha256": digest_of(networks.discriminator.state_dict()),
        "class_names": networks.run.class_names,
        "image_shape": list(networks.run.image_shape),
        "resize": resize,
        "invert": invert,
        "value_range": None if values is None else [values.low, values.high],
    }


def _progress_bar(console: Console) -> Progress:
    """A progress bar, shown on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("ETA"),
               TimeRemainingColumn(elapsed_when_finished=True))  # fmt: skip
    return Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=60)
