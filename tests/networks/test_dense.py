import copy
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import register_parametrization, remove_parametrizations

from improved_gan.data import Batch
from improved_gan.kernels import cpp_extension
from improved_gan.kernels.vmap_fallback import use_reference_ops
from improved_gan.networks import DenseDiscriminator, DenseGenerator, DiscriminatorOutput
from improved_gan.networks.dense import (
    SoftplusBlock,
    batch_norm_layer_of,
    layer_of,
    uses_fused_kernel,
    weight_normed,
)
from improved_gan.recipes.registry import find_recipe
from improved_gan.techniques import data_dependent_init_, weight_norm
from improved_gan.training import Optimizers, SemiSupervised, train_step


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
    values, layers = torch.rand(2, 3), [weight_normed(nn.Linear(3, 3), learn_scale=True) for _ in range(2)]
    assert not uses_fused_kernel(values, layers)
    with torch.autocast("cpu", dtype=torch.float16):
        assert not uses_fused_kernel(values, layers)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert uses_fused_kernel(values, layers)
        assert not uses_fused_kernel(values, [layers[0], copy.deepcopy(layers[1]).double()])
        with use_reference_ops():
            assert not uses_fused_kernel(values, layers)


@pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)
@pytest.mark.parametrize("name", ["mnist", "mnist-released", "mnist-short", "digits"])
def test_fused_kernels_run_the_networks_of_the_recipes(name: str) -> None:
    recipe = find_recipe(name)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    with bfloat16():
        assert discriminator._uses_fused_kernel(torch.rand(2, 1))
        assert generator._uses_fused_kernel(torch.rand(2, 1))


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def test_the_networks_have_the_sizes_of_the_released_experiment() -> None:
    widths = [784, 1000, 500, 250, 250, 250, 10]
    weights = sum(a * b for a, b in pairwise(widths))
    # Learned: v and b of each layer, g of the last one only.
    assert count(DenseDiscriminator((1, 28, 28), 10)) == weights + sum(widths[1:]) + 10
    # Learned: weights and shifts, and g, v, b of the output.
    generator = 100 * 500 + 500 + 500 * 500 + 500 + 500 * 784 + 784 + 784
    assert count(DenseGenerator((1, 28, 28))) == generator


def test_discriminator_in_evaluation_is_the_formula() -> None:
    network = DenseDiscriminator((1, 3, 2), 4, hidden=(7, 5)).double()
    data_dependent_init_(network, torch.rand(50, 1, 3, 2, dtype=torch.float64))
    images = torch.rand(6, 1, 3, 2, dtype=torch.float64)
    output = network.eval()(images)
    values = images.numpy().reshape(6, 6)
    for layer in network.hidden:
        values = np.maximum(values @ layer.weight.detach().numpy().T + layer.bias.detach().numpy(), 0)
    layers = network.hidden_layers(images)
    assert [layer.shape for layer in layers] == [(6, 7), (6, 5)]
    np.testing.assert_allclose(layers[-1].detach().numpy(), values, rtol=1e-10)
    np.testing.assert_allclose(output.features.detach().numpy(), values, rtol=1e-10)
    logits = values @ network.output.weight.detach().numpy().T + network.output.bias.detach().numpy()
    np.testing.assert_allclose(output.logits.detach().numpy(), logits, rtol=1e-10)


def test_discriminator_is_noisy_in_training_and_its_features_come_before_the_last_noise() -> None:
    network = DenseDiscriminator((1, 3, 2), 4, hidden=(7, 5), input_noise=0.0, hidden_noise=0.5)
    images = torch.rand(6, 1, 3, 2)
    assert not torch.equal(network(images).logits, network(images).logits)
    quiet = DenseDiscriminator((1, 3, 2), 4, hidden=(5,), input_noise=0.0, hidden_noise=0.5)
    assert torch.equal(quiet(images).features, quiet(images).features)
    assert not torch.equal(quiet(images).logits, quiet(images).logits)


