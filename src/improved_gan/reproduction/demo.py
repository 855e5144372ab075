"""`improved-gan demo`: semi-supervised classification with fifty labels, a GAN against baselines on the same splits.

8x8 images of digits, 50 labels, 500 test images, three label splits. The GAN classifier, the same network trained on
labeled images only, and two semi-supervised classifiers of scikit-learn get the same labels and unlabeled images.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from improved_gan.data import Dataset, LabelSplit, load_digits
from improved_gan.recipes import Recipe, digits
from improved_gan.recipes.load_run import load_trained
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.errors import InterruptedRunError, RunError
from improved_gan.training.reporting import say
from improved_gan.training.run_folder import RunFolder
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
    results = _train_all(out, recipe.epochs, splits, console)
    for name, method in {"LabelSpreading": _label_spreading, "SelfTraining": _self_training}.items():
        results[name] = _fit(method, data, recipe, splits)
    _write_results(out, results, len(data.test))
    console.print(_table(results, len(data.test)))
    images = [_draw_samples(out), _draw_curves(out, splits)]
    for image in filter(None, images):
        say(console, f"written: {image}")
    if None in images:
        say(console, "no learning curves: matplotlib is missing, pip install 'improved-gan[plots]'")
    say(console, f"{time.perf_counter() - started:.0f} s in total; run folders and results.json in {out}")
    return results


def _train_all(out: Path, epochs: int, splits: int, console: Console) -> dict[str, Result]:
    """Both trainings on every split, two processes at a time (at this size faster than two threads).

    Raises:
        RunError: a training failed.
        InterruptedRunError: stopped by Ctrl-C or SIGTERM, after the trainings have saved.
    """
    waiting = [(name, seed) for name in TRAINED for seed in range(1, splits + 1)]
    running: dict[tuple[str, int], subprocess.Popen[str]] = {}
    lines: dict[tuple[str, int], dict[str, Any]] = {}
    with catch_signals() as stop, _progress(console) as progress:
        bar = progress.add_task("training", total=len(waiting))
        try:
            while waiting or running:
                while waiting and len(running) < 2:
                    job = waiting.pop(0)
                    running[job] = _start_training(*job, epochs=epochs, folder=out / _folder(*job))
                time.sleep(0.1)
                if stop:
                    raise InterruptedRunError(
                        "the demo was stopped: run the same command to continue", stop.signal_number or 0
                    )
                for job in [job for job, process in running.items() if process.poll() is not None]:
                    lines[job] = _finish(running.pop(job), out / _folder(*job))
                    progress.advance(bar)
                    say(console, f"{job[0]}, split {job[1]}: {lines[job]['test/num_errors']} wrong")
        finally:
            for process in running.values():
                process.terminate()  # it saves a checkpoint and continues from it next time
            for process in running.values():
                process.communicate()
    return {name: _result([lines[name, seed] for seed in range(1, splits + 1)]) for name in TRAINED}


def _start_training(name: str, seed: int, *, epochs: int, folder: Path) -> "subprocess.Popen[str]":
    """A process in its own session, so that Ctrl-C reaches only the parent process."""
    command = [
        sys.executable,
        "-m",
        "improved_gan",
        "train",
        TRAINED[name],
        "--seed",
        str(seed),
        "--epochs",
        str(epochs),
    ]
    command += ["--out", str(folder), "--threads", "1", "--device", "cpu"]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _finish(process: "subprocess.Popen[str]", folder: Path) -> dict[str, Any]:
    """The last line of a finished training's log."""
    _, errors = process.communicate()
    if process.returncode:
        raise RunError(
            f"the training in {folder} failed: {errors.strip().splitlines()[-1] if errors else 'no reason given'}"
        )
    return RunFolder(folder).read_log()[-1]


def _progress(console: Console) -> Progress:
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def _result(last_lines: list[dict[str, Any]]) -> Result:
    return Result([int(line["test/num_errors"]) for line in last_lines], sum(line["seconds"] for line in last_lines))


def _folder(name: str, seed: int) -> str:
    return f"{name.lower().replace(' ', '-')}-split-{seed}"


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


def _draw_samples(out: Path) -> Path:
    """One hundred digits from the first split's generator."""
    trained = load_trained(out / _folder("GAN", 1), warn=lambda _: None)
    path = out / "samples.png"
    write_png(path, grid(sample(trained.generator, 100, seed=0), pixel_size=6))
    return path


def _draw_curves(out: Path, splits: int) -> Path | None:
    """Test error over epochs of both trainings; None if matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, label, color in (("GAN", "GAN", "C0"), ("supervised", "same network, supervised", "C1")):
        for seed in range(1, splits + 1):
            log = RunFolder(out / _folder(name, seed)).read_log()
            errors = [100 * line["test/error"] for line in log]
            label = label if seed == 1 else "_another split"
            axes.plot([line["epoch"] for line in log], errors, color=color, label=label, linewidth=1.5)
    axes.set(xlabel="epoch", ylabel="test error, %", title=f"8x8 digits, 50 labels, {splits} label splits")
    axes.set_ylim(0, 25)
    axes.grid(alpha=0.3)
    axes.legend()
    path = out / "learning-curves.png"
    figure.savefig(path, dpi=120)
    return path
