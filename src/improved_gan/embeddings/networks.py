"""The one place that knows what a network is called, for `evaluate`, `embed` and `train-folder`."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, to_float01
from improved_gan.data.inception_weights import load_weights
from improved_gan.metrics.custom_network import custom_network
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork, digest_of, inception_network
from improved_gan.metrics.network_files import file_network
from improved_gan.metrics.pretrained import PRESETS, timm_network
from improved_gan.runs.nearby_runs import did_you_mean
from improved_gan.runs.own_code import Trust
from improved_gan.runs.run import Networks, Run

__all__ = ["INCEPTION", "choose_network"]

INCEPTION = "inception-2015"
_FILES = (".onnx", ".pt2")


def choose_network(
    name: str,
    *,
    weights: Path | None = None,
    precision: str = "float32",
    device: str = "cpu",
    warn: Callable[[str], None] = lambda _: None,
    trust: Trust = False,
) -> ScoringNetwork:
    """The network of that name.

    Args:
        name: `inception-2015`, another of `metrics.pretrained.PRESETS`, `timm:NAME`, a file (.onnx, .pt2), a run folder
            (its classifier), or `module:function`.
        weights: the file of the weights, for the first three; default: from a cache.
        precision: "float32", or of Inception "bfloat16".
        device: where to run.
        warn: called with a line about each damaged checkpoint of a run.
        trust: whether to execute the copy of a recipe file in a run folder.

    Raises:
        DataError, MetricError, RunError: the network does not exist or cannot be used; one line with the remedy.
    """
    if weights is not None and name != INCEPTION and name not in PRESETS and not name.startswith("timm:"):
        raise DataError(f"--weights are of {', '.join((INCEPTION, *PRESETS))} or timm:NAME; {name} has its own")
    if name == INCEPTION:
        state, digest = load_weights(weights)
        return inception_network(state, digest, precision=precision, device=device)
    if name in PRESETS or name.startswith("timm:"):
        return timm_network(name, weights=weights, device=device)
    if Path(name).suffix.lower() in _FILES:
        return file_network(Path(name), device=device)
    if (Path(name) / "recipe.json").is_file():
        return _run_network(Run(Path(name)).load(device=device, warn=warn, trust=trust), device)
    if ":" in name:
        return custom_network(name)
    near = did_you_mean(Path(name))
    presets = ", ".join((INCEPTION, *PRESETS))
    raise DataError(
        f"there is no network {name}: take {presets}, timm:NAME, a file (.onnx, .pt2), a run folder, or "
        f"module:function{near}"
    )


def _run_network(networks: Networks, device: str) -> ScoringNetwork:
    if networks.run.embedding is not None:
        raise DataError(f"{networks.run.path} takes embeddings: name its network {networks.run.embedding['spec']} here")
    channels, height, width = networks.run.image_shape

    @torch.no_grad()
    def run(images: Tensor) -> Outputs:
        outputs = networks.discriminator(to_float01(images.to(device)))
        return Outputs(outputs.features.flatten(1).float().cpu(), outputs.logits.float().cpu())

    name = f"{networks.run.settings['recipe']} classifier of this library, step {networks.step}"
    digest = digest_of(networks.discriminator.state_dict())
    resize = f"Pillow bicubic to {width} x {height}"
    return ScoringNetwork(name, digest, channels, (height, width), resize, "float32", lambda image: image, run)
