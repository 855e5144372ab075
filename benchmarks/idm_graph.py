"""The error of label spreading over k-NN graphs under the image deformation distance and in pixel space.

    python benchmarks/idm_graph.py --data DIR [--labels 20 50 100 200] [--num-splits 10] [--out FILE.json]

All of MNIST's training images, the labels of ten splits for each number; the error is that of all training images.
Seconds are CPU time.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor

from improved_gan.data import LabelSplit, load_mnist
from improved_gan.kernels import cpp_extension
from improved_gan.label_spreading import idm_neighbors, label_spreading
from improved_gan.label_spreading.knn import nearest_neighbors, principal_components

COMPONENTS = 64
Neighbors = tuple[Tensor, Tensor]


def timed(name: str, neighbors: Neighbors, begin: float, labels: Tensor) -> Neighbors:
    """Print the time and the fraction of neighbors of another class."""
    other = float((labels[neighbors[0]] != labels[:, None]).float().mean())
    print(f"{name}: {other:.2%} of the neighbors are of another class; {time.process_time() - begin:.0f} CPU seconds")
    return neighbors


def main() -> None:
    """Parse the arguments, compute both graphs, spread labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=int, nargs="+", default=[20, 50, 100, 200])
    parser.add_argument("--num-splits", type=int, default=10)
    parser.add_argument("--max-displacement", type=int, default=2)
    parser.add_argument("--neighbors", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = load_mnist(options.data).train
    truth = data.labels.long()
    kernels = cpp_extension.unavailable_reason() or "yes"
    print(f"{len(data):,} images, {options.threads} threads; compiled kernels: {kernels}")
    begin = time.process_time()
    by_idm = idm_neighbors(data.images, options.neighbors, max_displacement=options.max_displacement)
    graphs = {"IDM": timed("IDM", by_idm, begin, truth)}
    begin = time.process_time()
    near = nearest_neighbors(principal_components(data.images, COMPONENTS), 10)
    graphs["pixels"] = timed("pixels", near, begin, truth)
    found: dict[str, dict[str, list[int]]] = {}
    for number in options.labels:
        for name, graph in graphs.items():
            wrong = []
            for seed in range(1, options.num_splits + 1):
                split = LabelSplit.draw(truth, number, seed=seed)
                labels = torch.full_like(truth, -1)
                labels[list(split.indices)] = torch.tensor(split.labels)
                probabilities = label_spreading(data.images, labels, neighbors=graph)
                wrong.append(int((probabilities.argmax(1) != truth).sum()))
            errors = [100 * one / len(truth) for one in wrong]
            std = f" ± {stdev(errors):.2f}" if len(errors) > 1 else ""
            print(f"{number} labels, {name}: error {mean(errors):.2f}%{std}, counts {wrong}", flush=True)
            found.setdefault(str(number), {})[name] = wrong
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
