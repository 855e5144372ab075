"""The element-wise parts of a dense bfloat16 layer, each in few passes over memory: Python's side of `dense.cpp`.

Use them only where `available()`: they call compiled kernels (`cpp_extension`). The product that gives the gradient of
a weight, grad^T inputs, is almost twice as fast on a row-major transpose as on a transposed view (bfloat16 on CPUs), so
the backward operations return the transposed gradient too. Tensors are row-major, bfloat16 unless stated otherwise.
"""

import ctypes
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from improved_gan.kernels import cpp_extension

__all__ = [
    "add_noise",
    "available",
    "batch_norm_softplus",
    "batch_norm_softplus_backward",
    "bias_relu_noise",
    "bias_sigmoid",
    "relu_backward",
    "relu_backward_transposed",
    "sigmoid_backward",
    "weight_norm",
    "weight_norm_backward",
]

Slices = tuple[Tensor, Tensor]
# Must agree with the declarations in dense.cpp: ctypes passes addresses and checks nothing.
_B, _S = torch.bfloat16, torch.float32  # tensors, by address
_F, _I = ctypes.c_float, ctypes.c_int64
_SIGNATURES: dict[str, Sequence[torch.dtype | type]] = {
    "add_noise": (_B, _B, _B, _F, _B, _I),
    "bias_relu_noise": (_B, _S, _B, _B, _F, _B, _I, _I),
    "relu_backward": (_B, _B, _I),
    "relu_backward_transposed": (_B, _B, _B, _S, _I, _I),
    "weight_norm": (_S, _S, _S, _B, _I, _I),
    "weight_norm_backward": (_B, _S, _S, _S, _S, _S, _I, _I),
    "batch_norm_softplus": (_B, _S, _S, _S, _F, _F, _S, _S, _B, _I, _I),
    "batch_norm_softplus_backward": (_B, _B, _S, _S, _S, _S, _B, _I, _I),
    "bias_sigmoid": (_B, _S, _S, _I, _I),
    "sigmoid_backward": (_S, _S, _B, _B, _S, _I, _I),
}


def available(device: torch.device | str = "cpu") -> bool:
    """Whether the compiled kernels can be used on this device."""
    return torch.device(device).type == "cpu" and cpp_extension.library() is not None


def add_noise(values: Tensor, noise: Slices, std: float) -> Tensor:
    """Values + std (a + b), (N, A), a new tensor; noise a, b (N A,) each."""
    noisy = torch.empty_like(values)
    _call("add_noise", values, *noise, std, noisy, values.numel())
    return noisy


def bias_relu_noise(products: Tensor, bias: Tensor, noise: Slices, std: float) -> tuple[Tensor, Tensor]:
    """H = relu(products + bias) and h + std (a + b), (N, A); h overwrites `products`, bias (A,) is float32."""
    noisy = torch.empty_like(products)
    _call("bias_relu_noise", products, bias, *noise, std, noisy, *products.shape)
    return products, noisy


def relu_backward(grad: Tensor, hidden: Tensor) -> Tensor:
    """The gradient through a ReLU: grad where hidden > 0, else 0; (N, A), in place."""
    _call("relu_backward", grad, hidden, grad.numel())
    return grad


def relu_backward_transposed(grad: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same, its transpose (A, N), and its column sums (A,) in float32: the gradient of the bias."""
    transposed, bias_grad = grad.new_empty(grad.shape[::-1]), torch.empty(grad.shape[1])
    _call("relu_backward_transposed", grad, hidden, transposed, bias_grad, *grad.shape)
    return grad, transposed, bias_grad


def weight_norm(v: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """W = g v/||v|| (B, A), and ||v|| (B,) in float32; v (B, A) and g (B, 1) are float32."""
    weight, norm = torch.empty(v.shape, dtype=torch.bfloat16), torch.empty(len(v))
    _call("weight_norm", v.contiguous(), g, norm, weight, *v.shape)
    return weight, norm


def weight_norm_backward(weight_grad: Tensor, v: Tensor, g: Tensor, norm: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient with respect to v (B, A) and g (B, 1), float32, from that of w = g v/||v|| (B, A)."""
    v_grad, g_grad = torch.empty_like(v), torch.empty_like(g)
    _call("weight_norm_backward", weight_grad, v.contiguous(), g, norm, v_grad, g_grad, *v.shape)
    return v_grad, g_grad


def batch_norm_softplus(
    values: Tensor, shift: Tensor, running_mean: Tensor, running_var: Tensor, *, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """softplus((values - mean) / sqrt(var + eps) + shift) over the rows, (N, A), a new tensor.

    Also returns mean and 1 / sqrt(var + eps), (A,) float32. Shift and running statistics, updated in place, are (A,)
    float32.
    """
    if len(values) < 2:
        raise ValueError(f"batch norm in training mode needs two rows or more; got {len(values)}")
    outputs, mean, inverse = torch.empty_like(values), torch.empty_like(shift), torch.empty_like(shift)
    statistics = running_mean, running_var, momentum, eps, mean, inverse
    _call("batch_norm_softplus", values, shift, *statistics, outputs, *values.shape)
    return outputs, mean, inverse


def batch_norm_softplus_backward(
    grad: Tensor, values: Tensor, shift: Tensor, mean: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient with respect to values (N, A), which overwrites `grad`; its transpose; that of shift (A,)."""
    transposed, shift_grad = grad.new_empty(grad.shape[::-1]), torch.empty_like(shift)
    _call("batch_norm_softplus_backward", grad, values, shift, mean, inverse, shift_grad, transposed, *grad.shape)
    return grad, transposed, shift_grad


def bias_sigmoid(products: Tensor, bias: Tensor) -> Tensor:
    """sigmoid(products + bias), (N, A) float32; bias (A,) is float32."""
    pixels = torch.empty(products.shape)
    _call("bias_sigmoid", products, bias, pixels, *products.shape)
    return pixels


def sigmoid_backward(pixels_grad: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From float32 gradients of the pixels (N, A): of the products (N, A), their transpose, of the bias (A,)."""
    grad, transposed = (torch.empty(shape, dtype=torch.bfloat16) for shape in (pixels.shape, pixels.shape[::-1]))
    bias_grad = torch.empty(pixels.shape[1])
    _call("sigmoid_backward", pixels_grad.contiguous(), pixels, grad, transposed, bias_grad, *pixels.shape)
    return grad, transposed, bias_grad


def _call(name: str, *arguments: Tensor | float) -> None:
    """One kernel; tensors go by address, so each must be row-major and of the kernel's type."""
    for argument, kind in zip(arguments, _SIGNATURES[name], strict=True):
        if isinstance(argument, Tensor) and not (argument.dtype == kind and argument.is_contiguous()):
            got = f"{argument.dtype}, strides {argument.stride()}"
            raise TypeError(f"{name} takes row-major tensors of {kind}; got {got}")
    getattr(_kernels(), name)(*(a.data_ptr() if isinstance(a, Tensor) else a for a in arguments))


@cache
def _kernels() -> ctypes.CDLL:
    found = cpp_extension.library()
    assert found is not None, cpp_extension.unavailable_reason()
    for name, arguments in _SIGNATURES.items():
        function = getattr(found, name)
        function.argtypes = [ctypes.c_void_p if isinstance(one, torch.dtype) else one for one in arguments]
        function.restype = None
    return found
