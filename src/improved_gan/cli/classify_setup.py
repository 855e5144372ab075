"""What `improved-gan classify` determines before it reads images: classes, columns, how images are decoded."""

from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from improved_gan.active_learning.image_stream import Decode, decoder
from improved_gan.data.value_range import ValueRange
from improved_gan.metrics.network import digest_of
from improved_gan.recipes.load_run import Trained
from improved_gan.training.errors import RunError
from improved_gan.training.reporting import warn

__all__ = ["check_classes", "columns", "decoder_of", "identity", "progress_bar"]


def decoder_of(trained: Trained, *, resize: bool, invert: bool, values: ValueRange | None = None) -> Decode:
    """The decoder for this run's images; a run of `train folder` takes images of any size, as in training.

    Raises:
        RunError: a value range without `resize`, where images are not converted.
    """
    square = trained.settings["recipe"] == "folder"
    if values is not None and not (square or resize):
        raise RunError(f"--value-range {values} converts images, and this run converts them only with --resize: add it")
    return decoder(trained.image_shape, resize=resize, invert=invert, square=square, values=values)


@torch.no_grad()
def check_classes(trained: Trained, run: Path, console: Console) -> None:
    """Check that there are classes, and warn where the prediction for an image depends on its batch."""
    device = next(trained.discriminator.parameters()).device
    pixels = torch.rand(4, *trained.image_shape, generator=torch.Generator().manual_seed(0)).to(device)
    logits = trained.discriminator(pixels).logits
    if logits.dim() != 2 or logits.shape[1] != len(trained.class_names) or logits.shape[1] < 2:
        raise RunError(f"{run} was trained without classes, so it cannot classify: train it with labels")
    if (logits[:2] - trained.discriminator(pixels[:2]).logits).abs().max() > 1e-3 * logits.abs().max():
        warn(console, "this run compares the images of a batch (minibatch features): the prediction for an image "
                      "depends on the other images of its batch, here the 63 next to it in order of name")  # fmt: skip


def columns(trained: Trained) -> list[str]:
    """The header of the CSV file."""
    return ["file", "label", *(f"p({name})" for name in trained.class_names), "real_score", "entropy", "sha256"]


def identity(trained: Trained, *, resize: bool, invert: bool, values: ValueRange | None) -> dict[str, object]:
    """All that a row depends on, other than the image."""
    return {
        "format": 1,
        "recipe": trained.settings["recipe"],
        "step": trained.step,
        "weights_sha256": digest_of(trained.discriminator.state_dict()),
        "class_names": trained.class_names,
        "image_shape": list(trained.image_shape),
        "resize": resize,
        "invert": invert,
        "value_range": None if values is None else [values.low, values.high],
    }


def progress_bar(console: Console) -> Progress:
    """A progress bar, shown on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("ETA"),
               TimeRemainingColumn(elapsed_when_finished=True))  # fmt: skip
    return Progress(*columns, console=console, disable=not console.is_terminal, speed_estimate_period=60)
