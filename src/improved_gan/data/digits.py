"""The embedded data set: 1,797 real 8x8 digits of the UCI optical digits, no download.

1,297 are for training and 500 for testing, a fixed division. `digits.npz` next to this file holds the images
and their order of scikit-learn's `load_digits` (which takes two seconds to import): the test part of E. Alpaydin and
C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998, doi:10.24432/C50P49,
CC BY 4.0.
"""

from importlib.resources import files

import numpy as np
import torch

from improved_gan.data.dataset import Dataset, LabeledImages

__all__ = ["load_digits"]

_NUM_TEST = 500


def load_digits() -> Dataset:
    """The digits with their fixed division.

    Returns:
        Images (N, 1, 8, 8) uint8 (the 17 gray levels spread over 0..255), ten classes.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.

    >>> digits = load_digits()
    >>> len(digits.train), len(digits.test), digits.image_shape
    (1297, 500, (1, 8, 8))
    """
    with files("improved_gan.data").joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        values, targets = arrays["values"], arrays["targets"]
    images = torch.from_numpy(np.rint(values * (255 / 16)).astype(np.uint8))
    labels = torch.from_numpy(targets.astype(np.int64))
    # RandomState is frozen by NumPy's promise, so this division is the same everywhere and for good.
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(labels)))
    test, train = order[:_NUM_TEST], order[_NUM_TEST:]
    return Dataset(
        name="digits",
        class_names=tuple("0123456789"),
        train=LabeledImages(images[train], labels[train]),
        test=LabeledImages(images[test], labels[test]),
    )
