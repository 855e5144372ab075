import math

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel
from sklearn.datasets import load_digits

from improved_gan.kernels import cpp_extension
from improved_gan.label_spreading import idm_distance, idm_neighbors, label_spreading
from improved_gan.label_spreading.image_deformation_model import IDMDistance, nn_descent, sobel_gradients

RANDOM = torch.Generator().manual_seed(0)


def referee(first: np.ndarray, second: np.ndarray, max_displacement: int) -> float:
    """The formula, pixel by pixel, in float64."""
    height, width = first.shape[1:]
    wide = 2 * max_displacement + 2
    x, y = (np.pad(one.astype(np.float64), ((0, 0), (wide, wide), (wide, wide))) for one in (first, second))

    def around(image: np.ndarray, i: int, j: int) -> np.ndarray:
        return image[:, i + wide - 1 : i + wide + 2, j + wide - 1 : j + wide + 2]

    moves = range(-max_displacement, max_displacement + 1)
    return sum(
        min(((around(x, i, j) - around(y, i + a, j + b)) ** 2).sum() for a in moves for b in moves)
        for i in range(height)
        for j in range(width)
    )


def sparse(number: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Noise in a random part of each sheet, as in digits; the first is empty."""
    values = torch.randn(number, channels, height, width, generator=RANDOM)
    for row in range(number):
        low = [int(torch.randint(0, side, (), generator=RANDOM)) for side in (height, width)]
        kept = torch.zeros(height, width)
        kept[low[0] : low[0] + 1 + height // 2, low[1] : low[1] + 1 + width // 2] = float(row > 0)
        values[row] *= kept
    return values


def both(gradients: torch.Tensor, max_displacement: int, monkeypatch: pytest.MonkeyPatch) -> list[IDMDistance]:
    """By the compiled kernel, where there is one, and in PyTorch operations."""
    found = [IDMDistance(gradients, max_displacement)]
    monkeypatch.setattr(cpp_extension, "library", lambda: None)
    return [*found, IDMDistance(gradients, max_displacement)]


@pytest.mark.parametrize(
    ("shape", "max_displacement"),
    [((2, 9, 7), 2), ((2, 5, 20), 0), ((1, 4, 33), 1), ((6, 3, 3), 3), ((2, 1, 1), 1), ((2, 17, 16), 2)],
)
def test_agrees_with_the_formula(
    shape: tuple[int, int, int], max_displacement: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = sparse(6, *shape)
    first, second = (one.flatten() for one in torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij"))
    expected = [
        referee(gradients[a].numpy(), gradients[b].numpy(), max_displacement)
        for a, b in zip(first, second, strict=True)
    ]
    for distance in both(gradients, max_displacement, monkeypatch):
        np.testing.assert_allclose(distance(first, second).numpy(), expected, atol=2e-4, rtol=1e-4)


def test_many_pairs_in_any_order_are_the_same_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = sparse(20, 2, 10, 11)
    first, second = torch.randint(0, 20, (2, 500), generator=RANDOM)
    for distance in both(gradients, 1, monkeypatch):
        singly = torch.cat([distance(a[None], b[None]) for a, b in zip(first, second, strict=True)])
        torch.testing.assert_close(distance(first, second), singly, atol=1e-4, rtol=1e-5)
        assert distance(first[:0], second[:0]).shape == (0,)


def test_a_part_of_larger_tensors_is_read_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strided gradients and positions."""
    gradients = sparse(8, 2, 9, 9)
    strided = gradients.transpose(2, 3).contiguous().transpose(2, 3)
    pairs = torch.tensor([[1, 2], [3, 4], [5, 5]])
    for whole, some in zip(both(gradients, 2, monkeypatch), both(strided, 2, monkeypatch), strict=False):
        torch.testing.assert_close(some(pairs[:, 0], pairs[:, 1]), whole(*pairs.T.contiguous()), atol=1e-4, rtol=1e-5)


def test_moves_within_reach_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.zeros(2, 20, 20)
    image[:, 6:13, 7:12] = torch.randn(2, 7, 5, generator=RANDOM)
    gradients = torch.stack([image, image.roll((2, -1), (1, 2)), image.roll((3, 0), (1, 2))])
    for distance in both(gradients, 2, monkeypatch):
        near, far = distance(torch.tensor([0, 0]), torch.tensor([1, 2]))
        assert near == pytest.approx(0, abs=1e-3)
        assert far > 1


def test_gradients_are_those_of_scipy() -> None:
    images = torch.rand(3, 2, 6, 5, generator=RANDOM)
    ours = sobel_gradients(images).numpy()
    for image, gradients in zip(images.double().numpy(), ours, strict=True):
        for channel in range(2):
            for direction in range(2):
                theirs = sobel(image[channel], axis=1 - direction, mode="constant") / 8
                np.testing.assert_allclose(gradients[2 * channel + direction], theirs, atol=1e-6)
    assert math.isclose(float(sobel_gradients(torch.arange(5.0).expand(1, 1, 5, 5))[0, 0, 2, 2]), 1)


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


DIGITS = torch.from_numpy(load_digits().images).float()[:, None]
CLASSES = torch.from_numpy(load_digits().target).long()


def test_neighbors_are_nearly_those_of_all_pairs() -> None:
    images = DIGITS[:150]
    rows = torch.arange(150)
    pairs = [images[one].flatten(0, 1) for one in (rows.repeat_interleave(150), rows.repeat(150))]
    table = (
        idm_distance(pairs[0][:, None], pairs[1][:, None], max_displacement=1).view(150, 150).fill_diagonal_(torch.inf)
    )
    wanted = table.topk(5, largest=False).values
    positions, found = idm_neighbors(images, 5, max_displacement=1)
    torch.testing.assert_close(table.gather(1, positions), found, atol=1e-3, rtol=1e-4)
    assert (found <= wanted[:, -1:] * (1 + 1e-4)).float().mean() > 0.99


def test_more_of_them_are_of_the_same_class_than_of_neighbors_in_pixels() -> None:
    near = torch.cdist(DIGITS.flatten(1), DIGITS.flatten(1)).fill_diagonal_(torch.inf).topk(10, largest=False).indices
    bent, _ = idm_neighbors(DIGITS, 10, max_displacement=1)
    wrong = [(CLASSES[found] != CLASSES[:, None]).float().mean().item() for found in (near, bent)]
    assert wrong[1] < 0.8 * wrong[0]


def test_labels_spread_over_them() -> None:
    labels = torch.full_like(CLASSES, -1)
    for one in range(10):
        labels[(one == CLASSES).nonzero().flatten()[:5]] = one
    wrong = [
        (label_spreading(DIGITS, labels, neighbors=neighbors).argmax(1) != CLASSES).float().mean().item()
        for neighbors in (None, idm_neighbors(DIGITS, 10, max_displacement=1))
    ]
    assert wrong[1] < 0.8 * wrong[0]


def test_scale_and_dtype_do_not_matter_to_neighbors() -> None:
    images = DIGITS[:100]
    expected, _ = idm_neighbors(images, 3)
    for same in (images.to(torch.uint8), 7 * images.double(), images.half(), 1e34 * images, 1e-30 * images):
        assert (idm_neighbors(same, 3)[0] == expected).float().mean() > 0.99


def test_colors_count_each() -> None:
    red, blue = torch.zeros(2, 1, 3, 6, 6)
    red[0, 0, :, 2] = 1
    blue[0, 2, :, 2] = 1
    both = idm_distance(red, blue, max_displacement=2)
    gray = idm_distance(red.mean(1, keepdim=True), blue.mean(1, keepdim=True), max_displacement=2)
    assert both > 1
    assert gray == pytest.approx(0, abs=1e-5)


def test_equal_and_blank_images_are_at_no_distance() -> None:
    images = DIGITS[:4]
    torch.testing.assert_close(idm_distance(images, images), torch.zeros(4), atol=1e-2, rtol=0)
    blank = torch.ones(12, 1, 8, 8) * 0
    positions, found = idm_neighbors(blank, 2)
    assert not found.any()
    assert (positions != torch.arange(12)[:, None]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(5, 8, 8)}, r"\(N, C, H, W\)"),
        ({"images": torch.zeros(0, 1, 8, 8)}, r"\(N, C, H, W\)"),
        ({"images": torch.full((5, 1, 8, 8), torch.nan)}, "finite"),
        ({"num": 5}, r"1\.\.4"),
        ({"num": 0}, r"1\.\.4"),
        ({"max_displacement": -1}, "negative"),
        ({"max_displacement": 1.0}, "whole"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    arguments = {"images": torch.rand(5, 1, 8, 8), "num": 2, "max_displacement": 1}
    with pytest.raises(ValueError, match=message):
        idm_neighbors(**(arguments | change))  # type: ignore[arg-type]


def test_pairs_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="pairs of one shape"):
        idm_distance(torch.zeros(2, 1, 8, 8), torch.zeros(3, 1, 8, 8))
