"""The user's examples X (arrays, memory-mapped arrays, tensors, lists, frames) as NumPy arrays, not copied."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

__all__ = ["Statistics", "as_array", "chunks", "sample_hashes", "statistics"]

_CHUNK_NUMBERS = 2**22  # at most so many numbers are converted at once


class Statistics(NamedTuple):
    """Statistics of each of the A numbers of an example, from one pass."""

    low: np.ndarray  # (A,)
    high: np.ndarray  # (A,)
    whole_numbers: bool
    flat_rows: np.ndarray  # row numbers of examples whose numbers are all the same


def as_array(values: Any, name: str = "X") -> Any:
    """X as a NumPy array where it can be converted here (tensors, lists of images); else as it came, for scikit-learn.

    Raises:
        ValueError: images of several shapes in one list.

    >>> as_array(torch.zeros(2, 3)).shape
    (2, 3)
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    listed = isinstance(values, (list, tuple)) or (isinstance(values, np.ndarray) and values.shape[1:] == ())
    if listed and len(values) and all(isinstance(one, (np.ndarray, torch.Tensor)) for one in values):
        return _stacked([as_array(one) for one in values], name)
    return values


def statistics(parts: list[np.ndarray], name: str = "X") -> Statistics:
    """Ranges of the numbers, in pieces, so that memory-mapped arrays stay on the disk.

    Args:
        parts: arrays (N_i, ...) of one trailing shape.
        name: for errors.

    Raises:
        ValueError: NaN or infinity; the message counts the rows and names the first.
    """
    lows, highs, whole, flat_rows, bad, num = [], [], True, [], [], 0
    for rows in (rows for part in parts for rows in chunks(part)):
        if rows.dtype.kind == "f":
            bad.append(num + np.flatnonzero(~np.isfinite(rows).all(1)))
            whole = whole and bool((rows == np.rint(rows)).all())
        low, high = rows.min(1), rows.max(1)
        flat_rows.append(num + np.flatnonzero(low == high))
        lows.append(rows.min(0))
        highs.append(rows.max(0))
        num += len(rows)
    if bad and len(rows_with := np.concatenate(bad)):
        raise ValueError(
            f"Input {name} contains NaN or infinity in {len(rows_with)} of {num} rows (the first is row "
            f"{rows_with[0]}): remove them, or fill them in, for example with sklearn.impute.SimpleImputer"
        )
    return Statistics(np.min(lows, 0), np.max(highs, 0), whole, np.concatenate(flat_rows))


def chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces (n, A) of the rows of an array (N, ...), in order."""
    numbers = max(1, int(np.prod(array.shape[1:])))
    step = max(1, _CHUNK_NUMBERS // numbers)
    for start in range(0, len(array), step):
        yield array[start : start + step].reshape(-1, numbers)


def sample_hashes(array: np.ndarray, rows: np.ndarray) -> list[str]:
    """A hash of the numbers of each of these rows, the same in any type that holds them.

    >>> sample_hashes(np.eye(2), np.array([0])) == sample_hashes(np.eye(2, dtype=np.uint8), np.array([0]))
    True
    """
    doubles = (np.ascontiguousarray(array[row], dtype=np.float64) + 0.0 for row in rows)  # no -0.0
    return [hashlib.blake2b(example.tobytes(), digest_size=16).hexdigest() for example in doubles]


def _stacked(examples: list[np.ndarray], name: str) -> np.ndarray:
    counts: dict[tuple[int, ...], int] = {}
    for example in examples:
        counts[example.shape] = counts.get(example.shape, 0) + 1
    if len(counts) > 1:
        listed = ", ".join(f"{count} of shape {shape}" for shape, count in counts.items())
        raise ValueError(
            f"all examples of {name} must have one shape; got {listed}: bring images to one size and number of "
            "channels first, for example with PIL's convert('RGB') and resize"
        )
    return np.stack(examples)
