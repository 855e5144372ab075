"""Convert the user's X to the networks' input, in the same way in `fit` and afterwards."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from improved_gan.estimator.arrays import as_array, statistics
from improved_gan.estimator.layout import Layout, find_layout
from improved_gan.estimator.scaling import Scale, select_scaler

__all__ = ["Examples", "InputSpec", "validate_input", "warn_of_flat_images"]

_KEPT_NUMBERS = 2**26  # 256 MiB of float32
_ACCEPTED: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": False}  # finiteness is checked in `statistics`


@dataclass(frozen=True, eq=False)
class InputSpec:
    """How X is read; learned in fit.

    Args:
        layout: its axes.
        scale: its range.
        dtype: of the X of fit, which is also that of samples.
        flat_rows: rows of fit that hold one number throughout.
    """

    layout: Layout
    scale: Scale
    dtype: np.dtype
    flat_rows: np.ndarray

    @classmethod
    def learn(
        cls,
        parts: list[np.ndarray],
        *,
        layout: str = "auto",
        scaling: str = "auto",
        value_range: tuple[float, float] | None = None,
    ) -> "InputSpec":
        """From X, and the unlabeled X where there is one.

        Raises:
            ValueError: shapes that disagree, numbers that are not finite, examples all alike, or an unclear range.
        """
        found = find_layout(parts[0].shape, layout)
        if len(parts) > 1 and parts[0].shape[1:] != parts[1].shape[1:]:
            raise ValueError(
                f"X and unlabeled must hold examples of one shape; got {parts[0].shape[1:]} and {parts[1].shape[1:]}: "
                "bring them to one size and number of channels first"
            )
        if len(parts) > 1 and (parts[0].dtype == np.uint8) != (parts[1].dtype == np.uint8):
            raise ValueError(
                f"X is {parts[0].dtype} and unlabeled {parts[1].dtype}: bring them to one type and range first"
            )
        seen = statistics(parts)
        scale = select_scaler(parts, seen, is_image=found.is_image, wanted=scaling, value_range=value_range)
        return cls(found, scale, parts[0].dtype, seen.flat_rows)

    def check(self, examples: np.ndarray) -> None:
        """Whether these have the shape of fit.

        Raises:
            ValueError: another shape.
        """
        wanted = self.layout.example_shape
        if examples.shape[1:] != wanted:
            raise ValueError(
                f"X has examples of shape {examples.shape[1:]}, but SemiSupervisedGANClassifier was fitted on {wanted}"
            )

    def ready(self, examples: np.ndarray) -> Tensor:
        """(N, ...) as the user has it -> (N, C, H, W) float32 in [0, 1].

        Raises:
            ValueError: numbers that are not finite, or out of range.
        """
        statistics([examples])
        scaled = self.layout.channels_first(self.scale.apply(examples))
        return torch.from_numpy(np.ascontiguousarray(scaled))

    def restore(self, images: Tensor) -> np.ndarray:
        """(N, C, H, W) in [0, 1] -> (N, ...) in the user's axes, range and type."""
        values: np.ndarray = self.scale.undo(self.layout.as_given(images.numpy()))
        if self.dtype.kind in "iub":
            values = np.rint(values)
        return np.ascontiguousarray(values.clip(*_limits(self.dtype)).astype(self.dtype))

    def describe(self) -> str:
        """In words."""
        shape = " x ".join(map(str, self.layout.example_shape))
        kind = f"images {self.layout.axes} {shape}" if self.layout.is_image else f"rows of {shape} features"
        return f"{kind}, {self.dtype}, scaled from {self.scale.describe()}"


def _limits(dtype: np.dtype) -> tuple[float, float]:
    """The least and the largest float64 that a type holds: beyond them whole numbers would wrap round."""
    if dtype.kind == "b":
        return 0.0, 1.0
    limits: Any = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    high = min(float(limits.max), float(np.finfo(np.float64).max))
    if dtype.kind in "iu" and high > int(limits.max):  # rounded up
        high = float(np.nextafter(high, 0))
    return max(float(limits.min), float(np.finfo(np.float64).min)), high


class Examples:
    """The rows of one or more arrays, ready for a network: gathered and scaled a batch at a time, or once where small.

    Args:
        parts: arrays (N_i, ...) of one trailing shape; memory-mapped ones stay on the disk, unless they are small.
        spec: how they are read.
        device: where tensors go.
    """

    def __init__(self, parts: list[np.ndarray], spec: InputSpec, device: str) -> None:
        self._parts, self._spec, self._device = parts, spec, device
        self._starts = np.cumsum([0, *map(len, parts)])
        self._kept: Tensor | None = None
        if len(self) * int(np.prod(spec.layout.shape)) <= _KEPT_NUMBERS:
            self._kept = torch.cat([self._ready(part) for part in parts]).to(device)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def index_device(self) -> torch.device:
        """Where row numbers are best kept."""
        return torch.device("cpu") if self._kept is None else self._kept.device

    @property
    def large(self) -> bool:
        """Whether a batch is read ahead of use."""
        return self._kept is None

    def __call__(self, rows: Tensor) -> Tensor:
        """(n,) row numbers -> (n, C, H, W) float32 in [0, 1]."""
        return self.take(rows.numpy()) if self._kept is None else self._kept[rows]

    def take(self, rows: np.ndarray) -> Tensor:
        """(n,) row numbers -> (n, C, H, W) float32 in [0, 1]."""
        if self._kept is not None:
            return self._kept[torch.from_numpy(rows).to(self._device)]
        result = torch.empty(len(rows), *self._spec.layout.shape)
        for part, start, stop in zip(self._parts, self._starts[:-1], self._starts[1:], strict=True):
            here = np.flatnonzero((rows >= start) & (rows < stop))
            if len(here):
                result[torch.from_numpy(here)] = self._ready(part[rows[here] - start])
        return result.to(self._device)

    def _ready(self, examples: np.ndarray) -> Tensor:
        scaled = np.ascontiguousarray(self._spec.layout.channels_first(self._spec.scale.apply(examples)))
        return torch.from_numpy(scaled)


def validate_input(estimator: Any, values: Any, *, reset: bool, name: str = "X") -> np.ndarray:
    """X as an array of numbers, as scikit-learn checks it for an estimator.

    Args:
        estimator: remembers the number and names of features, where X is a table.
        values: what the user gave.
        reset: whether to remember anew; else they must be the same.
        name: for errors.

    Raises:
        ValueError, TypeError: not numbers, sparse, ragged, empty, or other features than before.
    """
    values = as_array(values, name)
    is_table = getattr(values, "ndim", 2) <= 2
    if is_table and (reset or hasattr(estimator, "n_features_in_")):
        return np.asarray(validate_data(estimator, values, reset=reset, **_ACCEPTED))
    if reset:
        for attribute in ("n_features_in_", "feature_names_in_"):
            estimator.__dict__.pop(attribute, None)
    return np.asarray(check_array(values, allow_nd=True, input_name=name, **_ACCEPTED))


def warn_of_flat_images(spec: InputSpec) -> None:
    """Tell the caller of `fit` of images that hold one color throughout."""
    if spec.layout.is_image and len(spec.flat_rows):
        warnings.warn(
            f"{len(spec.flat_rows)} images hold one color throughout (the first is row {spec.flat_rows[0]}): they "
            "carry no information; leave them out unless they belong to the data",
            UserWarning,
            stacklevel=3,
        )
