import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

from improved_gan.metrics import near_duplicates as module
from improved_gan.metrics.near_duplicates import copy_distance, near_duplicates


@pytest.mark.parametrize("piece", [7, 50, 1000])
def test_pairs_groups_and_the_nearest_are_those_of_all_distances(piece: int) -> None:
    rows = torch.rand(120, 3, generator=torch.Generator().manual_seed(0)).double()
    distances = squareform(pdist(rows.numpy()))
    found = near_duplicates(rows, 0.15, piece=piece)
    assert found.num_pairs == int((pdist(rows.numpy()) <= 0.15).sum())
    _, labels = connected_components(distances <= 0.15, directed=False)
    assert found.first.tolist() == [int(np.flatnonzero(labels == label)[0]) for label in labels]
    near = distances[found.pairs[:, 0], found.pairs[:, 1]]
    np.testing.assert_allclose(near, np.sort(pdist(rows.numpy()))[: len(near)])
    assert len(near) == found.num_pairs
    assert bool((found.pairs[:, 0] < found.pairs[:, 1]).all())


def test_of_many_pairs_only_the_nearest_are_kept() -> None:
    """All rows alike: the pairs must not be held, whatever their number."""
    rows = torch.rand(1500, 2, generator=torch.Generator().manual_seed(0)).double()
    held: list[int] = []
    plain = module._nearest

    def watched(*given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        held.append(max(len(one) for one in given))
        return plain(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_nearest", watched)
        found = near_duplicates(rows, 10.0, piece=100)
    assert found.num_pairs == 1500 * 1499 // 2
    assert max(held) <= 100 * 100  # one piece, never the sum of them
    assert found.first.unique().tolist() == [0]
    expected = np.sort(pdist(rows.numpy()))[:1000]
    near = (rows[found.pairs[:, 0]] - rows[found.pairs[:, 1]]).norm(dim=1)
    np.testing.assert_allclose(near, expected, rtol=1e-6)


def test_the_distance_of_copies() -> None:
    assert copy_distance(torch.tensor([[3.0, 4.0], [1.0, 0.0]])) == pytest.approx(5e-6)