def test_generator_is_the_formula() -> None:
    network = DenseGenerator((1, 3, 2), latent_size=4, hidden=(5,)).double()
    torch.nn.init.normal_(network.hidden[0].bias)
    latents = torch.rand(8, 4, dtype=torch.float64)
    values = latents.numpy() @ network.hidden[0].weight.detach().numpy().T
    values = (values - values.mean(0)) / np.sqrt(values.var(0) + 1e-6) + network.hidden[0].bias.detach().numpy()
    values = np.logaddexp(0, values)
    values = values @ network.output.weight.detach().numpy().T + network.output.bias.detach().numpy()
    expected = (1 / (1 + np.exp(-values))).reshape(8, 1, 3, 2)
    np.testing.assert_allclose(network(latents).detach().numpy(), expected, rtol=1e-9)


def test_generator_in_evaluation_is_batch_independent() -> None:
    network = DenseGenerator((1, 3, 2), latent_size=4, hidden=(5, 5))
    for _ in range(3):
        network(network.draw_latents(20))
    network.eval()
    latents = network.draw_latents(5)
    torch.testing.assert_close(network(latents)[:1], network(latents[:1]))


def test_latents_are_uniform_and_a_source_repeats_them() -> None:
    network = DenseGenerator((1, 3, 2))
    latents = network.draw_latents(1000)
    assert latents.shape == (1000, 100)
    assert latents.min() >= 0
    assert latents.max() <= 1
    assert latents.mean().item() == pytest.approx(0.5, abs=0.01)
    first, second = (network.draw_latents(3, source=torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first, second)


def test_pixels_are_in_the_unit_range_in_float32_even_under_autocast() -> None:
    network = DenseGenerator((1, 3, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images = network(network.draw_latents(10))
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1


@pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)
def test_weights_are_cached_inside_and_recomputed_outside() -> None:
    torch.manual_seed(0)
    discriminator = DenseDiscriminator((1, 4, 4), 3, hidden=(8, 8), input_noise=0.0, hidden_noise=0.0)
    generator = DenseGenerator((1, 4, 4), latent_size=5, hidden=(8, 8))
    images, latents = torch.rand(6, 1, 4, 4), torch.rand(6, 5)
    for network, inputs in ((discriminator, images), (generator, latents)):
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
            before = first_output(network(inputs))
            with network.cache_weights():
                network(inputs)
                # Breaks the promise of cache_weights, to observe the cache: another weight of the first layer.
                first = next(p for p in network.hidden.parameters() if p.dim() == 2 and p.shape[1] > 1)
                first.copy_(torch.randn_like(first))
                kept = first_output(network(inputs))
            after = first_output(network(inputs))
        assert torch.equal(kept, before)
        assert not torch.equal(after, before)


def first_output(result: DiscriminatorOutput | torch.Tensor) -> torch.Tensor:
    return result.logits if isinstance(result, DiscriminatorOutput) else result


@pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)
def test_weights_updated_by_a_fused_optimizer_are_used_at_once() -> None:
    """PyTorch's fused Adam does not mark what it changes: no cache may rely on the tensors' version."""
    network = DenseDiscriminator((1, 4, 4), 3, hidden=(8,), input_noise=0.0, hidden_noise=0.0)
    images = torch.rand(6, 1, 4, 4)
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(trainable, lr=0.5, fused=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before = network(images)
    before.features.sum().backward()
    adam.step()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not torch.equal(network(images).features, before.features)


@pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_one_pass_with_constant_images_equals_two_passes(precision: torch.dtype) -> None:
    torch.manual_seed(0)
    network = DenseDiscriminator((1, 4, 4), 3, hidden=(8, 8), input_noise=0.0, hidden_noise=0.0)
    constants, images, weights = torch.rand(5, 1, 4, 4), torch.rand(6, 1, 4, 4).requires_grad_(), torch.randn(6, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        with torch.no_grad():
            wanted_constant = network(constants)
        wanted = network(images)
        constant, scored = network.forward_real_and_generated(constants, lambda: images)
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for one, other in ((constant, wanted_constant), (scored, wanted)):
        for got, expected in zip(one, other, strict=True):
            torch.testing.assert_close(got, expected)
    assert not constant.features.requires_grad
    assert not constant.logits.requires_grad
    got_grads, wanted_grads = (
        torch.autograd.grad((output.features * weights).sum() + output.logits.sum(), [images, *trainable])
        for output in (scored, wanted)
    )
    for got, expected in zip(got_grads, wanted_grads, strict=True):
        torch.testing.assert_close(got, expected, rtol=0.02, atol=1e-3)


@pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)
@pytest.mark.parametrize("micro_batch", [0, 4])
def test_weights_cached_across_steps_change_nothing(micro_batch: int) -> None:
    """Fused Adam does not mark what it changes: a step without `invalidate_weight_cache` would use old weights."""
    together, apart = ([dict(terms) for terms in losses_of_steps(kept, micro_batch)] for kept in (True, False))
    assert together == apart
    assert len({terms["discriminator/supervised"] for terms in together}) == len(together)


def losses_of_steps(kept: bool, micro_batch: int) -> Iterator[dict[str, float]]:
    torch.manual_seed(0)
    generator, discriminator = DenseGenerator((1, 4, 4), hidden=(8,)), DenseDiscriminator((1, 4, 4), 3, hidden=(8, 8))
    adams = (
        torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.1, fused=True)
        for network in (discriminator, generator)
    )
    optimizers, batch = (
        Optimizers(*adams),
        Batch(torch.rand(6, 1, 4, 4), torch.arange(6) % 3, *torch.rand(2, 6, 1, 4, 4)),
    )
    with discriminator.cache_weights_across_steps() if kept else nullcontext():
        for _ in range(4):
            terms = train_step(
                generator,
                discriminator,
                SemiSupervised(),
                batch,
                optimizers,
                precision=torch.bfloat16,
                generator_updates=2,
                micro_batch=micro_batch,
            )
            yield {name: value.item() for name, value in terms.items()}


def bfloat16() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16)


