import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from improved_gan.techniques import GaussianNoise, MinibatchDiscrimination, data_dependent_init_, weight_norm

LAYERS = {
    "linear": (lambda: nn.Linear(5, 4), (64, 5), (0,)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 3), (16, 3, 9), (0,)),
    "conv2d": (lambda: nn.Conv2d(3, 4, 3, stride=2, groups=1), (16, 3, 9, 9), (0,)),
    "conv2d-groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (16, 4, 9, 9), (0,)),
    "conv-transpose1d": (lambda: nn.ConvTranspose1d(3, 4, 3), (16, 3, 9), (1,)),
    "conv-transpose2d": (lambda: nn.ConvTranspose2d(3, 4, 5, stride=2), (16, 3, 5, 5), (1,)),
}


@pytest.fixture(params=LAYERS)
def case(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor, int]:
    build, shape, (output_dimension,) = LAYERS[request.param]
    return build().double(), torch.randn(shape, dtype=torch.float64), output_dimension


def per_output(tensor: torch.Tensor, dimension: int) -> np.ndarray:
    """(outputs, rest) in float64."""
    return tensor.detach().double().movedim(dimension, 0).flatten(1).numpy()


@pytest.mark.parametrize("scale", [None, 1.0, 0.25])
def test_the_weight_is_g_v_over_norm(case: tuple[nn.Module, torch.Tensor, int], scale: float | None) -> None:
    layer, _, dimension = case
    v = per_output(layer.weight, dimension)
    norms = np.linalg.norm(v, axis=1, keepdims=True)
    weight_norm(layer, scale=scale)
    expected = (norms if scale is None else scale) * v / norms
    np.testing.assert_allclose(per_output(layer.weight, dimension), expected, rtol=1e-12)


def test_one_scale_for_each_output_channel_trained_or_fixed(case: tuple[nn.Module, torch.Tensor, int]) -> None:
    layer, batch, dimension = case
    outputs = layer.weight.shape[dimension]
    fixed = weight_norm(copy.deepcopy(layer), learn_scale=False)
    learned = weight_norm(layer)
    for one, learns in ((learned, True), (fixed, False)):
        g, v = one.parametrizations.weight.original0, one.parametrizations.weight.original1
        assert g.numel() == outputs
        assert g.requires_grad is learns
        one(batch).square().sum().backward()
        assert (g.grad is not None) is learns
        # The gradient of v is orthogonal to v: the norm of v cannot change the function.
        dot = (per_output(v.grad, dimension) * per_output(v, dimension)).sum(1)
        np.testing.assert_allclose(dot, 0, atol=1e-8)


