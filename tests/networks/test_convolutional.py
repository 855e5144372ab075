from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from improved_gan.networks import (
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    ReferenceGenerator,
    forward_batches,
)
from improved_gan.networks.convolutional import upsampling
from improved_gan.techniques import MinibatchDiscrimination, VirtualBatchNorm

RELEASED = partial(MinibatchDiscrimination, num_kernels=100, kernel_dim=5, variant="released")


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def convolutions(wide: int, wider: int) -> int:
    """Weights and biases of method 4.2, layer by layer; scales are not learned."""
    shapes = [(3, wide, 9), (wide, wide, 9), (wide, wide, 9)]
    shapes += [(wide, wider, 9), (wider, wider, 9), (wider, wider, 9)]
    shapes += [(wider, wider, 9), (wider, wider, 1), (wider, wider, 1)]
    return sum(before * after * size + after for before, after, size in shapes)


@pytest.mark.parametrize(("wide", "wider"), [(96, 192), (64, 128)], ids=["cifar10", "svhn"])
def test_both_forms_have_the_parameters_of_the_paper(wide: int, wider: int) -> None:
    body = convolutions(wide, wider)
    matching = ConvolutionalDiscriminator((3, 32, 32), 10, widths=(wide, wider))
    assert count(matching) == body + wider * 10 + 10 + 10  # v, b and the learned g of the last layer
    minibatch = ConvolutionalDiscriminator((3, 32, 32), 10, widths=(wide, wider), minibatch=RELEASED)
    layer = wider * 500 + 500 + 100  # directions, log scales, biases
    assert count(minibatch) == body + layer + (wider + 100) * 10 + 10 + 10


def test_each_layer_has_the_shape_of_the_paper() -> None:
    network, shapes = ConvolutionalDiscriminator((3, 32, 32), 10), []
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape[1:])))
    network(torch.rand(2, 3, 32, 32))
    assert shapes == [
        (96, 32, 32), (96, 32, 32), (96, 16, 16), (192, 16, 16), (192, 16, 16), (192, 8, 8),
        (192, 6, 6), (192, 6, 6), (192, 6, 6), (10,),
    ]  # fmt: skip


def test_evaluation_is_the_formula_on_images_in_minus_one_to_one() -> None:
    network = ConvolutionalDiscriminator((1, 8, 8), 4, widths=(5,), convolutions=2).double().eval()
    images = torch.rand(6, 1, 8, 8, dtype=torch.float64)
    values = 2 * images - 1
    for stride, padding, layer in zip((1, 2, 1, 1, 1), (1, 1, 0, 0, 0), convolution_layers(network), strict=True):
        values = F.leaky_relu(F.conv2d(values, layer.weight, layer.bias, stride, padding), 0.2)
    features = values.detach().numpy().mean((2, 3))
    output = network(images)
    np.testing.assert_allclose(output.features.detach().numpy(), features, rtol=1e-10)
    expected = features @ network.output.weight.detach().numpy().T + network.output.bias.detach().numpy()
    np.testing.assert_allclose(output.logits.detach().numpy(), expected, rtol=1e-10)


