from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from improved_gan.networks import ImageNetDiscriminator, ImageNetGenerator, ReferenceGenerator, forward_batches
from improved_gan.networks.imagenet import HalfBatchNorm
from improved_gan.techniques import MinibatchDiscrimination, real_and_generated_similarity


def test_full_size_has_the_layers_of_the_released_network() -> None:
    """Shapes and numbers of parameters layer by layer, as the authors' program builds them at 128x128, g = 64."""
    with torch.device("meta"):
        generator = ImageNetGenerator((3, 128, 128)).eval()
    shapes: list[tuple[int, ...]] = []
    for layer in (generator.dense, *generator.upsamplings, generator.output):
        layer.register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape[1:])))
    generator(torch.rand(2, generator.num_latents, device="meta"))
    maps = [(256, 8, 8), (128, 16, 16), (64, 32, 32), (64, 64, 64), (64, 128, 128)]
    assert shapes == [(512 * 4 * 4,), *maps, (3, 128, 128)]
    noises = [(64, 4, 4), (64, 8, 8), (32, 16, 16), (16, 32, 32), (8, 64, 64), (8, 128, 128)]
    assert generator.noise_shapes == noises
    assert generator.num_latents == 8192 + sum(c * h * w for c, h, w in noises)
    strides = [layer.stride[0] for layer in (*generator.upsamplings, generator.output)]
    assert strides == [2, 2, 2, 2, 2, 1]
    widths = [512, 256, 128, 64, 64, 64, 3]
    counts = [
        (before + noise[0]) * after * 25 + after
        for before, after, noise in zip(widths, widths[1:], noises, strict=False)
    ]
    assert [count(layer) for layer in (*generator.upsamplings, generator.output)] == counts
    assert count(generator.dense) == 8192 * 8192 + 8192
    assert [count(norm) for norm in generator.norms] == [2 * one for one in widths[:-1]]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_hidden_layers_are_initialized_as_released() -> None:
    generator = ImageNetGenerator((3, 32, 32), latent_size=100, width=16, factors=(8, 4, 2, 1))
    assert generator.dense.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert generator.upsamplings[0].weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert generator.norms[0].weight.std().item() == pytest.approx(0.02, rel=0.3)


def test_more_scales_than_released_need_their_noise() -> None:
    with pytest.raises(ValueError, match="has 6 scales, here are 7: give noise_channels"):
        ImageNetGenerator((3, 256, 256), width=1, factors=(8, 8, 4, 2, 1, 1, 1))


def test_last_layer_is_initialized_as_released() -> None:
    output = ImageNetGenerator((3, 64, 64), latent_size=8, width=32, factors=(8, 4, 2, 1, 1)).output
    assert output.weight.std().item() == pytest.approx(0.075, rel=0.05)
    assert output.bias.tolist() == pytest.approx([-0.45] * 3)


@pytest.mark.parametrize(("side", "factors"), [(128, (8, 4, 2, 1, 1, 1)), (64, (8, 4, 2, 1, 1))])
def test_noise_enters_at_every_scale(side: int, factors: tuple[int, ...]) -> None:
    generator = ImageNetGenerator((3, side, side), latent_size=6, width=2, factors=factors, noise_channels=2).eval()
    latents = generator.draw_latents(1)
    assert -1 <= latents.min() < -0.9
    assert 0.9 < latents.max() <= 1
    images = generator(latents)
    assert images.shape == (1, 3, side, side)
    first = 6
    for scale in range(len(factors)):
        size = 2 * (4 * 2**scale) ** 2
        other = latents.clone()
        other[:, first : first + size] *= -1
        assert not torch.equal(generator(other), images)
        first += size
    assert first == latents.shape[1]


def test_with_virtual_batch_norm_an_image_depends_on_its_latents_alone() -> None:
    def build() -> ImageNetGenerator:
        return ImageNetGenerator((3, 16, 16), latent_size=6, width=2, factors=(4, 2), noise_channels=1)

    generator = ReferenceGenerator(build, num_reference=6)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in generator.modules())
    generator.init_from_data_(4)  # changes nothing: no weight norm here
    latents = generator.draw_latents(4)
    torch.testing.assert_close(generator(latents)[:1], generator(latents[:1]))


KERNELS = partial(MinibatchDiscrimination, num_kernels=300, kernel_dim=50)
FEW = partial(MinibatchDiscrimination, num_kernels=3, kernel_dim=2)


def test_full_size_discriminator_has_the_layers_of_the_released_network() -> None:
    """Shapes and numbers of parameters layer by layer, as the authors' program builds them at 128x128, d = 64."""
    with torch.device("meta"):
        network = ImageNetDiscriminator((3, 128, 128), 1000, minibatch=KERNELS).eval()
    shapes: list[tuple[int, ...]] = []
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape[1:])))
    output = network(torch.rand(2, 3, 128, 128, device="meta"))
    maps = [(64, 64, 64), (128, 32, 32), (256, 16, 16), (256, 16, 16), (256, 16, 16), (512, 8, 8), (512, 4, 4)]
    assert shapes == [*maps, (2560,), (1001,)]
    assert (output.logits.shape, output.features.shape) == ((2, 1000), (2, 2560))
    widths = [3, 64, 128, 256, 256, 256, 512, 512]
    convolutions = [9 * before * after + after for before, after in pairwise(widths)]  # weights and biases
    assert [count(one) for one in network.body if isinstance(one, nn.Conv2d)] == convolutions
    assert [count(one) for one in network.body if isinstance(one, HalfBatchNorm)] == [2 * one for one in widths[1:]]
    assert count(network.dense) == 4 * 4 * 512 * 2560 + 2560
    assert count(network.dense_norm) == 2 * 2560
    assert count(network.minibatch) == 2560 * 300 * 50  # the release adds 15,000 biases, which cancel in distances
    assert count(network.output) == (2560 + 2 * 300) * 1001 + 1001


