import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from improved_gan.reports import training_neighbors
from improved_gan.reports.training_neighbors import check_copies, compared_size, nearest_images


def images(num: int, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randint(256, (num, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_distances_and_indices_follow_the_formula_over_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_neighbors, "_CHUNK", 7)
    queries, points = images(5, (3, 4, 4), 0), images(30, (3, 4, 4), 1)
    found = nearest_images(queries, points, k=3)
    flat = [one.flatten(1).numpy() / 255 for one in (queries, points)]
    expected = cdist(*flat) / np.sqrt(48)
    np.testing.assert_allclose(found.distances, np.sort(expected, 1)[:, :3], atol=1e-7)
    assert (found.indices.numpy() == np.argsort(expected, 1)[:, :3]).all()


def test_large_images_are_compared_small() -> None:
    picture = images(1, (3, 64, 96), 0)
    assert compared_size(picture) == (32, 32)
    halves = picture.float().view(1, 3, 32, 2, 32, 3).mean((3, 5)) / 255
    flat = torch.zeros(1, 3, 64, 96, dtype=torch.uint8)
    assert nearest_images(picture, flat).distances.item() == pytest.approx(
        float(halves.square().mean().sqrt()), abs=1e-6
    )


def test_copies_are_found_and_fresh_images_are_not() -> None:
    training, unseen = images(200, (1, 6, 6), 0), images(100, (1, 6, 6), 1)
    copied = check_copies(training[:50], training, unseen)
    assert copied.copies == 50
    assert copied.near_copy == 1
    assert copied.samples.indices[:, 0].tolist() == list(range(50))
    fresh = check_copies(images(400, (1, 6, 6), 2), training, unseen)
    assert fresh.copies == 0
    assert fresh.near_copy < 0.2
    assert fresh.near == pytest.approx(float(np.quantile(fresh.unseen.distances[:, 0], 0.05)))


def test_without_unseen_images_there_is_no_near_copy_fraction() -> None:
    training = images(2, (1, 3, 3), 0)
    found = check_copies(training, training, None)
    assert found.unseen is None
    assert np.isnan(found.near_copy)
    assert found.samples.indices.shape == (2, 2)
