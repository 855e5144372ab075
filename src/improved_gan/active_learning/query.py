"""Select the rows of a predictions file with the highest entropy, without images that have a label."""

import csv
import heapq
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Prediction", "least_certain", "rows_of"]


@dataclass(frozen=True)
class Prediction:
    """One row of a predictions file."""

    file: str
    probabilities: tuple[float, ...]
    real_score: float
    entropy: float
    sha256: str


def least_certain(
    predictions: Path, num: int, *, labeled: Collection[str] = (), usable: Callable[[str], bool] = lambda _: True
) -> list[Prediction]:
    """The images with the highest entropy, highest first, without duplicates and labeled images.

    The file is read row by row; memory holds `num` rows and one hash per image.

    Args:
        predictions: a CSV file of `classify`.
        num: largest number of images.
        labeled: files that have a label.
        usable: whether a file may be chosen.
    """
    best: list[tuple[float, int, Prediction]] = []  # a heap: the most certain of the best is first
    seen = {bytes.fromhex(row[-1]) for row in rows_of(predictions) if row[0] in labeled} if labeled else set[bytes]()
    rows = rows_of(predictions)
    header = next(rows)
    classes = [column for column, name in enumerate(header) if name.startswith("p(")]
    real_score, entropy = (len(header) - 3, len(header) - 2)
    for number, row in enumerate(rows):
        uncertainty = float(row[entropy])
        if row[0] in labeled or not usable(row[0]) or (len(best) == num and uncertainty <= best[0][0]):
            continue
        digest = bytes.fromhex(row[-1])
        if digest in seen:
            continue
        seen.add(digest)
        probabilities = tuple(float(row[column]) for column in classes)
        one = Prediction(row[0], probabilities, float(row[real_score]), uncertainty, row[-1])
        (heapq.heappush if len(best) < num else heapq.heapreplace)(best, (uncertainty, -number, one))
    return [one for *_, one in sorted(best, reverse=True)]


def rows_of(predictions: Path) -> Iterator[list[str]]:
    """Header and rows of a predictions file, one after another."""
    with predictions.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        yield from csv.reader(file)