def test_initialization_is_the_released_one() -> None:
    network = ImageNetDiscriminator((3, 32, 32), 10, width=16, minibatch=KERNELS)
    for layer in (network.body[9], network.dense, network.output):
        cut = 0.88 if isinstance(layer, nn.Conv2d) else 1.0  # standard deviation of a normal cut off at two
        assert layer.weight.std().item() == pytest.approx(0.02 * cut, rel=0.03)
        assert layer.bias.abs().max() == 0
    assert network.body[9].weight.abs().max() <= 0.04
    assert network.minibatch.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert network.dense_norm.weight.std().item() == pytest.approx(0.02, rel=0.15)
    assert network.dense_norm.weight.mean().item() == pytest.approx(1, abs=0.01)


def test_shapes_at_another_size() -> None:
    output = ImageNetDiscriminator((3, 64, 64), 5, width=2, minibatch=FEW)(torch.rand(3, 3, 64, 64))
    assert (output.logits.shape, output.features.shape) == ((3, 5), (3, 80))


def test_batch_norm_takes_half_of_the_channels_from_each_half_of_the_rows() -> None:
    values = torch.randn(7, 4, 3, 3) * 2 + 1
    layer = HalfBatchNorm(4)
    rows = values.double().numpy()
    parts = [rows[:5, 0], rows[:5, 1], rows[5:, 2], rows[5:, 3]]
    for channel, part in enumerate(parts):
        expected = (rows[:, channel] - part.mean()) / np.sqrt(part.var() + 1e-5) * layer.weight[channel].item()
        np.testing.assert_allclose(layer(values, 5)[:, channel].detach(), expected, atol=1e-5)
    means = [part.mean() for part in parts]
    np.testing.assert_allclose(layer.running_mean, (1 - 0.9**4) * np.array(means), atol=1e-5)  # four passes above


def test_batch_norm_needs_a_channel_for_each_half() -> None:
    with pytest.raises(ValueError, match="at least 2, one channel for each half; got 1"):
        HalfBatchNorm(1)


def test_towers_do_not_see_each_other() -> None:
    network = ImageNetDiscriminator((1, 32, 32), 4, width=2, minibatch=FEW, input_noise=0.0, tower=3)
    real, generated = torch.rand(6, 1, 32, 32), torch.rand(6, 1, 32, 32)
    together = network.forward_each([real, generated])
    for rows in (slice(0, 3), slice(3, 6)):
        apart = network.forward_each([real[rows], generated[rows]])
        for one, part in zip(together, apart, strict=True):
            torch.testing.assert_close(one.logits[rows], part.logits)
            torch.testing.assert_close(one.features[rows], part.features)


def test_each_half_is_compared_with_both_halves() -> None:
    network = ImageNetDiscriminator((1, 32, 32), 4, width=2, minibatch=FEW, explicit_generated=False).eval()
    labeled, real, generated = (torch.rand(n, 1, 32, 32) for n in (3, 5, 4))
    outputs = forward_batches(network, [labeled, real, generated])
    projected = [network.minibatch.project(output.features) for output in outputs]
    pairs = [real_and_generated_similarity(half, projected[2], over_pairs=True) for half in projected[:2]]
    for output, similarity in zip(outputs, (pairs[0][0], pairs[1][0], pairs[1][1]), strict=True):
        expected = network.output(torch.cat([output.features, similarity], dim=1))
        torch.testing.assert_close(output.logits, expected)


def test_an_explicit_logit_of_generated_makes_the_same_probabilities() -> None:
    network = ImageNetDiscriminator((1, 32, 32), 4, width=2).eval()
    assert network.output.out_features == 5
    output = network(torch.rand(6, 1, 32, 32))
    explicit = network.output(output.features).softmax(1)
    fixed = torch.cat([output.logits, torch.zeros(6, 1)], dim=1).softmax(1)
    torch.testing.assert_close(fixed, explicit)


def test_released_minibatch_kernels_are_initialized_from_the_batch() -> None:
    released = partial(MinibatchDiscrimination, num_kernels=3, kernel_dim=2, variant="released")
    network = ImageNetDiscriminator((1, 32, 32), 4, width=2, minibatch=released)
    network.init_from_data_(torch.rand(10, 1, 32, 32))
    assert network.minibatch.log_weight_scale.abs().min() > 0


def test_a_size_that_is_no_multiple_of_the_strides_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 32; got an image \\(3, 100, 128\\)"):
        ImageNetDiscriminator((3, 100, 128), 4)
