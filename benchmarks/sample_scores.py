"""Scores of a run's samples and of real images, with a classifier that was trained here; nearest training images.

    python benchmarks/sample_scores.py runs/generation --network runs/mnist-classifier --data DIR --num 10000

Scores `--num` samples and as many real test images (or all, if there are fewer) by Inception score over the
classifier's classes and Fréchet distance of its features to training images, and writes a grid of pairs of samples and
their nearest training images (Euclidean distance of pixels).
"""

import argparse
import json
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from improved_gan.data import load_mnist
from improved_gan.embeddings.networks import choose_network
from improved_gan.metrics.network import SampleScores
from improved_gan.runs import Run
from improved_gan.training.sampling import grid, sample, write_png


def nearest(samples: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) rows of the nearest training images, and their distances in root mean square of pixels, 0..255."""
    rows, distances = [], []
    flat = training.flatten(1).float()
    for some in torch.split(samples.flatten(1).float(), 100):
        best = torch.cdist(some, flat).min(1)
        rows.append(best.indices)
        distances.append(best.values / flat.shape[1] ** 0.5)
    return torch.cat(rows), torch.cat(distances)


def main() -> None:
    """Print the scores, write the grids."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--network", required=True)
    parser.add_argument("--data", type=Path, default=None, help="folder with MNIST")
    parser.add_argument("--num", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("picture-scores"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    networks = Run(options.run).load(warn=console.print)
    network = choose_network(options.network, warn=console.print)
    data = load_mnist(options.data)
    score = SampleScores(network, data.train.images[:10_000], num=options.num)
    real = SampleScores(network, data.train.images[:10_000], num=min(options.num, len(data.test)))
    result = {
        "run": str(options.run),
        "step": networks.step,
        "samples": score.of(sample(networks.generator, score.num, seed=1)),
        "real test images": real.of(data.test.images),
    }
    samples = sample(networks.generator, 1000, seed=1)
    rows, distances = nearest(samples, data.train.images)
    of_test = nearest(data.test.images[:1000], data.train.images)[1]
    result["distance to the nearest training image"] = {
        "samples": distances.mean().item(),
        "real test images": of_test.mean().item(),
        "samples nearer than any test image": (distances < of_test.min()).float().mean().item(),
    }
    write_png(options.out / "samples.png", grid(samples[:100], columns=10, pixel_size=1, gap=1))
    pairs = torch.stack([samples[:30], data.train.images[rows[:30]]], dim=1).flatten(0, 1)
    write_png(options.out / "nearest.png", grid(pairs, columns=10, pixel_size=2, gap=2))
    (options.out / "scores.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
