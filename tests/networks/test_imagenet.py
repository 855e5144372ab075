from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from improved_gan.networks import ImageNetDiscriminator, forward_batches
from improved_gan.techniques import MinibatchDiscrimination, real_and_generated_similarity

KERNELS = partial(MinibatchDiscrimination, num_kernels=300, kernel_dim=50)
FEW = partial(MinibatchDiscrimination, num_kernels=3, kernel_dim=2)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_full_size_has_the_layers_of_the_paper() -> None:
    with torch.device("meta"):
        network = ImageNetDiscriminator((3, 128, 128), 1000, minibatch=KERNELS)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.kernel_size for layer in convolutions] == [(3, 3)] * 7
    widths = [3, 64, 128, 256, 256, 256, 512, 512]
    body = sum(9 * a * b + 2 * b for a, b in pairwise(widths))
    dense = 512 * 8 * 8 * 512 + 512
    output = (512 + 2 * 300) * 1001 + 1001  # to the real half and to the generated half; 1000 classes and "generated"
    assert count(network) == body + dense + 512 * 300 * 50 + output


@pytest.mark.parametrize("side", [64, 128])
def test_shapes_of_each_layer(side: int) -> None:
    network, shapes = ImageNetDiscriminator((3, side, side), 5, width=2, minibatch=FEW), []
    for layer in network.body:
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _m, _i, output: shapes.append(tuple(output.shape[1:])))
    output = network(torch.rand(3, 3, side, side))
    channels, sides = [2, 4, 8, 8, 8, 16, 16], [side // n for n in (2, 4, 8, 8, 8, 16, 16)]
    assert shapes == [(c, s, s) for c, s in zip(channels, sides, strict=True)]
    assert output.logits.shape == (3, 5)
    assert output.features.shape == (3, 16)


def test_each_half_is_compared_with_both_halves() -> None:
    network = ImageNetDiscriminator((1, 16, 16), 4, width=2, minibatch=FEW, explicit_generated=False).eval()
    labeled, real, generated = (torch.rand(n, 1, 16, 16) for n in (3, 5, 4))
    outputs = forward_batches(network, [labeled, real, generated])
    projected = [network.minibatch.project(output.features) for output in outputs]
    pairs = [real_and_generated_similarity(half, projected[2]) for half in projected[:2]]
    for output, similarity in zip(outputs, (pairs[0][0], pairs[1][0], pairs[1][1]), strict=True):
        expected = network.output(torch.cat([output.features, similarity], dim=1))
        torch.testing.assert_close(output.logits, expected)


def test_an_explicit_logit_of_generated_makes_the_same_probabilities() -> None:
    network = ImageNetDiscriminator((1, 16, 16), 4, width=2).eval()
    assert network.output.out_features == 5
    output = network(torch.rand(6, 1, 16, 16))
    explicit = network.output(output.features).softmax(1)
    fixed = torch.cat([output.logits, torch.zeros(6, 1)], dim=1).softmax(1)
    torch.testing.assert_close(fixed, explicit)


def test_released_minibatch_kernels_are_initialized_from_the_batch() -> None:
    released = partial(MinibatchDiscrimination, num_kernels=3, kernel_dim=2, variant="released")
    network = ImageNetDiscriminator((1, 16, 16), 4, width=2, minibatch=released)
    network.init_from_data_(torch.rand(10, 1, 16, 16))
    assert network.minibatch.log_weight_scale.abs().min() > 0


def test_a_size_that_is_no_multiple_of_the_strides_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 16; got an image \\(3, 100, 128\\)"):
        ImageNetDiscriminator((3, 100, 128), 4)
