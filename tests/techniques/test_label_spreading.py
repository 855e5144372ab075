import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from improved_gan.kernels.neighbours import nearest_neighbours
from improved_gan.techniques import spread_labels, surest_of_each_class

DIGITS = load_digits()
# Grey values are whole numbers: a little noise leaves no two distances equal, so that the neighbours are one set.
POINTS = torch.from_numpy(DIGITS.data).float() / 16 + 0.01 * torch.randn(
    1797, 64, generator=torch.Generator().manual_seed(0)
)
CLASSES = torch.from_numpy(DIGITS.target).long()


def few_labels(each: int = 5) -> torch.Tensor:
    labels = torch.full_like(CLASSES, -1)
    for one in range(10):
        chosen = (one == CLASSES).nonzero().flatten()[:each]
        labels[chosen] = one
    return labels


def referee(inputs: np.ndarray, labels: np.ndarray, neighbours: int, alpha: float) -> np.ndarray:
    """The closed form on dense matrices in float64."""
    squares = ((inputs[:, None] - inputs[None]) ** 2).sum(2)
    np.fill_diagonal(squares, np.inf)
    weights = np.zeros_like(squares)
    for row, distances in enumerate(squares):
        near = np.argsort(distances, kind="stable")[:neighbours]
        weights[row, near] = np.exp(-4 * distances[near] / distances[near[-1]])
    weights = np.maximum(weights, weights.T)
    scale = 1 / np.sqrt(weights.sum(1))
    smooth = weights * scale[:, None] * scale
    start = np.zeros((len(labels), labels.max() + 1))
    start[labels >= 0, labels[labels >= 0]] = 1
    reached = np.linalg.solve(np.eye(len(labels)) - alpha * smooth, start)
    shares = reached / reached.sum(0)
    return shares / shares.sum(1, keepdims=True)


def test_agrees_with_the_closed_form_in_float64() -> None:
    inputs, labels = POINTS[:300], few_labels()[:300]
    ours = spread_labels(inputs, labels, num_neighbours=7, num_components=1000, alpha=0.9)
    theirs = referee(inputs.double().numpy(), labels.numpy(), 7, 0.9)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-4)


def test_better_than_the_nearest_labelled_example() -> None:
    labels = few_labels()
    known = labels >= 0
    nearest = labels[known][torch.cdist(POINTS, POINTS[known]).argmin(1)]
    spread = spread_labels(POINTS, labels).argmax(1)
    assert (spread != CLASSES).float().mean() < 0.7 * (nearest != CLASSES).float().mean()


def test_neighbours_may_be_given() -> None:
    """Those of the inputs give the same answer; others make the inputs' values irrelevant."""
    labels, neighbours = few_labels(), nearest_neighbours(POINTS, 9)
    expected = spread_labels(POINTS, labels, num_neighbours=9, num_components=64)
    torch.testing.assert_close(spread_labels(POINTS, labels, neighbours=neighbours), expected, atol=1e-4, rtol=0)
    given = spread_labels(torch.full_like(POINTS, torch.nan), labels, neighbours=neighbours, num_neighbours=-1)
    assert torch.equal(given, spread_labels(POINTS, labels, neighbours=neighbours))


@pytest.mark.parametrize(
    ("neighbours", "message"),
    [
        ((torch.zeros(3, 1).long(), torch.zeros(3, 1)), r"\(4, k\) each"),
        ((torch.zeros(4, 2).long(), torch.zeros(4, 1)), r"\(4, k\) each"),
        ((torch.zeros(4, 0).long(), torch.zeros(4, 0)), r"\(4, k\) each"),
        ((torch.full((4, 1), 4), torch.zeros(4, 1)), "whole positions 0..3"),
        ((torch.full((4, 1), -1), torch.zeros(4, 1)), "whole positions 0..3"),
        ((torch.zeros(4, 1), torch.zeros(4, 1)), "whole positions"),
        ((torch.zeros(4, 1).long(), torch.full((4, 1), torch.nan)), "not negative"),
        ((torch.zeros(4, 1).long(), torch.full((4, 1), torch.inf)), "finite"),
    ],
)
def test_bad_neighbours(neighbours: tuple[torch.Tensor, torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spread_labels(torch.zeros(4, 1), torch.tensor([0, 1, -1, -1]), neighbours=neighbours)


def test_the_order_of_the_pixels_does_not_matter() -> None:
    labels = few_labels()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        spread_labels(POINTS[:, order], labels), spread_labels(POINTS, labels), atol=1e-3, rtol=0
    )


def test_rows_sum_to_one_and_islands_stay_uniform() -> None:
    island = torch.tensor([[100.0], [100.1], [100.2], [200.0]])
    points = torch.cat([torch.arange(6.0)[:, None], island])
    labels = torch.tensor([0, -1, -1, -1, -1, 1, -1, -1, -1, -1])
    probabilities = spread_labels(points, labels, num_neighbours=2)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(10, dtype=torch.float64))
    assert probabilities[0, 0] > 0.5 > probabilities[5, 0]
    torch.testing.assert_close(probabilities[6:9], torch.full((3, 2), 0.5, dtype=torch.float64))


def test_surest_takes_the_same_number_of_each_class_and_the_surest_first() -> None:
    probabilities = spread_labels(POINTS, few_labels())
    taken = surest_of_each_class(probabilities, 0.5)
    guess = probabilities.argmax(1)
    counts = torch.bincount(guess[taken], minlength=10)
    assert counts.max() <= round(0.5 * len(POINTS) / 10)
    wrong = guess != CLASSES
    assert wrong[taken].float().mean() < wrong.float().mean()
    for one in range(10):
        inside = [row for row in taken.tolist() if guess[row] == one]
        outside = (guess == one) & ~torch.isin(torch.arange(len(guess)), torch.tensor(inside))
        if bool(outside.any()):
            assert probabilities[inside, one].min() >= probabilities[outside, one].max()


def test_equal_examples_do_not_divide_by_zero() -> None:
    probabilities = spread_labels(torch.zeros(20, 3), torch.tensor([0, 1] + [-1] * 18), num_neighbours=3)
    assert bool(probabilities.isfinite().all())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.full((6,), -1)}, "at least one label"),
        ({"labels": torch.tensor([0, 2, -1, -1, -1, -1])}, "at least one label"),
        ({"labels": torch.zeros(3).long()}, "must be"),
        ({"inputs": torch.full((6, 2), torch.nan)}, "finite"),
        ({"num_neighbours": 6}, "num_neighbours"),
        ({"alpha": 1.0}, "alpha"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    arguments = {"inputs": torch.randn(6, 2), "labels": torch.tensor([0, 1, -1, -1, -1, -1]), "num_neighbours": 2}
    with pytest.raises(ValueError, match=message):
        spread_labels(**(arguments | change))  # type: ignore[arg-type]


def test_share_out_of_range() -> None:
    with pytest.raises(ValueError, match="share"):
        surest_of_each_class(torch.ones(2, 2), 0.0)


def test_pixels_as_bytes_give_the_graph_of_pixels_between_0_and_1() -> None:
    pixels = (torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 255).to(torch.uint8)
    labels = torch.arange(200).where(torch.arange(200) < 3, torch.tensor(-1))
    torch.testing.assert_close(
        spread_labels(pixels, labels), spread_labels(pixels.double() / 255, labels), atol=1e-4, rtol=0
    )
