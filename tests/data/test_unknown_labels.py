from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from improved_gan.data import DataError
from improved_gan.data.unknown_labels import Reading, is_unknown, label_notices, only_known, plain_label, reading_of

NUMBERS = (np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64, np.longdouble, int, float)


@pytest.mark.parametrize("kind", NUMBERS, ids=lambda kind: kind.__name__)
def test_minus_one_of_every_type_and_no_other_number(kind: type) -> None:
    assert reading_of(kind(-1)) is Reading.UNKNOWN
    for other in (0, 1, 2, -2):
        assert reading_of(kind(other)) is Reading.CLASS
    if kind(1) / 2 == 0.5 and kind not in (int, np.int8, np.int16, np.int32, np.int64):
        assert reading_of(kind(-1.5)) is Reading.CLASS
        assert reading_of(kind("nan")) is Reading.MISSING


def test_unsigned_and_other_things_are_classes() -> None:
    for label in (np.uint8(255), np.uint64(2**64 - 1), True, False, np.bool_(True), (1, 2), frozenset()):
        assert reading_of(label) is Reading.CLASS


def test_missing_values_that_are_no_text() -> None:
    missing = [None, float("nan"), Decimal("nan"), np.datetime64("NaT"), np.ma.masked, complex("nan")]
    assert {reading_of(one) for one in missing} == {Reading.MISSING}
    assert not is_unknown(np.array([np.nan, np.nan]))  # an array is no label, and no reason for a traceback


# pandas.io.parsers.readers, "default NA values" of read_csv (2.2)
PANDAS = (
    " ", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null"
)  # fmt: skip


@pytest.mark.parametrize("text", PANDAS)
def test_what_pandas_reads_as_missing_is_never_a_class(text: str) -> None:
    assert is_unknown(text)


def test_the_missing_values_of_pandas_by_the_names_of_their_types() -> None:
    class NAType:
        """As pandas' own, comparisons with it are neither true nor false."""

        def __eq__(self, other: object) -> bool:
            raise TypeError("boolean value of NA is ambiguous")

        __hash__ = None  # type: ignore[assignment]

    assert reading_of(NAType()) is Reading.MISSING


@pytest.mark.parametrize("text", ["", " ", "-1", " -1 ", "-1.0", "-1.", "-1.00", "-1e0"])
def test_text_that_is_minus_one_or_nothing(text: str) -> None:
    assert reading_of(text) is reading_of(text.encode()) is reading_of(np.str_(text)) is Reading.UNKNOWN


@pytest.mark.parametrize("text", ["NaN", "nan", "None", "NULL", "null", "N/A", "n/a", "NA", "<NA>", "#N/A", "?", "NaT"])
def test_text_that_a_program_wrote_for_a_missing_value(text: str) -> None:
    assert reading_of(text) is reading_of(f" {text}\n") is reading_of(text.encode()) is Reading.MISSING


@pytest.mark.parametrize(
    "text", ["unknown", "Unknown", "no label", "none", "NONE", "Null", "na", "n.a.", "-", "unlabelled", "not labelled"]
)
def test_text_that_may_be_a_class_is_asked_about(text: str) -> None:
    assert reading_of(text) is Reading.DOUBTFUL
    with pytest.raises(DataError, match=r"labels\.csv: 2 labels '.*' may be a class .* write -1 .* rename it"):
        only_known({"a": text, "b": f"{text} ", "c": "cat"}, "labels.csv")


@pytest.mark.parametrize("text", ["cat", "-10", "-1x", "1", "nancy", "NAN tower", "unknown species", "-01", "0"])
def test_classes(text: str) -> None:
    assert reading_of(text) is Reading.CLASS


def test_only_known_labels_and_one_line_on_words() -> None:
    labels = {"a": " cat", "b": "NaN", "c": "-1", "d": "", "e": "NaN", "f": "?"}
    known, notices = only_known(labels, "labels.csv")
    assert known == {"a": "cat"}
    assert notices == ("labels.csv: 2 labels 'NaN', the label '?' treated as unlabeled; if it is a class, rename it",)
    assert label_notices(["", "-1", "cat", -1], "x") == ()


def test_whole_numbers_lose_their_point_where_all_are_whole() -> None:
    assert only_known({"a": "1.0", "b": "0.00", "c": "12", "d": "nan"}, "x")[0] == {"a": "1", "b": "0", "c": "12"}
    versions = {"a": "1.0", "b": "1.5"}
    assert only_known(versions, "x")[0] == versions


def test_names_in_composed_form() -> None:
    assert plain_label("cafe\u0301") == "caf\u00e9" == only_known({Path("a"): "cafe\u0301 "}, "x")[0][Path("a")]
