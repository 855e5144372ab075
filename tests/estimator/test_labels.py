"""Labels known and unknown."""

import numpy as np
import pandas as pd
import pytest
import torch

from improved_gan.estimator.labels import hold_out, read_labels


@pytest.mark.parametrize(
    ("y", "rows", "codes", "classes"),
    [
        ([3, -1, 1, -1, 3], [0, 2, 4], [1, 0, 1], [1, 3]),
        (np.array(["b", -1, "a"], dtype=object), [0, 2], [1, 0], ["a", "b"]),
        (["b", -1, "a"], [0, 2], [1, 0], ["a", "b"]),
        (np.array(["b", "a"]), [0, 1], [1, 0], ["a", "b"]),
        (np.array([1.0, -1.0, 0.0]), [0, 2], [1, 0], [0, 1]),
        (torch.tensor([5, -1, 4]), [0, 2], [1, 0], [4, 5]),
        ([True, False], [0, 1], [1, 0], [False, True]),
    ],
)
def test_what_is_known(y, rows, codes, classes) -> None:
    known = read_labels(y)
    assert known.rows.tolist() == rows
    assert known.codes.tolist() == codes
    assert known.classes.tolist() == classes


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ([-1, -1], "no known label"),
        ([2, -1, 2], r"one class only \(.*2.*label examples of another class"),
        (
            [1, -1, 1],
            r"one class only.*another class. -1 means that no label.*-1/\+1.*np.where\(y == -1, 0, y\)",
        ),
        (np.array(["a", None, "b"], dtype=object), r"NA in 1 rows \(the first is row 1\).*fillna\(-1\)"),
        (["a", None, "b"], "fillna"),
        ([1, None, 2], "fillna"),
        (pd.Series([1, None, 2], dtype="Int64"), "fillna"),
        (pd.Series(["a", None, "b"], dtype="string"), "fillna"),
        (pd.Series(["a", None, "b"], dtype="category"), "fillna"),
        (pd.Series([1.0, None, 2.0]), "fillna"),
        (np.array(["a", float("nan")], dtype=object), "fillna"),
        ([1.0, np.nan], "Input y contains NaN"),
        ([0.5, 1.5], "Unknown label type"),
        ([1, "a", -1], r"mixes labels of type str \('a'\) and int \(1\): make them all text"),
        (np.array([2.5, "a", -1], dtype=object), "type str .* and float"),
    ],
)
def test_what_cannot_be_used_is_told(y, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_labels(y)


def test_all_classes_may_be_named() -> None:
    assert read_labels([1, 0, -1, 2], classes=[0, 1, 2]).classes.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"no example is labeled 2; label at least one"):
        read_labels([1, 0, 1, -1], classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"labeled 2, 3: 2 labels for 4 classes are too few"):
        read_labels([1, 0, -1], classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"\[7\], which are not among classes"):
        read_labels([1, 7], classes=[0, 1])


def test_held_out_labels_are_stratified_and_leave_one_of_each_class() -> None:
    codes = np.repeat([0, 1, 2], [10, 10, 1])
    training, validation = hold_out(codes, 0.3, seed=1)
    assert np.bincount(codes[validation], minlength=3).tolist() == [3, 3, 0]
    assert sorted([*training, *validation]) == list(range(21))
    again = hold_out(codes, 0.3, seed=1)[1]
    np.testing.assert_array_equal(validation, again)
    assert len(hold_out(codes, 0.0, seed=1)[1]) == 0


def test_too_few_to_hold_out() -> None:
    with pytest.raises(ValueError, match="leaves no label to hold out"):
        hold_out(np.array([0, 1]), 0.2, seed=0)
    with pytest.raises(ValueError, match="0 <= fraction < 1"):
        hold_out(np.array([0, 1]), 1.0, seed=0)


def test_classes_of_two_kinds_are_told() -> None:
    with pytest.raises(ValueError, match=r"classes mixes labels of type str .* and int"):
        read_labels(["a", "b"], classes=["a", "b", 3])


def test_what_was_trained_on_is_never_held_out() -> None:
    codes = np.repeat([0, 1], 10)
    keys = [str(place) for place in range(20)]
    trained = set(keys[:8] + keys[10:18])
    for seed in range(20):
        training, validation = hold_out(codes, 0.2, seed=seed, keys=keys, trained=trained)
        assert validation.tolist() == [8, 9, 18, 19]
        assert sorted([*training, *validation]) == list(range(20))
    with pytest.raises(ValueError, match="that the earlier fit has not trained on"):
        hold_out(codes, 0.2, seed=0, keys=keys, trained=set(keys))


FORMS = {
    "list": list,
    "tuple": tuple,
    "array of text": np.array,
    "array of bytes": lambda y: np.array(y, dtype="S"),
    "array of objects": lambda y: np.array(y, dtype=object),
    "series": pd.Series,
    "series of objects": lambda y: pd.Series(y, dtype=object),
    "series of strings": lambda y: pd.Series(y, dtype="string"),
    "categories": lambda y: pd.Series(y, dtype="category"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("classes", [["red", "blue"], ["0", "1"]])
@pytest.mark.parametrize("text", ["-1", "", "nan", "unknown", "-1.0"])
def test_text_that_says_unknown_is_refused_in_every_form_and_the_remedy_works(form, classes, text) -> None:
    y = form([classes[0], text, classes[1], text])
    with pytest.raises(ValueError, match=r"in 2 rows, which (says|may say) that no label is known: write the") as told:
        read_labels(y)
    remedy = str(told.value).split("for example by ")[1].split("; if it is a class")[0]
    given = {"y": y}
    if remedy.startswith("["):
        given["y"] = eval(remedy, given)
    else:
        exec(remedy, given)
    known = read_labels(given["y"])
    assert known.rows.tolist() == [0, 2]
    assert len(known.classes) == 2


@pytest.mark.parametrize("classes", [[-1, 1], ["a", "-1"], ["a", ""], [-1.0, 0.0, 1.0]])
def test_unknown_is_no_class_to_be_named(classes) -> None:
    with pytest.raises(ValueError, match="says that no label is known: leave it out"):
        read_labels([0, 1], classes=classes)


@pytest.mark.parametrize(
    "y", [pd.Series([3, 1, -1], dtype="Int64"), pd.Series(["b", "a", -1], dtype="category"), pd.Series(["b", "a"])]
)
def test_tables_with_known_labels_are_read(y) -> None:
    assert read_labels(y).rows.tolist() == [0, 1]
    assert read_labels(y).codes.tolist() == [1, 0]
