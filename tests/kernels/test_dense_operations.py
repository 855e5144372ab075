"""Each kernel against the same in PyTorch, float64 where it sums."""

import pytest
import torch
import torch.nn.functional as F

from improved_gan.kernels import cpp_extension
from improved_gan.kernels import dense_operations as operations

pytestmark = pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)

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
def test_bias_relu_noise(shape: tuple[int, int]) -> None:
    products, bias = half(*shape), torch.randn(shape[1])
    a, b = half(products.numel()), half(products.numel())
    expected = (products.float() + bias).relu()
    noisy = expected + 0.3 * (a.float() + b.float()).view(shape)
    got, got_noisy = operations.bias_relu_noise(products, bias, (a, b), 0.3)
    assert torch.equal(got, expected.to(torch.bfloat16))
    torch.testing.assert_close(got_noisy.float(), noisy, rtol=ROUNDING, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_relu_backward_transposed(shape: tuple[int, int]) -> None:
    grad, hidden = half(*shape), half(*shape).relu()
    expected = grad * (hidden > 0)
    assert torch.equal(operations.relu_backward(grad.clone(), hidden), expected)
    got, transposed, sums = operations.relu_backward_transposed(grad.clone(), hidden)
    assert torch.equal(got, expected)
    assert torch.equal(transposed, expected.t())
    torch.testing.assert_close(sums.double(), expected.double().sum(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_weight_norm_and_its_backward(shape: tuple[int, int]) -> None:
    v, g = torch.randn(*shape), torch.rand(shape[0], 1) + 0.5
    weight, norm = operations.weight_norm(v, g)
    v64, g64 = v.double().requires_grad_(), g.double().requires_grad_()
    expected = g64 * v64 / v64.norm(dim=1, keepdim=True)
    torch.testing.assert_close(weight.double(), expected.detach(), rtol=ROUNDING, atol=1e-9)
    torch.testing.assert_close(norm.double(), v.double().norm(dim=1), rtol=1e-5, atol=0)
    weight_grad = half(*shape)
    grads = torch.autograd.grad(expected, (v64, g64), weight_grad.double())
    for got, wanted in zip(operations.weight_norm_backward(weight_grad, v, g, norm), grads, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [*SHAPES[:4], (2, 17)])
def test_batch_norm_softplus_and_its_backward(shape: tuple[int, int]) -> None:
    rows, columns = shape
    values, shift, grad = half(rows, columns) * 3, 4 * torch.randn(columns), half(rows, columns)
    mean_before, var_before = torch.randn(columns), torch.rand(columns)
    running_mean, running_var = mean_before.clone(), var_before.clone()
    got, mean, inverse = operations.batch_norm_softplus(
        values, shift, running_mean, running_var, momentum=0.2, eps=1e-3
    )
    values64, shift64 = values.double().requires_grad_(), shift.double().requires_grad_()
    expected_mean, expected_var = mean_before.double(), var_before.double()
    normal = F.batch_norm(
        values64, expected_mean, expected_var, bias=shift64, weight=None, training=True, momentum=0.2, eps=1e-3
    )
    expected = F.softplus(normal, threshold=1e3)
    torch.testing.assert_close(got.double(), expected.detach(), rtol=ROUNDING, atol=1e-9)
    torch.testing.assert_close(running_mean.double(), expected_mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(running_var.double(), expected_var, rtol=1e-5, atol=1e-6)
    wanted, wanted_shift = torch.autograd.grad(expected, (values64, shift64), grad.double())
    back, transposed, shift_grad = operations.batch_norm_softplus_backward(grad.clone(), values, shift, mean, inverse)
    # A gradient is a difference: its error is relative to what is subtracted, the gradient at the normalized values.
    largest = float((inverse[:, None] * grad.t().abs().float()).max())
    torch.testing.assert_close(back.double(), wanted, rtol=ROUNDING, atol=2 * ROUNDING * largest)
    torch.testing.assert_close(shift_grad.double(), wanted_shift, rtol=1e-4, atol=1e-4)
    assert torch.equal(transposed, back.t())


def test_softplus_far_from_zero() -> None:
    """One row of -1 and one of 1 for each column, shifted to both sides of every branch."""
    shift = torch.linspace(-90, 90, 181)
    signs = torch.tensor([-1.0, 1.0]).to(torch.bfloat16)[:, None].repeat(1, len(shift))
    got, _, _ = operations.batch_norm_softplus(signs, shift, torch.zeros(181), torch.ones(181), momentum=0.1, eps=0.0)
    expected = F.softplus(signs.double() + shift.double(), threshold=1e3)
    kept = expected > 1e-36  # below, e^x is clamped to e^-87
    torch.testing.assert_close(got.double()[kept], expected[kept], rtol=ROUNDING, atol=0)
    assert (got[~kept].double() < 1e-36).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_bias_sigmoid_and_its_backward(shape: tuple[int, int]) -> None:
    products, bias, grad = half(*shape) * 8, torch.randn(shape[1]), torch.randn(*shape)
    pixels = operations.bias_sigmoid(products, bias)
    products64, bias64 = products.double().requires_grad_(), bias.double().requires_grad_()
    expected = torch.sigmoid(products64 + bias64)
    assert pixels.dtype == torch.float32
    torch.testing.assert_close(pixels.double(), expected.detach(), rtol=1e-5, atol=1e-12)
    wanted, wanted_bias = torch.autograd.grad(expected, (products64, bias64), grad.double())
    back, transposed, bias_grad = operations.sigmoid_backward(grad, pixels)
    # 1 - pixel has the rounding of the pixel
    torch.testing.assert_close(back.double(), wanted, rtol=ROUNDING, atol=2**-22)
    torch.testing.assert_close(bias_grad.double(), wanted_bias, rtol=1e-4, atol=1e-5)
    assert torch.equal(transposed, back.t())


def test_rounding_of_every_kind_of_number() -> None:
    special = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 1 + 2**-8, 1 + 3 * 2**-8, 3e38])
    scales = special[:, None]  # of rows of length 1: the weight is the scale, rounded
    halved, _ = operations.weight_norm(torch.ones(len(special), 1), scales)
    assert torch.equal(halved.nan_to_num(7.0), scales.to(torch.bfloat16).nan_to_num(7.0))
    assert halved.isnan().flatten().tolist() == special.isnan().tolist()


def test_tensors_that_a_kernel_would_misread_are_refused() -> None:
    values = half(4, 6)
    with pytest.raises(TypeError, match=r"weight_norm takes row-major tensors of torch\.float32.*float64"):
        operations.weight_norm(torch.ones(3, 4).double(), torch.ones(3, 1))
    with pytest.raises(TypeError, match=r"row-major tensors of torch\.bfloat16"):
        operations.relu_backward(values.t(), values.t())
    statistics = torch.zeros(6).double(), torch.ones(6)
    with pytest.raises(TypeError, match="batch_norm_softplus"):
        operations.batch_norm_softplus(values, torch.zeros(6), *statistics, momentum=0.1, eps=1e-6)


@pytest.mark.parametrize("rows", [0, 1])
def test_batch_norm_of_less_than_two_rows_is_refused(rows: int) -> None:
    mean, var = torch.zeros(6), torch.ones(6)
    with pytest.raises(ValueError, match=f"two rows or more; got {rows}"):
        operations.batch_norm_softplus(half(rows, 6), torch.zeros(6), mean, var, momentum=0.1, eps=1e-6)
    assert torch.equal(mean, torch.zeros(6))
    assert torch.equal(var, torch.ones(6))
