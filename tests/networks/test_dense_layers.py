import pytest
import torch
import torch.nn.functional as F
from torch import nn

from improved_gan.kernels import cpp_extension
from improved_gan.kernels.vmap_fallback import use_reference_ops
from improved_gan.networks.dense_layers import (
    SoftplusBlock,
    batch_norm_layer_of,
    layer_of,
    uses_fused_kernel,
    weight_normed,
)


def test_softplus_block_is_the_formula_in_both_modes() -> None:
    torch.manual_seed(0)
    block, values = SoftplusBlock(5, 3).double(), torch.randn(7, 5, dtype=torch.float64)
    nn.init.normal_(block.bias)
    products = values @ block.weight.T
    normal = (products - products.mean(0)) / (products.var(0, correction=0) + 1e-6).sqrt()
    torch.testing.assert_close(block(values), torch.log1p(torch.exp(normal + block.bias)))
    torch.testing.assert_close(block.running_mean, 0.1 * products.mean(0).detach())
    torch.testing.assert_close(block.running_var, 0.9 + 0.1 * products.var(0).detach())
    mean, var = block.running_mean, block.running_var
    expected = F.softplus((products - mean) / (var + 1e-6).sqrt() + block.bias)
    torch.testing.assert_close(block.eval()(values), expected)


def test_kernel_arguments_are_the_parameters_themselves() -> None:
    linear, block = weight_normed(nn.Linear(5, 3), learn_scale=True), SoftplusBlock(5, 3)
    layer = layer_of(linear)
    torch.testing.assert_close(layer.g * layer.v / layer.v.norm(dim=1, keepdim=True), linear.weight)
    assert layer.bias is linear.bias
    assert batch_norm_layer_of(block) == (block.weight, block.bias, block.running_mean, block.running_var)


@pytest.mark.parametrize("learn_scale", [False, True])
def test_initialization_is_the_released_one(learn_scale: bool) -> None:
    torch.manual_seed(0)
    layer = layer_of(weight_normed(nn.Linear(300, 200), learn_scale=learn_scale))
    assert layer.v.std().item() == pytest.approx(0.1, rel=0.02)
    assert torch.equal(layer.g, torch.ones(200, 1))
    assert not layer.bias.any()
    assert layer.g.requires_grad == learn_scale


@pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)
def test_fused_kernels_run_only_under_bfloat16_with_float32_parameters() -> None:
    values, output = torch.rand(2, 3), nn.Linear(3, 3)
    assert not uses_fused_kernel(values, output)
    with torch.autocast("cpu", dtype=torch.float16):
        assert not uses_fused_kernel(values, output)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert uses_fused_kernel(values, output)
        assert not uses_fused_kernel(values, nn.Linear(3, 3, dtype=torch.float64))
        with use_reference_ops():
            assert not uses_fused_kernel(values, output)
