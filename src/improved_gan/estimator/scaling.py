"""Scale the user's numbers to [0, 1], the networks' range: learned in `fit`, inverted in `sample`.

    range      u = (x - low) / (high - low), one range for all numbers: pixels
    columns    u = 1 / (1 + exp(-g (x - mean) / std)), g = 1.5, each column for itself: tables
    embedding  the same of x / |x|: features of a pretrained network, of which the direction counts

The second is nearly linear within two standard deviations, and outliers do not decide the range; the generator's output
sigmoid is its inverse, so that generated tables are not bounded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from improved_gan.data.embeddings import constant_columns
from improved_gan.estimator.arrays import Statistics, chunks

__all__ = [
    "ColumnScale",
    "EmbeddingScale",
    "RangeScale",
    "Scale",
    "looks_like_embedding",
    "select_scaler",
    "unit_rows",
]

_GAIN = 1.5
_MANY = 256  # dense columns from which a table is taken for embeddings
_CHECKED_ROWS = 1000  # whose norms and zeros are looked at, about
_DENSE = 0.3  # of the numbers are not zero
_TOLERANCE = 0.05  # of the range, that pixels may stand out of it, as after resizing


@dataclass(frozen=True)
class RangeScale:
    """One range for all numbers.

    Args:
        low, high: become 0 and 1.
        checked: whether numbers well outside the range are an error, as for pixels; else they are accepted.
    """

    low: float
    high: float
    checked: bool = True

    def apply(self, examples: np.ndarray, name: str = "X") -> np.ndarray:
        """(N, ...) -> float32 in [0, 1].

        Raises:
            ValueError: pixels out of the range that fit saw.
        """
        width = self.high - self.low
        single = examples.dtype.kind == "u" or 1e-30 < width < 1e30  # float32 has the digits and the range
        values = np.asarray(examples, dtype=np.result_type(examples.dtype, np.float32 if single else np.float64))
        scaled = np.asarray(values - values.dtype.type(self.low))
        scaled *= values.dtype.type(1 / width)
        if self.checked and scaled.size:
            faint = scaled.max() <= 1 / width < 0.02 and (values != np.rint(values)).any()
            if scaled.min() < -_TOLERANCE or scaled.max() > 1 + _TOLERANCE or faint:
                raise ValueError(
                    f"{name} holds pixels from {values.min():g} to {values.max():g}, but the range is "
                    f"{self.describe()}: bring them to the range of the images in fit, or set "
                    "value_range=(low, high)"
                )
            scaled.clip(0, 1, out=scaled)
        return np.asarray(scaled, dtype=np.float32)

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """The inverse of `apply`."""
        return np.asarray(np.asarray(scaled, dtype=np.float64) * (self.high - self.low) + self.low)

    def describe(self) -> str:
        """In words."""
        low, high = f"{self.low:g}", f"{self.high:g}"
        return f"{low} to {high}" if low != high else f"{self.low!r} to {self.high!r}"


@dataclass(frozen=True, eq=False)
class ColumnScale:
    """Each column by its own mean and standard deviation (A,)."""

    mean: np.ndarray
    std: np.ndarray

    def apply(self, examples: np.ndarray, name: str = "X") -> np.ndarray:
        """(N, A) -> float32 in [0, 1]."""
        standard = (np.asarray(examples, dtype=np.float64) - self.mean) / self.std
        return np.asarray(1 / (1 + np.exp(-_GAIN * standard.clip(-20, 20))), dtype=np.float32)

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """The inverse of `apply`, up to 20 standard deviations from the mean."""
        inner: np.ndarray = np.asarray(scaled, dtype=np.float64).clip(1e-13, 1 - 1e-13)
        return np.asarray(self.mean + self.std * np.log(inner / (1 - inner)) / _GAIN)

    def describe(self) -> str:
        """In words."""
        return "each column by its mean and standard deviation"


@dataclass(frozen=True, eq=False)
class EmbeddingScale:
    """Rows of norm 1, then each column by mean and standard deviation (A,); the norm of a row is not kept."""

    columns: ColumnScale

    def apply(self, examples: np.ndarray, name: str = "X") -> np.ndarray:
        """(N, A) -> float32 in [0, 1]."""
        return self.columns.apply(unit_rows(examples), name)

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """(N, A) of norm about 1."""
        return self.columns.undo(scaled)

    def describe(self) -> str:
        """In words."""
        return "embeddings: rows of norm 1, each column by its mean and standard deviation"


Scale = RangeScale | ColumnScale | EmbeddingScale


def unit_rows(examples: np.ndarray) -> np.ndarray:
    """(N, A) -> (N, A) floating point, rows of Euclidean norm 1; rows of zeros stay.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    wide = examples.dtype in (np.float64, np.int64, np.uint64)
    values: Any = np.array(
        examples, dtype=np.float64 if wide else np.float32
    )  # the only copy: rows may fill the memory
    largest = np.maximum(values.max(1, keepdims=True, initial=0), -values.min(1, keepdims=True, initial=0))
    values /= np.where(largest > 0, largest, 1)  # squares neither overflow nor vanish
    norms = np.sqrt(np.einsum("na,na->n", values, values))[:, None]
    values /= np.where(norms > 0, norms, 1)
    return np.asarray(values)


