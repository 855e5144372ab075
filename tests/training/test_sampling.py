from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from improved_gan.networks import ConvolutionalGenerator, DenseGenerator
from improved_gan.training.sampling import grid, sample, to_uint8, write_png


def test_samples_depend_on_the_seed_alone() -> None:
    generator = DenseGenerator((1, 4, 4), latent_size=3, hidden=(5,))
    state = torch.get_rng_state()
    first = sample(generator, 7, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert generator.training
    torch.rand(10)
    assert torch.equal(sample(generator, 7, seed=5), first)
    assert torch.equal(sample(generator, 3, seed=5), first[:3])
    assert not torch.equal(sample(generator, 7, seed=6), first)
    assert first.shape == (7, 1, 4, 4)
    assert first.dtype == torch.uint8


def test_samples_in_several_passes_are_those_of_one() -> None:
    torch.manual_seed(0)
    generator = ConvolutionalGenerator((3, 32, 32), latent_size=5, widths=(8, 4))
    latents = generator.draw_latents(150, source=torch.Generator().manual_seed(5))
    with torch.no_grad():
        whole = to_uint8(generator.eval()(latents))
    assert (sample(generator, 150, seed=5).int() - whole.int()).abs().max() <= 1  # a sum in another order may round


def test_rounding_is_to_the_nearest_level_and_clips() -> None:
    values = torch.tensor([-0.5, 0.0, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.0, 1.5])
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 255, 255, 255]


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_places_every_image_enlarged_without_smoothing(channels: int) -> None:
    images = torch.randint(0, 256, (5, channels, 2, 3), dtype=torch.uint8)
    picture = grid(images, columns=3, pixel_size=2, gap=1)
    assert picture.shape == (channels, 2 * 4 + 1, 3 * 6 + 2)
    for index in range(5):
        top, left = index // 3 * 5, index % 3 * 7
        tile = picture[:, top : top + 4, left : left + 6]
        for row in (0, 1):
            for column in (0, 1):
                assert torch.equal(tile[:, row::2, column::2], images[index])


def test_png_round_trip(tmp_path: Path) -> None:
    for name, shape in (("gray", (1, 5, 4)), ("color", (3, 5, 4))):
        image = torch.randint(0, 256, shape, dtype=torch.uint8)
        write_png(tmp_path / "new" / f"{name}.png", image)
        with Image.open(tmp_path / "new" / f"{name}.png") as opened:
            read = np.asarray(opened)
        expected = image[0].numpy() if shape[0] == 1 else image.permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(read, expected)
