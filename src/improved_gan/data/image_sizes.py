"""Choose one of the networks' image sizes for a set of images."""

import numpy as np
from numpy.typing import NDArray

from improved_gan.data.dataset import DataError

__all__ = ["SIZES", "choose_size"]

SIZES = (32, 64, 128)
_LARGE_ENOUGH = 0.9  # share of the images that must not be enlarged for a size to be chosen


def choose_size(
    shorter_sides: NDArray[np.int64], wanted: int | None, *, enlarge_few: bool = False
) -> tuple[int, list[str]]:
    """The size that was asked for, or the largest that nine of ten images have.

    Args:
        shorter_sides: (N,) pixels of each image.
        wanted: 32, 64 or 128; None chooses.
        enlarge_few: whether one of ten images may be smaller than `wanted`, too.

    Returns:
        The size, and notices.

    Raises:
        DataError: another size, or images that are smaller than the size asked for.

    >>> choose_size(np.array([100, 70, 64]), None)
    (64, [])
    """
    if wanted is not None and wanted not in SIZES:
        raise DataError(f"images are trained on at {', '.join(map(str, SIZES))} pixels a side; got {wanted}")
    fitting = [size for size in SIZES if (shorter_sides >= size).mean() >= _LARGE_ENOUGH]
    size = wanted or max(fitting, default=SIZES[0])
    small = int((shorter_sides < size).sum())
    if not small:
        return size, []
    smallest = int(shorter_sides.min())
    if wanted is not None and not (enlarge_few and wanted in fitting):
        less = max((one for one in SIZES if one <= smallest), default=None)
        raise DataError(
            f"{small} of {len(shorter_sides)} images are smaller than {size} pixels (the smallest has {smallest}): "
            + ("" if less is None else f"take --size {less}, ")
            + "remove them, or omit --size (the size is then chosen by the images, and smaller ones are enlarged)"
        )
    return size, [f"{small} images are smaller than {size} pixels (the smallest has {smallest}) and are enlarged"]
