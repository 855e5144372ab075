from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from improved_gan.data.dataset import DataError
from improved_gan.data.image_index import index_images
from improved_gan.data.image_sources import open_images
from improved_gan.data.value_statistics import ValueCounts, percentiles_of
from tests.tiffs import tiff

PERCENTILES = (0, 0.5, 25, 50, 99.5, 100)
DICE = np.random.default_rng(0)
SETS = {
    "twelve bits": [DICE.integers(0, 4096, (9, 9)).astype(np.uint16) for _ in range(4)],
    "signed": [DICE.integers(-5000, 60000, (9, 9)).astype(np.int32) for _ in range(4)],
    "float": [DICE.normal(size=(9, 9)).astype(np.float32) for _ in range(4)],
    "with outliers": [np.where(DICE.random((9, 9)) < 0.02, 1e30, DICE.random((9, 9))).astype(np.float32) for _ in "ab"],
    "mixed": [np.arange(81, dtype=np.uint16).reshape(9, 9), DICE.normal(0, 40, (9, 9)).astype(np.float32)],
    "constant": [np.full((9, 9), 7, np.uint16)] * 2,
    "zeros of both signs": [np.array([[-0.0, 0.0], [-1, 0.0]], np.float32)],
}


@pytest.mark.parametrize("name", SETS)
def test_percentiles_are_numpys(name: str) -> None:
    images = SETS[name]
    counts = ValueCounts(PERCENTILES)
    for again in (False, True):
        if again and not counts.needs_second_pass():
            break
        for image in reversed(images):
            part = counts.empty()
            part.add(image)
            counts.merge(part)
    whole = np.concatenate([image.ravel().astype(np.float32) for image in images])
    expected = np.percentile(whole, PERCENTILES, method="inverted_cdf")
    assert list(counts.percentiles().values()) == expected.tolist()
    assert list(counts.percentiles()) == list(PERCENTILES)


@pytest.mark.parametrize(("total", "step"), [(100, "1"), (1000, "0.1"), (777, "0.7")])
def test_ranks_are_exact_in_decimals(total: int, step: str) -> None:
    """Of 1..N, the smallest value v with v / N >= p / 100, found by trying all in whole numbers."""
    wanted = [float(Decimal(step) * count) for count in range(int(100 / Decimal(step)) + 1)]
    counts = ValueCounts(wanted)
    counts.add(np.arange(1, total + 1, dtype=np.uint16))
    for percentile, found in counts.percentiles().items():
        thousandths = int(Decimal(str(percentile)) * 1000)
        expected = next(value for value in range(1, total + 1) if 100_000 * value >= thousandths * total)
        assert found == expected, percentile
    several = ValueCounts([np.float64(7), 7])
    several.add(np.arange(1, 101, dtype=np.float32))
    assert several.needs_second_pass()
    several.add(np.arange(1, 101, dtype=np.float32))
    assert several.percentiles() == {7: 7.0}


def write(folder: Path, images: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"{number}.tif").write_bytes(tiff(image))
    return folder


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name", ["twelve bits", "float"])
def test_only_the_rows_that_count_whatever_the_threads(tmp_path: Path, name: str, workers: int) -> None:
    scan = index_images(open_images(write(tmp_path / "images", SETS[name])), workers=1)
    found = percentiles_of(scan, (1, 99), rows=lambda bad: [0, 2], workers=workers)
    whole = np.concatenate([SETS[name][0].ravel(), SETS[name][2].ravel()])
    assert list(found.values()) == np.percentile(whole, (1, 99), method="inverted_cdf").tolist()


def test_an_image_that_cannot_be_used_changes_which_count(tmp_path: Path) -> None:
    images = [np.full((4, 4), value, np.float32) for value in (1, np.nan, 3, 4)]
    scan = index_images(open_images(write(tmp_path / "images", images)), workers=1)
    asked = []

    def rows(bad: object) -> list[int]:
        asked.append(set(bad))  # type: ignore[call-overload]
        return [row for row in range(4) if row not in asked[-1]][:2]

    assert percentiles_of(scan, (0, 100), rows=rows, workers=2) == {0: 1.0, 100: 3.0}
    assert asked == [set(), {1}]
    with pytest.raises(DataError, match=r"no pixel value of .* can be read"):
        percentiles_of(scan, (0, 100), rows=lambda bad: [1], workers=2)
