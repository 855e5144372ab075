"""The inputs of `evaluate`: the scoring network and the images that the user named."""

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
    "EvaluationImages",
    "check_precision",
    "choose_network",
    "open_evaluation_images",
    "range_warnings",
    "value_range_of",
    "with_value_range",
]

_DEFAULT_SAMPLES = 50_000
_BATCH = 32
_CHECKED = 64  # images on which bfloat16 is compared with float32
_TOLERANCE = 1e-3  # relative change of the score


class EvaluationImages:
    """Images to score: their names and order, and how their bytes become pixels.

    Args:
        label: the path that the user gave.
        names: names of all images.
        stream: (name, read) in that order.
        decode: bytes -> pixels and conversions.
        files: whether these are image files rather than samples of a run.
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

    def only(self, chosen: set[int]) -> "EvaluationImages":
        """The images at these indices, in the same order."""
        names = tuple(self.names[i] for i in sorted(chosen))
        part = EvaluationImages(self.label, names, self._stream, self.decode, files=self.files)
        part._stream = lambda: (item for index, item in enumerate(self._stream()) if index in chosen)
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
    """The Inception network of 2015, the classifier of a run, or a callable of the user.

    Raises:
        DataError, MetricError, RunError: the network does not exist or cannot be used.
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
    network: ScoringNetwork, exact: Callable[[], ScoringNetwork], images: EvaluationImages, *, asked: str = "float32"
) -> tuple[ScoringNetwork, list[str]]:
    """The network, or its float32 form if bfloat16 changes the score of the first images by more than 1e-3."""
    if network.precision == "float32":
        ignored = f"--precision {asked} applies to Inception only, not to {network.name}"
        return network, [ignored] if asked != "float32" else []
    prepared = []
    for _, read in islice(images, _CHECKED):
        with suppress(ValueError, OSError):  # invalid images are reported later
            prepared.append(network.prepare(images.decode(read())[0]))
    reference = exact()
    scores = []
    for one in (network, reference):
        logits = [one.run(torch.stack(prepared[i : i + _BATCH])).logits for i in range(0, len(prepared), _BATCH)]
        scores.append(inception_score(torch.cat(logits).double().softmax(1), 1).mean if logits else 1.0)
    change = abs(scores[0] / scores[1] - 1)
    if change > _TOLERANCE:
        text = f"{network.precision} changes the score of the first {len(prepared)} images by {change:.1e}, more than "
        return reference, [f"{text}{_TOLERANCE:.0e}: float32 is used instead"]
    return network, []


def _run_network(trained: Trained, device: str) -> ScoringNetwork:
    channels, height, width = trained.image_shape

    @torch.no_grad()
    def run(images: Tensor) -> Outputs:
        outputs = trained.discriminator(to_float01(images.to(device)))
        return Outputs(outputs.features.flatten(1).float().cpu(), outputs.logits.float().cpu())

    name = f"{trained.settings['recipe']} classifier of this library, step {trained.step}"
    digest = digest_of(trained.discriminator.state_dict())
    resize = f"Pillow bicubic to {width} x {height}"
    return ScoringNetwork(name, digest, channels, (height, width), resize, "float32", lambda image: image, run)


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
        trained = load_trained(path, device=device, warn=partial(warn, console), trust=trust)
        return _samples(path, trained, network, num=num or _DEFAULT_SAMPLES, seed=seed)
    if not path.exists() and (near := did_you_mean(path)):
        raise DataError(f"there is no {path}: neither images nor a run{near}")
    source = open_images(path)
    for line in source.notices:
        warn(console, f"{path}: {line}")

    def decode(content: bytes) -> tuple[Tensor, tuple[str, ...]]:
        return decode_image(content, "", channels=network.channels, size=network.size, values=values)

    return EvaluationImages(str(path), source.names, source.stream, decode, files=True)


def value_range_of(asked: str | None, *paths: Path) -> ValueRange | None:
    """Pixel values of black and white: as given by the user, else those of the first run among `paths`.

    Raises:
        DataError: not of the form LOW:HIGH.
    """
    if asked is not None:
        return parse_plain_range(asked)
    runs = (RunFolder(path).recipe()["settings"] for path in paths if (path / "recipe.json").is_file())
    return next((found for one in runs if (found := stored_range(one.get("value_range"))) is not None), None)


def with_value_range(network: ScoringNetwork, values: ValueRange | None) -> ScoringNetwork:
    """The network with the value range in its identity, so that cached features of another range are not used."""
    return network if values is None else replace(network, resize=f"{network.resize}, after values {values} to 0:255")


def range_warnings(images: EvaluationImages, values: ValueRange | None) -> list[str]:
    """Warnings if the first image files use a small part of the range between black and white."""
    if not images.files:
        return []
    watch = RangeWatch(values)
    for name, read in islice(images, _CHECKED):
        with suppress(ValueError, OSError):  # invalid images are reported later
            content = read()
            pixels = images.decode(content)[0]
            watch.add(pixels)
            if uses_little(pixels):
                watch.measure([(name, content)])
    warning = watch.warning()
    return [] if warning is None else [f"{images.label}: {warning}"]


def _samples(path: Path, trained: Trained, network: ScoringNetwork, *, num: int, seed: int) -> EvaluationImages:
    """Samples drawn batch by batch; the latents are drawn in order from one seed."""
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
            raise ValueError(f"{network.name} takes images with {network.channels} channels, these have {shape[0]}")
        if network.size is not None and network.size != tuple(shape[1:]):
            raise ValueError(f"{network.name} takes {network.size}, these samples are {tuple(shape[1:])}")
        return image, ()

    return EvaluationImages(f"{path}, {num} samples, seed {seed}, step {trained.step}", names, stream, decode)
