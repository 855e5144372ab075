import pytest
import torch
from torch import nn

from improved_gan.networks import ImageNetGenerator, ReferenceGenerator


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
