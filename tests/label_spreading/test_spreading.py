import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from improved_gan.label_spreading import label_spreading, most_confident_per_class
from improved_gan.label_spreading.knn import nearest_neighbors
from improved_gan.label_spreading.spreading import spread

DIGITS = load_digits()
# Gray values are whole numbers: a little noise leaves no two distances equal, so that the neighbors are one set.
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


def referee(inputs: np.ndarray, labels: np.ndarray, neighbors: int, alpha: float) -> np.ndarray:
    """The closed form on dense matrices in float64."""
    squares = ((inputs[:, None] - inputs[None]) ** 2).sum(2)
    np.fill_diagonal(squares, np.inf)
    weights = np.zeros_like(squares)
    for row, distances in enumerate(squares):
        near = np.argsort(distances, kind="stable")[:neighbors]
        weights[row, near] = np.exp(-4 * distances[near] / distances[near[-1]])
    weights = np.maximum(weights, weights.T)
    scale = 1 / np.sqrt(weights.sum(1))
    smooth = weights * scale[:, None] * scale
    start = np.zeros((len(labels), labels.max() + 1))
    start[labels >= 0, labels[labels >= 0]] = 1
    reached = np.linalg.solve(np.eye(len(labels)) - alpha * smooth, start)
    masses = reached / reached.sum(0)
    return masses / masses.sum(1, keepdims=True)


def test_agrees_with_the_closed_form_in_float64() -> None:
    inputs, labels = POINTS[:300], few_labels()[:300]
    ours = label_spreading(inputs, labels, num_neighbors=7, num_components=1000, alpha=0.9)
    theirs = referee(inputs.double().numpy(), labels.numpy(), 7, 0.9)
    np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-4)


@pytest.mark.parametrize("scale", [2.0**-30, 2.0**30])
def test_the_scale_of_the_examples_does_not_matter(scale: float) -> None:
    inputs, labels = POINTS[:300], few_labels()[:300]
    expected = referee(inputs.double().numpy(), labels.numpy(), 7, 0.9)
    ours = label_spreading(inputs * scale, labels, num_neighbors=7, num_components=1000, alpha=0.9)
    np.testing.assert_allclose(ours.numpy(), expected, atol=2e-4)


def test_examples_that_no_label_reaches_are_uniform() -> None:
    chain = torch.arange(200.0)[:, None]
    labels = torch.full((200,), -1)
    labels[0], labels[199] = 0, 1
    found = label_spreading(chain, labels, num_neighbors=2, alpha=0.999)
    assert (found[70:130] == 0.5).all()
    assert (found[:50].argmax(1) == 0).all()
    assert (found[150:].argmax(1) == 1).all()


def test_masses_of_classes_weigh_their_columns() -> None:
    neighbors, labels = nearest_neighbors(POINTS[:300], 7), few_labels()[:300]
    start = torch.nn.functional.one_hot(labels + 1, 11)[:, 1:].double()
    seen = []

    def masses(reached: torch.Tensor) -> torch.Tensor:
        seen.append(reached)
        return torch.arange(1.0, 11)

    equal, weighed = spread(*neighbors, start), spread(*neighbors, start, masses=masses)
    expected = equal * torch.arange(1.0, 11)
    torch.testing.assert_close(weighed, expected / expected.sum(1, keepdim=True))
    twice = spread(*neighbors, start, masses=lambda reached: reached)
    again = equal * seen[0]
    torch.testing.assert_close(twice, again / again.sum(1, keepdim=True))


def test_better_than_the_nearest_labeled_example() -> None:
    labels = few_labels()
    known = labels >= 0
    nearest = labels[known][torch.cdist(POINTS, POINTS[known]).argmin(1)]
    spread = label_spreading(POINTS, labels).argmax(1)
    assert (spread != CLASSES).float().mean() < 0.7 * (nearest != CLASSES).float().mean()


def test_neighbors_may_be_given() -> None:
    """Those of the inputs give the same probabilities; with given ones the inputs' values are ignored."""
    labels, neighbors = few_labels(), nearest_neighbors(POINTS, 9)
    expected = label_spreading(POINTS, labels, num_neighbors=9, num_components=64)
    torch.testing.assert_close(label_spreading(POINTS, labels, neighbors=neighbors), expected, atol=1e-4, rtol=0)
    given = label_spreading(torch.full_like(POINTS, torch.nan), labels, neighbors=neighbors, num_neighbors=-1)
    assert torch.equal(given, label_spreading(POINTS, labels, neighbors=neighbors))


