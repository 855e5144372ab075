import pytest
import torch
from torch import nn

from improved_gan.networks import ImageNetGenerator, ReferenceGenerator


def test_full_size_has_the_layers_of_the_paper() -> None:
    with torch.device("meta"):
        generator = ImageNetGenerator((3, 128, 128))
    expected = 8192 * 512 * 16 + 2 * 512
    for before, after in [(512, 256), (256, 128), (128, 128), (128, 64)]:
        expected += (before + 16) * after * 25 + 2 * after
    expected += (64 + 16) * 3 * 25 + 3
    assert sum(parameter.numel() for parameter in generator.parameters()) == expected
    assert generator.num_latents == 8192 + 16 * (16 + 64 + 256 + 1024 + 4096)


def test_last_layer_is_initialized_as_released() -> None:
    output = ImageNetGenerator((3, 64, 64), latent_size=8, width=8, factors=(8, 4, 2, 1)).output
    assert output.weight.std().item() == pytest.approx(0.075, rel=0.05)
    assert output.bias.tolist() == pytest.approx([-0.45] * 3)


@pytest.mark.parametrize(("side", "factors"), [(128, (8, 4, 2, 2, 1)), (64, (8, 4, 2, 1))])
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
