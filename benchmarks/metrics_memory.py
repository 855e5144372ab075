"""Peak memory of a whole evaluation (score and Fréchet distance) for 1,000 and for many more images.

    python benchmarks/metrics_memory.py --images 1000 200000

Each number of images is measured in its own process. Images are random bytes and the network is a small linear one, so
that the memory is that of reading, cache and sums.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from improved_gan.metrics.evaluation import evaluate
from improved_gan.metrics.extraction import extract
from improved_gan.metrics.feature_cache import FeatureCache
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork


def images(num: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for index in range(num):
        yield f"{index}", lambda index=index: index.to_bytes(8, "little") * 24  # type: ignore[misc]


def decode(content: bytes) -> tuple[Tensor, tuple[str, ...]]:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).view(3, 8, 8), ()


def measure(num: int) -> None:
    """Evaluate once and print the peak."""
    torch.set_num_threads(1)
    source = torch.Generator().manual_seed(0)
    to_features = torch.randn(192, 64, generator=source) / 14
    to_logits = torch.randn(64, 1008, generator=source)

    def run(batch: Tensor) -> Outputs:
        features = batch.flatten(1).float() / 255 @ to_features
        return Outputs(features, features @ to_logits)

    network = ScoringNetwork("linear", "0", 3, None, "none", "float32", lambda image: image, run)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        features = extract(images(num), decode=decode, network=network, cache=FeatureCache(Path(folder)))
        assert features is not None
        found, _ = evaluate(["is", "fid"], features, features)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.perf_counter() - started
    print(f"{num:8d} images: peak {peak:6.0f} MB, {seconds:5.0f} s, score {found['is']['mean']:.6f}", flush=True)


def main() -> None:
    """Start a process for each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 200_000])
    parser.add_argument("--here", type=int, help="measure this number in this process")
    options = parser.parse_args()
    if options.here:
        measure(options.here)
        return
    for num in options.images:
        subprocess.run([sys.executable, __file__, "--here", str(num)], check=True)


if __name__ == "__main__":
    main()
