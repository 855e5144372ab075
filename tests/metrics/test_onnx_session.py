from pathlib import Path

import numpy as np
import pytest
import torch

from improved_gan.metrics.onnx_session import onnx_session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_session_takes_the_threads_of_pytorch_and_does_not_spin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    make = onnx.helper.make_tensor_value_info
    one, other = (make(name, onnx.TensorProto.FLOAT, ["N"]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "net", [one], [other])
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "net.onnx")
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for network in (tmp_path / "net.onnx", model.SerializeToString()):
        session = onnx_session(network)
        options = session.get_session_options()
        assert options.intra_op_num_threads == threads
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
        assert session.run(None, {"x": np.float32([1, -2])})[0].tolist() == [-1, 2]
