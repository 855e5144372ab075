"""`improved-gan demo`: semi-supervised classification with fifty labels, a GAN against baselines."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from improved_gan.cli.options import option

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["DemoOptions", "demo"]


@dataclass(frozen=True)
class DemoOptions:
    """The options of `demo`."""

    out: Path = option(Path("runs/demo"), help="Folder for run folders, images and results.json.", written="folder")
    num_splits: int = option(3, help="Number of label splits.", min=1)
    epochs: int | None = option(None, help="Epochs of each training; default: the recipe's.", min=1)


def demo(options: DemoOptions, console: "Console") -> None:
    """Train a GAN classifier with fifty labels and compare it with baselines: table, samples, curves; two minutes.

    Example: `improved-gan demo --out runs/demo`.
    """
    from improved_gan.reproduction.demo import run_demo

    run_demo(options.out, splits=options.num_splits, epochs=options.epochs, console=console)
