"""What `evaluate` scores with, and what it scores: networks and pictures from what the user named."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from improved_gan.data.dataset import DataError, to_float01
from improved_gan.data.image_sources import open_images
from improved_gan.data.images import decode_image
from improved_gan.data.inception_weights import load_weights
from improved_gan.data.range_watch import RangeWatch, uses_little
from improved_gan.data.value_range import ValueRange, parse_plain_range, stored_range
from improved_gan.metrics import inception_score
from improved_gan.metrics.custom_network import custom_network
from improved_gan.metrics.extraction import Decode, Read
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork, digest_of, inception_network
from improved_gan.recipes.load_run import Trained, load_trained
from improved_gan.recipes.own_code import Trust
from improved_gan.training.nearby_runs import did_you_mean
from improved_gan.training.reporting import warn
from improved_gan.training.run_folder import RunFolder
from improved_gan.training.sampling import to_uint8

__all__ = [
    "Pictures",
    "check_precision",
    "choose_network",
    "open_pictures",
    "range_of",
    "range_warnings",
    "reading_with",
]

_DEFAULT_SAMPLES = 50_000
_BATCH = 32
_CHECKED = 64  # pictures on which bfloat16 is compared with float32
_TOLERANCE = 1e-3  # of the score


class Pictures:
    """Pictures to score: how many, in which order, and how their bytes become pixels.

    Args:
        label: what the user named.
        names: of all that are there.
        stream: (name, read) in that order.
        decode: bytes -> pixels and conversions.
        files: whether they are image files, and not samples of a run.
    """

    def __init__(
        self,
        label: str,
        names: tuple[str, ...],
        stream: Callable[[], Iterator[tuple[str, Read]]],
        decode: Decode,
        *,
        files: bool = False,
    ) -> None:
        self.label, self.names, self.decode, self.files = label, names, decode, files
        self._stream, self._all = stream, names

    def __len__(self) -> int:
        return len(self.names)

    def only(self, chosen: set[int]) -> "Pictures":
        """The pictures at these places, in the same order."""
        names = tuple(self.names[i] for i in sorted(chosen))
        part = Pictures(self.label, names, self._stream, self.decode, files=self.files)
        part._stream = lambda: (item for place, item in enumerate(self._stream()) if place in chosen)
        return part

    def __iter__(self) -> Iterator[tuple[str, Read]]:
        return self._stream()


def choose_network(
    classifier: str | None,
    *,
    weights: Path | None,
    precision: str,
    device: str,
    console: Console,
    trust: Trust = False,
) -> ScoringNetwork:
    """The 2015 network, a run of ours, or the user's callable.

    Raises:
        DataError, MetricError, RunError: what was named is not there or does not fit.
    """
    if classifier is None:
        state, digest = load_weights(weights)
        return inception_network(state, digest, precision=precision, device=device)
    if (Path(classifier) / "recipe.json").is_file():
        trained = load_trained(Path(classifier), device=device, warn=partial(warn, console), trust=trust)
        return _run_network(trained, device)
    if ":" in classifier:
        return custom_network(classifier)
    near = did_you_mean(Path(classifier))
    raise DataError(f"{classifier} is neither a run folder nor module:function: --classifier wants one of them{near}")


def check_precision(
    network: ScoringNetwork, exact: Callable[[], ScoringNetwork], pictures: Pictures, *, asked: str = "float32"
) -> tuple[ScoringNetwork, list[str]]:
    """The network, or its float32 form where rounding changes the score of the first pictures by more than 1e-3."""
    if network.precision == "float32":
        ignored = f"--precision {asked} is for Inception only: {network.name} runs as it is"
        return network, [ignored] if asked != "float32" else []
    prepared = []
    for _, read in islice(pictures, _CHECKED):
        with suppress(ValueError, OSError):  # bad pictures are dealt with later
            prepared.append(network.prepare(pictures.decode(read())[0]))
    reference = exact()
    scores = []
    for one in (network, reference):
        logits = [one.run(torch.stack(prepared[i : i + _BATCH])).logits for i in range(0, len(prepared), _BATCH)]
        scores.append(inception_score(torch.cat(logits).double().softmax(1), 1).mean if logits else 1.0)
    change = abs(scores[0] / scores[1] - 1)
    if change > _TOLERANCE:
        text = (
            f"{network.precision} changes the score of the first {len(prepared)} pictures by {change:.1e}, more than "
        )
        return reference, [f"{text}{_TOLERANCE:.0e}: float32 was taken"]
    return network, []


def _run_network(trained: Trained, device: str) -> ScoringNetwork:
    channels, height, width = trained.image_shape

    @torch.no_grad()
    def run(pictures: Tensor) -> Outputs:
        judged = trained.discriminator(to_float01(pictures.to(device)))
        return Outputs(judged.features.flatten(1).float().cpu(), judged.logits.float().cpu())

    name = f"{trained.settings['recipe']} classifier of this library, step {trained.step}"
    digest = digest_of(trained.discriminator.state_dict())
    resize = f"Pillow bicubic to {width} x {height}"
    return ScoringNetwork(name, digest, channels, (height, width), resize, "float32", lambda picture: picture, run)


def open_pictures(
    path: Path,
    network: ScoringNetwork,
    *,
    num: int | None,
    seed: int,
    device: str,
    console: Console,
    trust: Trust = False,
    values: ValueRange | None = None,
) -> Pictures:
    """The images of a folder or archive, or samples of a run's generator.

    Raises:
        DataError, RunError: there is no such path, or nothing in it.
    """
    if (path / "recipe.json").is_file():
        trained = load_trained(path, device=device, warn=partial(warn, console), trust=trust)
        return _samples(path, trained, network, num=num or _DEFAULT_SAMPLES, seed=seed)
    if not path.exists() and (near := did_you_mean(path)):
        raise DataError(f"there is no {path}: neither images nor a run{near}")
    source = open_images(path)
    for line in source.notices:
        warn(console, f"{path}: {line}")

    def decode(content: bytes) -> tuple[Tensor, tuple[str, ...]]:
        return decode_image(content, "", channels=network.channels, size=network.size, values=values)

    return Pictures(str(path), source.names, source.stream, decode, files=True)


def range_of(asked: str | None, *paths: Path) -> ValueRange | None:
    """Black and white of image files: as asked for, else as the first run among `paths` was trained with.

    Raises:
        DataError: not of the form LOW:HIGH.
    """
    if asked is not None:
        return parse_plain_range(asked)
    runs = (RunFolder(path).recipe()["settings"] for path in paths if (path / "recipe.json").is_file())
    return next((found for one in runs if (found := stored_range(one.get("value_range"))) is not None), None)


def reading_with(network: ScoringNetwork, values: ValueRange | None) -> ScoringNetwork:
    """The network with the range among what its numbers depend on, so that kept features of another are not used."""
    return network if values is None else replace(network, resize=f"{network.resize}, after values {values} to 0:255")


def range_warnings(pictures: Pictures, values: ValueRange | None) -> list[str]:
    """Where image files use little of what lies between black and white: by the first of them."""
    if not pictures.files:
        return []
    watch = RangeWatch(values)
    for name, read in islice(pictures, _CHECKED):
        with suppress(ValueError, OSError):  # bad pictures are dealt with later
            content = read()
            pixels = pictures.decode(content)[0]
            watch.add(pixels)
            if uses_little(pixels):
                watch.measure([(name, content)])
    warning = watch.warning()
    return [] if warning is None else [f"{pictures.label}: {warning}"]


def _samples(path: Path, trained: Trained, network: ScoringNetwork, *, num: int, seed: int) -> Pictures:
    """Samples made chunk by chunk; the latents are drawn in order from one seed."""
    shape = trained.image_shape
    names = tuple(f"sample {index}" for index in range(num))

    def stream() -> Iterator[tuple[str, Read]]:
        source = torch.Generator().manual_seed(seed)
        for start in range(0, num, _BATCH):
            latents = trained.generator.draw_latents(_BATCH, source=source)
            with torch.no_grad():
                images = to_uint8(trained.generator(latents))
            for index, image in enumerate(images[: num - start]):
                content = image.numpy().tobytes()
                yield names[start + index], lambda content=content: content  # type: ignore[misc]

    def decode(content: bytes) -> tuple[Tensor, tuple[str, ...]]:
        image = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(shape)
        if shape[0] == 1 and network.channels == 3:
            image = image.expand(3, *shape[1:]).contiguous()
        if shape[0] != network.channels and shape[0] != 1:
            raise ValueError(f"{network.name} takes pictures with {network.channels} channels, these have {shape[0]}")
        if network.size is not None and network.size != tuple(shape[1:]):
            raise ValueError(f"{network.name} takes {network.size}, these samples are {tuple(shape[1:])}")
        return image, ()

    return Pictures(f"{path}, {num} samples, seed {seed}, step {trained.step}", names, stream, decode)
