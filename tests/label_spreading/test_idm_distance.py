import math

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel

from improved_gan.kernels import cpp_extension
from improved_gan.label_spreading.idm_distance import IDMDistance, sobel_gradients

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