def convolution_layers(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def test_only_the_last_scale_is_learned_and_initialized_to_std_one_tenth() -> None:
    quiet = partial(ConvolutionalDiscriminator, (3, 32, 32), 10, widths=(8, 16), input_dropout=0.0, hidden_dropout=0.0)
    network = quiet(minibatch=RELEASED)
    learned = [name for name, one in network.named_parameters() if name.endswith("original0") and one.requires_grad]
    assert learned == ["output.parametrizations.weight.original0"]
    images, outputs = torch.rand(64, 3, 32, 32), {}
    network.init_from_data_(images)
    network.output.register_forward_hook(lambda _m, _i, output: outputs.update(last=output))
    network.body[0].convolution.register_forward_hook(lambda _m, _i, output: outputs.update(first=output))
    network(images)
    assert outputs["last"].detach().std(0, correction=0).numpy() == pytest.approx([0.1] * 10, rel=1e-3)
    assert outputs["first"].detach().std((0, 2, 3), correction=0).numpy() == pytest.approx([1.0] * 8, rel=1e-3)


def test_minibatch_features_make_rows_of_a_batch_dependent_but_not_batches() -> None:
    network = ConvolutionalDiscriminator((1, 8, 8), 3, widths=(6,), minibatch=RELEASED).eval()
    network.init_from_data_(torch.rand(20, 1, 8, 8))
    real, generated, other = (torch.rand(5, 1, 8, 8) for _ in range(3))
    together = forward_batches(network, [real, generated])
    for output, batch in zip(together, (real, generated), strict=True):
        torch.testing.assert_close(output.logits, network(batch).logits)
    torch.testing.assert_close(forward_batches(network, [real, other])[0].logits, together[0].logits)
    assert not torch.allclose(network(torch.cat([real[:1], other])).logits[0], together[0].logits[0], atol=1e-4)


def test_without_them_rows_are_independent() -> None:
    network = ConvolutionalDiscriminator((1, 8, 8), 3, widths=(6,)).eval()
    images = torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(network(images[:1]).logits, network(images).logits[:1])
    assert network.is_batch_independent


def test_input_noise_in_training_only() -> None:
    for corrupted in ({"input_dropout": 0.2, "hidden_dropout": 0.0}, {"input_dropout": 0.0, "input_noise": 0.2}):
        network = ConvolutionalDiscriminator((1, 8, 8), 3, widths=(6,), **corrupted)
        images = torch.rand(4, 1, 8, 8)
        assert not torch.equal(network(images).logits, network(images).logits)
        network.eval()
        assert torch.equal(network(images).logits, network(images).logits)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (3, 48, 64)])
def test_other_sizes(shape: tuple[int, int, int]) -> None:
    assert ConvolutionalDiscriminator(shape, 7, widths=(4, 8))(torch.rand(2, *shape)).logits.shape == (2, 7)


def test_an_image_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="2 halvings leave 2 pixels of an image \\(1, 8, 8\\)"):
        ConvolutionalDiscriminator((1, 8, 8), 3, widths=(4, 8))


def test_cifar10_generator_has_the_parameters_and_shapes_of_the_paper() -> None:
    generator, shapes = ConvolutionalGenerator((3, 32, 32)), []
    expected = 100 * 512 * 16 + 512 * 16  # dense, a shift for each of its units
    expected += 512 * 256 * 25 + 256 + 256 * 128 * 25 + 128  # transposed convolutions, shifts
    expected += 128 * 3 * 25 + 3 + 3  # v, g and b of the last one
    assert count(generator) == expected
    for layer in generator.modules():
        if isinstance(layer, (nn.ConvTranspose2d, nn.BatchNorm2d)):
            layer.register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape[1:])))
    images = generator(generator.draw_latents(2))
    assert images.shape == (2, 3, 32, 32)
    maps = [(512, 4, 4), (256, 8, 8), (128, 16, 16)]
    assert shapes == [maps[1], maps[1], maps[2], maps[2], (3, 32, 32)]
    assert generator.first == maps[0]
    assert 0 <= images.min() <= images.max() <= 1


def test_generator_is_the_formula() -> None:
    generator = ConvolutionalGenerator((1, 8, 8), latent_size=5, widths=(6, 4)).double()
    nn.init.normal_(generator.dense_norm.bias)
    nn.init.normal_(generator.norms[0].bias)
    latents = generator.draw_latents(7).double()
    values = latents @ generator.dense.weight.T
    values = (values - values.mean(0)) / (values.var(0, correction=0) + 1e-6).sqrt() + generator.dense_norm.bias
    values = F.relu(values.reshape(7, 6, 2, 2))
    values = F.conv_transpose2d(values, generator.upsamplings[0].weight, None, stride=2, padding=2, output_padding=1)
    mean, variance = values.mean((0, 2, 3), keepdim=True), values.var((0, 2, 3), keepdim=True, correction=0)
    values = F.relu((values - mean) / (variance + 1e-6).sqrt() + generator.norms[0].bias[:, None, None])
    last = generator.output
    values = F.conv_transpose2d(values, last.weight, last.bias, stride=2, padding=2, output_padding=1)
    np.testing.assert_allclose(generator(latents).detach().numpy(), (torch.tanh(values).detach() + 1) / 2, rtol=1e-9)


