"""The fused kernel against autograd in float64 through the formula."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from improved_gan.kernels import cpp_extension
from improved_gan.kernels.fused_mlp_discriminator import Layer, fused_mlp_discriminator, normalized_weights
from improved_gan.techniques import gradient_penalty

pytestmark = pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)

WIDTHS = (40, 64, 24, 10)


def make_layers(dtype: torch.dtype = torch.float32) -> list[Layer]:
    generator = torch.Generator().manual_seed(3)
    return [
        Layer(
            torch.randn(b, a, generator=generator).to(dtype).requires_grad_(),
            (1 + torch.rand(b, 1, generator=generator)).to(dtype).requires_grad_(),
            # Each unit firmly on or off: bfloat16 rounding must not move any across the kink.
            (4.0 * (-1.0) ** torch.arange(b)).to(dtype).requires_grad_(),
        )
        for a, b in pairwise(WIDTHS)
    ]


def plain(values: torch.Tensor, layers: list[Layer]) -> tuple[torch.Tensor, torch.Tensor]:
    """The formula of the module docstring without noise, one torch operation at a time."""
    for v, g, bias in layers[:-1]:
        values = F.relu(values @ (g * v / v.norm(dim=1, keepdim=True)).t() + bias)
    v, g, bias = layers[-1]
    return values @ (g * v / v.norm(dim=1, keepdim=True)).t() + bias, values


def tensors(layers: list[Layer]) -> list[torch.Tensor]:
    return [tensor for layer in layers for tensor in layer]


def alike(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """The cosine between two tensors: 1 but for rounding."""
    return F.cosine_similarity(got.double().flatten(), wanted.double().flatten(), dim=0).item()


@pytest.mark.parametrize("parts", ["logits", "features", "both"])
def test_values_and_gradients_without_noise(parts: str) -> None:
    torch.manual_seed(0)
    values = 0.3 * torch.randn(50, WIDTHS[0])
    values64 = values.double().requires_grad_()
    values.requires_grad_()
    layers, layers64 = make_layers(), make_layers(torch.float64)
    results, expected = fused_mlp_discriminator(values, layers, [0.0] * 3), plain(values64, layers64)
    chosen = {"logits": [0], "features": [1], "both": [0, 1]}[parts]
    weights = [torch.randn_like(expected[i]) for i in chosen]
    for i in (0, 1):
        assert alike(results[i], expected[i]) > 0.9999
    loss = sum((results[i].double() * w).sum() for i, w in zip(chosen, weights, strict=True))
    loss64 = sum((expected[i] * w).sum() for i, w in zip(chosen, weights, strict=True))
    got = torch.autograd.grad(loss, [values, *tensors(layers)], allow_unused=True)
    wanted = torch.autograd.grad(loss64, [values64, *tensors(layers64)], allow_unused=True)
    for one, other in zip(got, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert alike(one, other) > 0.999
            assert one.norm().item() == pytest.approx(other.norm().item(), rel=0.02)


def test_noise_is_added_before_each_layer() -> None:
    """One layer, weight 1: the logit's variance over draws is the sum of what each noise adds."""
    torch.manual_seed(1)
    one = torch.ones(1, 1)
    layers = [Layer(one, one, torch.full((1,), 10.0)), Layer(one, one, torch.zeros(1))]
    logits, _ = fused_mlp_discriminator(torch.zeros(100_000, 1), layers, [0.3, 0.4])
    assert logits.mean().item() == pytest.approx(10, abs=0.02)
    assert logits.std().item() == pytest.approx(0.5, rel=0.02)


def test_frozen_parameters_still_pass_the_gradient_to_the_images() -> None:
    layers, values = make_layers(), torch.randn(6, WIDTHS[0])
    for tensor in tensors(layers):
        tensor.requires_grad_(False)
    frozen = values.clone().requires_grad_()
    fused_mlp_discriminator(frozen, layers, [0.0] * 3, normalized_weights(layers))[1].sum().backward()
    learning = values.clone().requires_grad_()
    fused_mlp_discriminator(learning, make_layers(), [0.0] * 3)[1].sum().backward()
    assert frozen.grad is not None
    assert torch.equal(frozen.grad, learning.grad)


@pytest.mark.parametrize("under_autocast", [False, True])
def test_a_gradient_penalty_has_the_gradients_of_the_formula(under_autocast: bool) -> None:
    torch.manual_seed(2)
    values = 0.3 * torch.randn(50, WIDTHS[0])
    layers, layers64 = make_layers(), make_layers(torch.float64)
    weights = torch.randn(WIDTHS[-1])  # linear in the logits: their rounding in bfloat16 must not matter

    def score(images: torch.Tensor) -> torch.Tensor:
        return (fused_mlp_discriminator(images, layers, [0.0] * 3)[0] * weights).sum(1)

    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=under_autocast):
        penalty = gradient_penalty(score, values)
    expected = gradient_penalty(lambda x: plain(x, layers64)[0] @ weights.double(), values.double())
    assert penalty.item() == pytest.approx(expected.item(), rel=0.01)
    got = torch.autograd.grad(penalty, tensors(layers), allow_unused=True)
    wanted = torch.autograd.grad(expected, tensors(layers64), allow_unused=True)
    for one, other in zip(got, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert alike(one, other) > 0.999 or not (one.any() or other.any())  # biases: 0 but at a kink
            assert one.norm().item() == pytest.approx(other.norm().item(), rel=0.02)


@pytest.mark.parametrize("parts", ["logits", "features", "both"])
def test_a_gradient_that_is_differentiated_again_has_the_same_noise(parts: str) -> None:
    values, layers, found = torch.randn(40, WIDTHS[0], requires_grad=True), make_layers(), []
    for again in (False, True):
        torch.manual_seed(4)
        outputs = fused_mlp_discriminator(values, layers, [2.0, 3.0, 1.0], num_constant=5)
        chosen = {"logits": outputs[:1], "features": outputs[1:], "both": outputs}[parts]
        loss = sum(one.float().square().sum() for one in chosen)
        assert isinstance(loss, torch.Tensor)
        found.append(torch.autograd.grad(loss, [values, *tensors(layers)], create_graph=again, allow_unused=True))
    for once, twice in zip(*found, strict=True):
        assert (once is None) == (twice is None)
        if once is not None and twice is not None:
            assert alike(twice, once) > 0.999
    assert not found[1][0][:5].any()


def test_no_gradient_goes_through_constant_rows() -> None:
    values, layers = torch.randn(7, WIDTHS[0], requires_grad=True), make_layers()
    logits, features = fused_mlp_discriminator(values, layers, [0.0] * 3, num_constant=3)
    loss = logits[:3].square().sum() + features[:3].float().sum()
    for grad in torch.autograd.grad(loss, [values, *tensors(layers)], allow_unused=True):
        assert grad is None or not grad.any()


def test_nothing_to_differentiate_gives_no_gradient_with_a_graph_too() -> None:
    layers, values = make_layers(), torch.randn(6, WIDTHS[0])
    for tensor in tensors(layers[:-1]):
        tensor.requires_grad_(False)
    features = fused_mlp_discriminator(values, layers, [0.0] * 3)[1]
    values.zero_()  # the caller's batch may be used again
    given = list(layers[-1])
    assert torch.autograd.grad(features.sum(), given, create_graph=True, allow_unused=True) == (None,) * 3
