"""The steps of `evaluate`: open each source, compute the metrics, compare several sources, and write the report."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import click
import numpy as np
import PIL
import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from improved_gan import __version__
from improved_gan.cli.evaluate import EvaluateOptions
from improved_gan.cli.evaluation_inputs import (
    open_evaluation_images,
    options_without_effect,
    refuse_missing,
    refuse_run_as_reference,
    value_range_of,
)
from improved_gan.cli.format_report import show, show_comparison
from improved_gan.cli.trust import trust_or_ask
from improved_gan.console import say, warn
from improved_gan.data.download import cache_folder
from improved_gan.data.value_range import ValueRange
from improved_gan.distributed import rank, world_size
from improved_gan.embeddings.extraction import FeatureExtraction, invalid_images, valid_names
from improved_gan.embeddings.networks import INCEPTION, choose_network
from improved_gan.io import write_atomically
from improved_gan.metrics.array_files import (
    FeatureFile,
    ImageArray,
    is_array_file,
    open_array_file,
)
from improved_gan.metrics.comparison import compare, comparison_figure
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.evaluation import Given, choose_metrics, evaluate, left_out
from improved_gan.metrics.evaluation_images import (
    EvaluationImages,
    array_images,
    check_precision,
    range_warnings,
    with_value_range,
)
from improved_gan.metrics.extraction import FeatureSet
from improved_gan.metrics.feature_cache import FeatureCache
from improved_gan.metrics.features import Features, FeatureTable, repetitions
from improved_gan.metrics.frechet_distance import FeatureStatistics
from improved_gan.metrics.network import ScoringNetwork
from improved_gan.metrics.statistics_files import compare_networks, read_statistics, statistics_bytes
from improved_gan.training.process_group import choose_device

__all__ = ["run_evaluation"]

_UNKNOWN_NETWORK = {"name": "unknown", "sha256": "", "resize": "unknown", "precision": "unknown precision"}


@dataclass(frozen=True)
class _Side:
    """One source or the reference, opened.

    Attributes:
        path: as the user gave it.
        content: features in the cache or a file, or statistics.
        images: where the features are those of images.
        warnings: about the file.
    """

    path: Path
    content: Features | FeatureStatistics
    images: EvaluationImages | None = None
    warnings: list[str] = field(default_factory=list)

    def about(self) -> dict[str, Any]:
        """For the report."""
        if isinstance(self.content, FeatureStatistics):
            return {"name": str(self.path), "statistics": True, "images": self.content.count}
        about = {"name": str(self.path), "images": self.content.num_images, "skipped": [], "conversions": {}}
        if self.images is not None and isinstance(self.content, FeatureSet):
            about["name"] = self.images.label
            about["skipped"] = [name for name, _ in invalid_images(self.images, self.content)]
            about["conversions"] = _conversions(self.content)
        return about | {"content_and_network_sha256": self.content.digest}

    def row_names(self) -> Sequence[str]:
        """The name of each row of features."""
        if isinstance(self.content, FeatureFile):
            return self.content.names
        assert self.images is not None
        assert isinstance(self.content, FeatureSet)
        return valid_names(self.images, self.content)


class _Opener:
    """Opens sources with one network, which is loaded when the first images need it.

    Args:
        options: of the command.
        console: of this rank.
        opened: the array files among the sources and the reference; None for files of statistics.
    """

    def __init__(
        self, options: EvaluateOptions, console: Console, opened: dict[Path, ImageArray | FeatureFile | None]
    ) -> None:
        self.options, self.console, self.opened = options, console, opened
        self.device = choose_device(options.device)
        self.trust = trust_or_ask(console, trust=options.trust)
        paths = [options.network and Path(options.network), *options.sources, options.reference]
        self.values: ValueRange | None = value_range_of(options.value_range, *(path for path in paths if path))
        self.network: ScoringNetwork | None = None
        self.warnings: list[str] = []
        self.about_network: dict[str, str] = {}
        self._extraction: FeatureExtraction | None = None

    def needs_network(self, path: Path) -> bool:
        """Whether a source has images (or is a run) rather than features or statistics."""
        return not (path in self.opened and not isinstance(self.opened[path], ImageArray))

    def side(self, path: Path, num: int | None) -> _Side:
        """A source, with the features of its images.

        Raises:
            DataError, MetricError, RunError: input that cannot be used; one line with the remedy.
        """
        if self.needs_network(path):
            images = self._images(path, num)
            assert self._extraction is not None
            features = self._extraction.run(images)
            warnings = range_warnings(images, self.values)
            warnings += repetitions(images.label, valid_names(images, features), features.row_hashes())
            return _Side(path, features, images, warnings)
        found = self.opened[path]
        if isinstance(found, FeatureFile):
            warnings = compare_networks(path, found.network, self.about_network, "features")
            self.about_network = self.about_network or found.network
            found = found if num is None else found.drawn(num)
            return _Side(path, found, None, warnings + repetitions(str(path), found.names, found.row_hashes()))
        statistics, warnings, named = read_statistics(path, self.about_network)
        self.about_network = self.about_network or named
        if num is not None:
            warnings.append(f"--num draws nothing from {path}, which holds statistics")
        return _Side(path, statistics, None, warnings)

    def load_network(self, path: Path) -> None:
        """Choose the network, with its precision checked on the images of `path`."""
        options = self.options
        self.network = self._choose(options.precision)
        images = self._images(path, options.num)
        exact = partial(self._choose, "float32")
        note = _note if rank() == 0 and self.device == "cpu" else _ignore  # a GPU's time is not the process's
        self.network, self.warnings = check_precision(self.network, exact, images, asked=options.precision, note=note)
        self.about_network = self.network.as_dict()
        cache = FeatureCache(options.cache or cache_folder() / "features")
        self._extraction = FeatureExtraction(self.network, cache, self.console, options.skip_invalid)

    def _images(self, path: Path, num: int | None) -> EvaluationImages:
        assert self.network is not None
        found = self.opened.get(path)
        if isinstance(found, ImageArray):
            return array_images(path, found.images, self.network).drawn(num)
        images = open_evaluation_images(
            path, self.network, num=num, seed=self.options.seed, device=self.device, console=self.console,
            trust=self.trust, values=self.values,
        )  # fmt: skip
        return images.drawn(num)

    def _choose(self, precision: str) -> ScoringNetwork:
        options = self.options
        chosen = choose_network(
            options.network or INCEPTION, weights=options.weights, precision=precision, device=self.device,
            warn=partial(warn, self.console), trust=self.trust,
        )  # fmt: skip
        return with_value_range(chosen, self.values)


def run_evaluation(options: EvaluateOptions, console: Console) -> dict[str, Any]:
    """Compute the metrics, print and write the report; under torchrun the processes share the images, rank 0 prints.

    Raises:
        DataError, MetricError, RunError: input that cannot be used; one line with the remedy.
        InterruptedRunError: stopped; the same command continues.
    """
    started = time.perf_counter()
    refuse_run_as_reference(options.reference)
    paths = [*options.sources, *([options.reference] if options.reference else [])]
    refuse_missing(paths)
    opened = {path: open_array_file(path) for path in paths if is_array_file(path)}
    if options.num is not None and all(opened.get(path, "images") is None for path in options.sources):
        raise MetricError(f"--num draws images, and {options.sources[0]} holds statistics: leave --num out")
    given = Given(
        reference=options.reference is not None,
        images=options.reference is not None and opened.get(options.reference, "images") is not None,
        sources=all(opened.get(path, "images") is not None for path in options.sources),
        logits=all(getattr(opened.get(path), "logits", "logits") is not None for path in options.sources),
    )
    names = choose_metrics(options.metrics, given)
    _join_ranks()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    opener = _Opener(options, console if rank() == 0 else Console(quiet=True), opened)
    with_images = [path for path in paths if opener.needs_network(path)]
    unused = options_without_effect(options, with_images, opened)
    if with_images:
        opener.load_network(with_images[0])
        if opener.network is not None and not opener.network.has_logits:
            given = replace(given, logits=False)
            names = choose_metrics(options.metrics, given)
    opener.warnings += [*left_out(options.metrics, given), *unused]
    reference = None if options.reference is None else opener.side(options.reference, None)
    sources = [opener.side(path, options.num) for path in options.sources]
    _check_splits(names, sources, options.num_splits)
    report = _report(names, sources, reference, opener)
    report["seconds"] = round(time.perf_counter() - started, 2)
    if rank() == 0:
        _write(report, sources, opener)
    return report


def _note(text: str) -> None:
    click.echo(f"note: {text}", err=True)


def _ignore(text: str) -> None:
    pass


def _report(names: tuple[str, ...], sources: list[_Side], reference: _Side | None, opener: _Opener) -> dict[str, Any]:
    options = opener.options
    real = None if reference is None else reference.content
    settings: dict[str, Any] = {"splits": options.num_splits, "shuffle": not options.no_shuffle}
    models: list[dict[str, Any]] = []
    with _progress_of_metrics(opener.console) as advance:
        for source in sources:
            found, doubts = evaluate(names, source.content, real, advance=advance, **settings)
            _name_pairs(found, source, reference)
            models.append({"source": source.about(), "metrics": found, "warnings": [*source.warnings, *doubts]})
        report: dict[str, Any] = {
            "reference": None if reference is None else reference.about(),
            "network": _UNKNOWN_NETWORK | opener.about_network,
            "warnings": [*opener.warnings, *(reference.warnings if reference else [])],
            "versions": _versions(opener.device),
        }
        if len(models) == 1:
            return report | models[0] | {"warnings": [*report["warnings"], *models[0]["warnings"]]}
        comparison = compare(
            {str(source.path): source.content for source in sources}, [one["metrics"] for one in models], real,
            replicates=options.replicates, advance=advance, **settings,
        )  # fmt: skip
    return report | {"models": models, "comparison": comparison}


@contextmanager
def _progress_of_metrics(console: Console) -> Iterator[Callable[[str, float], None]]:
    """Gives a function to call with a metric's name and the fraction of its work just done; a bar on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def advance(name: str, fraction: float) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=1.0)
            progress.update(tasks[name], advance=fraction)

        yield advance