def test_init_from_data_gives_the_last_layer_std_one_tenth() -> None:
    generator, outputs = ConvolutionalGenerator((3, 16, 16), widths=(16, 8)), []
    generator.output.register_forward_hook(lambda _m, _i, output: outputs.append(output))
    generator.init_from_data_(50)
    generator(generator.draw_latents(500))
    assert outputs[-1].std().item() == pytest.approx(0.1, rel=0.1)
    assert generator.output.parametrizations.weight.original0.requires_grad


def test_without_a_standard_deviation_the_last_layer_stays_as_it_is() -> None:
    generator = ConvolutionalGenerator((3, 16, 16), widths=(16, 8), output_std=None)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    generator.init_from_data_(50)
    torch.testing.assert_close(dict(generator.state_dict()), before, rtol=0, atol=0)
    assert (generator.output.parametrizations.weight.original0 == 1).all()


def test_latents_of_a_source_do_not_touch_the_global_state() -> None:
    generator = ConvolutionalGenerator((1, 8, 8), widths=(4,))
    state = torch.get_rng_state()
    draws = [generator.draw_latents(3, source=torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*draws)
    assert torch.equal(state, torch.get_rng_state())
    assert 0 <= draws[0].min() < draws[0].max() <= 1


@pytest.mark.parametrize(("shape", "widths"), [((1, 28, 28), (8, 4)), ((3, 64, 64), (8, 8, 4, 4)), ((3, 16, 32), (4,))])
def test_other_sizes_of_the_generator(shape: tuple[int, int, int], widths: tuple[int, ...]) -> None:
    generator = ConvolutionalGenerator(shape, widths=widths)
    assert generator(generator.draw_latents(2)).shape == (2, *shape)


def test_a_size_that_is_no_multiple_of_the_doublings_is_refused() -> None:
    with pytest.raises(ValueError, match="3 doublings make sizes that are multiples of 8, but the image is"):
        ConvolutionalGenerator((1, 28, 28))


def test_upsampling_doubles_exactly_and_its_initial_std() -> None:
    layer = upsampling(64, 32, bias=True, std=0.02)
    assert layer(torch.zeros(1, 64, 5, 3)).shape == (1, 32, 10, 6)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_epsilons_are_those_of_the_authors_programs() -> None:
    generator = ConvolutionalGenerator((1, 8, 8), latent_size=5, widths=(8, 4))
    assert {one.eps for one in generator.modules() if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d)} == {1e-6}
    norms = [one for one in small_reference_generator().modules() if isinstance(one, VirtualBatchNorm)]
    assert {one.eps for one in norms} == {1e-5}


def small_reference_generator() -> ReferenceGenerator:
    return ReferenceGenerator(lambda: ConvolutionalGenerator((1, 8, 8), latent_size=5, widths=(8, 4)), num_reference=12)


def test_virtual_batch_norm_replaces_batch_norm() -> None:
    generator = small_reference_generator()
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in generator.modules())
    virtual = [layer for layer in generator.modules() if isinstance(layer, VirtualBatchNorm)]
    assert [layer.num_features for layer in virtual] == [8 * 2 * 2, 4]
    assert count(generator) == count(ConvolutionalGenerator((1, 8, 8), latent_size=5, widths=(8, 4)))
    assert generator.state_dict()["body.reference"].shape == (12, 5)


def test_an_image_depends_on_its_latent_vector_alone_in_both_modes() -> None:
    generator = small_reference_generator()
    latents = generator.draw_latents(6)
    torch.testing.assert_close(generator(latents)[:2], generator(latents[:2]))
    generator.eval()
    assert torch.equal(generator(latents)[:2], generator(latents[:2]))


def test_evaluation_recomputes_reference_statistics() -> None:
    generator = small_reference_generator()
    latents = generator.draw_latents(3)
    generator.eval()(latents)
    for parameter in generator.parameters():
        if parameter.requires_grad:
            parameter.data.mul_(1.5)  # PyTorch does not count this change
    fresh = small_reference_generator()
    fresh.load_state_dict(generator.state_dict())
    assert torch.equal(generator.train().eval()(latents), fresh.eval()(latents))


def test_reference_generator_initializes_its_last_layer_from_data() -> None:
    generator, outputs = small_reference_generator(), []
    generator._inner.output.register_forward_hook(lambda _m, _i, output: outputs.append(output))
    generator.init_from_data_(1)
    generator(generator.draw_latents(200))
    assert outputs[-1].std().item() == pytest.approx(0.1, rel=0.3)
