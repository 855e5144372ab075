"""CIFAR-10 as JPEG files in class folders within a tar (`train/cat/0000.jpg`): real pictures with JPEG loss."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from improved_gan.data import Dataset
from improved_gan.data.dataset import LabelledImages

__all__ = ["load_cifar10_jpeg"]


def load_cifar10_jpeg(path: Path | None) -> Dataset:
    """From the tar given, or `cifar10-jpeg.tar.xz` in IMPROVED_GAN_DATA; about a minute."""
    if path is None:
        path = Path(os.environ.get("IMPROVED_GAN_DATA", "")) / "cifar10-jpeg.tar.xz"
    if not path.is_file():
        raise SystemExit(f"there is no {path}: name the tar with --data, or its folder in IMPROVED_GAN_DATA")
    found: dict[str, list[tuple[str, str, np.ndarray]]] = {"train": [], "test": []}
    with tarfile.open(path) as archive:
        for member in archive:
            part, *rest = member.name.removeprefix("./").split("/")[-3:]
            if member.isfile() and member.name.endswith(".jpg") and (file := archive.extractfile(member)):
                pixels = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
                found[part].append((rest[0], rest[1], pixels))
    names = tuple(sorted({name for name, _, _ in found["train"]}))
    return Dataset("cifar10", names, *(_images(found[part], names) for part in ("train", "test")))


def _images(entries: list[tuple[str, str, np.ndarray]], names: tuple[str, ...]) -> LabelledImages:
    entries = sorted(entries, key=lambda entry: entry[:2])
    images = torch.from_numpy(np.stack([pixels for _, _, pixels in entries])).permute(0, 3, 1, 2).contiguous()
    return LabelledImages(images, torch.tensor([names.index(name) for name, _, _ in entries]))
