"""`improved-gan demo`: semi-supervised classification with fifty labels, a GAN against baselines on the same splits.

8x8 images of digits, 50 labels, 500 test images, three label splits. The GAN classifier, the same network trained on
labeled images only, and two semi-supervised classifiers of scikit-learn get the same labels and unlabeled images.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from improved_gan.console import print_whole, say
from improved_gan.data.dataset import Dataset
from improved_gan.data.digits import load_digits
from improved_gan.data.label_split import LabelSplit
from improved_gan.io import write_atomically
from improved_gan.recipes import Recipe, digits
from improved_gan.recipes.registry import find_recipe
from improved_gan.reproduction.executors import LocalExecutor, run_all
from improved_gan.reproduction.job_status import read_status
from improved_gan.reproduction.plan import Job, RunOptions
from improved_gan.reproduction.progress import Display
from improved_gan.runs import Run
from improved_gan.training.errors import RunError
from improved_gan.training.sampling import grid, sample, write_png
from improved_gan.training.signals import catch_signals

__all__ = ["NAMES", "run_demo"]

TRAINED = {"GAN": "digits", "supervised": "digits-supervised"}  # name -> recipe
NAMES = (*TRAINED, "LabelSpreading", "SelfTraining")


@dataclass(frozen=True)
class Result:
    """Misclassified test images of one method on each split, and its total time in seconds."""

    wrong: list[int]
    seconds: float


def run_demo(out: Path, *, splits: int, epochs: int | None, console: Console) -> dict[str, Result]:
    """Train, compare, draw; an interrupted demo continues.

    Args:
        out: folder for the run folders, results.json, samples.png and learning-curves.png.
        splits: number of label splits; their seeds are 1, 2, ...
        epochs: epochs of the two trainings; None for the recipe's.
        console: where to print.

    Returns:
        The result of each method, by name.

    Raises:
        RunError: `out` holds a demo of other settings, or something else.
    """
    data, started = load_digits(), time.perf_counter()
    recipe = digits() if epochs is None else replace(digits(), epochs=epochs)
    say(
        console,
        f"{len(data.train)} training images, {recipe.num_labels} of them with labels, {len(data.test)} test images, "
        f"{splits} label splits; about two minutes on two cores",
    )
    jobs = _jobs(out, recipe, splits)
    results = _train_all(jobs, console)
    for name, method in {"LabelSpreading": _label_spreading, "SelfTraining": _self_training}.items():
        results[name] = _fit(method, data, recipe, splits)
    _write_results(out, results, len(data.test))
    print_whole(console, _table(results, len(data.test)))
    images = [_draw_samples(jobs, out), _draw_curves(jobs, out)]
    for image in filter(None, images):
        say(console, f"written: {image}")
    if None in images:
        say(console, "no learning curves: matplotlib is missing, pip install 'improved-gan[plots]'")
    say(console, f"{time.perf_counter() - started:.0f} s in total; run folders and results.json in {out}")
    return results


def _train_all(jobs: dict[str, list[Job]], console: Console) -> dict[str, Result]:
    """Both trainings on every split, two processes at a time (at this size faster than two threads).

    Raises:
        RunError: a run folder holds another run, or a training failed.
        InterruptedRunError: stopped by Ctrl-C or SIGTERM, after the trainings have saved.
    """
    every = [job for some in jobs.values() for job in some]
    for job in every:
        recipe = replace(find_recipe(job.recipe, labels=job.labels), epochs=job.epochs)
        Run(job.folder).check_planned(recipe, seed=job.seed, split_seed=job.split)
    executor = LocalExecutor(jobs=2, threads=1, device="cpu", num_runs=len(every))
    with catch_signals() as stop, Display(every, console) as display:
        outcomes = run_all(every, executor, watcher=display, stop=stop)
    for outcome in outcomes:
        if outcome.how == "failed":
            raise RunError(f"the training in {outcome.job.folder} failed: {outcome.message}")
    return {name: _result([read_status(job).report for job in some]) for name, some in jobs.items()}


def _jobs(out: Path, recipe: Recipe, splits: int) -> dict[str, list[Job]]:
    options = RunOptions(epochs=recipe.epochs, device="cpu")
    return {
        name: [
            Job(trained, recipe.num_labels, split, 1, out.absolute() / name.lower(), recipe.epochs, options)
            for split in range(1, splits + 1)
        ]
        for name, trained in TRAINED.items()
    }


def _result(last_reports: list[dict[str, Any]]) -> Result:
    wrong = [int(report["test/num_errors"]) for report in last_reports]
    return Result(wrong, sum(report["seconds"] for report in last_reports))


def _fit(method: Callable[[Dataset, LabelSplit], int], data: Dataset, recipe: Recipe, splits: int) -> Result:
    """One of scikit-learn's classifiers on the splits that the runs with these seeds draw."""
    started = time.perf_counter()
    seeds = range(1, splits + 1)
    wrong = [method(data, LabelSplit.draw(data.train.labels, recipe.num_labels, seed=seed)) for seed in seeds]
    return Result(wrong, time.perf_counter() - started)


