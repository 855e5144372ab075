"""Few labels on embeddings of a pretrained network: our three methods and four others, error and seconds.

    python benchmarks/few_labels_embeddings.py EMBEDDINGS.npz [--labels 10 40 100 400 1000 4000] [--num-splits 5]
        [--num-unlabeled 10000] [--methods NAME ...] [--out DIR] [--validation] [--show]

EMBEDDINGS.npz is made by `improved-gan embed`; names are `train/CLASS/FILE` and `test/CLASS/FILE`. Without such parts
(photographs in class folders) all images are unlabeled data, and the error is that of those without a label.

A split draws `--num-unlabeled` training images and the labels among them, the same number of each class. All methods
get the same rows: 256 principal components of rows of norm 1, or fewer where said, learned from training images. 3,000
training images, the first in a fixed random order, belong to no split and to no components: with `--validation` the
error is theirs, and settings are chosen by it (with splits from 101 on). A unit (method, budget, split) is one JSON
file in the folder: the same command computes the missing ones, split by split. `--show` prints the table and plots it.
"""

import argparse
import json
import platform
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from improved_gan.data.embeddings import read_embeddings
from improved_gan.estimator.comparison import METHODS as OURS
from improved_gan.estimator.comparison import prepared
from improved_gan.io import write_atomically

LABELS = (10, 40, 100, 400, 1000, 4000)
_VALIDATION = 3000
Rows = np.ndarray
Method = Callable[[Rows, np.ndarray, Rows, int], np.ndarray]  # rows, y with -1, rows to classify, seed -> classes


def of_ours(name: str) -> Method:
    return lambda rows, y, wanted, seed: OURS[name](rows, y, seed).predict(wanted)


def label_spreading(rows: Rows, y: np.ndarray, wanted: Rows, seed: int) -> np.ndarray:
    from sklearn.semi_supervised import LabelSpreading

    model = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.9, max_iter=100)
    with np.errstate(invalid="ignore"):  # 0/0 for rows connected to no label
        return np.asarray(model.fit(rows[:, :128], y).predict(wanted[:, :128]))


def self_training(rows: Rows, y: np.ndarray, wanted: Rows, seed: int) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import SelfTrainingClassifier

    model = SelfTrainingClassifier(LogisticRegression(C=10.0, max_iter=500), threshold=0.75)
    return np.asarray(model.fit(rows, y).predict(wanted))


