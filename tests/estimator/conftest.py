"""Small data, and one classifier that is fitted on it."""

from typing import NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_digits

from improved_gan import SemiSupervisedGANClassifier


class Few(NamedTuple):
    images: np.ndarray  # (300, 8, 8) in 0 to 16
    truth: np.ndarray
    y: np.ndarray  # -1 but for three of each of three classes


@pytest.fixture(scope="session")
def few() -> Few:
    digits = load_digits(n_class=3)
    images, truth = digits.images[:300], digits.target[:300]
    y = np.full(300, -1)
    for one in range(3):
        rows = np.flatnonzero(truth == one)[:3]
        y[rows] = one
    return Few(images, truth, y)


@pytest.fixture(scope="session")
def fitted(few: Few) -> SemiSupervisedGANClassifier:
    return SemiSupervisedGANClassifier(epochs=25, random_state=0, device="cpu").fit(few.images, few.y)
