"""How many pseudo-labels of `mnist-graph` are wrong, split by split, and which digits are taken for which.

    python benchmarks/mnist_graph_splits.py --data DIR [--labels 10 20 50 100 1000] [--num-splits 20] [--out FILE.json]

The pseudo-labels are those that the recipe computes at the start of a run: the labels of the split, spread over the
k-NN graph of all training images under the image deformation distance, on the estimated pixel layout. Their errors are
counted with the labels of the training images, which no run reads. No network is trained, so a split takes seconds once
the graph is known. Recorded in docs/runs/mnist-graph-splits.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from improved_gan.data import LabelSplit, load_mnist
from improved_gan.label_spreading.pseudo_labeling import labels_of_split
from improved_gan.recipes.mnist import mnist_graph


def confused(classes: Tensor, truth: Tensor, shown: int) -> list[dict[str, int]]:
    """The pairs of classes with most errors: (N,) classes against (N,) true ones."""
    counts = torch.bincount(10 * truth + classes, minlength=100).view(10, 10).fill_diagonal_(0)
    pairs = counts.flatten().argsort(descending=True)[:shown].tolist()
    return [{"digit": pair // 10, "as": pair % 10, "images": int(counts.flatten()[pair])} for pair in pairs]


def main() -> None:
    """Parse the arguments, spread the labels of each split, write the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=int, nargs="+", default=[10, 20, 50, 100, 1000])
    parser.add_argument("--num-splits", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = load_mnist(options.data).train
    truth = data.labels.long()
    positions: Tensor | None = None
    found: dict[str, list[dict[str, Any]]] = {}
    for number in options.labels:
        recipe = mnist_graph(number)
        assert recipe.pseudo_labeling is not None
        assert recipe.augmentation is not None
        for seed in range(1, options.num_splits + 1):
            split = LabelSplit.draw(truth, number, seed=seed)
            if positions is None:  # they depend on the images alone, so that all splits have the same
                positions = recipe.augmentation.positions(data, split)
            rows, labels = labels_of_split(data, split)
            probabilities = recipe.pseudo_labeling.class_probabilities(data.images, labels, positions)
            used, classes = recipe.pseudo_labeling.most_confident(
                probabilities, recipe.pseudo_labeling.confident_fraction
            )
            spread = probabilities.argmax(1)
            line: dict[str, Any] = {
                "split": seed,
                "wrong_of_all": int((spread != truth).sum()),
                "used": len(used),
                "wrong_of_used": int((classes != truth[rows][used]).sum()),
                "confused": confused(classes, truth[rows][used], 3),
            }
            found.setdefault(str(number), []).append(line)
            print(f"{number} labels", json.dumps(line), flush=True)
            if options.out:
                options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
