"""Read the labels y: classes of any type, and -1 for unlabeled examples.

As in scikit-learn's semi-supervised classifiers, text with unknown labels comes as an array of objects, with the number
-1 among the strings. Whatever else says, or may say, that no label is known (`data.unknown_labels`: the text "-1", an
empty string, None, NaN, NA, "unknown") is refused in every form and dtype, with what to write instead: in an array of
labels it is more often a mistake than intended.
"""

from collections import Counter
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import _safe_indexing, assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples

from improved_gan.data.unknown_labels import Reading, reading_of
from improved_gan.estimator.arrays import as_array

__all__ = ["KnownLabels", "LabeledScoreMixin", "hold_out", "labeled_rows", "read_labels"]

_UNKNOWN = -1


class KnownLabels(NamedTuple):
    """The labels that are known."""

    rows: np.ndarray  # (L,) row numbers of the labeled examples
    codes: np.ndarray  # (L,) int64 their classes, 0..K-1
    classes: np.ndarray  # (K,) what the codes stand for, sorted


def read_labels(y: Any, *, classes: Sequence[Any] | None = None) -> KnownLabels:
    """The known labels of y.

    Args:
        y: (N,) classes: numbers, or strings; -1 where none is known.
        classes: the classes that there are; None for those that occur in y.

    Raises:
        ValueError: no labels, one class only, a class without a label, a label that is no class, or text that hides
            its -1.

    >>> read_labels([1, -1, 0, -1]).rows
    array([0, 2])
    """
    rows, known = labeled_rows(y)
    if not len(rows):
        raise ValueError("y has no known label, only -1: label at least one example of each class")
    check_classification_targets(known)
    found = np.unique(known)
    if classes is not None:
        _refuse_minus_one(classes)
        found = _check_classes(np.unique(_of_one_kind(classes, "classes")), found, len(rows))
    if len(found) < 2:
        other = "label examples of another class"
        if len(rows) < len(y):
            other += (
                ". -1 means that no label is known: where it is a class of its own, as in -1/+1, give it another name, "
                "for example by np.where(y == -1, 0, y)"
            )
        raise ValueError(f"y holds one class only ({found[0]!r}), and a classifier needs two or more: {other}")
    return KnownLabels(rows, np.searchsorted(found, known).astype(np.int64), found)


