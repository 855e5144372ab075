"""Validation images: labeled, never trained on, and no copies of what is trained on."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST", "duplicate_ids", "split_validation"]

MOST = 10_000  # images that are evaluated at most


def split_validation(
    labels: NDArray[np.int64], parts: NDArray[np.str_], hashes: NDArray[np.uint8], *, fraction: float
) -> tuple[NDArray[np.int64], str, list[str]]:
    """Rows to validate on: the `validation` part, else the `test` part, else a fraction of each class; `MOST` at most.

    Args:
        labels: (N,) classes, -1 for none.
        parts: (N,) "train", "validation" or "test".
        hashes: (N, 32) of the images' content.
        fraction: of each class's labeled training images, rounded down; used where there is no such part.

    Returns:
        The rows in ascending order, what they are ("validation" or "test"), and notices.
    """
    keys = [one.tobytes() for one in hashes]
    train = np.flatnonzero(parts == "train")
    trained = {keys[row] for row in train}
    for kind in ("validation", "test"):  # at most MOST: they are kept in memory, by every process
        rows = np.flatnonzero((parts == kind) & (labels >= 0))
        if len(rows):
            fresh = np.asarray([row for row in rows if keys[row] not in trained], dtype=np.int64)
            chosen = np.sort(sorted(fresh.tolist(), key=lambda row: keys[row])[:MOST]) if len(fresh) > MOST else fresh
            return chosen, kind, _notices_of_given(kind, len(rows), len(fresh), len(chosen))
    rows = _held_out(labels, train, keys, fraction)
    return rows, "validation", _notices_of_held_out(labels[train], labels[rows], fraction)


def duplicate_ids(hashes: NDArray[np.uint8]) -> int:
    """How many images are copies of earlier ones.

    >>> duplicate_ids(np.array([[1, 2], [1, 2], [3, 4]], dtype=np.uint8))
    1
    """
    return len(hashes) - len({one.tobytes() for one in hashes})


def _held_out(
    labels: NDArray[np.int64], train: NDArray[np.int64], keys: list[bytes], fraction: float
) -> NDArray[np.int64]:
    """Of each class those with the lowest hashes; content that occurs twice in the training part stays there."""
    times = Counter(keys[row] for row in train)
    labeled = train[labels[train] >= 0]
    fraction = min(fraction, MOST / max(1, len(labeled)))
    chosen: list[int] = []
    for one in np.unique(labels[labeled]):
        members = labeled[labels[labeled] == one]
        single = sorted((row for row in members.tolist() if times[keys[row]] == 1), key=lambda row: keys[row])
        chosen += single[: int(fraction * len(members))]
    return np.asarray(sorted(chosen), dtype=np.int64)


def _notices_of_given(kind: str, num: int, num_fresh: int, num_chosen: int) -> list[str]:
    notices = []
    if num_fresh < num:
        known = f"{num - num_fresh} {kind} images have the same content as training images"
        notices.append(f"{known} and are left out of the {kind}")
    if num_chosen < num_fresh:
        notices.append(f"of {num_fresh} {kind} images the {num_chosen} with the lowest hash of their content are used")
    return notices


def _notices_of_held_out(labels: NDArray[np.int64], chosen: NDArray[np.int64], fraction: float) -> list[str]:
    num = int((labels >= 0).sum())
    if not num or len(chosen):
        return []
    return [f"no image is held out for validation: {fraction:.0%} of each class are less than one image"]
