import numpy as np
from sklearn import datasets

from improved_gan.data import load_digits


def test_every_digit_is_there_once_and_the_division_is_fixed() -> None:
    digits = load_digits()
    assert (len(digits.train), len(digits.test)) == (1297, 500)
    values, targets = datasets.load_digits(return_X_y=True)
    ours = [
        (tuple(np.rint(image.flatten() * (16 / 255)).astype(int)), int(label))
        for part in (digits.train, digits.test)
        for image, label in zip(part.images.numpy().astype(float), part.labels, strict=True)
    ]
    assert sorted(ours) == sorted((tuple(row.astype(int)), int(t)) for row, t in zip(values, targets, strict=True))
    assert digits.test.labels[:10].tolist() == load_digits().test.labels[:10].tolist()


def test_the_division_is_that_of_the_recorded_runs() -> None:
    values, targets = datasets.load_digits(return_X_y=True)
    images = np.rint(values * (255 / 16)).reshape(-1, 1, 8, 8)
    order = np.random.RandomState(0).permutation(len(targets))
    digits = load_digits()
    np.testing.assert_array_equal(digits.test.images, images[order[:500]])
    np.testing.assert_array_equal(digits.train.labels, targets[order[500:]])


def test_both_parts_hold_all_classes() -> None:
    digits = load_digits()
    assert np.bincount(digits.train.labels).min() > 100
    assert np.bincount(digits.test.labels).min() > 30
