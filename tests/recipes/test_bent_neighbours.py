import pytest
import torch

from improved_gan.data import load_digits
from improved_gan.models import placed_images
from improved_gan.recipes import bent_neighbours as module
from improved_gan.recipes.bent_neighbours import bent_neighbours
from improved_gan.techniques import deformation_neighbours, grid_positions

IMAGES = load_digits().train.images[:120]


def test_those_of_images_with_their_pixels_in_place() -> None:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    shuffled = IMAGES.flatten(1)[:, order].reshape(IMAGES.shape)
    positions = grid_positions(8, 8)[order]
    expected, distances = deformation_neighbours(placed_images(shuffled, positions), 5, reach=1)
    found = bent_neighbours(shuffled, positions, 5, 1)
    assert torch.equal(found[0], expected)
    assert torch.equal(found[1], distances)
    assert torch.equal(bent_neighbours(IMAGES, None, 5, 1)[0], deformation_neighbours(IMAGES, 5, reach=1)[0])


def test_found_once_for_the_same_images_and_again_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def counted(*args: object, **options: object) -> object:
        found.append(args)
        return deformation_neighbours(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "deformation_neighbours", counted)
    module._found.clear()
    first = bent_neighbours(IMAGES, None, 4, 1)
    assert torch.equal(bent_neighbours(IMAGES.clone(), None, 4, 1)[0], first[0])
    assert len(found) == 1
    other = IMAGES.clone()
    other[7, 0, 3, 3] += 1
    for asked in (
        (other, None, 4, 1),
        (IMAGES, None, 5, 1),
        (IMAGES, None, 4, 2),
        (IMAGES, grid_positions(8, 8), 4, 1),
    ):
        bent_neighbours(*asked)
    assert len(found) == 5
    assert len(module._found) == 2
    bent_neighbours(IMAGES, None, 4, 1)  # no longer kept
    assert len(found) == 6
