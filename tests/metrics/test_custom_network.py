import sys
from pathlib import Path

import pytest
import torch

from improved_gan.metrics import MetricError
from improved_gan.metrics.custom_network import custom_network

OWN = """
import torch
from torch import nn

class Net(nn.Module):
    image_shape = (1, 4, 5)
    def __init__(self):
        super().__init__()
        self.flatten, self.layer = nn.Flatten(), nn.Linear(20, 3)
        nn.init.constant_(self.layer.weight, 0.5)
        nn.init.zeros_(self.layer.bias)
    def forward(self, images):
        return self.layer(self.flatten(images.float()))

net = Net()
number = 3

def pair(images):
    return images.float().flatten(1), images.float().mean((2, 3))

def wrong(images):
    return images
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_network.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_network", raising=False)
    return tmp_path


def test_a_module_of_the_users(own: Path) -> None:
    network = custom_network("my_network:net")
    assert (network.channels, network.size) == (1, (4, 5))
    assert "5 x 4" in network.resize
    outputs = network.run(torch.ones(2, 1, 4, 5, dtype=torch.uint8))
    assert outputs.logits.tolist() == [[10, 10, 10]] * 2
    pair = custom_network("my_network:pair")
    assert (pair.channels, pair.size) == (3, None)
    assert pair.run(torch.zeros(2, 3, 2, 2, dtype=torch.uint8)).features.shape == (2, 12)


def test_the_hash_follows_code_and_weights(own: Path) -> None:
    first = custom_network("my_network:net")
    sys.modules["my_network"].net.layer.weight.data[0, 0] = 7  # type: ignore[attr-defined]
    second = custom_network("my_network:net")
    (own / "my_network.py").write_text(OWN + "\n# changed\n")
    third = custom_network("my_network:net")
    assert len({first.digest, second.digest, third.digest}) == 3
    assert len({first.identity, second.identity, third.identity}) == 3


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my_network", "module:function; got 'my_network'"),
        ("no_such_module_here:f", "cannot import 'no_such_module_here'"),
        ("my_network:nothing", "no callable 'nothing'"),
        ("my_network:number", "no callable 'number'"),
    ],
)
def test_wrong_names(own: Path, spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        custom_network(spec)


def test_a_wrong_result_is_told(own: Path) -> None:
    with pytest.raises(MetricError, match=r"must return logits \(32, K\)"):
        custom_network("my_network:wrong")


HELPED = """
import helper
import torch
from torch import nn

def _made():
    weight = torch.full((3, 5), helper.CLOSED)
    return lambda images: images.float().mean((2, 3)) @ weight

closed = _made()

def scaled(images):
    return helper.SCALE * images.float().mean((2, 3))
"""


def test_the_hash_follows_what_the_module_imports_and_what_it_encloses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helped.py").write_text(HELPED)
    (tmp_path / "helper.py").write_text("SCALE, CLOSED = 40, 1.0")
    for name in ("helped", "helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    first = custom_network("helped:scaled").digest
    assert custom_network("helped:scaled").digest == first
    (tmp_path / "helper.py").write_text("SCALE, CLOSED = 40, 1.0  # another file")
    assert custom_network("helped:scaled").digest != first  # by its source
    second = custom_network("helped:scaled").digest
    monkeypatch.setattr(sys.modules["helper"], "SCALE", 4)
    assert custom_network("helped:scaled").digest != second  # by what it says
    third = custom_network("helped:closed").digest
    sys.modules["helped"].closed.__closure__[0].cell_contents.mul_(1.01)
    assert custom_network("helped:closed").digest != third


BROKEN = """
from torch import nn

gray = nn.Sequential(nn.Conv2d(1, 6, 3))

def flat(images): return images
flat.image_shape = (28, 28)

def four(images): return images
four.image_shape = (4, 8, 8)

def crash(images): raise KeyError("first\\nsecond")
"""


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("broken:gray", r"broken:gray fails on images \(32, 3, 32, 32\): RuntimeError.*give it an image_shape"),
        ("broken:flat", r"image_shape of broken:flat must be \(C, H, W\) with C 1 or 3; got \(28, 28\)"),
        ("broken:four", r"with C 1 or 3; got \(4, 8, 8\)"),
        ("broken:crash", "broken:crash fails on images .*KeyError: 'first"),
        ("math:sqrt", "math:sqrt fails on images .*TypeError|math:sqrt fails on images .*Error"),
        ("unparsable:f", "cannot import 'unparsable' \\(SyntaxError"),
    ],
)
def test_a_classifier_that_fails_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "unparsable.py").write_text("def")
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    with pytest.raises(MetricError, match=message) as caught:
        custom_network(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
def test_probabilities_are_not_taken_for_logits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    (tmp_path / f"probable_{kind}.py").write_text(
        "import torch\ndef net(images):\n"
        f"    return (images.float().flatten(1)[:, :10] / 9).softmax(1).to(torch.{kind})\n"
        "def pair(images):\n    return images.float().flatten(1)[:, :7], net(images)\n"
        "def logits(images):\n    return net(images).float().log()\n"
    )
    monkeypatch.chdir(tmp_path)
    for name in ("net", "pair"):
        spec = f"probable_{kind}:{name}"
        with pytest.raises(MetricError, match=f"the rows of {spec} sum to 1: they are probabilities; return logits$"):
            custom_network(spec)
    if kind == "float32":
        assert custom_network(f"probable_{kind}:logits").channels == 3  # logarithms of probabilities are logits


def test_the_users_network_is_judged_in_evaluation_mode_and_keeps_its_own(own: Path) -> None:
    custom_network("my_network:net")
    net = sys.modules["my_network"].net  # type: ignore[attr-defined]
    seen: list[bool] = []
    net.layer.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    net.flatten.eval()
    custom_network("my_network:net").run(torch.zeros(2, 1, 4, 5, dtype=torch.uint8))
    assert set(seen) == {False}
    assert [module.training for module in net.modules()] == [True, False, True]


def test_the_users_network_computes_without_tf32(own: Path) -> None:
    network = custom_network("my_network:net")
    seen: list[bool] = []
    sys.modules["my_network"].net.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))  # type: ignore[attr-defined]
    network.run(torch.ones(2, 1, 4, 5, dtype=torch.uint8))
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32
