"""The parts of a dense bfloat16 layer that are no matrix product, each in few passes over memory.

They call the compiled kernels of `native`, so they are to be used only where `available()`. The product that makes the
gradient of a weight runs almost twice as fast on row-major factors as on transposed views (bfloat16 on CPUs), so
gradients are handed out turned as well. All tensors are row-major; bfloat16 unless said.
"""

import ctypes
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from improved_gan.kernels import cpp_extension

__all__ = [
    "activate",
    "add_noise",
    "available",
    "batch_norm_softplus",
    "bias_sigmoid",
    "gate",
    "gate_and_turn",
    "normalize",
    "through_batch_norm_softplus",
    "through_normalization",
    "through_sigmoid",
]

Slices = tuple[Tensor, Tensor]
_B, _S = torch.bfloat16, torch.float32  # tensors, by address
_F, _I = ctypes.c_float, ctypes.c_int64
_SIGNATURES: dict[str, Sequence[torch.dtype | type]] = {
    "add_noise": (_B, _B, _B, _F, _B, _I),
    "activate": (_B, _S, _B, _B, _F, _B, _I, _I),
    "gate": (_B, _B, _I),
    "gate_and_turn": (_B, _B, _B, _S, _I, _I),
    "normalize": (_S, _S, _S, _B, _I, _I),
    "through_normalization": (_B, _S, _S, _S, _S, _S, _I, _I),
    "batch_norm_softplus": (_B, _S, _S, _S, _F, _F, _S, _S, _B, _I, _I),
    "through_batch_norm_softplus": (_B, _B, _S, _S, _S, _S, _B, _I, _I),
    "bias_sigmoid": (_B, _S, _S, _I, _I),
    "through_sigmoid": (_S, _S, _B, _B, _S, _I, _I),
}


def available(device: torch.device | str = "cpu") -> bool:
    """Whether the compiled kernels are there for tensors on this device."""
    return torch.device(device).type == "cpu" and cpp_extension.library() is not None


def add_noise(values: Tensor, noise: Slices, std: float) -> Tensor:
    """Values + std (a + b), (N, A), a new tensor; noise a, b (N A,) each."""
    noisy = torch.empty_like(values)
    _call("add_noise", values, *noise, std, noisy, values.numel())
    return noisy


def activate(products: Tensor, bias: Tensor, noise: Slices, std: float) -> tuple[Tensor, Tensor]:
    """H = max(products + bias, 0) and h + std (a + b), (N, A); `products` becomes h, bias (A,) is float32."""
    noisy = torch.empty_like(products)
    _call("activate", products, bias, *noise, std, noisy, *products.shape)
    return products, noisy


def gate(grad: Tensor, hidden: Tensor) -> Tensor:
    """Grad where hidden > 0, else 0; (N, A), in place."""
    _call("gate", grad, hidden, grad.numel())
    return grad


def gate_and_turn(grad: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same, its transpose (A, N), and its column sums (A,) in float32: the gradient of the bias."""
    across, bias_grad = grad.new_empty(grad.shape[::-1]), torch.empty(grad.shape[1])
    _call("gate_and_turn", grad, hidden, across, bias_grad, *grad.shape)
    return grad, across, bias_grad


def normalize(v: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """W = g v/||v|| (B, A), and ||v|| (B,) in float32; v (B, A) and g (B, 1) are float32."""
    weight, norm = torch.empty(v.shape, dtype=torch.bfloat16), torch.empty(len(v))
    _call("normalize", v.contiguous(), g, norm, weight, *v.shape)
    return weight, norm


def through_normalization(weight_grad: Tensor, v: Tensor, g: Tensor, norm: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient with respect to v (B, A) and g (B, 1), float32, from that of w = g v/||v|| (B, A)."""
    v_grad, g_grad = torch.empty_like(v), torch.empty_like(g)
    _call("through_normalization", weight_grad, v.contiguous(), g, norm, v_grad, g_grad, *v.shape)
    return v_grad, g_grad


def batch_norm_softplus(
    values: Tensor, shift: Tensor, running_mean: Tensor, running_var: Tensor, *, momentum: float, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Softplus((values - mean) / sqrt(var + eps) + shift) over the rows, (N, A), a new tensor.

    Also mean and 1 / sqrt(var + eps) (A,) in float32; shift and the running statistics, which move, are (A,) float32.
    """
    if len(values) < 2:
        raise ValueError(f"batch norm in training mode needs two rows or more; got {len(values)}")
    outputs, mean, inverse = torch.empty_like(values), torch.empty_like(shift), torch.empty_like(shift)
    statistics = running_mean, running_var, momentum, eps, mean, inverse
    _call("batch_norm_softplus", values, shift, *statistics, outputs, *values.shape)
    return outputs, mean, inverse


def through_batch_norm_softplus(
    grad: Tensor, values: Tensor, shift: Tensor, mean: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient with respect to values (N, A), which overwrites `grad`, its transpose, and that of shift (A,)."""
    across, shift_grad = grad.new_empty(grad.shape[::-1]), torch.empty_like(shift)
    _call("through_batch_norm_softplus", grad, values, shift, mean, inverse, shift_grad, across, *grad.shape)
    return grad, across, shift_grad


def bias_sigmoid(products: Tensor, bias: Tensor) -> Tensor:
    """Sigmoid(products + bias), (N, A) float32; bias (A,) is float32."""
    pixels = torch.empty(products.shape)
    _call("bias_sigmoid", products, bias, pixels, *products.shape)
    return pixels


def through_sigmoid(pixels_grad: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From float32 gradients at the pixels (N, A): those at the products (N, A), turned, and at the bias in float32."""
    grad, across = (torch.empty(shape, dtype=torch.bfloat16) for shape in (pixels.shape, pixels.shape[::-1]))
    bias_grad = torch.empty(pixels.shape[1])
    _call("through_sigmoid", pixels_grad.contiguous(), pixels, grad, across, bias_grad, *pixels.shape)
    return grad, across, bias_grad


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
    assert found is not None, cpp_extension.why_not()
    for name, arguments in _SIGNATURES.items():
        function = getattr(found, name)
        function.argtypes = [ctypes.c_void_p if isinstance(one, torch.dtype) else one for one in arguments]
        function.restype = None
    return found
