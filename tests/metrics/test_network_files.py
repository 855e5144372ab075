"""Networks in files: small ones, exported here, against the same network called by itself."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest
import torch
from torch import Tensor, nn

from improved_gan.metrics import MetricError
from improved_gan.metrics.network_files import file_network
from tests.pictures import tf32_within

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
CONFIG = {"input_size": [3, 8, 8], "interpolation": "bilinear", "crop_pct": 1.0, "mean": MEAN, "std": STD}


class Net(nn.Module):
    def __init__(self, last: str = "logits", *, bytes_in: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.last, self.bytes_in = nn.Conv2d(3, 5, 3, 2), nn.Linear(5, 4), last, bytes_in

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        values = images.permute(0, 3, 1, 2).float() / 255 if self.bytes_in else images
        features = self.body(values).mean((2, 3))
        logits = self.head(features)
        outputs = {"logits": logits, "softmax": logits.softmax(1), "map": self.body(values)}
        return (
            (features, logits) if self.last == "both" else features if self.last == "features" else outputs[self.last]
        )


def write(folder: Path, kind: str, network: Net, *, names: tuple[str, ...] = ("one", "two"), rows: bool = True) -> Path:
    path = folder / f"net.{kind}"
    if kind == "onnx":
        onnx.save(graph(network, names, rows="N" if rows else 3), path)
        return path
    shapes = {"images": {0: torch.export.Dim.DYNAMIC}} if rows else None
    program = torch.export.export(network.eval(), (torch.zeros(3, 3, 8, 8),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


def graph(network: Net, names: tuple[str, ...], *, rows: str | int) -> onnx.ModelProto:
    """The same network, written by hand: an export takes seconds."""
    make, kinds = onnx.helper.make_node, onnx.TensorProto
    nodes = [
        make("Conv", ["values", "body.weight", "body.bias"], ["_map"], strides=[2, 2]),
        make("GlobalAveragePool", ["_map"], ["pooled"]),
        make("Flatten", ["pooled"], ["_features"]),
        make("Gemm", ["_features", "head.weight", "head.bias"], ["_logits"], transB=1),
        make("Softmax", ["_logits"], ["_softmax"]),
    ]
    before = [make("Identity", ["images"], ["values"])]
    shape, kind = [rows, 3, 8, 8], kinds.FLOAT
    if network.bytes_in:
        before = [make("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2])]
        before += [make("Cast", ["turned"], ["wide"], to=kinds.FLOAT), make("Div", ["wide", "white"], ["values"])]
        shape, kind = [rows, 8, 8, 3], kinds.UINT8
    numbers = {name: value.numpy() for name, value in network.state_dict().items()} | {"white": np.float32(255)}
    outputs = ["features", "logits"] if network.last == "both" else [network.last]
    after = [make("Identity", [f"_{one}"], [name or one]) for one, name in zip(outputs, names, strict=False)]
    made = onnx.helper.make_graph(
        [*before, *nodes, *after], "net", [onnx.helper.make_tensor_value_info("images", kind, shape)],
        [onnx.helper.make_tensor_value_info(one.output[0], kinds.FLOAT, None) for one in after],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items()],
    )  # fmt: skip
    return onnx.helper.make_model(made, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("rows", [True, False])
def test_the_file_gives_what_the_network_gives(tmp_path: Path, kind: str, rows: bool) -> None:
    network = Net("both")
    path = write(tmp_path, kind, network, rows=rows)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    found = file_network(path)
    images = torch.randint(0, 256, (5, 3, 8, 8), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    values = (images / 255 - torch.tensor(MEAN).view(-1, 1, 1)) / torch.tensor(STD).view(-1, 1, 1)
    with torch.no_grad():
        expected = network(values)
    for one, other in zip(found.run(images), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert (found.has_logits, len(found.digest)) == (True, 64)
    assert "mean 0.5 0.4 0.3" in found.resize


def test_uint8_in_the_layout_of_pillow_needs_no_configuration(tmp_path: Path) -> None:
    network = Net("features", bytes_in=True)
    found = file_network(write(tmp_path, "onnx", network, names=("features",)))
    assert not found.has_logits
    image = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    assert found.prepare(image).equal(image)
    with torch.no_grad():
        np.testing.assert_allclose(found.run(image[None]).features, network(image.permute(1, 2, 0)[None]), atol=1e-6)


def test_a_program_computes_without_tf32(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    network = file_network(write(tmp_path, "pt2", Net("both")))
    assert tf32_within(network, torch.zeros(2, 3, 8, 8, dtype=torch.uint8)) == [False]
    assert torch.backends.cudnn.allow_tf32


def test_a_single_output_is_both(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    features, logits = file_network(write(tmp_path, "onnx", Net())).run(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    assert features.equal(logits)


def test_an_onnx_file_takes_the_threads_of_pytorch(
    tmp_path: Path, onnx_threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    file_network(write(tmp_path, "onnx", Net("features", bytes_in=True), names=("features",)))
    assert onnx_threads == [3]


@pytest.mark.parametrize(
    ("last", "config", "message"),
    [
        ("softmax", CONFIG, r"sum to 1: they are probabilities; export the network without its softmax"),
        ("map", CONFIG, r"must give features \(N, A\).*its outputs are \(32, 5, 3, 3\)"),
        ("both", None, r"does not say how images are prepared: put the network's preprocessor_config\.json"),
        ("both", CONFIG | {"input_size": [3, 9, 9]}, r"takes 3 x 8 x 8, but the configuration .* prepares 3 x 9 x 9"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, last: str, config: dict[str, object] | None, message: str) -> None:
    path = write(tmp_path, "onnx", Net(last))
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(MetricError, match=message):
        file_network(path)


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_damaged_files(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"net.{kind}").write_bytes(b"nothing")
    with pytest.raises(MetricError, match="cannot be read as") as caught:
        file_network(tmp_path / f"net.{kind}")
    assert "\n" not in str(caught.value)
