"""The 2015 Inception network in ONNX Runtime, which computes its convolutions faster than PyTorch on processors.

The graph is recorded from `Inception2015.forward` itself, which runs on placeholders in place of tensors: so there is
one definition of the network, and no exporter, which takes seconds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from improved_gan.metrics.inception import INPUT_SIZE, Inception2015, Outputs
from improved_gan.metrics.onnx_session import onnx_session
from improved_gan.optional_import import optional_import

__all__ = ["onnx_runtime", "recorded"]

_OPSET = 17


def onnx_runtime(network: Inception2015) -> Callable[[Tensor], Outputs] | None:
    """The network as a function of prepared images (N, 3, 299, 299) float32, on the processor.

    Args:
        network: in float32.

    Returns:
        None if `onnx` or `onnxruntime` cannot be imported (they come with `pip install 'improved-gan[export]'`), or if
        they fail, as other versions may. The function's features (N, 2048) and logits (N, 1008) differ from the
        network's by rounding. Its number of threads is that of PyTorch at this call.
    """
    try:
        optional_import("onnx")
        run = _started(network)
        trial = torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE)
        same = all(torch.allclose(*pair, rtol=1e-3, atol=1e-3) for pair in zip(run(trial), network(trial), strict=True))
    except Exception:  # each version has errors of its own; PyTorch computes the same
        return None
    return run if same else None


def _started(network: Inception2015) -> Callable[[Tensor], Outputs]:
    session = onnx_session(recorded(network).SerializeToString())

    def run(prepared: Tensor) -> Outputs:
        images = prepared.detach().float().contiguous().numpy()
        features, logits = session.run(None, {"images": images})
        return Outputs(torch.from_numpy(features), torch.from_numpy(logits))

    return run


def recorded(network: Inception2015) -> Any:
    """The network as an `onnx.ModelProto`: `images` (N, 3, 299, 299) -> `features` (N, 2048), `logits` (N, 1008)."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph()
    outputs = network(_Placeholder(graph, "images"))
    for one, name in zip(outputs, Outputs._fields, strict=True):
        graph.add("Identity", [one], output=name)
    shapes = {"images": (3, INPUT_SIZE, INPUT_SIZE), "features": (2048,), "logits": (len(network.head),)}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name, shape in shapes.items()
    }
    content = helper.make_graph(
        graph.nodes,
        "inception-2015-12-05",
        [values["images"]],
        [values["features"], values["logits"]],
        [onnx.numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    return helper.make_model(content, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)


class _Graph:
    """Nodes and constants, in the order of the forward pass."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(
        self, operation: str, inputs: Sequence[Any], *, num: int = 1, output: str | None = None, **attributes: Any
    ) -> Any:
        from onnx import helper

        names = [self._name(one) for one in inputs]
        outputs = [output] if output else [f"x{len(self.nodes)}_{index}" for index in range(num)]
        self.nodes.append(helper.make_node(operation, names, outputs, **attributes))
        found = [_Placeholder(self, name) for name in outputs]
        return found if num > 1 else found[0]

    def _name(self, value: Any) -> str:
        if isinstance(value, _Placeholder):
            return value.name
        name = f"c{len(self.constants)}"
        array = value.contiguous().numpy() if isinstance(value, Tensor) else np.asarray(value, dtype=np.int64)
        self.constants[name] = array
        return name


class _Placeholder:
    """In place of a tensor (N, C, H, W) or (N, C): what is done to it becomes a node of the graph."""

    def __init__(self, graph: _Graph, name: str) -> None:
        self.graph, self.name = graph, name

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _FUNCTIONS[function](*args, **(kwargs or {}))

    def to(self, dtype: torch.dtype) -> "_Placeholder":
        assert dtype == torch.float32
        return self

    def contiguous(self, **_: Any) -> "_Placeholder":
        return self

    def float(self) -> "_Placeholder":
        return self

    def relu_(self) -> Any:
        return self.graph.add("Relu", [self])

    def mean(self, axes: tuple[int, ...]) -> Any:
        return self.graph.add("ReduceMean", [self], axes=list(axes), keepdims=0)

    def flatten(self, axis: int) -> Any:
        return self.graph.add("Flatten", [self], axis=axis)

    def __getitem__(self, key: tuple[slice | None, ...]) -> Any:
        return self.graph.add("Unsqueeze", [self, [axis for axis, one in enumerate(key) if one is None]])


def _conv2d(
    x: _Placeholder,
    kernel: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
) -> Any:
    inputs = [x, kernel] if bias is None else [x, kernel, bias]
    shape = list(kernel.shape[2:])
    return x.graph.add("Conv", inputs, kernel_shape=shape, strides=[stride] * 2, pads=[*padding, *padding])


def _pool(operation: str) -> Callable[..., Any]:
    def function(x: _Placeholder, size: int, stride: int, padding: int = 0, **attributes: Any) -> Any:
        flags: dict[str, Any] = {}
        if operation == "AveragePool":
            flags["count_include_pad"] = int(attributes["count_include_pad"])
        shape, strides, pads = [size] * 2, [stride] * 2, [padding] * 4
        return x.graph.add(operation, [x], kernel_shape=shape, strides=strides, pads=pads, **flags)

    return function


def _split(x: _Placeholder, sizes: list[int], dim: int) -> Any:
    return x.graph.add("Split", [x, sizes], num=len(sizes), axis=dim) if len(sizes) > 1 else [x]


def _cat(parts: Iterable[_Placeholder], dim: int) -> Any:
    some = list(parts)
    return some[0].graph.add("Concat", some, axis=dim)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    F.conv2d: _conv2d,
    F.max_pool2d: _pool("MaxPool"),
    F.avg_pool2d: _pool("AveragePool"),
    torch.split: _split,
    torch.cat: _cat,
}
