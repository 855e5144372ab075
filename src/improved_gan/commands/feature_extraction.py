"""Features of many pictures with a bar, a list of the bad ones, and a stop that keeps what was done."""

import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from improved_gan.commands.evaluation_inputs import Pictures
from improved_gan.data.dataset import DataError
from improved_gan.data.progress_bar import columns_of_images
from improved_gan.distributed import world_size
from improved_gan.metrics.extraction import FeatureSet, extract
from improved_gan.metrics.feature_cache import FeatureCache
from improved_gan.metrics.network import ScoringNetwork
from improved_gan.training.errors import InterruptedRunError
from improved_gan.training.reporting import warn
from improved_gan.training.signals import StopRequest, catch_signals

__all__ = ["Job", "bad_images", "good_names"]

_LISTED = 20  # bad images that are named


class Job:
    """Extraction with a bar, the list of bad images, and a stop that keeps what was done."""

    def __init__(self, network: ScoringNetwork, cache: FeatureCache, console: Console, skip_bad: bool) -> None:
        self.network, self.cache, self.console, self.skip_bad = network, cache, console, skip_bad

    def run(self, pictures: Pictures) -> FeatureSet:
        """The features of all pictures.

        Raises:
            DataError: bad images, and they are not to be skipped; or no good one.
            InterruptedRunError: stopped by Ctrl-C or SIGTERM.
        """
        with catch_signals() as stop, self._bar() as progress:
            share = -(-len(pictures) // world_size())
            task = progress.add_task(Path(pictures.label).name or pictures.label, total=share, rate="")
            started, made = time.perf_counter(), 0

            def advance(num: int, known: bool) -> None:
                nonlocal made
                made += 0 if known else num
                rate = made / (time.perf_counter() - started)
                progress.update(task, advance=num, rate=f"{rate:.1f} images/s" if made else "from the cache")

            features = extract(
                pictures,
                decode=pictures.decode,
                network=self.network,
                cache=self.cache,
                advance=advance,
                interrupted=lambda: bool(stop),
            )
        if features is None:
            raise self._stopped(stop)
        self._report_bad(pictures, features)
        return features

    def _report_bad(self, pictures: Pictures, features: FeatureSet) -> None:
        bad = bad_images(pictures, features)
        if not bad:
            return
        if not self.skip_bad:
            listed = "; ".join(f"{name} {reason}" for name, reason in bad[:_LISTED])
            more = f"; and {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
            raise DataError(
                f"{len(bad)} of {len(pictures)} images cannot be used: {listed}{more}. Mend or remove them, or leave "
                "them out with --skip-invalid; the features of the others are kept"
            )
        for name, reason in bad:
            warn(self.console, f"skipped: {name} {reason}")
        if len(bad) == len(pictures):
            raise DataError(f"none of the {len(pictures)} images in {pictures.label} can be used")

    def _bar(self) -> Progress:
        return Progress(
            *columns_of_images(), console=self.console, disable=not self.console.is_terminal, speed_estimate_period=60
        )

    def _stopped(self, stop: StopRequest) -> InterruptedRunError:
        return InterruptedRunError(
            f"stopped; what was done is kept in {self.cache.folder}: run the same command to go on",
            stop.signal_number or 2,
        )


def bad_images(pictures: Pictures, features: FeatureSet) -> list[tuple[str, str]]:
    """Name and reason of each picture that could not be used."""
    found, start = [], 0
    for chunk in features:
        found += [(pictures.names[start + place], reason) for place, reason in chunk.bad.items()]
        start += len(chunk.good) + len(chunk.bad)
    return found


def good_names(pictures: Pictures, features: FeatureSet) -> list[str]:
    """Names of the pictures that have features, in their order."""
    found, start = [], 0
    for chunk in features:
        found += [pictures.names[start + place] for place in chunk.good]
        start += len(chunk.good) + len(chunk.bad)
    return found