@pytest.mark.parametrize(
    ("neighbors", "message"),
    [
        ((torch.zeros(3, 1).long(), torch.zeros(3, 1)), r"\(4, k\) each"),
        ((torch.zeros(4, 2).long(), torch.zeros(4, 1)), r"\(4, k\) each"),
        ((torch.zeros(4, 0).long(), torch.zeros(4, 0)), r"\(4, k\) each"),
        ((torch.full((4, 1), 4), torch.zeros(4, 1)), "integer indices in 0..3"),
        ((torch.full((4, 1), -1), torch.zeros(4, 1)), "integer indices in 0..3"),
        ((torch.zeros(4, 1), torch.zeros(4, 1)), "integer indices"),
        ((torch.zeros(4, 1).long(), torch.full((4, 1), torch.nan)), "not negative"),
        ((torch.zeros(4, 1).long(), torch.full((4, 1), torch.inf)), "finite"),
    ],
)
def test_bad_neighbors(neighbors: tuple[torch.Tensor, torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        label_spreading(torch.zeros(4, 1), torch.tensor([0, 1, -1, -1]), neighbors=neighbors)


def test_the_order_of_the_pixels_does_not_matter() -> None:
    labels = few_labels()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        label_spreading(POINTS[:, order], labels), label_spreading(POINTS, labels), atol=1e-3, rtol=0
    )


def test_rows_sum_to_one_and_islands_stay_uniform() -> None:
    island = torch.tensor([[100.0], [100.1], [100.2], [200.0]])
    points = torch.cat([torch.arange(6.0)[:, None], island])
    labels = torch.tensor([0, -1, -1, -1, -1, 1, -1, -1, -1, -1])
    probabilities = label_spreading(points, labels, num_neighbors=2)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(10, dtype=torch.float64))
    assert probabilities[0, 0] > 0.5 > probabilities[5, 0]
    torch.testing.assert_close(probabilities[6:9], torch.full((3, 2), 0.5, dtype=torch.float64))


def test_most_confident_takes_the_same_number_of_each_class() -> None:
    probabilities = label_spreading(POINTS, few_labels())
    taken = most_confident_per_class(probabilities, 0.5)
    predicted = probabilities.argmax(1)
    counts = torch.bincount(predicted[taken], minlength=10)
    assert counts.max() <= round(0.5 * len(POINTS) / 10)
    wrong = predicted != CLASSES
    assert wrong[taken].float().mean() < wrong.float().mean()
    for one in range(10):
        inside = [row for row in taken.tolist() if predicted[row] == one]
        outside = (predicted == one) & ~torch.isin(torch.arange(len(predicted)), torch.tensor(inside))
        if bool(outside.any()):
            assert probabilities[inside, one].min() >= probabilities[outside, one].max()


def test_equal_examples_do_not_divide_by_zero() -> None:
    probabilities = label_spreading(torch.zeros(20, 3), torch.tensor([0, 1] + [-1] * 18), num_neighbors=3)
    assert bool(probabilities.isfinite().all())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.full((6,), -1)}, "at least one label"),
        ({"labels": torch.tensor([0, 2, -1, -1, -1, -1])}, "at least one label"),
        ({"labels": torch.zeros(3).long()}, "must be"),
        ({"inputs": torch.full((6, 2), torch.nan)}, "finite"),
        ({"num_neighbors": 6}, "num_neighbors"),
        ({"alpha": 1.0}, "alpha"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    arguments = {"inputs": torch.randn(6, 2), "labels": torch.tensor([0, 1, -1, -1, -1, -1]), "num_neighbors": 2}
    with pytest.raises(ValueError, match=message):
        label_spreading(**(arguments | change))  # type: ignore[arg-type]


def test_fraction_out_of_range() -> None:
    with pytest.raises(ValueError, match="fraction"):
        most_confident_per_class(torch.ones(2, 2), 0.0)


def test_pixels_as_bytes_give_the_graph_of_pixels_between_0_and_1() -> None:
    pixels = (torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 255).to(torch.uint8)
    labels = torch.arange(200).where(torch.arange(200) < 3, torch.tensor(-1))
    torch.testing.assert_close(
        label_spreading(pixels, labels), label_spreading(pixels.double() / 255, labels), atol=1e-4, rtol=0
    )


def test_a_class_that_no_example_starts_with_takes_nothing() -> None:
    neighbors, distances = torch.tensor([[1], [0], [3], [2]]), torch.ones(4, 1)
    start = torch.tensor([[1.0, 0.0, 0.0], [0.0] * 3, [0.0, 2.0, 0.0], [0.0] * 3], dtype=torch.float64)
    found = spread(neighbors, distances, start)
    torch.testing.assert_close(found[:, :2], spread(neighbors, distances, start[:, :2]))
    assert not found[:, 2].any()
