from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from improved_gan.networks import ConvolutionalDiscriminator, forward_batches
from improved_gan.techniques import MinibatchDiscrimination

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
