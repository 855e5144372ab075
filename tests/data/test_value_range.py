import numpy as np
import pytest

from improved_gan.data.dataset import DataError
from improved_gan.data.value_range import ValueRange, parse_plain_range, parse_value_range, stored_range


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (-100, 100), (0.0, 1.0), (1e-3, 2e-3), (0, 2**32 - 1)])
def test_levels_are_those_of_the_formula(low: float, high: float) -> None:
    values = np.linspace(low - (high - low), high + (high - low), 4001)
    expected = np.rint(255 * (values - low) / (high - low)).clip(0, 255)
    found = ValueRange(low, high).to_bytes(values)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.01  # halves, rounded after another order of operations
    assert ValueRange(low, high).to_bytes(np.array([low, high])).tolist() == [0, 255]


def test_no_type_wraps_round() -> None:
    for values in (np.array([-(2**31), 2**31 - 1], np.int32), np.array([0, 2**32 - 1], np.uint32)):
        assert ValueRange(0, 100).to_bytes(values).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("0:4095", ((0, False), (4095, False))),
        (" 0.5% : 99.5% ", ((0.5, True), (99.5, True))),
        ("0:99.9%", ((0, False), (99.9, True))),
        ("-1e3:2.5", ((-1000, False), (2.5, False))),
    ],
)
def test_forms(text: str, bounds: tuple[tuple[float, bool], ...]) -> None:
    wanted = parse_value_range(text)
    assert tuple((one.number, one.percent) for one in (wanted.low, wanted.high)) == bounds


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "0",
        "0:",
        "a:b",
        "1:2:3",
        "5:5",
        "5:4",
        "9%:1%",
        "-1%:50%",
        "0%:101%",
        "nan:1",
        "0:inf",
        "1%%:2",
        "0 4095",
    ],
)
def test_other_texts_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(DataError, match="give LOW:HIGH") as told:
        parse_value_range(text).resolved({})
    assert "\n" not in str(told.value)


def test_percentiles_are_filled_in_and_refused_where_there_are_no_training_images() -> None:
    wanted = parse_value_range("1%:99%")
    assert wanted.percentiles == (1, 99)
    assert wanted.resolved({1: 100.0, 99: 4000.0}) == ValueRange(100, 4000)
    with pytest.raises(DataError, match="leaves nothing between black and white"):
        wanted.resolved({1: 100.0, 99: 100.0})
    assert parse_plain_range("7:9") == ValueRange(7, 9)
    with pytest.raises(DataError, match="only `train-folder` takes them"):
        parse_plain_range("1%:99%")


def test_a_range_survives_its_own_text_and_json() -> None:
    for low, high in ((0, 4095), (-0.1, 1 / 3), (1e-30, 3e30)):
        one = ValueRange(low, high)
        assert parse_plain_range(str(one)) == one
        assert stored_range([one.low, one.high]) == one
    assert stored_range(None) is None


@pytest.mark.parametrize("stored", [7, "ab", [1], [1, 2, 3], [2, 1], ["a", 1], {}, [None, 1]])
def test_a_damaged_range_of_a_run_is_told(stored: object) -> None:
    with pytest.raises(DataError):
        stored_range(stored)
