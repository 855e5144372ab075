"""Fuse a network for inference: training-only layers are removed, constant factors multiplied into the weights.

    weight norm          w = g v/||v|| becomes a plain weight (Salimans & Kingma, 2016)
    Gaussian noise, dropout   removed
    virtual batch norm   the reference batch is not evaluated: its mean and variance are constants. Each example's own
                         statistics still count with weight 1/(n+1), as in evaluation (paper, section 3.5)
    batch norm           after a dense layer or convolution its scale and shift go into their weights and bias:
                         w' = w s, b' = (b - mean) s + shift, s = scale / sqrt(variance + eps); elsewhere it stays,
                         with the running statistics

Outputs change by rounding only.
"""

import copy
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from improved_gan.techniques.gaussian_noise import GaussianNoise
from improved_gan.techniques.reference_batch import ReferenceBatch

__all__ = ["fold_graph", "fused"]

_ATEN = torch.ops.aten
# Layer -> the dimension of its weight that runs over output channels.
_LAYERS: dict[Any, int] = {
    _ATEN.linear.default: 0,
    _ATEN.conv1d.default: 0,
    _ATEN.conv2d.default: 0,
    _ATEN.conv_transpose1d.default: 1,
    _ATEN.conv_transpose2d.input: 1,
}
_TRAINING_ONLY = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, GaussianNoise)


def fused(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode on the CPU, without parametrizations, noise, dropout and reference batches.

    >>> layer = nn.Sequential(GaussianNoise(0.5), torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)))
    >>> fused(layer)
    Sequential(
      (0): Identity()
      (1): Linear(in_features=3, out_features=2, bias=True)
    )
    """
    result = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    for module in list(result.modules()):
        if parametrize.is_parametrized(module):
            _remove_parametrizations(module)
    return _replaced(result)


def _remove_parametrizations(module: nn.Module) -> None:
    # Copies of a parametrized layer share its generated class, which PyTorch modifies here: so use a new class.
    kind = type(module)
    module.__class__ = type(kind.__name__, kind.__bases__, dict(kind.__dict__))
    parametrizations: Any = module.parametrizations
    for name in list(parametrizations):
        parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _replaced(module: nn.Module) -> nn.Module:
    if isinstance(module, _TRAINING_ONLY):
        return nn.Identity()
    if isinstance(module, ReferenceBatch):
        module.refresh()
        return _replaced(module.network)
    for name, child in list(module.named_children()):
        setattr(module, name, _replaced(child))
    return module


def fold_graph(graph: fx.GraphModule) -> int:
    """Fold every batch norm that follows a dense layer or convolution into it, and remove unused nodes.

    Args:
        graph: a graph of `torch.export`, in evaluation mode; changed in place.

    Returns:
        Number of folded batch norms.
    """
    num_folded = 0
    for node in list(graph.graph.nodes):
        if node.target in (_ATEN.dropout.default, _ATEN.feature_dropout.default) and node.args[2] is False:
            node.replace_all_uses_with(node.args[0])
        elif node.target is _ATEN.batch_norm.default and _can_be_folded(graph, node):
            _fold(graph, node, num_folded)
            num_folded += 1
    for node in reversed(graph.graph.nodes):
        checks = node.target in (_ATEN._assert_tensor_metadata.default, _ATEN.promote_types.default)
        if not node.users and (checks or node.op == "get_attr" or node.target in (*_LAYERS, _ATEN.dropout.default)):
            graph.graph.erase_node(node)
    graph.delete_all_unused_submodules()
    graph.recompile()
    return num_folded


def _can_be_folded(graph: fx.GraphModule, norm: fx.Node) -> bool:
    """Only if the layer's output is not used elsewhere, and its channels are those of the batch norm."""
    layer = norm.args[0]
    if not isinstance(layer, fx.Node) or layer.target not in _LAYERS or len(layer.users) != 1 or norm.args[5]:
        return False
    if layer.target is _ATEN.linear.default and layer.meta["val"].dim() != 2:
        return False
    transposed = _LAYERS[layer.target] == 1
    if transposed and len(layer.args) > 6 and layer.args[6] != 1:
        return False
    constants = [*layer.args[1:3], *norm.args[1:5]]
    return all(one is None or (isinstance(one, fx.Node) and one.op == "get_attr") for one in constants)


def _fold(graph: fx.GraphModule, norm: fx.Node, number: int) -> None:
    layer = norm.args[0]
    assert isinstance(layer, fx.Node)
    value = _values(graph)
    weight, bias = value(layer.args[1]), value(layer.args[2]) if len(layer.args) > 2 else None
    scale, shift, mean, variance = (value(one) for one in norm.args[1:5])
    assert weight is not None
    assert mean is not None
    assert variance is not None
    factor = (variance + float(norm.args[7])).rsqrt()  # type: ignore[arg-type]
    factor = factor if scale is None else factor * scale
    new_bias = ((0 if bias is None else bias) - mean) * factor + (0 if shift is None else shift)
    along = [-1 if dimension == _LAYERS[layer.target] else 1 for dimension in range(weight.dim())]
    names = []
    for kind, tensor in (("weight", weight * factor.reshape(along)), ("bias", new_bias)):
        names.append(f"folded_{number}_{kind}")
        graph.register_buffer(names[-1], tensor.float())
    with graph.graph.inserting_before(layer):
        parts = [graph.graph.get_attr(name) for name in names]
    layer.args = (layer.args[0], *parts, *layer.args[3:])
    norm.replace_all_uses_with(layer)
    graph.graph.erase_node(norm)


def _values(graph: fx.GraphModule) -> Callable[[Any], Tensor | None]:
    """A constant of the graph in double precision; None for a missing operand."""

    def value(node: fx.Node | None) -> Tensor | None:
        if node is None:
            return None
        tensor: Tensor = operator.attrgetter(str(node.target))(graph)
        return tensor.detach().double()

    return value