@pytest.mark.skipif(
    cpp_extension.library() is None, reason=f"no compiled kernels: {cpp_extension.unavailable_reason()}"
)
def test_cached_weights_end_with_their_scope_and_are_not_copied() -> None:
    network = DenseDiscriminator((1, 4, 4), 3, hidden=(8, 8), input_noise=0.0, hidden_noise=0.0)
    others = DenseDiscriminator((1, 4, 4), 3, hidden=(8, 8), input_noise=0.0, hidden_noise=0.0)
    images, start = torch.rand(6, 1, 4, 4), copy.deepcopy(network.state_dict())

    def answer(discriminator: DenseDiscriminator) -> torch.Tensor:
        with bfloat16(), torch.no_grad():
            return discriminator(images).logits  # type: ignore[no-any-return]

    first, second = answer(network), answer(others)
    assert not torch.equal(first, second)

    def set_to(weights: dict[str, torch.Tensor], discriminator: DenseDiscriminator) -> None:
        """As an optimizer: in place, without calling any hook."""
        with torch.no_grad():
            for name, value in discriminator.state_dict(keep_vars=True).items():
                value.copy_(weights[name])

    with network.cache_weights_across_steps():
        with network.cache_weights():
            answer(network)
        twin = copy.deepcopy(network)
        network.load_state_dict(others.state_dict())
        assert torch.equal(answer(network), second)
        with network.cache_weights():
            answer(network)
        set_to(start, network)
    assert torch.equal(answer(network), first)
    for one in (twin, network):  # neither has a cache outside its own scope
        set_to(start, one)
        with one.cache_weights():
            assert torch.equal(answer(one), first)
        set_to(others.state_dict(), one)
        assert torch.equal(answer(one), second)


