"""Values that mean "no label is known", for all sources of labels: files, folders, JSON, arrays, lists, tables.

    reading      labels                                                      what a source does with them
    UNKNOWN      the number -1, '' and '-1'                                  no label, without a word
    MISSING      None, NaN, NA, NaT; 'NaN', 'None', 'NULL', 'N/A', '?' ...   text: no label, and a notice; arrays refuse
    DOUBTFUL     'unknown', 'no label', 'none', 'Null', 'n.a.' ...           refused: it may be a class, or none
    CLASS        everything else

The spellings that are MISSING are those that pandas reads as missing values, and '?' (as in UCI's files), as they
stand: a program wrote them. The same words in another case, and the words that people write, are DOUBTFUL.
"""

import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from enum import Enum
from numbers import Number
from typing import TypeVar

from improved_gan.data.dataset import DataError
from improved_gan.data.wording import listed

__all__ = ["Reading", "is_unknown", "label_notices", "only_known", "plain_label", "reading_of", "refuse_doubtful"]

_UNKNOWN = frozenset({"", "-1"})
_MISSING = frozenset({  # those of pandas.read_csv, and a few
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL",
    "NaN", "None", "n/a", "nan", "null", "?", "NaT", "pd.NA",
})  # fmt: skip
_DOUBTFUL = frozenset({
    "-", "--", "n.a.", "no class", "no label", "no_label", "nolabel", "not available", "not labeled", "not labelled",
    "unclassified", "undefined", "unknown", "unlabeled", "unlabelled", "without label",
    *(one.casefold() for one in _MISSING),
})  # fmt: skip

Key = TypeVar("Key", bound=Hashable)


class Reading(Enum):
    """What a label means."""

    CLASS = "a class"
    UNKNOWN = "no label is known"
    MISSING = "the spelling of a missing value"
    DOUBTFUL = "a class, or no label: to be asked"


def reading_of(label: object) -> Reading:
    """What one label means.

    Args:
        label: text, bytes, a number of Python or NumPy (any dtype), None, NaN, pandas' NA and NaT, or anything else.

    >>> [reading_of(one).name for one in (-1.0, "-1", None, "NaN", "unknown", "cat", 0)]
    ['UNKNOWN', 'UNKNOWN', 'MISSING', 'MISSING', 'DOUBTFUL', 'CLASS', 'CLASS']
    """
    if isinstance(label, bytes):
        label = label.decode("utf-8", errors="replace")
    if isinstance(label, str):
        return _reading_of_text(str(label).strip())
    if label is None or type(label).__name__ in ("NAType", "NaTType", "MaskedConstant"):  # pandas may not be there
        return Reading.MISSING
    if _is_nan(label):
        return Reading.MISSING
    is_number = isinstance(label, Number) and not isinstance(label, bool)
    return Reading.UNKNOWN if is_number and label == -1 else Reading.CLASS


def is_unknown(label: object) -> bool:
    """Whether no label is known: -1, or a missing value in any spelling; False for what is doubtful.

    >>> is_unknown("N/A"), is_unknown(float("nan")), is_unknown("no label")
    (True, True, False)
    """
    return reading_of(label) in (Reading.UNKNOWN, Reading.MISSING)


def plain_label(text: str) -> str:
    """A class's name without spaces around it, in Unicode's composed form: macOS writes it decomposed.

    >>> plain_label(" cafe\\u0301 ") == "caf\\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text).strip()


def only_known(labels: Mapping[Key, str], source: str) -> tuple[dict[Key, str], tuple[str, ...]]:
    """The labels that are classes, under plain names, and notices of what was taken for no label.

    Where every class is a whole number, `1.0` is `1`: pandas writes integers so as soon as one of them is missing.

    Args:
        labels: text by image.
        source: of the labels, for messages.

    Raises:
        DataError: a label that may be a class or mean that none is known.

    >>> only_known({"a": "cat", "b": "", "c": "NaN"}, "labels.csv")[0]
    {'a': 'cat'}
    """
    refuse_doubtful(labels.values(), source)
    known = {key: plain_label(label) for key, label in labels.items() if not is_unknown(label)}
    if all(_is_whole(label) for label in set(known.values())):
        known = {key: label.split(".", 1)[0] for key, label in known.items()}
    return known, label_notices(labels.values(), source)


def refuse_doubtful(labels: Iterable[object], source: str) -> None:
    """Ask by an error where a label may be a class or mean that none is known.

    Raises:
        DataError: with the labels and what to write instead.
    """
    doubtful = Counter(str(one).strip() for one in labels if reading_of(one) is Reading.DOUBTFUL)
    if doubtful:
        first = next(iter(doubtful))
        raise DataError(
            f"{source}: {_counted(doubtful)} may be a class or mean that no label is known: where none is known, leave "
            f"the label empty or write -1 (a folder: unlabeled); if it is a class, rename it, as in '{first} (class)'"
        )


def label_notices(labels: Iterable[object], source: str) -> tuple[str, ...]:
    """One line on missing values in words, none for -1 and empty labels."""
    missing = Counter(str(one).strip() for one in labels if reading_of(one) is Reading.MISSING)
    if not missing:
        return ()
    return (f"{source}: {_counted(missing)} treated as unlabeled; if it is a class, rename it",)


def _reading_of_text(text: str) -> Reading:
    if text in _UNKNOWN or _is_minus_one(text):
        return Reading.UNKNOWN
    if text in _MISSING:
        return Reading.MISSING
    return Reading.DOUBTFUL if text.casefold() in _DOUBTFUL else Reading.CLASS


def _is_minus_one(text: str) -> bool:
    """`-1.0`, `-1.`, `-1e0`; not `-01`, which no program writes for a number."""
    if not text.startswith("-1") or not text.isascii():
        return False
    try:
        return float(text) == -1
    except ValueError:
        return False


def _is_nan(label: object) -> bool:
    """NaN of any kind of number, and NumPy's NaT."""
    if not isinstance(label, Number) and type(label).__module__ != "numpy":
        return False
    try:
        return bool(label != label)
    except (TypeError, ValueError, ArithmeticError):  # an array, say
        return False


def _is_whole(label: str) -> bool:
    whole, _, rest = label.partition(".")
    return label.isascii() and whole.isdigit() and not rest.strip("0")


def _counted(labels: Mapping[str, int]) -> str:
    named = [f"{num} labels '{label}'" if num > 1 else f"the label '{label}'" for label, num in labels.items()]
    return listed(named)
