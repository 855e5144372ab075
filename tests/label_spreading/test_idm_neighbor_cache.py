import pytest
import torch

from improved_gan.data import load_digits
from improved_gan.label_spreading import apply_pixel_layout, grid_positions, idm_neighbors
from improved_gan.label_spreading import idm_neighbor_cache as module
from improved_gan.label_spreading.idm_neighbor_cache import idm_neighbor_cache

IMAGES = load_digits().train.images[:120]


def test_those_of_images_with_their_pixels_in_place() -> None:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    shuffled = IMAGES.flatten(1)[:, order].reshape(IMAGES.shape)
    positions = grid_positions(8, 8)[order]
    expected, distances = idm_neighbors(apply_pixel_layout(shuffled, positions), 5, max_displacement=1)
    found = idm_neighbor_cache(shuffled, positions, 5, 1)
    assert torch.equal(found[0], expected)
    assert torch.equal(found[1], distances)
    assert torch.equal(idm_neighbor_cache(IMAGES, None, 5, 1)[0], idm_neighbors(IMAGES, 5, max_displacement=1)[0])


def test_found_once_for_the_same_images_and_again_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def counted(*args: object, **options: object) -> object:
        found.append(args)
        return idm_neighbors(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "idm_neighbors", counted)
    module._found.clear()
    first = idm_neighbor_cache(IMAGES, None, 4, 1)
    assert torch.equal(idm_neighbor_cache(IMAGES.clone(), None, 4, 1)[0], first[0])
    assert len(found) == 1
    other = IMAGES.clone()
    other[7, 0, 3, 3] += 1
    for asked in (
        (other, None, 4, 1),
        (IMAGES, None, 5, 1),
        (IMAGES, None, 4, 2),
        (IMAGES, grid_positions(8, 8), 4, 1),
    ):
        idm_neighbor_cache(*asked)
    assert len(found) == 5
    assert len(module._found) == 2
    idm_neighbor_cache(IMAGES, None, 4, 1)  # no longer kept
    assert len(found) == 6