def _check_splits(names: tuple[str, ...], sources: list[_Side], splits: int) -> None:
    for source in sources if "is" in names else []:
        num = source.content.count if isinstance(source.content, FeatureStatistics) else source.content.num_images
        if num is not None and num < splits:
            raise MetricError(f"{splits} splits need at least {splits} images; got {num}")


def _name_pairs(found: dict[str, Any], source: _Side, reference: _Side | None) -> None:
    """Replace row numbers by file names in the lists of nearest pairs."""
    if "nearest" in found:
        assert reference is not None
        ours, theirs = source.row_names(), reference.row_names()
        found["nearest"]["nearest"] = [[ours[i], theirs[j], d] for i, j, d in found["nearest"]["nearest"]]
    if "birthday" in found:
        ours = source.row_names()
        found["birthday"]["nearest"] = [[ours[k] for k in pair] for pair in found["birthday"]["nearest"]]


def _conversions(features: FeatureSet) -> dict[str, int]:
    conversions: dict[str, int] = {}
    for chunk in features:
        for name, times in chunk.conversions.items():
            conversions[name] = conversions.get(name, 0) + times
    return conversions


def _write(report: dict[str, Any], sources: list[_Side], opener: _Opener) -> None:
    options, console = opener.options, opener.console
    if "comparison" in report:
        show_comparison(report, console)
    else:
        show(report, console)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.json, json.dumps(report, indent=1).encode())
        say(console, f"written: {options.json}")
    if options.plot is not None:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        comparison_figure(report["comparison"]).savefig(options.plot)
        say(console, f"plot: {options.plot}")
    if options.save_statistics is not None:
        statistics = sources[0].content
        if not isinstance(statistics, FeatureStatistics):
            statistics = FeatureTable(statistics).statistics()
        options.save_statistics.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.save_statistics, statistics_bytes(statistics, opener.about_network))
        say(console, f"statistics for --reference: {options.save_statistics}")


def _versions(device: str) -> dict[str, str]:
    return {
        "improved-gan": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "onnxruntime": next((one.version for one in distributions(name="onnxruntime")), "not installed"),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or "cpu",
        "processes": str(world_size()),
    }


def _join_ranks() -> None:
    """Under torchrun, initialize the process group."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("gloo")
