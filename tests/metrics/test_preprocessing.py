import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.metrics import MetricError
from improved_gan.metrics.preprocessing import Preprocessing, read_preprocessing

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 61, 3), dtype=np.uint8)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TIMM = {"input_size": [3, 16, 16], "interpolation": "bilinear", "crop_pct": 0.8, "mean": MEAN, "std": STD}
TRANSFORMERS = {
    "size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}, "resample": 2, "do_center_crop": True,
    "image_mean": MEAN, "image_std": STD,
}  # fmt: skip


def test_shorter_side_then_center_as_pillow_and_numpy_do_it() -> None:
    scaled = Image.fromarray(IMAGE).resize((30, 20), Image.Resampling.BILINEAR)  # 61 * 20 // 40 = 30
    expected = np.array(scaled.crop((7, 2, 23, 18)))
    one = Preprocessing((16, 16), 20, MEAN, STD, "bilinear")
    found = one.prepare(torch.from_numpy(IMAGE).permute(2, 0, 1))
    np.testing.assert_array_equal(found.permute(1, 2, 0), expected)
    normal = (expected.astype(np.float64) / 255 - MEAN) / STD
    np.testing.assert_allclose(one.normalize(found[None])[0].permute(1, 2, 0), normal, atol=1e-6)
    assert one.describe().startswith("Pillow bilinear shorter side to 20, center 16 x 16, mean 0.485 ")


def test_squares_whatever_the_proportions() -> None:
    expected = np.array(Image.fromarray(IMAGE).resize((24, 16), Image.Resampling.BICUBIC))
    one = Preprocessing((16, 24), (16, 24))
    found = one.prepare(torch.from_numpy(IMAGE).permute(2, 0, 1))
    np.testing.assert_array_equal(found.permute(1, 2, 0), expected)
    assert one.normalize(found[None]).dtype == torch.uint8


@pytest.mark.parametrize("config", [TIMM, {"pretrained_cfg": TIMM}, TRANSFORMERS])
def test_both_libraries_say_the_same(tmp_path: Path, config: dict[str, object]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_preprocessing(tmp_path / "model.onnx") == Preprocessing((16, 16), 20, MEAN, STD, "bilinear")


def test_a_file_of_the_networks_name_comes_first_and_others_are_none(tmp_path: Path) -> None:
    assert read_preprocessing(tmp_path / "model.onnx") is None
    (tmp_path / "config.json").write_text('{"hidden_size": 3}')
    assert read_preprocessing(tmp_path / "model.onnx") is None
    (tmp_path / "model.json").write_text(json.dumps(TIMM | {"crop_mode": "squash"}))
    found = read_preprocessing(tmp_path / "model.onnx")
    assert found is not None
    assert found.resize == (20, 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": None}, "does not describe how images are prepared"),
        ({"std": [1, 0, 1]}, "no preprocessing of images"),
        ({"crop_pct": 2}, "is larger than the image"),
        ({"mean": [0.5], "std": [0.5]}, "of 1 and 1 channels, and the network takes 3"),
    ],
)
def test_configurations_that_cannot_be_used(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(TIMM | change))
    with pytest.raises(MetricError, match=message):
        read_preprocessing(tmp_path / "model.onnx")


@pytest.mark.parametrize("image", [torch.zeros(3, 4, 4), torch.zeros(1, 4, 4).byte(), torch.zeros(2, 3, 4, 4).byte()])
def test_tensors_that_are_no_image(image: torch.Tensor) -> None:
    with pytest.raises(MetricError, match=r"an image must be \(3, H, W\) uint8"):
        Preprocessing((4, 4), (4, 4)).prepare(image)
