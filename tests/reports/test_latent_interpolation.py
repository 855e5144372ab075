import math

import pytest
import torch

from improved_gan.networks import DenseGenerator, Generator
from improved_gan.reports.latent_interpolation import generate, latent_path, linear, path_for, spherical
from improved_gan.training.sampling import sample


class Drawing(Generator):
    """Draws from what it is given; its image of a latent is the latent."""

    def __init__(self, draw) -> None:
        super().__init__()
        self.draw = draw

    def draw_latents(self, num, *, source=None):
        return self.draw(num, 60, generator=source)

    def forward(self, latents):
        return latents[:, None, None, :]


def test_a_straight_line_has_equal_steps_and_stays_in_the_box() -> None:
    start, end = torch.rand(2, 30)
    path = linear(start, end, 7)
    torch.testing.assert_close(path[[0, -1]], torch.stack([start, end]))
    torch.testing.assert_close(path.diff(dim=0), ((end - start) / 6).expand(6, -1))
    assert ((path >= 0) & (path <= 1)).all()


def test_an_arc_has_equal_angles_and_lengths_in_between() -> None:
    start, end = torch.randn(2, 100, dtype=torch.float64)
    path = spherical(start, end, 9)
    torch.testing.assert_close(path[[0, -1]], torch.stack([start, end]))
    unit = path / path.norm(dim=1, keepdim=True)
    angles = (unit[1:] * unit[:-1]).sum(1).arccos()
    torch.testing.assert_close(angles, angles[:1].expand(8))
    torch.testing.assert_close(path.norm(dim=1), torch.linspace(start.norm(), end.norm(), 9, dtype=torch.float64))
    straight = linear(start, end, 9)[4].norm()
    assert straight < 0.85 * path[4].norm()  # what the arc is for


@pytest.mark.parametrize("end", [(2.0, 0.0), (-1.0, 0.0), (0.0, 0.0)])
def test_directions_without_an_arc_are_joined_straight(end: tuple[float, float]) -> None:
    start, other = torch.tensor([1.0, 0.0]), torch.tensor(end)
    torch.testing.assert_close(spherical(start, other, 5), linear(start, other, 5))


@pytest.mark.parametrize(
    ("draw", "path"),
    [
        (torch.rand, "linear"),
        (lambda *shape, generator: 2 * torch.rand(*shape, generator=generator) - 1, "linear"),
        (torch.randn, "spherical"),
        (lambda *shape, generator: 5 + 3 * torch.randn(*shape, generator=generator), "spherical"),
    ],
)
def test_the_path_fits_the_latents(draw, path: str) -> None:
    assert path_for(Drawing(draw)) == path


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_walks_join_and_come_back(path: str) -> None:
    generator = Drawing(torch.randn)
    path = latent_path(generator, path=path, num_paths=4, steps=6, seed=3).view(4, 6, -1)
    drawn = generator.draw_latents(4, source=torch.Generator().manual_seed(3))
    torch.testing.assert_close(path[:, 0], drawn)
    torch.testing.assert_close(path[:, -1], drawn.roll(-1, 0))


def test_the_images_of_a_walk_are_the_generators_and_its_mode_stays() -> None:
    generator = DenseGenerator((1, 8, 8), latent_size=5, hidden=(16,))
    latents = generator.draw_latents(70, source=torch.Generator().manual_seed(0))
    found = generate(generator, latents, device="cpu")
    assert (found == sample(generator, 70, seed=0)).all()
    assert generator.training
    assert math.prod(found.shape) == 70 * 64
