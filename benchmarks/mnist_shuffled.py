"""A recipe file: `mnist-graph` on MNIST with a random permutation of the pixels, the same in all images.

    improved-gan reproduce --recipe benchmarks/mnist_shuffled.py --labels 100 --num-splits 1 --data DIR --threads 1

Nothing in the recipe may depend on the order of the pixels: their layout is estimated from the images. So the error
should be that of `mnist-graph` (docs/results.md).
"""

from dataclasses import replace
from pathlib import Path

import torch

from improved_gan.data import Dataset, load_mnist
from improved_gan.data.dataset import LabeledImages
from improved_gan.recipes import Recipe, mnist_graph

SIDE = 28


def recipe(labels: int | None = None) -> Recipe:
    """For `improved-gan train` and `reproduce`."""
    return replace(mnist_graph(labels), name="mnist-shuffled", load_data=load_shuffled)


def load_shuffled(folder: Path | None) -> Dataset:
    """MNIST with pixel `order[i]` at index i."""
    order = torch.randperm(SIDE * SIDE, generator=torch.Generator().manual_seed(2016))
    data = load_mnist(folder)
    train, test = (
        LabeledImages(one.images.flatten(1)[:, order].reshape(-1, 1, SIDE, SIDE), one.labels)
        for one in (data.train, data.test)
    )
    return replace(data, train=train, test=test)