def labeled_rows(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """The row numbers (L,) of the examples whose label is known, and these labels (L,); L may be 0.

    Raises:
        ValueError: no labels at all, NaN or None among them, text that hides its -1, or text and numbers mixed.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None: give classes, -1 where none is known")
    labels = column_or_1d(_as_given(y), warn=True)
    if labels.dtype.kind in "OUSmM":
        _refuse_text(labels, y)
        unknown = np.array([reading_of(one) is Reading.UNKNOWN for one in labels.tolist()], dtype=bool)
    else:
        _refuse_missing(np.flatnonzero(labels != labels))
        assert_all_finite(labels, input_name="y")
        unknown = np.asarray(labels == _UNKNOWN)
    rows = np.flatnonzero(~unknown)
    known = labels[rows]
    return rows, _of_one_kind(known, "y") if known.dtype == object else known


class LabeledScoreMixin(ClassifierMixin):  # type: ignore[misc]  # scikit-learn has no types
    """A score that leaves out examples without a label."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Accuracy on the examples whose label is known; those with -1 are left out.

        Args:
            X: (N, ...) examples.
            y: (N,) their classes, -1 where unknown.
            sample_weight: (N,) or None.

        Raises:
            ValueError: no label is known.
        """
        values = as_array(X)
        check_consistent_length(values, y, sample_weight)
        rows, truth = labeled_rows(y)
        if not len(rows):
            raise ValueError("y has no known label, only -1, so there is nothing to score: give labeled examples")
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        if sparse.issparse(values):
            values = values.tocsr()  # rows of COO, DIA and BSR matrices cannot be indexed
        chosen = values if len(rows) == _num_samples(values) else _safe_indexing(values, rows)
        return float(accuracy_score(truth, self.predict(chosen), sample_weight=weights))


def hold_out(
    codes: np.ndarray, fraction: float, *, seed: int, keys: Sequence[str] = (), trained: Set[str] = frozenset()
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the labeled examples, class by class: positions for training, positions for validation.

    Each class keeps at least one example for training.

    Args:
        codes: (L,) classes.
        fraction: of them that is held out.
        seed: of the draw.
        keys: (L,) what identifies the examples; not needed without `trained`.
        trained: keys whose labels an earlier fit has trained on: these are never held out.

    Raises:
        ValueError: the fraction is out of range, or so few labels that none can be held out.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"validation_fraction must lie in 0 <= fraction < 1; got {fraction}")
    random, held = np.random.default_rng(seed), []
    for code in np.unique(codes):
        positions = random.permutation(np.flatnonzero(codes == code))
        wanted = min(round(fraction * len(positions)), len(positions) - 1)
        held.append([position for position in positions if not trained or keys[position] not in trained][:wanted])
    validation = np.sort(np.concatenate(held)).astype(np.int64)
    if fraction and not len(validation) and trained:
        raise ValueError(
            f"validation_fraction={fraction} finds no label to hold out that the earlier fit has not trained on: set "
            "it before the first fit of a warm start, give new labels, or take validation_fraction=0"
        )
    if fraction and not len(validation):
        raise ValueError(
            f"validation_fraction={fraction} of {len(codes)} labels in {len(np.unique(codes))} classes leaves no label "
            "to hold out: give more labels, a larger fraction, or validation_fraction=0"
        )
    return np.setdiff1d(np.arange(len(codes)), validation), validation


def _of_one_kind(labels: Any, name: str) -> np.ndarray:
    """Strings, or numbers; NumPy would make text of a mixture."""
    values = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    text, others = ([one for one in values if isinstance(one, str) is kind] for kind in (True, False))
    if text and others:
        raise ValueError(
            f"{name} mixes labels of type {type(text[0]).__name__} ({text[0]!r}) and {type(others[0]).__name__} "
            f"({others[0]!r}): make them all text, or all numbers; only -1 for unknown may stand among text"
        )
    return np.array(values)


def _as_given(y: Any) -> Any:
    """A list with text or objects in it stays that, and so does a column of a table: NumPy would make it text."""
    kind = type(y).__module__.split(".")[0]
    if kind == "torch":
        return y.detach().cpu().numpy()
    if isinstance(y, (list, tuple)) and any(one is None or isinstance(one, (str, bytes)) for one in y):
        return np.array(y, dtype=object)
    if kind in ("pandas", "polars") and getattr(y, "ndim", 1) == 1 and not isinstance(y.dtype, np.dtype):
        return np.asarray(y, dtype=object)  # strings, categories, and numbers that may be missing
    return y


def _refuse_text(labels: np.ndarray, y: Any) -> None:
    """Refuse what says, in text or as an object, that no label is known, or may say so; the number -1 alone does."""
    values = labels.tolist()
    readings = {one: reading_of(one) for one in {one for one in values if isinstance(one, (str, bytes))}}
    missing = [
        row
        for row, one in enumerate(values)
        if not isinstance(one, (str, bytes)) and reading_of(one) is Reading.MISSING
    ]
    _refuse_missing(np.array(missing, dtype=np.int64))
    strange = Counter(one for one in values if readings.get(_hashable(one), Reading.CLASS) is not Reading.CLASS)
    if not strange:
        return
    first, listed = next(iter(strange)), ", ".join(f"{one!r} in {num} rows" for one, num in list(strange.items())[:5])
    says = "says" if readings[first] in (Reading.UNKNOWN, Reading.MISSING) else "may say"
    raise ValueError(
        f"y holds {listed}, which {says} that no label is known: write the number -1 there, for example by "
        f"{_remedy(y, first, readings)}; if it is a class, give it another name"
    )


def _hashable(one: Any) -> Any:
    return one if isinstance(one, (str, bytes)) else None


def _remedy(y: Any, text: str | bytes, readings: dict[Any, Reading]) -> str:
    """The line that writes -1 for `text`, for the form that y has."""
    classes = [one for one, reading in readings.items() if reading is Reading.CLASS]
    if classes and all(map(_is_whole, [text, *classes])):
        return "[int(one) for one in y]" if isinstance(y, (list, tuple)) else "y = y.astype(int)"
    if isinstance(y, (list, tuple)):
        return f"[-1 if one == {text!r} else one for one in y]"
    if type(y).__module__.startswith("pandas"):
        return f"y = y.astype(object).replace({text!r}, -1)"
    if isinstance(text, bytes):
        return f"y = y.astype(str).astype(object); y[y == {text.decode(errors='replace')!r}] = -1"
    convert = "y = y.astype(object); " if y.dtype.kind == "U" else ""
    return f"{convert}y[y == {text!r}] = -1"


def _is_whole(text: str | bytes) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _refuse_missing(rows: np.ndarray) -> None:
    if len(rows):
        raise ValueError(
            f"Input y contains NaN, None or NA in {len(rows)} rows (the first is row {rows[0]}): write -1 where no "
            "label is known, for example with Series.fillna(-1), or np.where(np.isnan(y), -1, y) for an array"
        )


def _refuse_minus_one(classes: Sequence[Any]) -> None:
    strange = [one for one in classes if reading_of(one) is not Reading.CLASS]
    if strange:
        raise ValueError(
            f"classes holds {strange[0]!r}, which says that no label is known: leave it out, or, if it is a class, "
            "give it another name in classes and y"
        )


def _check_classes(classes: np.ndarray, found: np.ndarray, num_labeled: int) -> np.ndarray:
    if len(strange := np.setdiff1d(found, classes)):
        raise ValueError(f"y holds {strange.tolist()}, which are not among classes {classes.tolist()}")
    if len(without := np.setdiff1d(classes, found)):
        few = f": {num_labeled} labels for {len(classes)} classes are too few" if num_labeled < len(classes) else ""
        raise ValueError(
            f"no example is labeled {', '.join(map(repr, without.tolist()))}{few}; label at least one example of each "
            "class, or leave the class out"
        )
    return classes
