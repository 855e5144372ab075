"""A stand-in for timm, which cannot be imported without a torchvision that fits: same functions, a small network."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from improved_gan.metrics import MetricError
from improved_gan.metrics.pretrained import PRESETS, timm_network
from tests.pictures import tf32_within

CONFIG = {
    "input_size": (3, 32, 32), "interpolation": "bicubic", "crop_pct": 0.8, "crop_mode": "center",
    "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25),
}  # fmt: skip


class Net(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes, self.pretrained_cfg = num_classes, CONFIG
        self.conv = nn.Conv2d(3, 6, 5, 4)
        self.head = nn.Linear(6, num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        return self.conv(images)

    def forward_head(self, hidden: Tensor, pre_logits: bool = False) -> Tensor:
        pooled = hidden.mean((2, 3))
        return pooled if pre_logits else self.head(pooled)


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Networks of 4 classes, one without (`plain`), and those of the presets."""
    names = {"small.in1k": 4, "plain": 0, "vit_base_patch14_dinov2.lvd142m": 0} | {
        PRESETS[name].name: 5 for name in ("clip-vitb32",)
    }

    def create_model(name: str, *, pretrained: bool, pretrained_cfg_overlay: dict[str, object], **settings: object):  # type: ignore[no-untyped-def]
        assert pretrained
        assert (settings == {"img_size": 224}) == ("vit_" in name)
        network = Net(names[name])
        network.load_state_dict(pretrained_cfg_overlay["state_dict"])  # type: ignore[arg-type]
        return network

    def list_models(pattern: str, pretrained: bool) -> list[str]:
        wanted = pattern.strip("*")
        return [name for name in names if (wanted in name if "*" in pattern else name == wanted)]

    module = ModuleType("timm")
    module.__dict__.update(
        __version__="1", create_model=create_model, list_models=list_models,
        get_pretrained_cfg=lambda name: SimpleNamespace(url="https://x/y.pth", hf_hub_id="", hf_hub_filename=None),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "timm", module)
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return module


def weights(file: Path, num_classes: int) -> Net:
    torch.manual_seed(0)
    network = Net(num_classes)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), file)
    return network


def test_features_logits_and_preprocessing_of_the_configuration(timm: ModuleType, tmp_path: Path) -> None:
    own = weights(tmp_path / "w.safetensors", 4)
    network = timm_network("timm:small.in1k", weights=tmp_path / "w.safetensors", device="cpu")
    assert network.resize.startswith("Pillow bicubic shorter side to 40, center 32 x 32, mean 0.5 0.5 0.5")
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    hidden = own.conv((images / 255 - 0.5) / 0.25).mean((2, 3)).detach()
    features, logits = network.run(images)
    np.testing.assert_allclose(features, hidden, atol=1e-5)
    np.testing.assert_allclose(logits, own.head(hidden).detach(), atol=1e-5)
    weights(tmp_path / "p.safetensors", 0)
    assert not timm_network("timm:plain", weights=tmp_path / "p.safetensors", device="cpu").has_logits


def test_a_pretrained_network_computes_without_tf32(timm: ModuleType, tmp_path: Path) -> None:
    weights(tmp_path / "w.safetensors", 4)
    network = timm_network("timm:small.in1k", weights=tmp_path / "w.safetensors", device="cpu")
    assert tf32_within(network, torch.zeros(2, 3, 32, 32, dtype=torch.uint8)) == [False]
    assert torch.backends.cudnn.allow_tf32


def test_presets(timm: ModuleType, tmp_path: Path) -> None:
    weights(tmp_path / "cache" / "vit_base_patch14_dinov2.lvd142m.safetensors", 0)
    dino = timm_network("dinov2-vitb14", weights=None, device="cpu")
    assert dino.resize.startswith("Pillow bicubic to 224 x 224, mean")
    assert dino.run(torch.zeros(1, 3, 224, 224, dtype=torch.uint8)).features.shape == (1, 6)
    own = weights(tmp_path / "torch" / "hub" / "checkpoints" / "y.pth.safetensors", 5)
    torch.save(own.state_dict(), tmp_path / "torch" / "hub" / "checkpoints" / "y.pth")
    clip = timm_network("clip-vitb32", weights=None, device="cpu")
    assert clip.resize.startswith("Pillow bicubic shorter side to 224, center 224 x 224")
    features, logits = clip.run(torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8))
    assert (features.shape, logits.shape, clip.has_logits) == ((3, 5), (3, 0), False)
    np.testing.assert_allclose(features.norm(dim=1), 1, atol=1e-5)


def test_what_is_missing_is_said_in_one_line(timm: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(
        MetricError, match=r"no weights for timm:plain: put the weights of plain at .*cache/plain\.safe"
    ):
        timm_network("timm:plain", weights=None, device="cpu")
    with pytest.raises(MetricError, match=r"there is no .*none: no weights"):
        timm_network("timm:plain", weights=tmp_path / "none", device="cpu")
    with pytest.raises(MetricError, match=r"has no network 'small': is it one of small\.in1k\?"):
        timm_network("timm:small", weights=None, device="cpu")
    weights(tmp_path / "w.safetensors", 3)
    with pytest.raises(MetricError, match=r"the weights in .*w\.safetensors are not those of small\.in1k: "):
        timm_network("timm:small.in1k", weights=tmp_path / "w.safetensors", device="cpu")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "code.pth")
    for name, message in (("bad.safetensors", "damaged one"), ("code.pth", "more than tensors")):
        with pytest.raises(MetricError, match=message):
            timm_network("timm:plain", weights=tmp_path / name, device="cpu")


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MetricError, match=r"dinov2-vitl14 needs timm.*pip install 'improved-gan\[timm\]'"):
        timm_network("dinov2-vitl14", weights=None, device="cpu")
