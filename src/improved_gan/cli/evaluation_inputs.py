"""The inputs of `evaluate`: the scoring network and the images that the user named."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from improved_gan.console import warn
from improved_gan.data.dataset import DataError, to_float01
from improved_gan.data.image_sources import open_images
from improved_gan.data.images import decode_image
from improved_gan.data.inception_weights import load_weights
from improved_gan.data.value_range import ValueRange, parse_plain_range, stored_range
from improved_gan.metrics.custom_network import custom_network
from improved_gan.metrics.evaluation_images import EvaluationImages, array_decoder
from improved_gan.metrics.extraction import Read
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork, digest_of, inception_network
from improved_gan.runs import Networks, Run
from improved_gan.runs.nearby_runs import did_you_mean
from improved_gan.runs.own_code import Trust
from improved_gan.training.sampling import to_uint8

__all__ = [
    "choose_network",
    "open_evaluation_images",
    "value_range_of",
    "with_value_range",
]

_DEFAULT_SAMPLES = 50_000
_BATCH = 32


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
        networks = Run(Path(classifier)).load(device=device, warn=partial(warn, console), trust=trust)
        return _run_network(networks, device)
    if ":" in classifier:
        return custom_network(classifier)
    near = did_you_mean(Path(classifier))
    raise DataError(f"{classifier} is neither a run folder nor module:function: --classifier wants one of them{near}")


def _run_network(networks: Networks, device: str) -> ScoringNetwork:
    channels, height, width = networks.run.image_shape

    @torch.no_grad()
    def run(images: Tensor) -> Outputs:
        outputs = networks.discriminator(to_float01(images.to(device)))
        return Outputs(outputs.features.flatten(1).float().cpu(), outputs.logits.float().cpu())

    name = f"{networks.run.settings['recipe']} classifier of this library, step {networks.step}"
    digest = digest_of(networks.discriminator.state_dict())
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
        networks = Run(path).load(device=device, warn=partial(warn, console), trust=trust)
        return _samples(path, networks, network, num=num or _DEFAULT_SAMPLES, seed=seed)
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
    runs = (Run(path).settings for path in paths if (path / "recipe.json").is_file())
    return next((found for one in runs if (found := stored_range(one.get("value_range"))) is not None), None)


def with_value_range(network: ScoringNetwork, values: ValueRange | None) -> ScoringNetwork:
    """The network with the value range in its identity, so that cached features of another range are not used."""
    return network if values is None else replace(network, resize=f"{network.resize}, after values {values} to 0:255")


def _samples(path: Path, networks: Networks, network: ScoringNetwork, *, num: int, seed: int) -> EvaluationImages:
    """Samples drawn batch by batch; the latents are drawn in order from one seed."""
    shape = networks.run.image_shape
    names = tuple(f"sample {index}" for index in range(num))

    def stream() -> Iterator[tuple[str, Read]]:
        source = torch.Generator().manual_seed(seed)
        for start in range(0, num, _BATCH):
            latents = networks.generator.draw_latents(_BATCH, source=source)
            with torch.no_grad():
                images = to_uint8(networks.generator(latents))
            for index, image in enumerate(images[: num - start]):
                content = image.numpy().tobytes()
                yield names[start + index], lambda content=content: content  # type: ignore[misc]

    decode = array_decoder(tuple(shape), network)
    return EvaluationImages(f"{path}, {num} samples, seed {seed}, step {networks.step}", names, stream, decode)