@pytest.mark.parametrize("how", ["subclass", "instance", "hook"])
def test_overrides_and_hooks_of_forward_hold_in_the_generator_update_too(how: str) -> None:
    class Squared(DenseDiscriminator):
        def forward(self, images: torch.Tensor) -> DiscriminatorOutput:
            return super().forward(images * images)

    torch.manual_seed(0)
    plain = DenseDiscriminator((1, 4, 4), 3, hidden=(8,), input_noise=0.0, hidden_noise=0.0)
    network = Squared((1, 4, 4), 3, hidden=(8,), input_noise=0.0, hidden_noise=0.0) if how == "subclass" else plain
    network.load_state_dict(plain.state_dict())
    constants, images = torch.rand(2, 5, 1, 4, 4)
    with bfloat16():
        wanted = [plain(part * part) for part in (constants, images)]
        if how == "instance":
            before = network.forward
            network.forward = lambda images: before(images * images)  # type: ignore[method-assign]
        elif how == "hook":
            network.register_forward_pre_hook(lambda _, inputs: (inputs[0] * inputs[0],))
        got = network.forward_real_and_generated(constants, lambda: images)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one.features, other.features)
        torch.testing.assert_close(one.logits, other.logits)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_parameters_of_another_type_are_never_read_as_float32(dtype: torch.dtype) -> None:
    """Fused kernels read float32 only: other dtypes use the modules, with their results or their errors."""
    generator = DenseGenerator((1, 4, 4), hidden=(8,))
    discriminator = DenseDiscriminator((1, 4, 4), 3, hidden=(8,), input_noise=0.0, hidden_noise=0.0)
    for network, inputs in ((generator, torch.rand(6, 100)), (discriminator, torch.rand(6, 1, 4, 4))):
        network.to(dtype)
        got, wanted = outcome(network, inputs), outcome_in_plain(network, inputs)
        assert type(got) is type(wanted)
        if isinstance(got, torch.Tensor):
            torch.testing.assert_close(got, wanted)


