"""Folders of small pictures, and a network that is quick to run, for the tests of `evaluate`."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from improved_gan.metrics.inception import Outputs
from improved_gan.metrics.network import ScoringNetwork


def picture(seed: int, size: tuple[int, int] = (12, 10)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def folder_of(path: Path, num: int, *, seed: int = 0) -> Path:
    path.mkdir(parents=True)
    for index in range(num):
        (path / f"{index:03d}.png").write_bytes(png(picture(seed + index)))
    return path


def color_logits(images: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3, H, W) uint8 -> 12 features (means of quarters) and logits of 6 classes."""
    features = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 2).flatten(1)
    mix = torch.randn(12, 6, generator=torch.Generator().manual_seed(5))
    return features, 40 * (features - 0.5) @ mix


def quick_network(name: str = "quick") -> ScoringNetwork:
    def run(images: Tensor) -> Outputs:
        return Outputs(*color_logits(images))

    return ScoringNetwork(name, "0" * 64, 3, None, "none", "float32", lambda image: image, run)


def tf32_within(network: ScoringNetwork, images: torch.Tensor) -> list[bool]:
    """Whether cuDNN may use TF32, as the network's module sees it at each of its calls."""
    seen: list[bool] = []
    assert network.module is not None
    hook = network.module.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    network.run(images)
    hook.remove()
    return seen
