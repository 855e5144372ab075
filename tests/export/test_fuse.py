import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from improved_gan.export.fuse import fold_graph, fused
from improved_gan.techniques import GaussianNoise, ReferenceBatch, VirtualBatchNorm, weight_norm


def moved(norm: nn.Module) -> nn.Module:
    """A batch norm whose statistics and parameters are not those of the start."""
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.2, 3)
        if norm.affine:
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
    return norm


def graph_of(network: nn.Module, rows: Tensor) -> torch.fx.GraphModule:
    return torch.export.export(network.eval(), (rows,)).module(check_guards=False)


def targets(graph: torch.fx.GraphModule) -> str:
    return " ".join(str(node.target) for node in graph.graph.nodes)


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Linear(5, 4), nn.BatchNorm1d(4), (5,)),
        (nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4, affine=False), (5,)),
        (nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4, eps=1e-3), (3, 8, 8)),
        (nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6), (4, 8, 8)),
        (nn.ConvTranspose2d(3, 5, 5, stride=2, padding=2, output_padding=1), nn.BatchNorm2d(5), (3, 4, 4)),
        (nn.ConvTranspose2d(3, 5, 4, bias=False), nn.BatchNorm2d(5, affine=False), (3, 4, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_batch_norm_goes_into_the_layer_before_it(layer: nn.Module, norm: nn.Module, shape: tuple[int, ...]) -> None:
    network = nn.Sequential(layer, moved(norm), nn.ReLU(), nn.Dropout(0.5)).eval()
    rows = torch.randn(6, *shape)
    graph = graph_of(network, rows)
    assert fold_graph(graph) == 1
    assert "batch_norm" not in targets(graph)
    assert "dropout" not in targets(graph)
    torch.testing.assert_close(graph(rows), network(rows), rtol=1e-5, atol=1e-5)


class Shared(nn.Module):
    """A layer whose output is used beside the batch norm, and one whose channels are another dimension."""

    def __init__(self, case: str) -> None:
        super().__init__()
        self.case, self.layer, self.norm = case, nn.Linear(4, 4), moved(nn.BatchNorm1d(4))
        self.grouped = nn.ConvTranspose2d(4, 4, 3, groups=2)
        self.norm2 = moved(nn.BatchNorm2d(4))

    def forward(self, rows: Tensor) -> Tensor:
        if self.case == "shared":
            values = self.layer(rows)
            return values + self.norm(values)
        if self.case == "dimension":
            return self.norm(self.layer(rows[:, None].expand(-1, 4, -1)))
        if self.case == "groups":
            return self.norm2(self.grouped(rows[:, :, None, None]))
        return self.norm(torch.relu(self.layer(rows)))


@pytest.mark.parametrize("case", ["shared", "dimension", "groups", "after relu"])
def test_what_cannot_be_folded_stays_right(case: str) -> None:
    network, rows = Shared(case).eval(), torch.randn(6, 4)
    graph = graph_of(network, rows)
    assert fold_graph(graph) == 0
    assert "batch_norm" in targets(graph)
    torch.testing.assert_close(graph(rows), network(rows))


def test_weight_norm_noise_and_dropout_go_and_the_original_stays() -> None:
    network = nn.Sequential(
        GaussianNoise(0.5), weight_norm(nn.Linear(3, 4), scale=2.0), nn.Dropout(0.5),
        nn.Sequential(weight_norm(nn.ConvTranspose1d(4, 2, 1)))
    ).eval()  # fmt: skip
    network[3] = nn.Sequential(nn.Unflatten(1, (4, 1)), network[3])
    rows = torch.randn(5, 3)
    before = network(rows)
    result = fused(network)
    assert not any(parametrize.is_parametrized(module) for module in result.modules())
    assert not any(isinstance(module, (GaussianNoise, nn.Dropout)) for module in result.modules())
    torch.testing.assert_close(result(rows), before)
    torch.testing.assert_close(network(rows), before)  # it is still whole
    assert parametrize.is_parametrized(network[1])
    with torch.no_grad():
        network[1].parametrizations.weight.original0.mul_(2)
    assert not torch.allclose(network(rows), before)
    torch.testing.assert_close(result(rows), before)


def test_the_reference_batch_becomes_constants() -> None:
    inner = nn.Sequential(nn.Linear(3, 8), VirtualBatchNorm(8), nn.ReLU(), nn.Linear(8, 8), VirtualBatchNorm(8))
    network = nn.Sequential(ReferenceBatch(inner, torch.randn(16, 3))).train()
    network(torch.randn(4, 3)).sum().backward()
    network.eval()
    rows = torch.randn(5, 3)
    expected = network(rows)
    result = fused(network)
    assert not any(isinstance(module, ReferenceBatch) for module in result.modules())
    torch.testing.assert_close(result(rows), expected)
    graph = torch.export.export(result, (rows,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)).module()
    torch.testing.assert_close(graph(rows[:2]), expected[:2])


def test_a_copy_made_while_training_gives_what_evaluation_gives() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    network(torch.randn(9, 3))
    result = fused(network)
    assert network.training
    assert not result.training
    rows = torch.randn(5, 3)
    torch.testing.assert_close(result(rows), copy.deepcopy(network).eval()(rows))
