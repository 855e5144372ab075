from pathlib import Path

import pytest
import torch
from torch import Tensor

from improved_gan.data import load_digits
from improved_gan.label_spreading import apply_pixel_layout, grid_positions, idm_neighbors
from improved_gan.label_spreading import neighbor_cache as module
from improved_gan.label_spreading.neighbor_cache import idm_neighbor_cache

IMAGES = load_digits().train.images[:120]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The images whose neighbors were computed, from an empty memory on."""
    seen: list[Tensor] = []

    def counted(images: Tensor, num: int, *, max_displacement: int) -> tuple[Tensor, Tensor]:
        seen.append(images)
        return idm_neighbors(images, num, max_displacement=max_displacement)

    monkeypatch.setattr(module, "idm_neighbors", counted)
    module._found.clear()
    return seen


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where neighbors of 100 images or more are stored."""
    monkeypatch.setenv("IMPROVED_GAN_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "_STORED", 100)
    return tmp_path / "neighbors"


def test_those_of_images_with_their_pixels_in_place() -> None:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    shuffled = IMAGES.flatten(1)[:, order].reshape(IMAGES.shape)
    positions = grid_positions(8, 8)[order]
    expected, distances = idm_neighbors(apply_pixel_layout(shuffled, positions), 5, max_displacement=1)
    found = idm_neighbor_cache(shuffled, positions, 5, 1)
    assert torch.equal(found[0], expected)
    assert torch.equal(found[1], distances)
    assert torch.equal(idm_neighbor_cache(IMAGES, None, 5, 1)[0], idm_neighbors(IMAGES, 5, max_displacement=1)[0])


def test_found_once_for_the_same_images_and_again_for_others(found: list[Tensor]) -> None:
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


def test_another_process_finds_them_on_disk(found: list[Tensor], folder: Path) -> None:
    first = idm_neighbor_cache(IMAGES, None, 4, 1)
    module._found.clear()  # as in another process
    again = idm_neighbor_cache(IMAGES, None, 4, 1)
    assert len(found) == 1
    assert all(one.equal(other) for one, other in zip(first, again, strict=True))
    assert len(list(folder.iterdir())) == 1
    idm_neighbor_cache(IMAGES[:99], None, 4, 1)  # too few to be stored
    assert len(list(folder.iterdir())) == 1
    idm_neighbor_cache(IMAGES, None, 5, 1)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "another shape", "folder"])
def test_a_damaged_file_is_written_again(damage: str, found: list[Tensor], folder: Path) -> None:
    first = idm_neighbor_cache(IMAGES, None, 4, 1)
    (file,) = folder.iterdir()
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[:-100])
    elif damage == "changed":
        file.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    elif damage == "another shape":
        module._save(file, (first[0][:, :3], first[1][:, :3]))
    else:
        file.unlink()
        file.mkdir()
    for _ in range(2):
        module._found.clear()
        assert idm_neighbor_cache(IMAGES, None, 4, 1)[0].equal(first[0])
    assert len(found) == (3 if damage == "folder" else 2)


def test_other_code_computes_them_again(found: list[Tensor], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    idm_neighbor_cache(IMAGES, None, 4, 1)
    monkeypatch.setattr(module, "_code", lambda: "another algorithm")
    idm_neighbor_cache(IMAGES, None, 4, 1)
    assert len(found) == 2