def boosting(rows: Rows, y: np.ndarray, wanted: Rows, seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier

    known = y >= 0
    model = HistGradientBoostingClassifier(min_samples_leaf=max(1, min(20, known.sum() // 20)), random_state=seed)
    return np.asarray(model.set_params(max_iter=50).fit(rows[known, :64], y[known]).predict(wanted[:, :64]))


METHODS: dict[str, Method] = {
    "linear probe": of_ours("linear probe"),
    "`LabelSpreadingClassifier`": of_ours("label spreading"),
    "scikit-learn LabelSpreading": label_spreading,
    "scikit-learn SelfTrainingClassifier": self_training,
    "HistGradientBoosting": boosting,
    "GAN from spread labels": of_ours("GAN from spread labels"),
    "GAN": of_ours("GAN"),
}


class Task:
    """Prepared rows, and splits of them."""

    def __init__(self, path: Path, num_unlabeled: int, *, validation: bool) -> None:
        found = read_embeddings(path)
        parts = [name.split("/") for name in found.names]
        self.class_names, codes = np.unique([one[-2] for one in parts], return_inverse=True)
        self.num_unlabeled = num_unlabeled
        training = np.array([one[0] == "train" for one in parts])
        self.own_test = bool(training.any())
        if not self.own_test:
            rows = prepared(found.features)
            self.train, self.y, self.test, self.truth = rows, codes, rows, codes
            return
        order = np.random.default_rng(0).permutation(np.flatnonzero(training))
        held, rest = order[:_VALIDATION], order[_VALIDATION:]
        rows = prepared(found.features, learned_from=rest)
        tested = held if validation else np.flatnonzero(~training)
        self.train, self.y, self.test, self.truth = rows[rest], codes[rest], rows[tested], codes[tested]

    def split(self, labels: int, seed: int) -> tuple[Rows, np.ndarray, Rows, np.ndarray]:
        """Rows, y with -1, the rows that are classified, and their classes."""
        chosen = np.random.default_rng(seed).permutation(len(self.train))[: self.num_unlabeled]
        truth = self.y[chosen]
        each = labels // len(self.class_names)
        known = np.concatenate([np.flatnonzero(truth == one)[:each] for one in range(len(self.class_names))])
        if len(known) < each * len(self.class_names):
            raise SystemExit(f"some class has fewer than {each} images: take fewer labels")
        y = np.full(len(chosen), -1)
        y[known] = truth[known]
        if self.own_test:
            return self.train[chosen], y, self.test, self.truth
        return self.train[chosen], y, self.train[chosen][y < 0], truth[y < 0]


def run_unit(task: Task, method: str, labels: int, split: int) -> dict[str, Any]:
    rows, y, wanted, truth = task.split(labels, split)
    started, worked = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of logistic regressions that stop early, and of chance with ten labels
        predicted = METHODS[method](rows, y, wanted, split)
    return {
        "method": method,
        "labels": labels,
        "split": split,
        "error": round(100 * float((predicted != truth).mean()), 3),
        "of": len(truth),
        "unlabeled": int((y < 0).sum()),
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - worked, 2),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip(),
        "machine": f"{platform.machine()}, one thread",
    }


def run(arguments: argparse.Namespace) -> None:
    task = Task(arguments.embeddings, arguments.num_unlabeled, validation=arguments.validation)
    first = 101 if arguments.validation else 1
    for split in range(first, first + arguments.num_splits):
        for labels in arguments.labels:
            for method in arguments.methods:
                slug = method.strip("`").lower().replace(" ", "-")
                path = arguments.out / f"{slug}-{labels}-split-{split}.json"
                if path.is_file():
                    continue
                unit = run_unit(task, method, labels, split)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, json.dumps(unit, indent=1).encode())
                print(
                    f"{labels} labels, split {split}, {method}: {unit['error']:.1f}%, {unit['cpu_seconds']} s",
                    flush=True,
                )


def summary(units: list[dict[str, Any]]) -> dict[str, Any]:
    """As docs/runs/other.json has it: mean and standard deviation over the splits of each method and budget."""
    budgets = sorted({unit["labels"] for unit in units})
    rows = []
    for method in METHODS:
        own = [unit for unit in units if unit["method"] == method]
        if not own:
            continue
        errors: list[dict[str, float] | None] = []
        for budget in budgets:
            found = [unit["error"] for unit in own if unit["labels"] == budget]
            mean = {"mean": round(statistics.mean(found), 1), "num": len(found)} if found else None
            if mean and len(found) > 1:
                mean["std"] = round(statistics.stdev(found), 1)
            errors.append(mean)
        seconds = statistics.median(unit["cpu_seconds"] for unit in own)
        rows.append({"method": method, "errors": errors, "seconds": round(seconds, 2)})
    return {"labels": budgets, "test_images": units[0]["of"], "commit": units[0]["commit"], "rows": rows}


def draw(found: dict[str, Any], path: Path) -> Path:
    """Error over labels, bars for the standard deviation over splits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(found["rows"]):
        points = [(budget, one) for budget, one in zip(found["labels"], row["errors"], strict=True) if one]
        axes.errorbar(
            [budget * (1 + 0.02 * (place - 3)) for budget, _ in points],
            [one["mean"] for _, one in points],
            [one.get("std", 0.0) for _, one in points],
            label=row["method"].strip("`"), color=f"C{place}", marker="o", markersize=4, capsize=2,
            linewidth=2 if place == 1 else 1.2,
        )  # fmt: skip
    axes.set(xscale="log", xlabel="labels", ylabel="error, %")
    axes.set_xticks(found["labels"], [f"{budget:,}" for budget in found["labels"]])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    return path


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=list(LABELS))
    parser.add_argument("--num-splits", type=int, default=5)
    parser.add_argument("--num-unlabeled", type=int, default=10_000)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("runs/few-labels-embeddings"))
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--show", action="store_true")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    if not arguments.show:
        run(arguments)
    units = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*.json"))]
    if not units:
        raise SystemExit(f"there is no result in {arguments.out} yet: run without --show first")
    found = summary(units)
    print(json.dumps(found))
    print(f"see {draw(found, arguments.out / 'few-labels-embeddings.png')}")


if __name__ == "__main__":
    main()
