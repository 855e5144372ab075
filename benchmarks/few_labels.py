"""Classifiers from few labels, on the same splits: error and seconds, as a table and a plot.

    python benchmarks/few_labels.py [digits mnist cifar10] [--labels 20 50 100 200] [--num-splits 5] [--out DIR]
                                    [--quick] [--steps N] [--methods NAME ...] [--peer DIR] [--data DIR] [--threads 1]
                                    [--show]

The GAN estimator with and without pseudo-labels from label spreading, the same network as a supervised baseline,
LabelSpreading, SelfTraining around logistic regression, a linear probe on principal components of all images, and
LAMDA-SSL's port of the GAN (see lamda_ssl_peer.py). Each is trained on the labels of the split and all training images;
the error is that of the test images, which are used for nothing else. A cell (data, method, labels, split) is one JSON
file in the folder: the same command computes the missing ones. `--show` only prints and plots existing cells. `--quick`
is one split, two label counts and 200 steps, as a check. LabelSpreading and SelfTraining use the first 64 principal
components of images with more than 256 pixel values.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from few_labels_report import draw, print_table
from lamda_ssl_peer import LamdaImprovedGAN

from improved_gan import SemiSupervisedGANClassifier
from improved_gan.data import Dataset, LabelSplit, load_digits, load_mnist
from improved_gan.data.cifar10 import load_cifar10
from improved_gan.io import write_atomically

LABELS = {"digits": (20, 50, 100, 200), "mnist": (100, 1000), "cifar10": (1000, 4000)}
STEPS = {"digits": 1500, "mnist": 6000, "cifar10": 3000}
_COMPONENTS = 64


@dataclass(frozen=True)
class Task:
    """One split of one data set; flat pixels in [0, 1] are computed on demand."""

    data: Dataset
    split: LabelSplit
    steps: int
    peer: Path | None

    @property
    def rows(self) -> list[int]:
        return list(self.split.indices)

    @property
    def known(self) -> np.ndarray:
        labels = np.full(len(self.data.train), -1)
        labels[self.rows] = self.split.labels
        return labels

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        train, test = (part.images.flatten(1).numpy() for part in (self.data.train, self.data.test))
        return train.astype(np.float32) / 255, test.astype(np.float32) / 255

    def components(self) -> tuple[np.ndarray, np.ndarray]:
        """Principal components of the training images, unlabeled ones too."""
        from sklearn.decomposition import PCA

        train, test = self.flat()
        model = PCA(min(_COMPONENTS, train.shape[1]), random_state=0).fit(train)
        return model.transform(train), model.transform(test)

    def compact(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels if they are few, otherwise principal components."""
        return self.flat() if self.data.train.images[0].numel() <= 256 else self.components()


def gan(task: Task, **settings: Any) -> np.ndarray:
    images = task.data.train.images.numpy()
    steps_per_epoch = max(1, len(images) // 100)
    model = SemiSupervisedGANClassifier(
        layout="NCHW",
        epochs=max(1, round(task.steps / steps_per_epoch)),
        **settings,
        device="cpu",
        random_state=task.split.seed,
    )
    return model.fit(images, task.known).predict(task.data.test.images.numpy())


def supervised(task: Task) -> np.ndarray:
    return gan(task, unsupervised_weight=0.0)


def gan_from_spread_labels(task: Task) -> np.ndarray:
    return gan(task, label_spreading=True)


def label_spreading(task: Task) -> np.ndarray:
    from sklearn.semi_supervised import LabelSpreading

    train, test = task.compact()
    with np.errstate(invalid="ignore"):  # 0/0 for images connected to no label
        return np.asarray(LabelSpreading(kernel="knn", max_iter=100).fit(train, task.known).predict(test))


def self_training(task: Task) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import SelfTrainingClassifier

    train, test = task.compact()
    model = SelfTrainingClassifier(LogisticRegression(max_iter=2000)).fit(train, task.known)
    return np.asarray(model.predict(test))


def linear_probe(task: Task) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    train, test = task.components()
    model = LogisticRegression(max_iter=2000).fit(train[task.rows], task.split.labels)
    return np.asarray(model.predict(test))


def peer(task: Task) -> np.ndarray:
    assert task.peer is not None
    train, test = task.flat()
    model = LamdaImprovedGAN(task.peer, steps=task.steps, num_classes=len(task.data.class_names), seed=task.split.seed)
    return model.fit(train[task.rows], np.array(task.split.labels), train).predict(test)


METHODS: dict[str, Callable[[Task], np.ndarray]] = {
    "GAN": gan,
    "GAN from spread labels": gan_from_spread_labels,
    "supervised baseline": supervised,
    "LabelSpreading": label_spreading,
    "SelfTraining": self_training,
    "linear probe": linear_probe,
    "LAMDA-SSL": peer,
}


def run_cell(task: Task, method: str) -> dict[str, Any]:
    started, worked = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of logistic regressions that stop early
        predicted = METHODS[method](task)
    wrong = int((predicted != task.data.test.labels.numpy()).sum())
    return {
        "data": task.data.name,
        "method": method,
        "labels": len(task.rows),
        "split": task.split.seed,
        "split_sha256": task.split.digest,
        "wrong": wrong,
        "of": len(task.data.test),
        "error": wrong / len(task.data.test),
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - worked, 2),
        "steps": task.steps,
        "threads": torch.get_num_threads(),
    }


