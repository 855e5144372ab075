"""Extract features of many images with a progress bar and a list of invalid images; can be stopped and continued."""

import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from improved_gan.console import columns_of_images, warn
from improved_gan.data.dataset import DataError
from improved_gan.distributed import world_size
from improved_gan.metrics.evaluation_images import EvaluationImages
from improved_gan.metrics.extraction import FeatureSet, extract
from improved_gan.metrics.feature_cache import FeatureCache
from improved_gan.metrics.network import ScoringNetwork
from improved_gan.training.errors import InterruptedRunError
from improved_gan.training.signals import StopRequest, catch_signals

__all__ = ["FeatureExtraction", "invalid_images", "valid_names"]

_LISTED = 20  # invalid images that an error message names


class FeatureExtraction:
    """Feature extraction with a progress bar and a cache: a stopped one continues."""

    def __init__(self, network: ScoringNetwork, cache: FeatureCache, console: Console, skip_invalid: bool) -> None:
        self.network, self.cache, self.console, self.skip_invalid = network, cache, console, skip_invalid

    def run(self, images: EvaluationImages) -> FeatureSet:
        """The features of all images.

        Raises:
            DataError: invalid images without `skip_invalid`, or no valid image.
            InterruptedRunError: stopped by Ctrl-C or SIGTERM.
        """
        features = self.fill_cache(images)
        self._report_invalid(images, features)
        return features

    def fill_cache(self, images: EvaluationImages, *, share: tuple[int, int] | None = None) -> FeatureSet:
        """The features of a share of the images (`metrics.extraction.extract`), of all by default; none is reported.

        Raises:
            InterruptedRunError: stopped by Ctrl-C or SIGTERM.
        """
        with catch_signals() as stop, self._bar() as progress:
            per_rank = -(-len(images) // (world_size() if share is None else share[1]))
            task = progress.add_task(Path(images.label).name or images.label, total=per_rank, rate="")
            started, made = time.perf_counter(), 0

            def advance(num: int, known: bool) -> None:
                nonlocal made
                made += 0 if known else num
                rate = made / (time.perf_counter() - started)
                progress.update(task, advance=num, rate=f"{rate:.1f} images/s" if made else "from the cache")

            features = extract(
                images,
                decode=images.decode,
                network=self.network,
                cache=self.cache,
                advance=advance,
                interrupted=lambda: bool(stop),
                share=share,
            )
        if features is None:
            raise self._stopped(stop)
        return features

    def _report_invalid(self, images: EvaluationImages, features: FeatureSet) -> None:
        invalid = invalid_images(images, features)
        if not invalid:
            return
        if not self.skip_invalid:
            listed = "; ".join(f"{name} {reason}" for name, reason in invalid[:_LISTED])
            more = f"; and {len(invalid) - _LISTED} more" if len(invalid) > _LISTED else ""
            raise DataError(
                f"{len(invalid)} of {len(images)} images cannot be used: {listed}{more}. Repair or remove "
                "them, or skip them with --skip-invalid; the features of the others are cached"
            )
        for name, reason in invalid:
            warn(self.console, f"skipped: {name} {reason}")
        if len(invalid) == len(images):
            raise DataError(f"none of the {len(images)} images in {images.label} can be used")

    def _bar(self) -> Progress:
        return Progress(
            *columns_of_images(), console=self.console, disable=not self.console.is_terminal, speed_estimate_period=60
        )

    def _stopped(self, stop: StopRequest) -> InterruptedRunError:
        return InterruptedRunError(
            f"stopped; the features so far are in {self.cache.folder}: run the same command to continue",
            stop.signal_number or 2,
        )


def invalid_images(images: EvaluationImages, features: FeatureSet) -> list[tuple[str, str]]:
    """Name and reason of each image that could not be used."""
    found, start = [], 0
    for chunk in features:
        found += [(images.names[start + index], reason) for index, reason in chunk.bad.items()]
        start += len(chunk.good) + len(chunk.bad)
    return found


def valid_names(images: EvaluationImages, features: FeatureSet) -> list[str]:
    """Names of the images that have features, in their order."""
    found, start = [], 0
    for chunk in features:
        found += [images.names[start + index] for index in chunk.good]
        start += len(chunk.good) + len(chunk.bad)
    return found
