"""How many pseudo-labels of `mnist-graph` are wrong, split by split, and which cluster of images decides it.

    python benchmarks/mnist_graph_splits.py --data DIR --out FILE.json [--labels 100 10 20 50 200 1000]
        [--num-splits 20] [--images FILE.png]

The pseudo-labels are those that the recipe computes at the start of a run: the labels of the split, spread over the
k-NN graph of all training images under the image deformation distance, on the estimated pixel layout. Their errors are
counted with the labels of the training images, which no run reads. No network is trained, so a split takes seconds once
the graph is known.

The cluster is that of the first number of labels: of the two digits that are confused most often, all splits together,
the images of one that are taken for the other in at least a quarter of the splits. For every split the labels in it
and its wrong images are counted. Recorded in docs/runs/mnist-graph-splits.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from improved_gan.data import LabelSplit, load_mnist
from improved_gan.label_spreading.pseudo_labeling import labels_of_split
from improved_gan.recipes.mnist import mnist_graph

ROWS, COLUMNS = 4, 20  # of the grid


def counted(classes: Tensor, truth: Tensor) -> Tensor:
    """(10, 10) wrong images: rows true digits, columns what they are taken for."""
    return torch.bincount(10 * truth + classes, minlength=100).view(10, 10).fill_diagonal_(0)


def largest_cluster(classes: Tensor, truth: Tensor) -> tuple[int, int, Tensor]:
    """(S, N) classes by split -> the digit that is confused most, with which, (M,) the images of that cluster."""
    digit, taken = divmod(int(torch.stack([counted(one, truth) for one in classes]).sum(0).argmax()), 10)
    wrong = (classes == taken) & (truth == digit)
    return digit, taken, (wrong.float().mean(0) >= 0.25).nonzero().flatten()


def main() -> None:
    """Parse the arguments, spread the labels of each split, write the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 10, 20, 50, 200, 1000])
    parser.add_argument("--num-splits", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=Path, help="images of the cluster")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = load_mnist(options.data).train
    truth = data.labels.long()
    positions: Tensor | None = None
    found: dict[str, Any] = {}
    for number in options.labels:
        recipe = mnist_graph(number)
        assert recipe.pseudo_labeling is not None
        assert recipe.augmentation is not None
        splits = [LabelSplit.draw(truth, number, seed=seed) for seed in range(1, options.num_splits + 1)]
        classes = torch.zeros(len(splits), len(truth), dtype=torch.int64)
        for index, split in enumerate(splits):
            if positions is None:  # they depend on the images alone, so that all splits have the same
                positions = recipe.augmentation.positions(data, split)
            labels = labels_of_split(data, split)[1]
            classes[index] = recipe.pseudo_labeling.class_probabilities(data.images, labels, positions).argmax(1)
            print(f"{number} labels, split {index + 1}: {int((classes[index] != truth).sum())} wrong", flush=True)
        if not found:
            digit, taken, members = largest_cluster(classes, truth)
            found = {"cluster": {"digit": digit, "as": taken, "images": len(members)}, "labels": {}}
            if options.images:
                shown = data.images[members[:: max(1, len(members) // (ROWS * COLUMNS))][: ROWS * COLUMNS], 0]
                grid = shown.view(ROWS, COLUMNS, 28, 28).permute(0, 2, 1, 3).reshape(ROWS * 28, COLUMNS * 28)
                scaled = Image.fromarray(255 - grid.numpy()).resize((COLUMNS * 42, ROWS * 42))
                scaled.save(options.images, optimize=True)
        found["labels"][str(number)] = [
            {
                "split": index + 1,
                "wrong": int((one != truth).sum()),
                "labels_in_cluster": int(torch.isin(torch.tensor(split.indices), members).sum()),
                "wrong_in_cluster": int((one[members] != digit).sum()),
            }
            for index, (split, one) in enumerate(zip(splits, classes, strict=True))
        ]
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
