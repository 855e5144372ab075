"""The one place that knows what a network is called, for `evaluate`, `embed` and `train-folder`.

Of the 2015 Inception network it also knows the weight file: where it lies, whether it is the right one, how to get it.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from improved_gan.data.dataset import DataError, to_float01
from improved_gan.data.download import cache_folder, download
from improved_gan.metrics.custom_network import custom_network
from improved_gan.metrics.float32 import full_float32
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork, digest_of, inception_network
from improved_gan.metrics.network_files import file_network
from improved_gan.metrics.pretrained import PRESETS, timm_network
from improved_gan.runs.nearby_runs import did_you_mean
from improved_gan.runs.own_code import Trust
from improved_gan.runs.run import Networks, Run

__all__ = [
    "INCEPTION",
    "INCEPTION_FILE",
    "INCEPTION_SHA256",
    "INCEPTION_URLS",
    "absolute_name",
    "choose_network",
    "is_code",
    "load_inception_weights",
    "sha256_of",
]


INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_LARGEST_DOWNLOAD = 1 << 28  # bytes; it has 96 MB
INCEPTION_URLS = (f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_FILE}",)


def load_inception_weights(
    path: str | Path | None = None, *, urls: tuple[str, ...] = INCEPTION_URLS
) -> tuple[dict[str, Tensor], str]:
    """The tensors and the SHA-256 of the file.

    Args:
        path: the user's file, taken as it is (its hash is named in every result); None for the known file from the
            cache (also PyTorch's), else downloaded there and checked.
        urls: where it can be had.

    Raises:
        DataError: there is no such file, it is damaged, or it could not be downloaded; the line says where to put it.
    """
    if path is not None:
        path = Path(path)
        if not path.is_file():
            raise DataError(
                f"there is no weight file {path}: --weights wants {INCEPTION_FILE} or one of the same layout"
            )
        return _tensors(path), sha256_of(path)
    target = cache_folder() / INCEPTION_FILE
    for path in (target, Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE):
        if path.is_file() and sha256_of(path) == INCEPTION_SHA256:
            return _tensors(path), INCEPTION_SHA256
    remedy = f"or put the file into {target.parent}, or name it with --weights, or score with another --network"
    download(urls, target, check=_check, remedy=remedy, largest=_LARGEST_DOWNLOAD)
    return _tensors(target), INCEPTION_SHA256


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path) -> None:
    found = sha256_of(path)
    if found != INCEPTION_SHA256:
        raise DataError(f"its sha256 is {found}, it must be {INCEPTION_SHA256}")


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # anything, for a file of another kind; PyTorch's advice to unpickle it is a bad one
        raise DataError(
            f"{path} is not a PyTorch weight file, or a damaged one: --weights wants {INCEPTION_FILE}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path} holds no dictionary of tensors: --weights wants {INCEPTION_FILE}")
    return state


INCEPTION = "inception-2015"
_FILES = (".onnx", ".pt2")


def is_code(name: str) -> bool:
    """Whether `choose_network` would import a module for this name."""
    kept = name == INCEPTION or name in PRESETS or name.startswith("timm:")
    return ":" in name and not (kept or Path(name).suffix.lower() in _FILES or (Path(name) / "recipe.json").is_file())


def absolute_name(name: str) -> str:
    """The same network's name from any working directory: of a file or a run folder the whole path.

    >>> absolute_name("timm:resnet18"), absolute_name("lite0:network")
    ('timm:resnet18', 'lite0:network')
    >>> Path(absolute_name("model.onnx")) == Path.cwd() / "model.onnx"
    True
    """
    is_path = Path(name).suffix.lower() in _FILES or (Path(name) / "recipe.json").is_file()
    return str(Path(name).absolute()) if is_path and not name.startswith("timm:") else name


def choose_network(
    name: str,
    *,
    weights: str | Path | None = None,
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
    weights = None if weights is None else Path(weights)
    if weights is not None and name != INCEPTION and name not in PRESETS and not name.startswith("timm:"):
        raise DataError(f"--weights are of {', '.join((INCEPTION, *PRESETS))} or timm:NAME; {name} has its own")
    if name == INCEPTION:
        state, digest = load_inception_weights(weights)
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

    @full_float32()
    @torch.no_grad()
    def run(images: Tensor) -> Outputs:
        outputs = networks.discriminator(to_float01(images.to(device)))
        return Outputs(outputs.features.flatten(1).float().cpu(), outputs.logits.float().cpu())

    name = f"{networks.run.settings['recipe']} classifier of this library, step {networks.step}"
    digest = digest_of(networks.discriminator.state_dict())
    resize = f"Pillow bicubic to {width} x {height}"
    return ScoringNetwork(name, digest, channels, (height, width), resize, "float32", lambda image: image, run)
