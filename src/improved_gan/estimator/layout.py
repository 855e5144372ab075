"""Interpret the axes of X: rows of features, or images with channels first or last."""

from typing import NamedTuple

import numpy as np

__all__ = ["LAYOUTS", "Layout", "find_layout"]

LAYOUTS = ("auto", "NCHW", "NHWC")
_CHANNELS = (1, 2, 3, 4)


class Layout(NamedTuple):
    """The axes of an example: "features" (A,), "HW", "CHW" or "HWC", and its shape as (C, H, W).

    Features are an "image" of one channel and one row, (1, 1, A).
    """

    axes: str
    shape: tuple[int, int, int]

    @property
    def is_image(self) -> bool:
        """Whether an example has rows and columns."""
        return self.axes != "features"

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one example as the user has it.

        >>> Layout("HWC", (3, 8, 9)).example_shape
        (8, 9, 3)
        """
        channels, height, width = self.shape
        shapes = {"features": (width,), "HW": (height, width), "CHW": self.shape, "HWC": (height, width, channels)}
        return shapes[self.axes]

    def channels_first(self, examples: np.ndarray) -> np.ndarray:
        """(N, ...) as the user has it -> (N, C, H, W), a view."""
        return np.moveaxis(examples, 3, 1) if self.axes == "HWC" else examples.reshape(-1, *self.shape)

    def as_given(self, images: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> (N, ...) as the user has it, a view."""
        return np.moveaxis(images, 1, 3) if self.axes == "HWC" else images.reshape(-1, *self.example_shape)


def find_layout(shape: tuple[int, ...], wanted: str = "auto") -> Layout:
    """What the shape (N, ...) of X says.

    Args:
        shape: of X, two to four axes.
        wanted: "auto", or "NCHW" or "NHWC" where four axes could be read both ways.

    Raises:
        ValueError: other numbers of axes, no axis of 1 to 4 channels, or an axis too many of them.

    >>> find_layout((100, 32, 32, 3))
    Layout(axes='HWC', shape=(3, 32, 32))
    """
    if wanted not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}; got {wanted!r}")
    if 0 in shape[1:]:
        raise ValueError(f"X must have at least one number an example; got shape {shape}, 0 feature(s)")
    if len(shape) == 2:
        return Layout("features", (1, 1, shape[1]))
    if len(shape) == 3:
        return Layout("HW", (1, shape[1], shape[2]))
    if len(shape) != 4:
        raise ValueError(
            f"X must be (N, features), (N, H, W), (N, C, H, W) or (N, H, W, C); got {len(shape)} axes, shape {shape}"
        )
    _, first, middle, last = shape
    if wanted == "auto":
        candidates = [name for name, channels in (("NCHW", first), ("NHWC", last)) if channels in _CHANNELS]
        if len(candidates) != 1:
            could = "could be both channels first and last" if candidates else "has no axis of 1 to 4 channels"
            raise ValueError(f"X of shape {shape} {could}: say which with layout='NCHW' or layout='NHWC'")
        wanted = candidates[0]
    return Layout("CHW", (first, middle, last)) if wanted == "NCHW" else Layout("HWC", (last, first, middle))