@pytest.mark.parametrize("std", [1.0, 0.1])
def test_init_gives_each_preactivation_mean_0_and_the_std(
    case: tuple[nn.Module, torch.Tensor, int], std: float
) -> None:
    layer, batch, _ = case
    weight_norm(layer, learn_scale=False)
    data_dependent_init_(layer, batch, std=std)
    output = per_output(layer(batch), 1)
    np.testing.assert_allclose(output.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(output.std(1), std, rtol=1e-10)


def test_init_agrees_with_the_formula_layer_by_layer() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    batch = torch.randn(50, 6, dtype=torch.float64)
    values = batch.numpy()
    expected = []
    for index, std in ((0, 1.0), (2, 0.3)):
        v = network[index].weight.detach().numpy()
        t = values @ (v / np.linalg.norm(v, axis=1, keepdims=True)).T
        g, b = std / t.std(0), -t.mean(0) * std / t.std(0)
        expected.append((g, b))
        values = np.maximum(g * t + b, 0)
    for index in (0, 2):
        weight_norm(network[index], scale=1.0)
        nn.init.zeros_(network[index].bias)
    data_dependent_init_(network, batch, std={"2": 0.3})
    for (g, b), index in zip(expected, (0, 2), strict=True):
        np.testing.assert_allclose(network[index].parametrizations.weight.original0.detach().numpy()[:, 0], g)
        np.testing.assert_allclose(network[index].bias.detach().numpy(), b)


def test_init_includes_the_noise_and_keeps_mode_and_buffers() -> None:
    network = nn.Sequential(GaussianNoise(3.0), weight_norm(nn.Linear(4, 8)), nn.BatchNorm1d(8)).eval()
    batch = torch.randn(2000, 4)
    running_mean = network[2].running_mean.clone()
    data_dependent_init_(network, batch)
    assert not network.training
    assert torch.equal(network[2].running_mean, running_mean)
    # Standard deviation 1 with noise of variance 9 on inputs of variance 1 is 10**-0.5 without noise.
    assert network[1](batch).std(0).mean().item() == pytest.approx(10**-0.5, rel=0.1)


def test_init_calls_init_from_batch_of_other_layers_in_order() -> None:
    network = nn.Sequential(
        weight_norm(nn.Linear(4, 6)), MinibatchDiscrimination(6, 3, 2, variant="released"), weight_norm(nn.Linear(9, 5))
    ).double()
    batch = torch.randn(50, 4, dtype=torch.float64)
    data_dependent_init_(network, batch)
    features = network[0](batch)
    similarities = network[1](features)[:, 6:]
    torch.testing.assert_close(features.std(0, correction=0), torch.ones(6).double())
    torch.testing.assert_close(similarities.mean(0), torch.zeros(3).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(network(batch).std(0, correction=0), torch.ones(5).double())
    data_dependent_init_(network[1], batch.repeat(1, 2)[:, :6])


def test_init_without_bias_sets_the_std_only() -> None:
    layer = weight_norm(nn.Linear(4, 3, bias=False))
    batch = torch.randn(100, 4) + 2
    data_dependent_init_(layer, batch)
    torch.testing.assert_close(layer(batch).std(0, correction=0), torch.ones(3))


def test_init_leaves_weights_with_another_parametrization_alone() -> None:
    other = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2))
    network, before = nn.Sequential(weight_norm(nn.Linear(4, 3)), other), copy.deepcopy(other.state_dict())
    data_dependent_init_(network, torch.randn(50, 4))
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
    with pytest.raises(ValueError, match=r"layers are \['0'\]"):
        data_dependent_init_(network, torch.randn(50, 4), std={"1": 0.1})


def test_state_dict_round_trip() -> None:
    layer = weight_norm(nn.ConvTranspose2d(3, 4, 5), learn_scale=False, scale=0.5)
    again = weight_norm(nn.ConvTranspose2d(3, 4, 5), learn_scale=False)
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again.weight, layer.weight)


def test_same_function_as_a_plain_layer_with_that_weight() -> None:
    layer = weight_norm(nn.Linear(5, 2))
    batch = torch.randn(3, 5)
    torch.testing.assert_close(layer(batch), F.linear(batch, layer.weight, layer.bias))


def test_bad_use() -> None:
    with pytest.raises(TypeError, match="got ReLU"):
        weight_norm(nn.ReLU())
    with pytest.raises(ValueError, match="groups=2"):
        weight_norm(nn.ConvTranspose2d(4, 4, 3, groups=2))
    with pytest.raises(ValueError, match="parametrized already"):
        weight_norm(weight_norm(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="scale must be positive; got 0"):
        weight_norm(nn.Linear(2, 2), scale=0.0)
    layer = nn.ConvTranspose2d(3, 4, 3)
    nn.init.zeros_(layer.weight[:, 1:3])
    with pytest.raises(ValueError, match="2 output units of this ConvTranspose2d are all 0"):
        weight_norm(layer)
    with pytest.raises(ValueError, match="apply weight_norm"):
        data_dependent_init_(nn.Linear(2, 2), torch.randn(4, 2))
    network = nn.Sequential(weight_norm(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match=r"names \['1'\]"):
        data_dependent_init_(network, torch.randn(4, 2), std={"1": 0.1})
    with pytest.raises(ValueError, match="layer '0' does not vary"):
        data_dependent_init_(network, torch.ones(4, 2))
    unused = nn.Module()
    unused.layer, unused.forward = weight_norm(nn.Linear(2, 2)), lambda batch: batch
    with pytest.raises(ValueError, match=r"did not run on the batch: \['layer'\]"):
        data_dependent_init_(unused, torch.randn(4, 2))
