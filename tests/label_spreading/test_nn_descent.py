import torch

from improved_gan.label_spreading.nn_descent import nn_descent

RANDOM = torch.Generator().manual_seed(0)
POINTS = torch.rand(3000, 4, generator=RANDOM)


class Counted:
    """The Manhattan distance; `pairs` says which were measured."""

    def __init__(self, points: torch.Tensor) -> None:
        self.points, self.pairs = points, torch.empty(0, dtype=torch.long)

    def __call__(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        self.pairs = torch.cat([self.pairs, first * len(self.points) + second])
        return (self.points[first] - self.points[second]).abs().sum(1)


def exact(points: torch.Tensor, num: int) -> torch.Tensor:
    distances = torch.cdist(points, points, p=1).fill_diagonal_(torch.inf)
    return distances.topk(num, largest=False).values


def by_two_coordinates(num: int) -> torch.Tensor:
    return torch.cdist(POINTS[:, :2], POINTS[:, :2]).fill_diagonal_(torch.inf).topk(num, largest=False).indices


def test_finds_nearly_all_from_a_poor_start_with_few_measurements() -> None:
    start, wanted = by_two_coordinates(20), exact(POINTS, 7)
    distance = Counted(POINTS)
    positions, found = nn_descent(distance, start, 7, num_rounds=5)
    recall = (found <= wanted[:, -1:] + 1e-6).float().mean()
    before = (
        distance(torch.arange(3000).repeat_interleave(20), start.flatten()).view(3000, 20).topk(7, largest=False)
    ).values
    assert (before <= wanted[:, -1:] + 1e-6).float().mean() < 0.4
    assert recall > 0.97
    assert len(distance.pairs) < 0.2 * 3000**2
    own = torch.arange(3000)[:, None]
    torch.testing.assert_close((POINTS[positions] - POINTS[own]).abs().sum(2), found)
    assert (found.diff(dim=1) >= 0).all()
    assert (positions != own).all()
    assert all(len(row.unique()) == 7 for row in positions[:200])


def test_no_pair_is_measured_twice_while_lists_are_short() -> None:
    distance = Counted(POINTS[:400])
    start = torch.cdist(POINTS[:400], POINTS[:400]).fill_diagonal_(torch.inf).topk(5, largest=False).indices
    nn_descent(distance, start, 5, num_rounds=1)
    assert len(distance.pairs) == len(distance.pairs.unique())


def test_all_pairs_where_the_start_has_all() -> None:
    points = POINTS[:40]
    start = torch.stack([torch.cat([torch.arange(row), torch.arange(row + 1, 40)]) for row in range(40)])
    _, found = nn_descent(Counted(points), start, 39)
    torch.testing.assert_close(found, exact(points, 39))


def test_a_pair_and_islands() -> None:
    positions, _ = nn_descent(Counted(POINTS[:2]), torch.tensor([[1], [0]]), 1)
    assert positions.tolist() == [[1], [0]]
    points = torch.cat([POINTS[:4], POINTS[:4] + 100])
    start = torch.tensor([[1], [2], [3], [0], [5], [6], [7], [4]])
    positions, found = nn_descent(Counted(points), start, 1)
    torch.testing.assert_close(found, exact(points, 1))
    assert ((positions < 4).flatten() == torch.tensor([True] * 4 + [False] * 4)).all()


def test_rounds_end_when_nothing_changes() -> None:
    distance = Counted(POINTS[:500])
    start = exact_positions(POINTS[:500], 30)
    nn_descent(distance, start, 5, num_rounds=50)
    few = Counted(POINTS[:500])
    nn_descent(few, start, 5, num_rounds=1)
    assert len(distance.pairs) == len(few.pairs)


def exact_positions(points: torch.Tensor, num: int) -> torch.Tensor:
    return torch.cdist(points, points, p=1).fill_diagonal_(torch.inf).topk(num, largest=False).indices
