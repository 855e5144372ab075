"""A classifier after an ONNX network in one file, against the two called one after the other."""

from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest
import torch

from improved_gan.data.embeddings import EmbeddingScaling
from improved_gan.export.errors import ExportError
from improved_gan.export.export_module import make_embedding_classifier
from improved_gan.export.serialize import captured, largest_differences, run_onnx, write_onnx
from improved_gan.metrics.network_files import file_network
from improved_gan.networks import DenseDiscriminator

FEATURES = 6


def network(path: Path, *, opset: int = 17, rows: str | int = "N", last: bool = False) -> Path:
    """Uint8 images of 8 x 8 -> pooled features (N, 6, 1, 1), and logits that nobody needs here."""
    make, floats = onnx.helper.make_node, onnx.TensorProto.FLOAT
    turn = make("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2])
    nodes = [
        *([turn] if last else []),
        make("Cast", ["first" if last else "images"], ["wide"], to=floats),
        make("Div", ["wide", "white"], ["values"]),
        make("Conv", ["values", "weight"], ["map"], strides=[2, 2]),
        make("GlobalAveragePool", ["map"], ["features"]),
        make("Flatten", ["features"], ["flat"]),
        make("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    random, value = np.random.default_rng(0), onnx.helper.make_tensor_value_info
    numbers = {"weight": random.normal(size=(FEATURES, 3, 3, 3)), "matrix": random.normal(size=(FEATURES, 4))}
    numbers["white"] = np.array(255)
    made = onnx.helper.make_graph(
        nodes,
        "net",
        [value("images", onnx.TensorProto.UINT8, [rows, 8, 8, 3] if last else [rows, 3, 8, 8])],
        [value(one, floats, None) for one in ("features", "logits")],
        [onnx.numpy_helper.from_array(number.astype(np.float32), name) for name, number in numbers.items()],
    )
    onnx.save(onnx.helper.make_model(made, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", opset)]), path)
    return path


def parts() -> tuple[EmbeddingScaling, DenseDiscriminator]:
    torch.manual_seed(0)
    scaling = EmbeddingScaling.of(np.random.default_rng(1).normal(size=(20, FEATURES)).astype(np.float32))
    return scaling, DenseDiscriminator(image_shape=(1, 1, FEATURES), num_classes=2, hidden=(8, 4)).eval()


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "last", "opset"), [("nhwc", False, 17), ("nchw", True, 13)])
def test_one_file_gives_what_both_give(tmp_path: Path, layout: str, last: bool, opset: int) -> None:
    found = file_network(network(tmp_path / "net.onnx", last=last, opset=opset))
    assert found.onnx is not None
    assert (found.onnx.taken, found.onnx.given) == ("images", "features")
    scaling, discriminator = parts()
    spec = make_embedding_classifier(
        found.onnx, scaling, discriminator, image_shape=(3, 8, 8), class_names=["a", "b"], layout=layout
    )
    program, _ = captured(spec)
    out = tmp_path / "whole.onnx"
    write_onnx(program, spec, {"versions": {"improved-gan": "1"}}, out)
    assert max(largest_differences(spec, run_onnx(out)).values()) < 1e-5
    images = spec.draw(5)
    first = images.permute(0, 3, 1, 2) if layout == "nhwc" else images
    with torch.no_grad():
        logits = discriminator(scaling(found.run(first).features)).logits
    np.testing.assert_allclose(run_onnx(out)(images)[0], logits.softmax(1), atol=1e-5)
    model = onnx.load(out)
    assert "MatMul" not in {node.op_type for node in model.graph.node if node.name.startswith("network/")}
    assert [one.name for one in model.graph.output] == ["probabilities", "real_score"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_an_operator_that_cannot_be_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from improved_gan.export import onnx_backbone

    found = file_network(network(tmp_path / "net.onnx"))
    spec = make_embedding_classifier(found.onnx, *parts(), image_shape=(3, 8, 8), class_names=["a", "b"])  # type: ignore[arg-type]
    assert spec.backbone is not None
    classifier = onnx.load(network(tmp_path / "old.onnx", opset=18))

    def fail(*_: object) -> None:
        raise RuntimeError("no adapter for Conv")

    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: type("Made", (), {"model_proto": classifier}))
    monkeypatch.setattr("onnx.version_converter.convert_version", fail)
    with pytest.raises(ExportError, match=r"net\.onnx cannot be joined with the classifier \(no adapter for Conv\)"):
        onnx_backbone.joined(spec.backbone, classifier, spec.draw(2), name="images")


def test_a_network_for_a_fixed_number_of_images_has_no_file_to_join(tmp_path: Path) -> None:
    assert file_network(network(tmp_path / "net.onnx", rows=4)).onnx is None