def _arrays(data: Dataset, split: LabelSplit) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels in [0, 1] and classes, -1 where the split gives no label: training, then test."""
    flat = [part.images.flatten(1).numpy() / 255 for part in (data.train, data.test)]
    known = np.full(len(data.train), -1)
    known[list(split.indices)] = split.labels
    return flat[0], known, flat[1], data.test.labels.numpy()


def _label_spreading(data: Dataset, split: LabelSplit) -> int:
    """scikit-learn's LabelSpreading on a k-NN graph with the default k."""
    from sklearn.semi_supervised import LabelSpreading

    pixels, known, test_pixels, test_labels = _arrays(data, split)
    with np.errstate(invalid="ignore"):  # images that no label has reached have zero probabilities, 0/0
        predicted = LabelSpreading(kernel="knn", max_iter=100).fit(pixels, known).predict(test_pixels)
    return int((predicted != test_labels).sum())


def _self_training(data: Dataset, split: LabelSplit) -> int:
    """scikit-learn's SelfTrainingClassifier around logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import SelfTrainingClassifier

    pixels, known, test_pixels, test_labels = _arrays(data, split)
    model = SelfTrainingClassifier(LogisticRegression(max_iter=2000)).fit(pixels, known)
    return int((model.predict(test_pixels) != test_labels).sum())


def _write_results(out: Path, results: dict[str, Result], num_test: int) -> None:
    content = {
        name: {"wrong": result.wrong, "of": num_test, "seconds": round(result.seconds, 1)}
        for name, result in results.items()
    }
    write_atomically(out / "results.json", json.dumps(content, indent=1).encode())


def _table(results: dict[str, Result], num_test: int) -> Table:
    splits = len(results["GAN"].wrong)
    table = Table(
        title=f"misclassified of {num_test} test digits, 50 labels", box=None, title_justify="left", pad_edge=False
    )
    table.add_column("method")
    for seed in range(1, splits + 1):
        table.add_column(f"split {seed}", justify="right")
    table.add_column("mean error", justify="right")
    table.add_column("seconds", justify="right")
    for name, result in results.items():
        error = f"{np.mean(result.wrong) / num_test:.1%}"
        table.add_row(name, *map(str, result.wrong), error, f"{result.seconds:.0f}")
    return table


def _draw_samples(jobs: dict[str, list[Job]], out: Path) -> Path:
    """One hundred digits from the first split's generator."""
    networks = Run(jobs["GAN"][0].folder).load(warn=lambda _: None)
    path = out / "samples.png"
    write_png(path, grid(sample(networks.generator, 100, seed=0), pixel_size=6))
    return path


def _draw_curves(jobs: dict[str, list[Job]], out: Path) -> Path | None:
    """Test error over epochs of both trainings; None if matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, label, color in (("GAN", "GAN", "C0"), ("supervised", "same network, supervised", "C1")):
        for job in jobs[name]:
            log = Run(job.folder).log.lines
            errors = [100 * line["test/error"] for line in log]
            label = label if job.split == 1 else "_another split"
            axes.plot([line["epoch"] for line in log], errors, color=color, label=label, linewidth=1.5)
    axes.set(xlabel="epoch", ylabel="test error, %", title=f"8x8 digits, 50 labels, {len(jobs[name])} label splits")
    axes.set_ylim(0, 25)
    axes.grid(alpha=0.3)
    axes.legend()
    path = out / "learning-curves.png"
    figure.savefig(path, dpi=120)
    return path
