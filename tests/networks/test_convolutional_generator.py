import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from improved_gan.networks import ConvolutionalGenerator, ReferenceGenerator
from improved_gan.networks.convolutional_generator import upsampling
from improved_gan.techniques import VirtualBatchNorm


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


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
    values = (values - values.mean(0)) / (values.var(0, correction=0) + 1e-5).sqrt() + generator.dense_norm.bias
    values = F.relu(values.reshape(7, 6, 2, 2))
    values = F.conv_transpose2d(values, generator.upsamplings[0].weight, None, stride=2, padding=2, output_padding=1)
    mean, variance = values.mean((0, 2, 3), keepdim=True), values.var((0, 2, 3), keepdim=True, correction=0)
    values = F.relu((values - mean) / (variance + 1e-5).sqrt() + generator.norms[0].bias[:, None, None])
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


def test_latents_of_a_source_do_not_touch_the_global_state() -> None:
    generator = ConvolutionalGenerator((1, 8, 8), widths=(4,))
    state = torch.get_rng_state()
    draws = [generator.draw_latents(3, source=torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*draws)
    assert torch.equal(state, torch.get_rng_state())
    assert 0 <= draws[0].min() < draws[0].max() <= 1


@pytest.mark.parametrize(("shape", "widths"), [((1, 28, 28), (8, 4)), ((3, 64, 64), (8, 8, 4, 4)), ((3, 16, 32), (4,))])
def test_other_sizes(shape: tuple[int, int, int], widths: tuple[int, ...]) -> None:
    generator = ConvolutionalGenerator(shape, widths=widths)
    assert generator(generator.draw_latents(2)).shape == (2, *shape)


def test_a_size_that_is_no_multiple_of_the_doublings_is_refused() -> None:
    with pytest.raises(ValueError, match="3 doublings make sizes that are multiples of 8, but the image is"):
        ConvolutionalGenerator((1, 28, 28))


def test_upsampling_doubles_exactly_and_its_initial_std() -> None:
    layer = upsampling(64, 32, bias=True, std=0.02)
    assert layer(torch.zeros(1, 64, 5, 3)).shape == (1, 32, 10, 6)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)


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
