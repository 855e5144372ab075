"""How the images of a pretrained network are prepared: resize, crop, mean and std of its own configuration."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from improved_gan.metrics.errors import MetricError

__all__ = ["Preprocessing", "read_preprocessing"]

_FILES = ("preprocessor_config.json", "config.json")  # of the libraries transformers and timm, beside the weights
_METHODS = {one.name.lower(): one for one in Image.Resampling}


@dataclass(frozen=True)
class Preprocessing:
    """From an image of any size to a network's input.

    Args:
        size: (H, W) of the input: the central part that is left after the resize.
        resize: pixels of the shorter side, or (H, W) whatever the image's proportions.
        mean, std: of each channel, in units of the range [0, 1]; none where the network takes uint8.
        interpolation: a filter of Pillow, antialiased.
        channels: 3 for color, 1 for grayscale.

    >>> one = Preprocessing((2, 2), 4, (0.5,), (0.25,), channels=1)
    >>> one.prepare(torch.full((1, 8, 16), 255, dtype=torch.uint8)).shape
    torch.Size([1, 2, 2])
    >>> one.normalize(torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)).unique()
    tensor([2.])
    """

    size: tuple[int, int]
    resize: int | tuple[int, int]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    interpolation: str = "bicubic"
    channels: int = 3

    def __post_init__(self) -> None:
        numbers = (*self.size, *((self.resize,) if isinstance(self.resize, int) else self.resize))
        if min(numbers) < 1 or self.interpolation not in _METHODS or min(self.std, default=1.0) <= 0:
            raise MetricError(f"no preprocessing of images: {self.describe()}")
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, self.channels):
            raise MetricError(
                f"mean and std are of {len(self.mean)} and {len(self.std)} channels, and the network takes "
                f"{self.channels}"
            )
        lower = (self.resize,) * 2 if isinstance(self.resize, int) else self.resize
        if lower[0] < self.size[0] or lower[1] < self.size[1]:
            raise MetricError(f"a crop of {self.size} is larger than the image after its resize to {self.resize}")

    def prepare(self, image: Tensor) -> Tensor:
        """(C, H, W) uint8 of any size -> (C, *size) uint8.

        Raises:
            MetricError: no such image; one of floating point would be divided by 255 once more.
        """
        if image.dtype != torch.uint8 or image.dim() != 3 or len(image) != self.channels:
            raise MetricError(f"an image must be ({self.channels}, H, W) uint8; got {tuple(image.shape)} {image.dtype}")
        height, width = image.shape[1:]
        if isinstance(self.resize, int):
            shorter = min(height, width)
            wide, high = (self.resize * one // shorter for one in (width, height))
        else:
            high, wide = self.resize
        if (high, wide) != (height, width):
            pixels = Image.fromarray(image.permute(1, 2, 0).numpy().squeeze(2 if len(image) == 1 else ()))
            array = np.array(pixels.resize((wide, high), _METHODS[self.interpolation]))
            image = torch.from_numpy(array.reshape(high, wide, -1)).permute(2, 0, 1)
        top, left = round((high - self.size[0]) / 2), round((wide - self.size[1]) / 2)
        return image[:, top : top + self.size[0], left : left + self.size[1]].contiguous()

    def normalize(self, images: Tensor) -> Tensor:
        """(N, C, H, W) uint8 -> float32 with `mean` 0 and `std` 1; uint8 as it is where the network takes that."""
        if not self.mean:
            return images
        mean, std = (torch.tensor(one, device=images.device).view(-1, 1, 1) for one in (self.mean, self.std))
        return (images.float() / 255 - mean) / std

    def describe(self) -> str:
        """In words, for the results."""
        height, width = self.size
        whole = self.resize == self.size
        if isinstance(self.resize, int):
            scaled = f"shorter side to {self.resize}, center {width} x {height}"
        else:
            scaled = f"to {self.resize[1]} x {self.resize[0]}" + ("" if whole else f", center {width} x {height}")
        normal = "".join(
            f", {word} {' '.join(f'{one:.4g}' for one in numbers)}"
            for word, numbers in (("mean", self.mean), ("std", self.std))
            if numbers
        )
        return f"Pillow {self.interpolation} {scaled}{normal}"

    @classmethod
    def from_timm(cls, config: Mapping[str, Any]) -> "Preprocessing":
        """That of a timm configuration: input_size, interpolation, crop_pct, crop_mode, mean, std."""
        channels, height, width = config["input_size"]
        scaled = tuple(math.floor(one / config.get("crop_pct", 0.875)) for one in (height, width))
        center = config.get("crop_mode", "center") == "center" and height == width
        return cls(
            (height, width),
            scaled[0] if center else (scaled[0], scaled[1]),
            tuple(config["mean"]),
            tuple(config["std"]),
            config.get("interpolation", "bicubic"),
            channels,
        )

    @classmethod
    def from_transformers(cls, config: Mapping[str, Any]) -> "Preprocessing":
        """That of a `preprocessor_config.json` of the library transformers."""
        size, crop = config["size"], config.get("crop_size")
        if isinstance(size, Mapping):
            resize = size.get("shortest_edge") or (size["height"], size["width"])
        else:
            resize = size if crop else (size, size)
        if not config.get("do_center_crop", crop is not None):
            crop = None
        crop = (crop["height"], crop["width"]) if isinstance(crop, Mapping) else (crop, crop) if crop else None
        if crop is None and isinstance(resize, int):
            raise KeyError("crop_size")
        mean = tuple(config["image_mean"]) if config.get("do_normalize", True) else (0.0,) * 3
        std = tuple(config["image_std"]) if config.get("do_normalize", True) else (1.0,) * 3
        method = Image.Resampling(config.get("resample", Image.Resampling.BICUBIC)).name.lower()
        return cls(crop or resize, resize, mean, std, method, len(mean))


def read_preprocessing(network: Path) -> Preprocessing | None:
    """Of a network's file, from a configuration beside it: `NAME.json`, `preprocessor_config.json` or `config.json`.

    Raises:
        MetricError: there is such a file and it cannot be used.
    """
    for file in (network.with_suffix(".json"), *(network.parent / name for name in _FILES)):
        if not file.is_file():
            continue
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
            config = config.get("pretrained_cfg", config)
            if "input_size" in config:
                return Preprocessing.from_timm(config)
            if "size" in config:
                return Preprocessing.from_transformers(config)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise MetricError(f"{file} does not describe how images are prepared: {reason}") from error
    return None