def outcome(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor | RuntimeError:
    torch.manual_seed(0)
    try:
        with bfloat16():
            return first_output(network(inputs))
    except RuntimeError as error:
        return error


def outcome_in_plain(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor | RuntimeError:
    with use_reference_ops():
        return outcome(network, inputs)


def test_copies_of_a_compiled_network_run_their_own_weights() -> None:
    network = DenseDiscriminator((1, 4, 4), 3, hidden=(8,), input_noise=0.0, hidden_noise=0.0)
    generator = DenseGenerator((1, 4, 4), hidden=(8,))
    for module, inputs in ((network, torch.rand(5, 1, 4, 4)), (generator, torch.rand(5, 100))):
        module.compile(backend="eager")
        module(inputs)
        twin = copy.deepcopy(module).eval()
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.mul_(1.5)
        before = copy.deepcopy(module.state_dict())
        assert torch.equal(first_output(twin(inputs)), first_output(twin.forward(inputs)))
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_overridden_layers_are_used_in_training_too(precision: torch.dtype) -> None:
    class Doubled(DenseDiscriminator):
        def hidden_layers(self, images: torch.Tensor) -> list[torch.Tensor]:
            return [2 * layer for layer in super().hidden_layers(images)]

    network = Doubled((1, 4, 4), 3, hidden=(8,), input_noise=0.0, hidden_noise=0.0)
    images = torch.rand(5, 1, 4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        torch.testing.assert_close(network(images).features, network.hidden_layers(images)[-1])
        _, scored = network.forward_real_and_generated(images, lambda: images)
        torch.testing.assert_close(scored.features, network.hidden_layers(images)[-1])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_without_hidden_layers_it_is_a_linear_classifier_of_the_pixels(precision: torch.dtype) -> None:
    network, images = DenseDiscriminator((1, 4, 4), 3, hidden=(), input_noise=0.0), torch.rand(5, 1, 4, 4)
    assert not network.hidden_layers(images)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        torch.testing.assert_close(network(images).features, images.flatten(1))
        assert network(images).logits.shape == (5, 3)


def test_backward_hooks_are_called_in_the_generator_update() -> None:
    network, called = DenseDiscriminator((1, 4, 4), 3, hidden=(8,)), []
    network.register_full_backward_hook(lambda *_: called.append(1))
    images = torch.rand(5, 1, 4, 4).requires_grad_()
    with bfloat16():
        _, scored = network.forward_real_and_generated(torch.rand(5, 1, 4, 4), lambda: images)
    scored.features.float().sum().backward()
    assert called == [1]


def test_frozen_replaced_and_hooked_parts_are_themselves_in_bfloat16_too() -> None:
    """The fused kernels call no module, so they run only where calling the modules would be the same."""
    discriminator, images = DenseDiscriminator((1, 4, 4), 3, hidden=(8, 8)), torch.rand(5, 1, 4, 4)
    discriminator.noises.eval()
    with bfloat16():
        frozen = discriminator(images).logits
    torch.testing.assert_close(frozen.float(), discriminator(images).logits, rtol=0.1, atol=0.1)
    discriminator.noises.train()
    discriminator.noises[0] = torch.nn.Identity()
    for noise in discriminator.noises[1:]:
        noise.std = 0.0
    with bfloat16():
        replaced = discriminator(images).logits
    torch.testing.assert_close(replaced.float(), frozen.float(), rtol=0.1, atol=0.1)
    discriminator, called = DenseDiscriminator((1, 4, 4), 3, hidden=(8, 8)), []
    discriminator.hidden[1].register_forward_hook(lambda *_: called.append(1))
    with bfloat16():
        discriminator(images)
    assert called == [1]
    generator = DenseGenerator((1, 4, 4), hidden=(8, 8))
    block = generator.hidden[0].eval()
    with bfloat16():
        generator(generator.draw_latents(6))
    assert torch.equal(block.running_mean, torch.zeros(8))
    assert not torch.equal(generator.hidden[1].running_mean, torch.zeros(8))


class Negated(nn.Linear):
    """A layer with its own forward."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return -super().forward(values)


def _negate(layer: nn.Linear) -> nn.Module:
    result = Negated(layer.in_features, layer.out_features)
    nn.init.normal_(result.weight)
    return weight_norm(result)


def _assign_forward(layer: nn.Linear) -> nn.Module:
    layer.forward = lambda values: -nn.Linear.forward(layer, values)
    return layer


def _norm_of_columns(layer: nn.Linear) -> nn.Module:
    return nn.utils.parametrizations.weight_norm(nn.Linear(layer.in_features, layer.out_features), dim=1)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda layer: nn.Linear(layer.in_features, layer.out_features), id="replaced"),
        pytest.param(lambda layer: nn.Sequential(layer), id="wrapped"),
        pytest.param(lambda layer: remove_parametrizations(layer, "weight"), id="without weight norm"),
        pytest.param(lambda layer: spectral_norm(remove_parametrizations(layer, "weight")), id="spectral norm"),
        pytest.param(lambda layer: register_parametrization(layer, "weight", nn.Hardtanh()), id="a second one"),
        pytest.param(lambda layer: register_parametrization(layer, "bias", nn.Hardtanh()), id="of the bias"),
        pytest.param(
            lambda layer: weight_norm(nn.Linear(layer.in_features, layer.out_features, bias=False)), id="no bias"
        ),
        pytest.param(_norm_of_columns, id="norm of the columns"),
        pytest.param(_negate, id="subclass"),
        pytest.param(_assign_forward, id="assigned forward"),
    ],
)
@pytest.mark.parametrize("place", ["hidden layer of D", "output of D", "output of G"])
def test_layers_of_another_kind_are_themselves_in_bfloat16_too(change, place: str) -> None:
    """The fused kernels compute weight-normalized `nn.Linear` layers and no others."""
    torch.manual_seed(0)
    if place == "output of G":
        network, inputs = DenseGenerator((1, 4, 4), hidden=(8, 8)), torch.rand(6, 100)
    else:
        network, inputs = DenseDiscriminator((1, 4, 4), 3, hidden=(8, 8)), torch.rand(6, 1, 4, 4)
        for noise in network.noises:
            noise.std = 0.0
    if place == "hidden layer of D":
        network.hidden[0] = change(network.hidden[0])
    else:
        network.output = change(network.output)
    expected = network(inputs)
    with bfloat16():
        computed = network(inputs)
    if place != "output of G":
        expected, computed = expected.logits, computed.logits
    torch.testing.assert_close(computed.float(), expected, rtol=0.1, atol=0.1)
