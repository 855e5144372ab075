"""Preferences between two generated pictures: the table that their analysis works on, one row an answer.

Use: `read_preferences("preferences.csv")`, then `ranking.rank_models`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from improved_gan.turing_test.csv_tables import read_rows, table_to_csv, typed_columns
from improved_gan.turing_test.errors import TuringTestError, short
from improved_gan.turing_test.votes import CHECK

__all__ = ["OUTCOMES", "PREFERENCE_DICTIONARY", "Preferences", "preferences_from_rows", "preferences_to_csv",
           "read_preferences"]  # fmt: skip

OUTCOMES = ("left", "right", "tie", "both_bad")

PREFERENCE_DICTIONARY = {
    "judge": "anonymous number of the judge within the study",
    "kind": "main (counts), practice, or check (one of the two is a blatantly false picture)",
    "trial": "position within the judge's session, from 0",
    "question": "name of the question that was asked about the pair",
    "prompt": "the text that was shown beside the pictures; empty: none",
    "left": "name of the model whose picture stood on the left; check: the blatantly false picture",
    "right": "name of the model whose picture stood on the right",
    "left_picture": "number of the left picture in the study",
    "right_picture": "number of the right picture in the study",
    "outcome": "left, right, tie or both_bad",
    "response_ms": "milliseconds from the pictures on the screen to the answer, by the judge's own clock",
    "answered_at": "when the answer was stored, UTC, ISO 8601; empty in simulated data",
}
_DEFAULTS: dict[str, Any] = {
    "kind": "main", "trial": 0, "question": "preference", "prompt": "", "left_picture": -1, "right_picture": -1,
    "response_ms": float("nan"), "answered_at": "",
}  # fmt: skip
_TYPES: dict[str, Any] = {
    **dict.fromkeys(PREFERENCE_DICTIONARY, np.str_),
    **dict.fromkeys(("judge", "trial", "left_picture", "right_picture"), np.int64),
    "response_ms": np.float64,
}


@dataclass(frozen=True, eq=False)
class Preferences:
    """Columns of equal length; see PREFERENCE_DICTIONARY for their meaning."""

    judge: NDArray[np.int64]
    kind: NDArray[np.str_]
    trial: NDArray[np.int64]
    question: NDArray[np.str_]
    prompt: NDArray[np.str_]
    left: NDArray[np.str_]
    right: NDArray[np.str_]
    left_picture: NDArray[np.int64]
    right_picture: NDArray[np.int64]
    outcome: NDArray[np.str_]
    response_ms: NDArray[np.float64]
    answered_at: NDArray[np.str_]

    def __len__(self) -> int:
        """Number of answers."""
        return len(self.judge)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether an attention check was passed (the other picture was chosen); true for all other answers."""
        false_left, false_right = self.left == CHECK, self.right == CHECK
        passed = (false_left & (self.outcome == "right")) | (false_right & (self.outcome == "left"))
        return np.asarray(passed | ~(false_left | false_right))

    def where(self, chosen: NDArray[np.bool_]) -> "Preferences":
        """The rows where `chosen` (num_answers,) is true."""
        return Preferences(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def models(self) -> list[str]:
        """The models that were compared, by name."""
        return sorted({*map(str, self.left), *map(str, self.right)} - {CHECK})

    def questions(self) -> list[str]:
        """The questions that were asked, by name."""
        return sorted(map(str, np.unique(self.question)))


def preferences_from_rows(rows: Iterable[Mapping[str, Any]]) -> Preferences:
    """Build the table from one mapping an answer; only judge, left, right and outcome must be there.

    Judges that are not whole numbers are numbered in the order in which they appear.

    Raises:
        TuringTestError: a column is missing, a value has the wrong form, or a model is compared with itself.

    Example:
        >>> table = preferences_from_rows([{"judge": "ann", "left": "a", "right": "b", "outcome": "left"}])
        >>> table.models(), table.judge.tolist()
        (['a', 'b'], [0])
    """
    columns = typed_columns(rows, _TYPES, _DEFAULTS, table="preferences")
    table = Preferences(**columns)
    wrong = set(np.unique(table.outcome)) - set(OUTCOMES)
    if wrong:
        raise TuringTestError(f"column 'outcome' must hold {', '.join(OUTCOMES)}, not {short(sorted(map(str, wrong)))}")
    if (table.left == table.right).any():
        raise TuringTestError(f"a model is compared with itself: {table.left[table.left == table.right][0]}")
    if ((table.response_ms < 0) | np.isinf(table.response_ms)).any():
        raise TuringTestError("column 'response_ms' must hold milliseconds, 0 or more, or be empty")
    return table


def preferences_to_csv(table: Preferences) -> str:
    """The table as CSV, every cell safe in a spreadsheet; `read_preferences` reads it back unchanged."""
    return table_to_csv({name: getattr(table, name).tolist() for name in PREFERENCE_DICTIONARY})


def read_preferences(
    path: str | Path, columns: Mapping[str, str] | None = None, values: Mapping[str, str] | None = None
) -> Preferences:
    """Read a CSV file with at least the columns judge, left, right, outcome.

    An outcome that is the name of one of the two models of its row stands for the side of that model.

    Args:
        path: of the file.
        columns: for tables of other tools: our name of a column and theirs.
        values: likewise for cells, as {"outcome.model_a": "left"}.

    Raises:
        TuringTestError: no such file, or not such a table.
    """
    rows = read_rows(path, columns or {}, PREFERENCE_DICTIONARY, values)
    for row in rows:
        sides = {row.get("left"): "left", row.get("right"): "right"}
        if row.get("outcome") not in OUTCOMES:
            row["outcome"] = sides.get(row.get("outcome"), row.get("outcome"))
    return preferences_from_rows(rows)
