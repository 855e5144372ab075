"""Each kernel against the same in PyTorch, float64 where it sums."""

import pytest
import torch

from improved_gan.kernels import dense_operations as operations
from improved_gan.kernels import native

pytestmark = pytest.mark.skipif(native.library() is None, reason=f"no compiled kernels: {native.why_not()}")

SHAPES = [(300, 1000), (100, 250), (7, 9), (8, 8), (1, 17)]  # whole tiles of eight and odd ends
ROUNDING = 2**-8  # of one bfloat16 operation, relative


def half(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).to(torch.bfloat16)


@pytest.mark.parametrize("shape", SHAPES)
def test_add_noise(shape: tuple[int, int]) -> None:
    values, a, b = half(*shape), half(shape[0] * shape[1]), half(shape[0] * shape[1])
    expected = values.float() + 0.5 * (a.float() + b.float()).view(shape)
    assert torch.equal(operations.add_noise(values, (a, b), 0.5), expected.to(torch.bfloat16))


@pytest.mark.parametrize("shape", SHAPES)
def test_activate(shape: tuple[int, int]) -> None:
    products, bias = half(*shape), torch.randn(shape[1])
    a, b = half(products.numel()), half(products.numel())
    expected = (products.float() + bias).relu()
    noisy = expected + 0.3 * (a.float() + b.float()).view(shape)
    got, got_noisy = operations.activate(products, bias, (a, b), 0.3)
    assert torch.equal(got, expected.to(torch.bfloat16))
    torch.testing.assert_close(got_noisy.float(), noisy, rtol=ROUNDING, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_gate_and_turn(shape: tuple[int, int]) -> None:
    grad, hidden = half(*shape), half(*shape).relu()
    expected = grad * (hidden > 0)
    assert torch.equal(operations.gate(grad.clone(), hidden), expected)
    got, across, sums = operations.gate_and_turn(grad.clone(), hidden)
    assert torch.equal(got, expected)
    assert torch.equal(across, expected.t())
    torch.testing.assert_close(sums.double(), expected.double().sum(0), rtol=1e-5, atol=1e-5)
    assert torch.equal(operations.turned(grad), grad.t())


@pytest.mark.parametrize("shape", SHAPES)
def test_normalise_and_back(shape: tuple[int, int]) -> None:
    v, g = torch.randn(*shape), torch.rand(shape[0], 1) + 0.5
    weight, across, norm = operations.normalise(v, g)
    v64, g64 = v.double().requires_grad_(), g.double().requires_grad_()
    expected = g64 * v64 / v64.norm(dim=1, keepdim=True)
    torch.testing.assert_close(weight.double(), expected.detach(), rtol=ROUNDING, atol=1e-9)
    torch.testing.assert_close(norm.double(), v.double().norm(dim=1), rtol=1e-5, atol=0)
    assert torch.equal(across, weight.t())
    weight_grad = half(*shape)
    grads = torch.autograd.grad(expected, (v64, g64), weight_grad.double())
    for got, wanted in zip(operations.through_normalisation(weight_grad, v, g, norm), grads, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_cast(shape: tuple[int, int]) -> None:
    weight = torch.randn(*shape)
    halved, across = operations.cast(weight)
    assert torch.equal(halved, weight.to(torch.bfloat16))
    assert torch.equal(across, weight.to(torch.bfloat16).t())


def test_rounding_of_every_kind_of_number() -> None:
    special = torch.tensor([[0.0, -0.0, float("inf"), -float("inf"), float("nan"), 1 + 2**-8, 1 + 3 * 2**-8, 3e38]])
    halved, _ = operations.cast(special)
    assert torch.equal(halved.nan_to_num(7.0), special.to(torch.bfloat16).nan_to_num(7.0))
    assert halved.isnan().tolist() == special.isnan().tolist()
