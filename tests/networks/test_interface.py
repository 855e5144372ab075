from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor, nn

from improved_gan.networks import (
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    DenseDiscriminator,
    DenseGenerator,
    Discriminator,
    DiscriminatorOutput,
    Generator,
    forward_batches,
)
from improved_gan.networks.interface import evaluation_batch_size, generate_in_batches, weights_computed_once
from improved_gan.techniques import weight_norm


class Linear(Discriminator):
    """Three class logits and the pixels as features; counts its forward passes."""

    def __init__(self, *, is_batch_independent: bool) -> None:
        super().__init__()
        self.is_batch_independent = is_batch_independent
        self.layer, self.passes = nn.Linear(4, 3), 0

    def forward(self, images: Tensor) -> DiscriminatorOutput:
        self.passes += 1
        return DiscriminatorOutput(self.layer(images.flatten(1)), images.flatten(1))


def test_one_pass_equals_several() -> None:
    batches = [torch.randn(n, 1, 2, 2) for n in (3, 1, 5)]
    together = Linear(is_batch_independent=True)
    results = forward_batches(together, batches)
    assert together.passes == 1
    for batch, output in zip(batches, results, strict=True):
        assert torch.equal(output.features, batch.flatten(1))
        torch.testing.assert_close(output.logits, together(batch).logits)


def test_a_batch_dependent_discriminator_gets_each_batch_alone() -> None:
    discriminator = Linear(is_batch_independent=False)
    results = forward_batches(discriminator, [torch.randn(2, 1, 2, 2), torch.randn(4, 1, 2, 2)])
    assert discriminator.passes == 2
    assert [len(output.logits) for output in results] == [2, 4]


def network() -> nn.Sequential:
    return nn.Sequential(nn.Sequential(weight_norm(nn.Linear(3, 4))), nn.ReLU(), weight_norm(nn.Linear(4, 2)))


def test_weights_are_computed_once_inside_and_each_time_outside() -> None:
    layers = network()
    first = layers[0][0]
    with weights_computed_once(layers):
        kept = first.weight
        assert first.weight is kept
        assert layers[2].weight is layers[2].weight
        with weights_computed_once(layers):
            assert first.weight is kept
        assert first.weight is kept
    assert first.weight is not first.weight
    with torch.no_grad():
        first.parametrizations.weight.original0.mul_(2)
    torch.testing.assert_close(first.weight, 2 * kept)
    with weights_computed_once(layers):
        torch.testing.assert_close(first.weight, 2 * kept)


def test_gradients_of_several_passes_are_those_without_it() -> None:
    layers, inputs = network(), torch.randn(5, 3)

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad((layers(inputs) + layers(2 * inputs)).sum(), list(layers.parameters())))

    expected = gradients()
    with weights_computed_once(layers):
        kept = gradients()
    for one, other in zip(kept, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_an_error_inside_leaves_nothing_behind() -> None:
    layers = network()
    try:
        with weights_computed_once(layers):
            layers(torch.zeros(1, 7))
    except RuntimeError:
        pass
    assert layers[2].weight is not layers[2].weight


def test_each_thread_has_its_own_cache() -> None:
    ours, theirs, inside, done = network(), network(), Barrier(2), Barrier(2)

    def stay() -> None:
        with weights_computed_once(theirs):
            inside.wait()
            done.wait()

    with ThreadPoolExecutor(1) as pool:
        staying = pool.submit(stay)
        inside.wait()
        try:
            with weights_computed_once(ours):
                before = ours[2].weight.detach().clone()
            with torch.no_grad():
                ours[2].parametrizations.weight.original0.mul_(3)
            torch.testing.assert_close(ours[2].weight, 3 * before)
        finally:
            done.wait()
        staying.result()


@pytest.mark.parametrize(
    ("image_shape", "expected"),
    [((3, 32, 32), 85), ((3, 64, 64), 21), ((1, 28, 28), 334), ((1, 12, 12), 1000), ((3, 2048, 2048), 1)],
)
def test_with_convolutions_on_a_cpu_a_pass_has_a_bounded_number_of_numbers(
    image_shape: tuple[int, int, int], expected: int
) -> None:
    network = ConvolutionalDiscriminator((3, 32, 32), 2, widths=(2, 4), convolutions=1)
    assert evaluation_batch_size(network, image_shape) == expected
    assert evaluation_batch_size(network.to("meta"), image_shape) == 1000  # as any device that is no CPU
    assert evaluation_batch_size(DenseDiscriminator((3, 8, 8), 2, hidden=(4, 3)), image_shape) == 1000


@pytest.mark.parametrize(
    ("generator", "pieces"),
    [
        (ConvolutionalGenerator((3, 32, 32), latent_size=5, widths=(8, 4)), [16, 85, 49]),
        (DenseGenerator((3, 32, 32), latent_size=5, hidden=(4,)), [150]),
    ],
)
def test_generated_in_batches_are_the_images_of_one_pass(generator: Generator, pieces: list[int]) -> None:
    latents = generator.eval().draw_latents(150)
    with torch.no_grad():
        images = list(generate_in_batches(generator, latents))
        assert [len(piece) for piece in images] == pieces
        torch.testing.assert_close(torch.cat(images), generator(latents))
        assert len(next(generate_in_batches(generator, latents[:3]))) == 3
