"""What `improved-gan evaluate` does: images, network, cache and numbers joined; `options` is its EvaluateOptions."""

import json
import os
import platform
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
import torch.distributed as dist
from rich.console import Console

from improved_gan import __version__
from improved_gan.cli.evaluation_inputs import (
    EvaluationImages,
    check_precision,
    choose_network,
    open_evaluation_images,
    range_warnings,
    value_range_of,
    with_value_range,
)
from improved_gan.cli.feature_extraction import FeatureExtraction, invalid_images, valid_names
from improved_gan.cli.format_report import show
from improved_gan.cli.trust import trust_or_ask
from improved_gan.data.download import cache_folder
from improved_gan.distributed import rank, world_size
from improved_gan.metrics import FeatureStatistics, MetricError
from improved_gan.metrics.evaluation import NEED_IMAGES, NEED_REFERENCE, count, evaluate, random_order, statistics_of
from improved_gan.metrics.extraction import FeatureSet
from improved_gan.metrics.feature_cache import FeatureCache
from improved_gan.metrics.network import ScoringNetwork
from improved_gan.metrics.statistics_file import read_statistics, statistics_bytes
from improved_gan.recipes.load_run import choose_device
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.reporting import say

__all__ = ["METRICS", "run_evaluation"]

METRICS = ("is", "fid", "kid", "precision-recall", "nearest", "birthday")


def run_evaluation(options: Any, console: Console) -> dict[str, Any]:
    """Compute the metrics, print and write the report; under torchrun the processes share the images, rank 0 prints.

    Raises:
        DataError, MetricError, RunError: input that cannot be used; one line with the remedy.
        InterruptedRunError: stopped; the same command continues.
    """
    started = time.perf_counter()
    names = _metrics(options)
    _join_ranks()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    quiet = console if rank() == 0 else Console(quiet=True)
    trust = trust_or_ask(quiet, trust=options.trust)
    runs = [one for one in (options.classifier and Path(options.classifier), options.source, options.reference) if one]
    values = value_range_of(options.value_range, *runs)

    def choose(precision: str) -> ScoringNetwork:
        chosen = choose_network(
            options.classifier, weights=options.weights, precision=precision, device=device, console=quiet, trust=trust
        )
        return with_value_range(chosen, values)

    network = choose(precision=options.precision)
    open_ = partial(open_evaluation_images, seed=options.seed, device=device, console=quiet, trust=trust, values=values)
    images = _subset(open_(options.source, network, num=options.num), options.num)
    if "is" in names and len(images) < options.num_splits:
        raise MetricError(f"{options.num_splits} splits need at least {options.num_splits} images; got {len(images)}")
    exact = partial(choose, precision="float32")
    network, warnings = check_precision(network, exact, images, asked=options.precision)
    cache = FeatureCache(options.cache or cache_folder() / "features")
    extraction = FeatureExtraction(network, cache, quiet, options.skip_invalid)
    reference, real, more = _reference(options, names, network, partial(open_, num=None), extraction)
    features = extraction.run(images)
    range_texts = [text for one in (images, reference) if one is not None for text in range_warnings(one, values)]
    found, doubts = evaluate(names, features, real, splits=options.num_splits, shuffle=not options.no_shuffle)
    _name_pairs(found, images, features, reference, real)
    report = {
        "source": _about(images, features),
        "reference": _about_reference(options, reference, real),
        "network": network.as_dict(),
        "metrics": found,
        "warnings": [*warnings, *more, *doubts, *range_texts],
        "versions": _versions(device),
        "seconds": round(time.perf_counter() - started, 2),
    }
    if rank() == 0:
        _write(report, features, network, options, quiet)
    return report


def _metrics(options: Any) -> tuple[str, ...]:
    """The metrics given by the user, else those that the reference allows.

    Raises:
        MetricError: an unknown name, or a metric that needs a reference that is not given.
    """
    if options.metrics is None:
        statistics = options.reference is not None and options.reference.suffix == ".npz"
        return ("is",) if options.reference is None else ("is", "fid") if statistics else ("is", "fid", "kid")
    names = METRICS if options.metrics == "all" else tuple(options.metrics.split(","))
    for name in names:
        if name not in METRICS:
            raise MetricError(
                f"there is no metric {name!r}: choose from {', '.join(METRICS)}, separated by commas, or all"
            )
        if name in NEED_REFERENCE and options.reference is None:
            raise MetricError(f"{name} compares with real images: name them with --reference FOLDER")
        if name in NEED_IMAGES and options.reference is not None and options.reference.suffix == ".npz":
            raise MetricError(f"{name} needs the reference's images, statistics are not enough: --reference FOLDER")
    return names


def _subset(images: EvaluationImages, num: int | None) -> EvaluationImages:
    """`num` of the images, in a fixed random order: the first ones by name may be of one class."""
    if num is None or num == len(images):
        return images
    if num > len(images):
        raise MetricError(f"--num {num} is more than the {len(images)} images in {images.label}")
    return images.only(set((random_order(len(images)) < num).nonzero().flatten().tolist()))


def _reference(
    options: Any, names: tuple[str, ...], network: ScoringNetwork, open_: Any, extraction: FeatureExtraction
) -> tuple[EvaluationImages | None, FeatureSet | FeatureStatistics | None, list[str]]:
    if options.reference is None:
        return None, None, []
    if options.reference.suffix == ".npz":
        statistics, warnings = read_statistics(options.reference, network)
        return None, statistics, warnings
    images: EvaluationImages = open_(options.reference, network)
    return images, extraction.run(images), []


def _name_pairs(
    found: dict[str, Any],
    images: EvaluationImages,
    features: FeatureSet,
    reference: EvaluationImages | None,
    real: object,
) -> None:
    """Replace row numbers by file names in the lists of nearest pairs."""
    if not {"nearest", "birthday"} & set(found):
        return
    ours = valid_names(images, features)
    if "nearest" in found and reference is not None and isinstance(real, FeatureSet):
        theirs = valid_names(reference, real)
        found["nearest"]["nearest"] = [[ours[i], theirs[j], d] for i, j, d in found["nearest"]["nearest"]]
    if "birthday" in found:
        found["birthday"]["nearest"] = [[ours[i], ours[j]] for i, j in found["birthday"]["nearest"]]


def _about(images: EvaluationImages, features: FeatureSet) -> dict[str, Any]:
    conversions: dict[str, int] = {}
    for chunk in features:
        for name, times in chunk.conversions.items():
            conversions[name] = conversions.get(name, 0) + times
    return {
        "name": images.label,
        "images": count(features),
        "skipped": [name for name, _ in invalid_images(images, features)],
        "conversions": conversions,
        "content_and_network_sha256": features.digest,
    }


def _about_reference(
    options: Any, images: EvaluationImages | None, real: FeatureSet | FeatureStatistics | None
) -> dict[str, Any] | None:
    if isinstance(real, FeatureSet) and images is not None:
        return _about(images, real)
    return None if real is None else {"name": str(options.reference), "statistics": True}


def _write(
    report: dict[str, Any], features: FeatureSet, network: ScoringNetwork, options: Any, console: Console
) -> None:
    show(report, console)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.json, json.dumps(report, indent=1).encode())
        say(console, f"written: {options.json}")
    if options.save_statistics is not None:
        options.save_statistics.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.save_statistics, statistics_bytes(statistics_of(features), network))
        say(console, f"statistics for --reference: {options.save_statistics}")


def _versions(device: str) -> dict[str, str]:
    return {
        "improved-gan": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or "cpu",
        "processes": str(world_size()),
    }


def _join_ranks() -> None:
    """Under torchrun, initialize the process group."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("gloo")