def load(name: str, folder: Path | None) -> Dataset:
    if name == "digits":
        return load_digits()
    return load_mnist(folder) if name == "mnist" else load_cifar10(folder)


def run(name: str, arguments: argparse.Namespace) -> None:
    """All missing cells of one data set, split by split, so that a partial table has equal splits for all methods."""
    data = load(name, arguments.data)
    methods = [one for one in arguments.methods if one != "LAMDA-SSL" or arguments.peer]
    for split in range(1, arguments.num_splits + 1):
        for labels in arguments.labels or LABELS[name]:
            drawn = LabelSplit.draw(data.train.labels, labels, seed=split)
            task = Task(data, drawn, arguments.steps or STEPS[name], arguments.peer)
            for method in methods:
                slug = method.lower().replace(" ", "-")
                path = arguments.out / f"{name}-{labels}-{slug}-split-{split}-steps-{task.steps}.json"
                if not path.is_file():
                    cell = run_cell(task, method)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(path, json.dumps(cell, indent=1).encode())
                    print(f"{name} {labels} labels, split {split}, {method}: {cell['error']:.2%}", flush=True)


def longest(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of cells that differ only in their number of steps, the one with the most."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in sorted(cells, key=lambda cell: cell["steps"]):
        found[tuple(cell[name] for name in ("data", "method", "labels", "split"))] = cell
    return list(found.values())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_sets", nargs="*", metavar="DATA_SET", help=f"of {', '.join(LABELS)}; default: digits")
    parser.add_argument("--labels", type=int, nargs="+")
    parser.add_argument("--num-splits", type=int, default=5)
    parser.add_argument("--steps", type=int, help="training steps of the GANs")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="NAME")
    parser.add_argument("--peer", type=Path, help="folder of LAMDA-SSL; without it that method is left out")
    parser.add_argument("--data", type=Path, help="folder of MNIST, or folder or archive of CIFAR-10")
    parser.add_argument("--out", type=Path, default=Path("runs/few-labels"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    arguments.data_sets = arguments.data_sets or ["digits"]  # argparse cannot check an empty list against choices
    if unknown := set(arguments.data_sets) - set(LABELS):
        parser.error(f"no data set is called {', '.join(sorted(unknown))}: there are {', '.join(LABELS)}")
    if arguments.quick:
        arguments.num_splits, arguments.steps = 1, 200
        arguments.labels = arguments.labels or [50, 100]
        arguments.out = arguments.out / "quick"
    return arguments


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    if not arguments.show:
        for name in arguments.data_sets:
            run(name, arguments)
    cells = longest([json.loads(path.read_text()) for path in sorted(arguments.out.glob("*.json"))])
    if not cells:
        raise SystemExit(f"there is no result in {arguments.out} yet: run without --show first")
    print_table(cells, list(METHODS))
    print(f"\nsee {draw(cells, list(METHODS), arguments.out / 'few-labels.png')}")


if __name__ == "__main__":
    main()
