"""Embeddings of a folder or archive of images: features of a pretrained network, once for each content."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from improved_gan.console import warn
from improved_gan.data.embeddings import Embeddings
from improved_gan.data.value_range import ValueRange
from improved_gan.embeddings.extraction import FeatureExtraction, valid_names
from improved_gan.embeddings.networks import absolute_name, choose_network
from improved_gan.metrics.evaluation_images import image_files, range_warnings, with_value_range
from improved_gan.metrics.extraction import FeatureSet, extract
from improved_gan.metrics.feature_cache import FeatureCache
from improved_gan.runs.own_code import Trust

__all__ = ["Embedding", "embed_images"]


@dataclass(frozen=True)
class Embedding:
    """How images are embedded.

    Args:
        network: a name as `choose_network` takes it.
        cache: folder for features; a stopped call continues from it.
        weights: the file of the weights; None takes that of a cache.
        device: where to run the network.
        workers: processes that share the images.
        values: which values of the files are black and white.
        dtype: "float32", or "float16" for half of the size.
        skip_invalid: whether images that cannot be used are left out instead of an error.
        check_range: whether to warn of images that use little of the range from black to white.
    """

    network: str
    cache: Path
    weights: Path | None = None
    device: str = "cpu"
    workers: int = 1
    values: ValueRange | None = None
    dtype: str = "float32"
    skip_invalid: bool = False
    check_range: bool = True


def embed_images(images: str | Path, how: Embedding, console: Console, *, trust: Trust = False) -> Embeddings:
    """The embeddings of all images, in order of name.

    Raises:
        DataError, MetricError, RunError: images or a network that cannot be used; one line with the remedy.
        InterruptedRunError: stopped by Ctrl-C or SIGTERM; the same call continues.
    """
    images = Path(images)
    name = absolute_name(how.network)  # the run will be used from other folders
    with _share_of_threads(how.workers) as threads:
        network = choose_network(name, weights=how.weights, device=how.device, warn=partial(warn, console), trust=trust)
        network = with_value_range(network, how.values)
        files = image_files(images, network, values=how.values)
        for line in files.notices:
            warn(console, f"{images}: {line}")
        extraction = FeatureExtraction(network, FeatureCache(how.cache), console, how.skip_invalid)
        if how.workers > 1:
            with _helpers(images, how, threads) as helpers:
                extraction.fill_cache(files, share=(0, how.workers))
                for one in helpers:
                    one.join()
    found = extraction.run(files)
    for line in range_warnings(files, how.values) if how.check_range else ():
        warn(console, line)
    features, logits, hashes = _gathered(found, np.dtype(how.dtype))
    texts = {
        "network": network.name, "sha256": network.digest, "resize": network.resize, "precision": network.precision,
        "spec": name, "weights": "" if how.weights is None else str(how.weights.absolute()),
        "source": str(images.absolute()), "values": str(how.values or ""),
    }  # fmt: skip
    return Embeddings(features, tuple(valid_names(files, found)), hashes, texts, logits)


def _gathered(found: FeatureSet, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """(N, A) features, (N, K) float32 logits or None, and hashes; filled chunk by chunk."""
    features = logits = None
    hashes: list[str] = []
    num = found.num_images
    for chunk in found:
        if not chunk.good:
            continue
        if features is None or logits is None:
            features = np.empty((num, chunk.features.shape[1]), dtype)
            logits = np.empty((num, chunk.logits.shape[1]), np.float32)
        rows = slice(len(hashes), len(hashes) + len(chunk.good))
        with np.errstate(over="ignore"):  # of float16: infinity, which is refused with its remedy
            features[rows], logits[rows] = chunk.features.numpy(), chunk.logits.numpy()
        hashes += chunk.hashes
    assert features is not None
    assert logits is not None
    return features, logits if logits.shape[1] else None, tuple(hashes)


@contextmanager
def _share_of_threads(workers: int) -> Iterator[int]:
    """Within the block PyTorch takes this process's share of the threads, and so do sessions that ONNX Runtime makes.

    Such a session keeps the number that it was made with: the network must be chosen within the block.
    """
    before = torch.get_num_threads()
    threads = max(1, before // workers)
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


@contextmanager
def _helpers(images: Path, how: Embedding, threads: int) -> Iterator[list[SpawnProcess]]:
    """Other processes that put their share of the chunks into the cache; ended with the block.

    What one of them cannot do, the calling process finds undone and does itself, with the error that there is.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    shares = [(rank, how.workers) for rank in range(1, how.workers)]
    helpers = [context.Process(target=_fill_cache, args=(images, how, one, threads), daemon=True) for one in shares]
    for one in helpers:
        one.start()
    try:
        yield helpers
    finally:
        for one in helpers:
            one.terminate()
            one.join()


def _fill_cache(images: Path, how: Embedding, share: tuple[int, int], threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent ends its helpers
    parent = multiprocessing.parent_process()
    torch.set_num_threads(threads)
    with suppress(Exception):  # the parent raises it, too
        network = choose_network(how.network, weights=how.weights, device=how.device)
        network = with_value_range(network, how.values)
        files = image_files(images, network, values=how.values)
        extract(
            files, decode=files.decode, network=network, cache=FeatureCache(how.cache), share=share,
            interrupted=lambda: parent is not None and not parent.is_alive(),
        )  # fmt: skip