def looks_like_embedding(part: np.ndarray, *, pixels: bool = False) -> bool:
    """Whether rows (N, A) of floating-point numbers have norm 1, or 256 columns or more, neither pixels nor sparse.

    Features after a ReLU are zero up to a half, more of them in some classes than in others: rows from the whole table
    are looked at.

    >>> looks_like_embedding(unit_rows(np.random.RandomState(0).randn(5, 32)))
    True
    """
    rows = part[:: max(1, len(part) // _CHECKED_ROWS)]
    if rows.dtype.kind != "f" or rows.ndim != 2 or rows.shape[1] < 16:
        return False
    rows = rows.astype(np.float64)
    with np.errstate(over="ignore"):
        if np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-2):  # float16 keeps three digits
            return True
    return not pixels and rows.shape[1] >= _MANY and bool((rows != 0).mean() > _DENSE)


def select_scaler(
    parts: list[np.ndarray],
    seen: Statistics,
    *,
    is_image: bool,
    wanted: str = "auto",
    value_range: tuple[float, float] | None = None,
) -> Scale:
    """The scale for these examples.

    Images: uint8 is 0 to 255; other numbers 0 to 1, -1 to 1 or 0 to 255 where they fit and fill that range, else from
    the smallest to the largest. Rows of features: pixels (bytes, numbers in 0 to 1, or whole numbers from 0 of which
    most columns reach half of the largest) get one range, other tables a scale for each column; rows of norm 1, and
    tables of many dense columns, are scaled as embeddings.

    Args:
        parts: arrays (N_i, ...) of finite numbers.
        seen: their statistics.
        is_image: whether they have rows and columns.
        wanted: "auto", "range", "columns" or "embedding".
        value_range: (low, high), what is black and white.

    Raises:
        ValueError: examples that are all the same, a range that they leave, or columns asked of images.
    """
    if (seen.low == seen.high).all():
        raise ValueError("all examples of X are the same: nothing can be learned from them; give examples that differ")
    if wanted not in ("auto", "range", "columns", "embedding"):
        raise ValueError(f"scaling must be 'auto', 'range', 'columns' or 'embedding'; got {wanted!r}")
    if wanted in ("columns", "embedding") and (is_image or value_range is not None):
        raise ValueError(f"scaling={wanted!r} is for rows of features without a value_range; images have one range")
    dtype = parts[0].dtype
    if value_range is not None:
        return _given_range(value_range, seen)
    pixels = is_image or _like_pixels(dtype, seen)
    found = not is_image and all(looks_like_embedding(part, pixels=pixels) for part in parts)
    if wanted == "embedding" or (wanted == "auto" and found):
        return EmbeddingScale(_column_scale(parts, constant_columns, unit_rows))
    if wanted == "columns" or (wanted == "auto" and not pixels):
        return _column_scale(parts, lambda *_: seen.low == seen.high)
    low, high = _known_range(dtype if pixels else np.dtype(float), float(seen.low.min()), float(seen.high.max()))
    return _range(low, high, checked=is_image or (pixels and dtype == np.uint8))


def _given_range(value_range: tuple[float, float], seen: Statistics) -> RangeScale:
    low, high = (float(value) for value in value_range)
    if not low < high:
        raise ValueError(f"value_range must be (low, high) with low < high; got {value_range}")
    if seen.low.min() < low - _TOLERANCE * (high - low) or seen.high.max() > high + _TOLERANCE * (high - low):
        raise ValueError(
            f"value_range is {low:g} to {high:g}, but X goes from {seen.low.min():g} to {seen.high.max():g}: "
            "give the values of black and white in X"
        )
    return _range(low, high)


def _range(low: float, high: float, *, checked: bool = True) -> RangeScale:
    width = high - low
    if not 1e-300 < width < 1e300:
        raise ValueError(
            f"X goes from {low:g} to {high:g}, a range of {width:g}, which is too small or too large to compute with: "
            "multiply or divide X first"
        )
    return RangeScale(low, high, checked)


def _known_range(dtype: np.dtype, low: float, high: float) -> tuple[float, float]:
    if dtype == np.uint8:
        return 0.0, 255.0
    for known in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if known[0] <= low and known[1] / 2 <= high <= known[1]:
            return known
    return low, high


def _like_pixels(dtype: np.dtype, seen: Statistics) -> bool:
    if len(seen.low) < 16:  # a handful of numbers is a table
        return False
    varying = seen.high > seen.low
    low, high = seen.low[varying].min(), seen.high[varying].max()
    if dtype == np.uint8 or low < 0:
        return dtype == np.uint8
    reaching = (seen.high[varying] >= high / 2).mean()
    return bool(reaching >= 0.5 and (high <= 1 or seen.whole_numbers))


def _column_scale(
    parts: list[np.ndarray],
    constant: Callable[[np.ndarray, np.ndarray], np.ndarray],
    change: Callable[[np.ndarray], np.ndarray] = lambda rows: rows,
) -> ColumnScale:
    """Mean and standard deviation of each column, in two float64 passes; for a constant column the latter is 1.

    The sum of many equal numbers is rounded, so the standard deviation does not tell which columns are constant.
    """
    num = sum(len(part) for part in parts)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum(change(rows).sum(0, dtype=np.float64) for part in parts for rows in chunks(part)) / num
        variance = sum(((change(rows) - mean) ** 2).sum(0) for part in parts for rows in chunks(part)) / num
    if not np.isfinite(variance).all():
        raise ValueError("X holds numbers too large to scale (their squares are infinite): divide them first")
    std = np.sqrt(variance)
    return ColumnScale(mean, np.where((std == 0) | constant(mean, std), 1.0, std))
