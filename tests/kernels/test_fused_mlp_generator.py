"""The fused kernel against autograd in float64 through the formula."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from improved_gan.kernels import cpp_extension
from improved_gan.kernels.fused_mlp_discriminator import Layer
from improved_gan.kernels.fused_mlp_generator import BatchNormLayer, fused_mlp_generator

pytestmark = pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)


def make_tensors(dtype: torch.dtype) -> list[torch.Tensor]:
    """Two hidden layers and the output layer: weight, shift, weight, shift, v, g, bias."""
    generator = torch.Generator().manual_seed(5)
    shapes = [(32, 20), (32,), (24, 32), (24,), (50, 24), (50, 1), (50,)]
    return [(torch.randn(*s, generator=generator) * 0.3 + 0.1).to(dtype).requires_grad_() for s in shapes]


def plain(latents: torch.Tensor, tensors: list[torch.Tensor]) -> torch.Tensor:
    values = latents
    for weight, shift in (tensors[:2], tensors[2:4]):
        products = values @ weight.t()
        normal = (products - products.mean(0)) / (products.var(0, correction=0) + 1e-6).sqrt()
        values = F.softplus(normal + shift)
    v, g, bias = tensors[4:]
    return torch.sigmoid(values @ (g * v / v.norm(dim=1, keepdim=True)).t() + bias)


def test_values_gradients_and_running_statistics() -> None:
    torch.manual_seed(0)
    latents, weights = torch.rand(60, 20).requires_grad_(), torch.randn(60, 50).double()
    latents64 = latents.detach().double().requires_grad_()
    tensors, tensors64 = make_tensors(torch.float32), make_tensors(torch.float64)
    hidden = [BatchNormLayer(tensors[i], tensors[i + 1], torch.zeros(n), torch.ones(n)) for i, n in ((0, 32), (2, 24))]
    pixels = fused_mlp_generator(latents, hidden, Layer(*tensors[4:]), eps=1e-6)
    expected = plain(latents64, tensors64)
    torch.testing.assert_close(pixels.double(), expected, rtol=0, atol=0.01)
    got = torch.autograd.grad((pixels.double() * weights).sum(), [latents, *tensors])
    wanted = torch.autograd.grad((expected * weights).sum(), [latents64, *tensors64])
    for one, other in zip(got, wanted, strict=True):
        assert F.cosine_similarity(one.double().flatten(), other.flatten(), dim=0).item() > 0.999
        assert one.norm().item() == pytest.approx(other.norm().item(), rel=0.02)
    products = latents64.detach() @ tensors64[0].t()
    torch.testing.assert_close(hidden[0].running_mean.double(), 0.1 * products.mean(0).detach(), rtol=0.02, atol=1e-3)
    torch.testing.assert_close(hidden[0].running_var.double(), 0.9 + 0.1 * products.var(0).detach(), rtol=0.02, atol=0)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_recomputed_pass_updates_no_statistics(reentrant: bool) -> None:
    found = []
    for again in (False, True):
        tensors = make_tensors(torch.float32)
        hidden = [
            BatchNormLayer(tensors[i], tensors[i + 1], torch.zeros(n), torch.ones(n)) for i, n in ((0, 32), (2, 24))
        ]
        latents = torch.rand(60, 20, generator=torch.Generator().manual_seed(1)).requires_grad_()

        stack = partial(fused_mlp_generator, hidden=hidden, output=Layer(*tensors[4:]), eps=1e-6)
        output = checkpoint(stack, latents, use_reentrant=reentrant) if again else stack(latents)
        output.sin().sum().backward()
        found.append([latents.grad, *(one.grad for one in tensors), hidden[0].running_mean, hidden[1].running_var])
    torch.testing.assert_close(*found)


def test_second_derivatives_are_those_of_the_formula() -> None:
    latents = torch.rand(60, 20, generator=torch.Generator().manual_seed(1)).requires_grad_()
    latents64 = latents.detach().double().requires_grad_()
    tensors, tensors64 = make_tensors(torch.float32), make_tensors(torch.float64)
    hidden = [BatchNormLayer(tensors[i], tensors[i + 1], torch.zeros(n), torch.ones(n)) for i, n in ((0, 32), (2, 24))]
    pixels = fused_mlp_generator(latents, hidden, Layer(*tensors[4:]), eps=1e-6)
    found = []
    for images, given, parameters in ((pixels, latents, tensors), (plain(latents64, tensors64), latents64, tensors64)):
        (grad,) = torch.autograd.grad(images.square().sum(), given, create_graph=True)
        found.append(torch.autograd.grad(grad.square().sum(), [given, *parameters]))
    for one, other in zip(*found, strict=True):
        assert F.cosine_similarity(one.double().flatten(), other.flatten(), dim=0).item() > 0.999
        assert one.norm().item() == pytest.approx(other.norm().item(), rel=0.02)
