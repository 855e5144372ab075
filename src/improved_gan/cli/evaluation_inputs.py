"""The images of `evaluate` that the user named, and their value range."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from improved_gan.cli.evaluate import EvaluateOptions
from improved_gan.console import warn
from improved_gan.data.dataset import DataError
from improved_gan.data.value_range import ValueRange, parse_plain_range, stored_range
from improved_gan.metrics.array_files import FeatureFile, ImageArray
from improved_gan.metrics.evaluation_images import EvaluationImages, array_content, array_decoder, image_files
from improved_gan.metrics.extraction import Read
from improved_gan.metrics.network import ScoringNetwork
from improved_gan.runs import Networks, Run
from improved_gan.runs.nearby_runs import did_you_mean
from improved_gan.runs.own_code import Trust
from improved_gan.training.sampling import to_uint8

__all__ = [
    "open_evaluation_images",
    "options_without_effect",
    "refuse_missing",
    "refuse_run_as_reference",
    "value_range_of",
]

_DEFAULT_SAMPLES = 50_000
_BATCH = 32


def open_evaluation_images(
    path: Path,
    network: ScoringNetwork,
    *,
    num: int | None,
    seed: int,
    device: str,
    console: Console,
    trust: Trust = False,
    values: ValueRange | None = None,
) -> EvaluationImages:
    """The images of a folder or archive, or samples of a run's generator.

    Raises:
        DataError, RunError: the path does not exist or holds no images.
    """
    if (path / "recipe.json").is_file():
        networks = Run(path).load(device=device, warn=partial(warn, console), trust=trust)
        return _samples(path, networks, network, num=num or _DEFAULT_SAMPLES, seed=seed)
    images = image_files(path, network, values=values)
    for line in images.notices:
        warn(console, f"{path}: {line}")
    return images


def value_range_of(asked: str | None, *paths: Path) -> ValueRange | None:
    """Pixel values of black and white: as given by the user, else those of the first run among `paths`.

    Raises:
        DataError: not of the form LOW:HIGH.
    """
    if asked is not None:
        return parse_plain_range(asked)
    runs = (Run(path).settings for path in paths if (path / "recipe.json").is_file())
    return next((found for one in runs if (found := stored_range(one.get("value_range"))) is not None), None)


def refuse_run_as_reference(path: Path | None) -> None:
    """The samples of a run are no real images.

    Raises:
        DataError: the reference is a run folder.
    """
    if path is not None and (path / "recipe.json").is_file():
        raise DataError(
            f"--reference takes real images, and {path} is a run: give the images that it was trained on. To compare "
            "with a run's samples, write them with `improved-gan sample`"
        )


def refuse_missing(paths: Iterable[Path]) -> None:
    """Before a network is loaded.

    Raises:
        DataError: a path does not exist.
    """
    for path in paths:
        if not path.exists():
            raise DataError(f"there is no {path}{did_you_mean(path) or ': give images, a file of arrays, or a run'}")


def options_without_effect(
    options: EvaluateOptions, with_images: list[Path], opened: dict[Path, ImageArray | FeatureFile | None]
) -> list[str]:
    """Lines about options that were given and change nothing."""
    of_images = {
        "--network": options.network is not None,
        "--weights": options.weights is not None,
        "--precision": options.precision != "float32",
        "--skip-invalid": options.skip_invalid,
        "--value-range": options.value_range is not None,
    }
    unused = ", ".join(name for name, asked in of_images.items() if asked)
    if unused and not with_images:
        return [f"without effect: {unused}, as there are features or statistics only, which no network computes"]
    if options.value_range is None or any(
        path not in opened and not (path / "recipe.json").is_file() for path in with_images
    ):
        return []
    return [
        "--value-range changes no pixels, as there are no image files, and arrays hold 0 to 255: it is only compared "
        "with that of features and statistics"
    ]


def _samples(path: Path, networks: Networks, network: ScoringNetwork, *, num: int, seed: int) -> EvaluationImages:
    """Samples drawn batch by batch; the latents are drawn in order from one seed."""
    shape = networks.run.image_shape
    if networks.run.embedding is not None:
        raise DataError(f"{path} generates embeddings, not images: there is nothing to evaluate")
    names = tuple(f"sample {index}" for index in range(num))

    def stream() -> Iterator[tuple[str, Read]]:
        source = torch.Generator().manual_seed(seed)
        for start in range(0, num, _BATCH):
            latents = networks.generator.draw_latents(_BATCH, source=source)
            with torch.no_grad():
                images = to_uint8(networks.generator(latents))
            for index, image in enumerate(images[: num - start]):
                content = array_content(image)
                yield names[start + index], lambda content=content: content  # type: ignore[misc]

    decode = array_decoder(tuple(shape), network)
    label = f"{path}, {num} samples, seed {seed}, step {networks.step}"
    return EvaluationImages(label, names, stream, decode, shuffled=True)
