"""`improved-gan demo`: what a GAN makes of fifty labels, beside what else there is, on the same splits.

Real 8x8 digits, 50 labels, 500 test images, three label splits. The GAN classifier, the same network on the labels
alone, and two semi-supervised classifiers of scikit-learn see the same labels and the same unlabelled images.
"""

import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from improved_gan.commands.train import TrainOptions, train_recipe
from improved_gan.data import Dataset, LabelSplit, load_digits
from improved_gan.recipes import Recipe, digits
from improved_gan.recipes.trained import load_trained
from improved_gan.training import LabelsAlone
from improved_gan.training.checkpoints import write_atomically
from improved_gan.training.run_folder import RunFolder
from improved_gan.training.sampling import grid, sample, write_png

__all__ = ["NAMES", "run_demo"]

NAMES = ("GAN", "labels alone", "LabelSpreading", "SelfTraining")


@dataclass(frozen=True)
class Result:
    """Wrong test images of one method on each split, and the seconds it took in all."""

    wrong: list[int]
    seconds: float


def run_demo(out: Path, *, splits: int, epochs: int | None, console: Console) -> dict[str, Result]:
    """Train, compare, draw; a demo that was interrupted continues.

    Args:
        out: gets the run folders, results.json, samples.png and learning-curves.png.
        splits: number of label splits; their seeds are 1, 2, ...
        epochs: length of the two trainings; None for the recipe's.
        console: where to print.

    Returns:
        The result of each method, by name.

    Raises:
        RunError: `out` holds a demo of other settings, or something else.
    """
    data, started = load_digits(), time.perf_counter()
    recipe = digits() if epochs is None else replace(digits(), epochs=epochs)
    console.print(
        f"{len(data.train)} training images, {recipe.num_labels} of them with labels, {len(data.test)} test images, "
        f"{splits} label splits; about two minutes on two cores",
        highlight=False,
        soft_wrap=True,
    )
    methods: dict[str, Callable[[int], int]] = {
        "GAN": lambda seed: _train(recipe, seed, out / f"gan-split-{seed}", console),
        "labels alone": lambda seed: _train(
            replace(recipe, objective=LabelsAlone()), seed, out / f"labels-alone-split-{seed}", console
        ),
        "LabelSpreading": lambda seed: _label_spreading(data, _split(data, recipe, seed)),
        "SelfTraining": lambda seed: _self_training(data, _split(data, recipe, seed)),
    }
    results = {name: _timed(method, splits) for name, method in methods.items()}
    _write_results(out, results, len(data.test))
    console.print(_table(results, len(data.test)))
    pictures = [_draw_samples(out), _draw_curves(out, splits)]
    for picture in filter(None, pictures):
        console.print(f"look at {picture}", highlight=False, soft_wrap=True)
    console.print(f"{time.perf_counter() - started:.0f} s in all; runs and results.json in {out}", highlight=False)
    return results


def _timed(method: Callable[[int], int], splits: int) -> Result:
    started = time.perf_counter()
    wrong = [method(seed) for seed in range(1, splits + 1)]
    return Result(wrong, round(time.perf_counter() - started, 1))


def _train(recipe: Recipe, seed: int, folder: Path, console: Console) -> int:
    """Train one run quietly (a bar on a terminal); its wrong test images in the last epoch."""
    # One thread: at this size a second one costs more than it brings.
    options = TrainOptions(recipe="digits", seed=seed, out=folder, device="cpu", threads=1)
    quiet = console if console.is_terminal else Console(file=io.StringIO())
    train_recipe(recipe, options, quiet)
    wrong = int(RunFolder(folder).read_log()[-1]["test/wrong"])
    console.print(f"{folder.name}: {wrong} wrong", highlight=False)
    return wrong


def _split(data: Dataset, recipe: Recipe, seed: int) -> LabelSplit:
    """The split that the run with this seed draws."""
    return LabelSplit.draw(data.train.labels, recipe.num_labels, seed=seed)


def _arrays(data: Dataset, split: LabelSplit) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels in [0, 1] and classes, -1 where the split gives no label: training, then test."""
    flat = [part.images.flatten(1).numpy() / 255 for part in (data.train, data.test)]
    known = np.full(len(data.train), -1)
    known[list(split.indices)] = split.labels
    return flat[0], known, flat[1], data.test.labels.numpy()


def _label_spreading(data: Dataset, split: LabelSplit) -> int:
    """scikit-learn's LabelSpreading on a graph of nearest neighbours, its default number of them."""
    from sklearn.semi_supervised import LabelSpreading

    pixels, known, test_pixels, test_labels = _arrays(data, split)
    model = LabelSpreading(kernel="knn", max_iter=100).fit(pixels, known)
    return int((model.predict(test_pixels) != test_labels).sum())


def _self_training(data: Dataset, split: LabelSplit) -> int:
    """scikit-learn's SelfTrainingClassifier around logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import SelfTrainingClassifier

    pixels, known, test_pixels, test_labels = _arrays(data, split)
    model = SelfTrainingClassifier(LogisticRegression(max_iter=2000)).fit(pixels, known)
    return int((model.predict(test_pixels) != test_labels).sum())


def _write_results(out: Path, results: dict[str, Result], num_test: int) -> None:
    content = {
        name: {"wrong": result.wrong, "of": num_test, "seconds": result.seconds} for name, result in results.items()
    }
    write_atomically(out / "results.json", json.dumps(content, indent=1).encode())


def _table(results: dict[str, Result], num_test: int) -> Table:
    splits = len(results["GAN"].wrong)
    table = Table(title=f"wrong of {num_test} test digits, 50 labels", box=None, title_justify="left", pad_edge=False)
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
    trained = load_trained(out / "gan-split-1", warn=lambda _: None)
    path = out / "samples.png"
    write_png(path, grid(sample(trained.generator, 100, seed=0), pixel_size=6))
    return path


def _draw_curves(out: Path, splits: int) -> Path | None:
    """Test error over epochs of both trainings; None where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, folder, colour in (("GAN, 50 labels", "gan", "C0"), ("same network, labels alone", "labels-alone", "C1")):
        for seed in range(1, splits + 1):
            log = RunFolder(out / f"{folder}-split-{seed}").read_log()
            errors = [100 * line["test/error"] for line in log]
            label = name if seed == 1 else None
            axes.plot([line["epoch"] for line in log], errors, color=colour, label=label, linewidth=1.5)
    axes.set(xlabel="epoch", ylabel="test error, %", title=f"8x8 digits, {splits} label splits")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    path = out / "learning-curves.png"
    figure.savefig(path, dpi=120)
    return path
