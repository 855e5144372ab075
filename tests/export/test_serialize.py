import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from improved_gan.export import serialize
from improved_gan.export.errors import ExportError
from improved_gan.export.export_module import ExportSpec, TensorSpec, make_export_module
from improved_gan.export.serialize import (
    BATCHES,
    captured,
    largest_differences,
    run_onnx,
    run_torch,
    write_onnx,
    write_torch,
)
from improved_gan.networks import DenseDiscriminator, DenseGenerator

METADATA_FILE = {"versions": {"improved-gan": "0"}, "classes": ["a", "b", "ü"]}


def dense(what: str) -> ExportSpec:
    torch.manual_seed(0)
    generator, discriminator = DenseGenerator((1, 4, 4), latent_size=6), DenseDiscriminator((1, 4, 4), 3)
    generator(generator.draw_latents(50))  # statistics that are not those of the start
    return make_export_module(
        what, generator.eval(), discriminator.eval(), image_shape=(1, 4, 4), class_names=["a", "b", "ü"]
    )


@pytest.mark.parametrize("what", ["classifier", "features", "generator"])
def test_an_onnx_file_gives_what_the_network_gives_for_any_number_of_rows(what: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    spec = dense(what)
    graph, num_folded = captured(spec)
    assert num_folded == (2 if what == "generator" else 0)
    write_onnx(graph, spec, METADATA_FILE, tmp_path / "x.onnx")
    model = onnx.load(tmp_path / "x.onnx")
    assert {node.op_type for node in model.graph.node}.isdisjoint({"BatchNormalization", "Dropout", "RandomNormal"})
    assert "batch" in {d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim}
    assert json.loads({prop.key: prop.value for prop in model.metadata_props}["classes"]) == ["a", "b", "ü"]
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == [one.name for one in spec.outputs]
    for num in (1, 3, 100):
        rows = spec.draw(num)
        answers = session.run(None, {spec.source.name: rows.numpy()})
        for ours, theirs in zip(spec.expected(rows), answers, strict=True):
            np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-5)


def test_an_onnx_file_is_run_with_the_threads_of_pytorch(
    tmp_path: Path, onnx_threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    spec = dense("classifier")
    write_onnx(captured(spec)[0], spec, METADATA_FILE, tmp_path / "x.onnx")
    rows = spec.draw(2)
    assert len(run_onnx(tmp_path / "x.onnx")(rows)) == len(spec.outputs)
    assert onnx_threads == [3]


def test_a_pt2_runs_in_a_process_that_cannot_import_our_package(tmp_path: Path) -> None:
    spec = dense("classifier")
    write_torch(captured(spec)[0], spec, METADATA_FILE, tmp_path / "x.pt2")
    rows = spec.draw(5)
    answers = run_torch(tmp_path / "x.pt2")(rows)
    for ours, theirs in zip(spec.expected(rows), answers, strict=True):
        torch.testing.assert_close(theirs.double(), ours.double(), atol=1e-5, rtol=0)
    torch.save(rows, tmp_path / "rows")
    script = (
        "import sys; sys.modules['improved_gan'] = None\nimport torch\n"
        "p, r = torch.export.load('x.pt2').module()(torch.load('rows'))\nprint(p.sum().item())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(5, abs=1e-4)
    with zipfile.ZipFile(tmp_path / "x.pt2") as archive:
        extra = next(name for name in archive.namelist() if name.endswith(serialize.METADATA_FILE))
        assert json.loads(archive.read(extra))["classes"] == ["a", "b", "ü"]


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_a_missing_package_is_told(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = dense("features")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ExportError, match=rf"{missing} is not installed: pip install 'improved-gan\[export\]'"):
        write_onnx(captured(spec)[0], spec, METADATA_FILE, tmp_path / "x.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match="onnxruntime is not installed"):
        serialize.run_onnx(tmp_path / "x.onnx")


def spec(scale: float) -> ExportSpec:
    return ExportSpec(
        "features",
        torch.nn.Identity(),
        TensorSpec("rows", "float32", ("N", 2), ""),
        (TensorSpec("sums", "float32", ("N",), ""),),
        lambda rows: (scale * rows.sum(1),),
        lambda num: torch.ones(num, 2),
    )


def test_the_largest_difference_over_all_batches() -> None:
    seen = []

    def answer(rows: Tensor) -> tuple[Tensor, ...]:
        seen.append(len(rows))
        return (rows.sum(1) + (4e-6 if len(rows) == 7 else 0),)

    assert largest_differences(spec(1), answer)["sums"] == pytest.approx(2e-6, rel=0.2)  # of the largest, 2
    assert seen == list(BATCHES)


@pytest.mark.parametrize("wrong", [1e-4, float("nan")])
def test_a_file_that_answers_otherwise_is_refused(wrong: float) -> None:
    with pytest.raises(ExportError, match="differ from the network's"):
        largest_differences(spec(1), lambda rows: (rows.sum(1) + wrong,))


def test_large_outputs_count_by_their_size_and_shapes_must_agree() -> None:
    assert largest_differences(spec(1e4), lambda rows: (1e4 * rows.sum(1) + 0.01,))["sums"] < 1e-5
    with pytest.raises(ExportError, match=r"came as \(1, 1\), not \(1,\)"):
        largest_differences(spec(1), lambda rows: (rows.sum(1, keepdim=True),))
    assert dataclasses.is_dataclass(spec(1))
