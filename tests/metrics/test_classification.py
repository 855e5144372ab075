import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from improved_gan.metrics import MetricError
from improved_gan.metrics.classification import (
    calibration,
    class_scores,
    confident_mistakes,
    confusion,
    wilson_interval,
)


@pytest.fixture
def classified() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(5, (400,), generator=generator)
    logits = torch.randn(400, 5, generator=generator).double()
    logits[torch.arange(400), labels] += 1.5
    return logits.softmax(1), labels


def test_confusion_and_scores_are_scikit_learns(classified: tuple[torch.Tensor, torch.Tensor]) -> None:
    probabilities, labels = classified
    predicted = probabilities.argmax(1)
    matrix = confusion(labels, predicted, 5)
    assert (matrix.numpy() == confusion_matrix(labels, predicted)).all()
    precision, recall, _, images = precision_recall_fscore_support(labels, predicted)
    scores = class_scores(matrix)
    assert [score.images for score in scores] == images.tolist()
    np.testing.assert_allclose([score.precision for score in scores], precision)
    np.testing.assert_allclose([score.recall for score in scores], recall)


def test_a_class_without_images_has_no_score() -> None:
    score = class_scores(confusion(torch.tensor([0, 0]), torch.tensor([0, 0]), 2))[1]
    assert score.images == 0
    assert np.isnan(score.recall)
    assert np.isnan(score.precision)


@pytest.mark.parametrize("num_bins", [1, 7, 15])
def test_the_calibration_error_is_that_of_the_formula(
    classified: tuple[torch.Tensor, torch.Tensor], num_bins: int
) -> None:
    probabilities, labels = (one.numpy() for one in classified)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected, counted = 0.0, []
    for b in range(num_bins):
        inside = (confidence > b / num_bins) & (confidence <= (b + 1) / num_bins)
        counted.append(int(inside.sum()))
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    found = calibration(*classified, num_bins=num_bins)
    assert [one.images for one in found.bins] == counted
    assert found.error == pytest.approx(expected, abs=1e-12)
    assert found.log_loss == pytest.approx(log_loss(labels, probabilities))
    assert (found.accuracy, found.confidence) == pytest.approx((right.mean(), confidence.mean()))


def test_certainty_that_is_right_is_calibrated_and_falls_into_the_last_bin() -> None:
    found = calibration(torch.eye(3), torch.arange(3))
    assert found.error == 0
    assert found.log_loss == 0
    assert found.bins[-1].images == 3


def test_certainty_that_is_wrong_has_a_finite_loss() -> None:
    found = calibration(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert found.error == 1
    assert np.isfinite(found.log_loss)


def test_mistakes_come_most_certain_first_and_none_is_right(classified: tuple[torch.Tensor, torch.Tensor]) -> None:
    probabilities, labels = classified
    places = confident_mistakes(probabilities, labels, 10)
    assert len(places) == 10
    assert (probabilities[places].argmax(1) != labels[places]).all()
    certainty = probabilities.max(1).values
    assert (certainty[places].diff() <= 0).all()
    others = (probabilities.argmax(1) != labels).index_fill(0, places, False)
    assert certainty[others].max() <= certainty[places[-1]]


@pytest.mark.parametrize(("num", "images"), [(0, 20), (1, 20), (25, 200), (200, 200), (3, 10_000)])
def test_the_interval_is_wilsons(num: int, images: int) -> None:
    """Wilson (1927): the p for which |p' - p| <= z sqrt(p (1 - p) / n)."""
    z = 1.959963984540054
    share, spread = num / images, z * z / images
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(share * (1 - share) / images + spread / (4 * images))
    assert wilson_interval(num, images) == pytest.approx((max(0, middle - half), min(1, middle + half)), abs=1e-12)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_probabilities_that_are_none_are_refused_and_empty_bins_are_not(
    classified: tuple[torch.Tensor, torch.Tensor], number: float
) -> None:
    probabilities, labels = classified
    bad = probabilities.clone()
    bad[3, 1] = bad[7] = number
    with pytest.raises(MetricError, match=r"2 of 400 rows of probabilities hold NaN or infinity \(row 3, 7\)"):
        calibration(bad, labels)
    with pytest.raises(MetricError, match="the classifier fails on these images"):
        confident_mistakes(bad, labels, 5)
    certain = torch.eye(5, dtype=torch.float64)[labels]  # one bin has all images
    found = calibration(certain, labels)
    assert (found.error, found.accuracy) == (0, 1)
    assert [np.isnan(one.accuracy) for one in found.bins] == [True] * 14 + [False]
