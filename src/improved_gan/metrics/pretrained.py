"""Networks by name: those of the library timm, and the ones that published metrics are computed with.

    dinov2-vitl14, dinov2-vitb14   FD-DINOv2 (Stein et al., 2023): images to 224 x 224 whatever their proportions, the
                                   class token. Agrees with judgments of people better than Inception does.
    clip-vitb32                    CMMD (Jayasumana et al., 2024, in its smaller network): the central square to
                                   224 x 224, the projection, norm 1. Trained on captions, not on ImageNet's classes.

Weights are read from a file of the user's or from the caches of this library, PyTorch and the Hugging Face Hub; nothing
is downloaded. timm scales position embeddings to 224 pixels with antialiasing, which the authors' code of DINOv2 does
not: compare figures of one implementation only.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from improved_gan.data.download import cache_folder
from improved_gan.metrics.errors import MetricError
from improved_gan.metrics.float32 import full_float32
from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork
from improved_gan.metrics.preprocessing import Preprocessing
from improved_gan.optional_import import optional_import

__all__ = ["PRESETS", "Preset", "timm_network"]


@dataclass(frozen=True)
class Preset:
    """A network of timm as a paper uses it.

    Attributes:
        name: in timm.
        squash: whether images become squares whatever their proportions; else the central square is taken.
        unit_norm: whether features are divided by their norm.
        head: whether features are the output of the last layer (a projection) and not its input.
    """

    name: str
    squash: bool
    unit_norm: bool = False
    head: bool = False


PRESETS = {
    "dinov2-vitb14": Preset("vit_base_patch14_dinov2.lvd142m", squash=True),
    "dinov2-vitl14": Preset("vit_large_patch14_dinov2.lvd142m", squash=True),
    "clip-vitb32": Preset("vit_base_patch32_clip_quickgelu_224.openai", squash=False, unit_norm=True, head=True),
}
_PRESET_SIZE = 224


class _Backbone(nn.Module):
    """(N, 3, H, W) uint8, of the network's size -> features (N, A) and logits (N, K), K = 0 where there are none."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing, preset: Preset | None) -> None:
        super().__init__()
        self.network, self.preprocessing, self.preset = network, preprocessing, preset

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        network: Any = self.network
        hidden = network.forward_features(self.preprocessing.normalize(images))
        features, logits = network.forward_head(hidden, pre_logits=True), network.forward_head(hidden)
        if self.preset is not None:
            features = logits if self.preset.head else features
            features = F.normalize(features) if self.preset.unit_norm else features
        if self.preset is not None or network.num_classes == 0:
            logits = features[:, :0]
        return features.flatten(1).float(), logits.float()


def timm_network(name: str, *, weights: Path | None, device: str) -> ScoringNetwork:
    """A preset, or `timm:NAME` with the preprocessing of its configuration.

    Args:
        name: of `PRESETS`, or timm:NAME.
        weights: the file; None for that of a cache.
        device: where to run.

    Raises:
        MetricError: timm or torchvision is missing, no such network, no weights, or other ones.
    """
    preset, timm = PRESETS.get(name), _timm(name)
    model = name.removeprefix("timm:") if preset is None else preset.name
    config = timm.get_pretrained_cfg(model) if model in _models(timm, model) else None
    if config is None:
        near = ", ".join(_models(timm, f"*{re.split(r'[._]', model)[0]}*")[:3])
        raise MetricError(
            f"timm {timm.__version__} has no network {model!r}" + (f": is it one of {near}?" * bool(near))
        )
    file = weights or _cached(model, config)
    if file is None or not file.is_file():
        target, hub = cache_folder() / f"{model}.safetensors", config.hf_hub_id
        source = f"model.safetensors of {hub} (Hugging Face Hub)" if hub else f"the weights of {model}"
        missing = "no weights" if file is None else f"there is no {file}: no weights"
        raise MetricError(f"{missing} for {name}: put {source} at {target}, or name the file with --weights")
    settings: dict[str, Any] = {} if preset is None else {"img_size": _PRESET_SIZE}
    try:
        overlay = {"state_dict": _tensors(file), "url": "", "hf_hub_id": None}
        network = timm.create_model(model, pretrained=True, pretrained_cfg_overlay=overlay, **settings)
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise MetricError(f"the weights in {file} are not those of {model}: {_line(error)}") from error
    preprocessing = Preprocessing.from_timm(network.pretrained_cfg)
    if preset is not None:
        side = _PRESET_SIZE
        preprocessing = replace(preprocessing, size=(side, side), resize=(side, side) if preset.squash else side)
    backbone = _Backbone(network, preprocessing, preset).to(device).eval().requires_grad_(False)

    @full_float32()
    @torch.no_grad()
    def run(images: Tensor) -> Outputs:
        return Outputs(*(one.cpu() for one in backbone(images.to(device))))

    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    has_logits = preset is None and network.num_classes > 0
    return ScoringNetwork(
        name, digest, preprocessing.channels, None, preprocessing.describe(), "float32", preprocessing.prepare, run,
        has_logits=has_logits, module=backbone, input_size=preprocessing.size,
    )  # fmt: skip


def _timm(name: str) -> Any:
    try:
        return optional_import("timm")
    except (ImportError, RuntimeError) as error:  # a torchvision of another PyTorch raises RuntimeError
        raise MetricError(
            f"{name} needs timm, and timm a torchvision that fits PyTorch {torch.__version__}: "
            f"pip install 'improved-gan[timm]' ({_line(error)})"
        ) from error


def _models(timm: Any, pattern: str) -> list[str]:
    found: list[str] = timm.list_models(pattern, pretrained=True)
    return found


def _cached(model: str, config: Any) -> Path | None:
    """The weights in one of the caches."""
    names = [f"{model}.safetensors", f"{model}.pth"]
    if config.url:
        names.append(config.url.rpartition("/")[2])
    for folder in (cache_folder(), Path(torch.hub.get_dir()) / "checkpoints"):
        for name in names:
            if (folder / name).is_file():
                return folder / name
    if config.hf_hub_id:
        from huggingface_hub import try_to_load_from_cache

        look: Callable[..., object] = try_to_load_from_cache
        found = look(config.hf_hub_id, config.hf_hub_filename or "model.safetensors")
        return Path(found) if isinstance(found, str) else None
    return None


def _tensors(file: Path) -> dict[str, Tensor]:
    """Of a safetensors file, or of PyTorch's (tensors only: no code of it is executed)."""
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, ValueError, EOFError, KeyError, TypeError, OSError) as error:
        raise MetricError(f"{file} is no file of weights, or a damaged one: {_line(error)}") from error
    except Exception as error:  # of the unpickler
        raise MetricError(f"{file} holds more than tensors, which is not read: save its state_dict") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise MetricError(f"{file} holds no dictionary of tensors")
    return state


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
