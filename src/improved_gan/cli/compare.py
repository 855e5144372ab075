"""`improved-gan compare`: which method suits these images and these labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from improved_gan.cli.options import argument, option
from improved_gan.cli.shared import MAX_SEED

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from improved_gan.estimator.comparison import Comparison, Method

__all__ = ["CompareOptions", "compare"]

_SIZE = 32  # pixels of a side, of images without embeddings


@dataclass(frozen=True)
class CompareOptions:
    """The options of `compare`."""

    source: Path = argument(
        metavar="EMBEDDINGS|IMAGES", help="A .npz file of `embed`, or a folder or archive of images."
    )
    labels: Path | None = option(
        None, help="CSV or TSV of file and label; default: the class folders of the images, or labels beside them."
    )
    methods: tuple[str, ...] = option((), help="Only this method; may be repeated.", metavar="NAME")
    num_unlabeled: int = option(10_000, help="Unlabeled images that are used, at most; chosen at random.", min=0)
    num_repeats: int = option(3, help="Repetitions of the cross-validation.", min=1)
    seed: int = option(0, help="Random seed.", min=0, max=MAX_SEED)
    jobs: int = option(1, "-j", help="Fits at the same time, each in a process.", min=1)

    def __post_init__(self) -> None:
        if self.source.suffix.lower() == ".npz" and self.labels is None:
            raise click.UsageError("embeddings come without labels: give --labels FILE (CSV of file and label)")


def compare(options: CompareOptions, console: "Console") -> None:
    """Compare a linear probe, k-NN, label spreading and the GAN on your labels, by repeated cross-validation.

    Prints the error of each method with a 95% interval and the seconds of one fit, and recommends one, or says that the
    labels do not suffice to tell. Images without embeddings are compared as pixels, which is rarely good: `embed` them
    first.

    Example: `improved-gan compare photos.npz --labels labels.csv`.
    """
    import numpy as np

    from improved_gan.console import say
    from improved_gan.data import DataError
    from improved_gan.estimator.comparison import compare_methods

    methods = _chosen(options.methods)
    features, y = _read(options, console)
    kept = _kept(y, options.num_unlabeled, options.seed)
    counts = np.unique(y[y != -1], return_counts=True)[1]
    say(console, f"{counts.sum()} labels of {len(counts)} classes, {len(kept) - counts.sum()} images without a label")
    try:
        found = compare_methods(
            features[kept],
            y[kept],
            methods=methods,
            num_repeats=options.num_repeats,
            seed=options.seed,
            jobs=options.jobs,
        )
    except ValueError as error:
        raise DataError(str(error)) from error
    for line in _lines(found):
        say(console, line)


def _chosen(names: tuple[str, ...]) -> "dict[str, Method]":
    from improved_gan.estimator.comparison import METHODS

    if unknown := set(names) - METHODS.keys():
        raise click.BadParameter(f"no method is called {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    return {name: METHODS[name] for name in names or METHODS}


def _read(options: CompareOptions, console: "Console") -> tuple["np.ndarray", "np.ndarray"]:
    """(N, A) rows and (N,) labels, text, -1 where none is known."""
    import numpy as np
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    from improved_gan.cli.custom_images import ImageOptions, load_images, print_report
    from improved_gan.data.dataset import DataError
    from improved_gan.data.embeddings import read_embeddings
    from improved_gan.data.labels_file import read_labels

    if options.source.suffix.lower() == ".npz":
        assert options.labels is not None, "checked with the options"
        embeddings = read_embeddings(options.source)
        folder = Path(embeddings.about.get("source", "") or options.source.parent)
        labels = read_labels(options.labels, embeddings.names, folder)
        return embeddings.features, np.array([labels.get(name, -1) for name in embeddings.names], dtype=object)
    own = load_images(ImageOptions(options.source, options.labels, validation=0.0), labels=None)
    print_report(own, console)
    if not own.dataset.class_names:
        raise DataError(f"{options.source} has no labels: sort the images into class folders, or give --labels FILE")
    parts = torch.split(own.dataset.train.images, 1000)
    images = torch.cat([adaptive_avg_pool2d(part.float(), _SIZE).flatten(1).byte() for part in parts]).numpy()
    names = np.array([*own.dataset.class_names, -1], dtype=object)
    return images, names[own.dataset.train.labels.numpy()]


def _kept(y: "np.ndarray", num_unlabeled: int, seed: int) -> "np.ndarray":
    """The rows with labels, and some of the others, in order."""
    import numpy as np

    without = np.flatnonzero(y == -1)
    some = np.random.default_rng(seed).permutation(without)[:num_unlabeled]
    return np.sort(np.concatenate([np.flatnonzero(y != -1), some]))


def _lines(found: "Comparison") -> list[str]:
    """The table, what was computed, and the verdict."""
    width = max(map(len, found.methods))
    lines = [f"{'method':{width}}  % wrong  95% interval    p    seconds"]
    values = found.p_values()
    for place, name in enumerate(found.methods):
        low, high = found.interval(place)
        p = "best" if place == found.best else f"{values[place]:.3f}"
        interval = f"{100 * low:.1f} to {100 * high:.1f}"
        lines.append(
            f"{name:{width}}  {100 * found.errors[place]:7.1f}  {interval:12}  {p:>5}  {found.seconds[place]:7.1f}"
        )
    lines.append(
        f"{found.num_folds} folds, {found.num_repeats} times: each fit had {found.num_folds - 1} of {found.num_folds} "
        "of the labels. p: paired test against the lowest error, adjusted for the number of methods."
    )
    return [*lines, found.verdict()]
