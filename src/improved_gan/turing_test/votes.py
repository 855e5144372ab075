"""The table of votes on which all analysis is based: one row a vote, in columns.

A vote is a decision between a *signal* and its absence, so that one language serves all designs:
  yes/no, timed, rating   signal: the picture is generated;  response: the judge said so
  two-alternative         signal: the real picture is on the right;  response: the judge chose the right
  odd-one-out             signal: always 1;  response: the judge chose the generated picture of the three
so a vote is correct where response == signal.

Use: `votes = read_votes("votes.csv")`, then `report.make_report(votes)`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from improved_gan.turing_test.csv_tables import read_rows, table_to_csv, typed_columns
from improved_gan.turing_test.errors import TuringTestError, short

__all__ = ["CHECK", "DATA_DICTIONARY", "DESIGNS", "REAL", "Votes", "read_votes", "votes_from_rows", "votes_to_csv"]

DESIGNS = ("yes_no", "two_alternative", "timed", "rating", "odd_one_out")  # those with a right answer
CHECK = "check"  # the `model` of a blatantly false picture
REAL = "real"  # the `model` of a vote on a real picture

DATA_DICTIONARY = {
    "judge": "anonymous number of the judge within the study",
    "arm": "what the judge was assigned to: feedback or no_feedback",
    "design": "yes_no, two_alternative, timed, rating or odd_one_out",
    "kind": "main (counts), practice, or check (a blatantly false picture)",
    "trial": "position within the judge's session, from 0, practice and checks included",
    "model": "name of the generator; real for a real picture; in two_alternative the generator of the pair",
    "picture": "number of the judged picture in the study; in two_alternative the generated one of the pair",
    "partner": "two_alternative: number of the real picture of the pair; else empty",
    "signal": "1: the picture is generated (two_alternative: the real one is on the right; odd_one_out: always), or 0",
    "response": "1: the judge said generated (two_alternative: chose the right one; odd_one_out: found it), or 0",
    "rating": "rating: 1 (certainly generated) to 6 (certainly real); else empty",
    "response_ms": "milliseconds from the picture on the screen to the answer, by the judge's own clock",
    "exposure_ms": "timed: milliseconds that the picture was to be shown; else empty",
    "shown_ms": "timed: milliseconds that it was shown, as measured in the browser; else empty",
    "answered_at": "when the answer was stored, UTC, ISO 8601; empty in simulated data",
    "prevalence": "probability of signal 1 that this trial was drawn with, whatever came before; empty: not drawn so",
    "target": "odd_one_out: where the generated picture stood, 1 to 3; else empty",
    "chosen": "odd_one_out: where the picture stood that the judge chose, 1 to 3; else empty",
    "prompt": "the text that was shown beside the picture; empty: none",
}


@dataclass(frozen=True, eq=False)
class Votes:
    """Columns of equal length; see DATA_DICTIONARY for their meaning. Missing numbers are NaN, a missing partner -1."""

    judge: NDArray[np.int64]
    arm: NDArray[np.str_]
    design: NDArray[np.str_]
    kind: NDArray[np.str_]
    trial: NDArray[np.int64]
    model: NDArray[np.str_]
    picture: NDArray[np.int64]
    partner: NDArray[np.int64]
    signal: NDArray[np.bool_]
    response: NDArray[np.bool_]
    rating: NDArray[np.float64]
    response_ms: NDArray[np.float64]
    exposure_ms: NDArray[np.float64]
    shown_ms: NDArray[np.float64]
    answered_at: NDArray[np.str_]
    prevalence: NDArray[np.float64]
    target: NDArray[np.int64]
    chosen: NDArray[np.int64]
    prompt: NDArray[np.str_]

    def __len__(self) -> int:
        """Number of votes."""
        return len(self.judge)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each vote was right."""
        return np.asarray(self.signal == self.response)

    def where(self, chosen: NDArray[np.bool_]) -> "Votes":
        """The rows where `chosen` (num_votes,) is true."""
        return Votes(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def models(self) -> list[str]:
        """The generators, by name."""
        return sorted({str(name) for name in np.unique(self.model)} - {REAL})

    def of_model(self, name: str) -> "Votes":
        """The votes that judge one generator: those on its pictures and, but for pairs, its judges' votes on real ones.

        What judges who never saw the generator said of real pictures is left out: each judge says "generated" more or
        less readily, so a false alarm rate belongs to the judges whose hits it stands beside.
        """
        judges = self.judge[self.model == name]
        return self.where((self.model == name) | ((self.model == REAL) & np.isin(self.judge, judges)))


_DEFAULTS: dict[str, Any] = {
    "arm": "no_feedback", "design": "yes_no", "kind": "main", "trial": 0, "model": "generated", "picture": -1,
    "partner": -1, "rating": np.nan, "response_ms": np.nan, "exposure_ms": np.nan, "shown_ms": np.nan,
    "answered_at": "", "prevalence": np.nan, "target": -1, "chosen": -1, "prompt": "",
}  # fmt: skip
_TYPES: dict[str, Any] = {
    "judge": np.int64, "trial": np.int64, "picture": np.int64, "partner": np.int64, "signal": np.bool_,
    "response": np.bool_, "rating": np.float64, "response_ms": np.float64, "exposure_ms": np.float64,
    "shown_ms": np.float64, "arm": np.str_, "design": np.str_, "kind": np.str_, "model": np.str_,
    "answered_at": np.str_, "prevalence": np.float64, "target": np.int64, "chosen": np.int64, "prompt": np.str_,
}  # fmt: skip


def votes_from_rows(rows: Iterable[Mapping[str, Any]]) -> Votes:
    """Build the table from one mapping a vote; only `judge`, `signal` and `response` must be there.

    Judges that are not whole numbers are numbered in the order in which they appear.

    Raises:
        TuringTestError: a column is missing or a value has the wrong form.

    Example:
        >>> rows = [{"judge": 0, "signal": 1, "response": 0}, {"judge": 1, "signal": 0, "response": 0}]
        >>> votes = votes_from_rows(rows)
        >>> votes.correct.tolist()
        [False, True]
    """
    columns = typed_columns(rows, _TYPES, _DEFAULTS, table="votes")
    unknown = set(np.unique(columns["design"])) - set(DESIGNS)
    if unknown:
        raise TuringTestError(f"column 'design' must hold {DESIGNS}, not {short(sorted(map(str, unknown)))}")
    rating = columns["rating"][~np.isnan(columns["rating"])]
    if not np.isin(rating, np.arange(1, 7)).all():
        wrong = rating[~np.isin(rating, np.arange(1, 7))][0]
        raise TuringTestError(f"column 'rating' must hold whole numbers of 1 to 6 or be empty, not {wrong:g}")
    for name in ("response_ms", "exposure_ms", "shown_ms"):
        if ((columns[name] < 0) | np.isinf(columns[name])).any():
            raise TuringTestError(f"column {name!r} must hold milliseconds, 0 or more, or be empty")
    prevalence = columns["prevalence"]
    if ((prevalence < 0) | (prevalence > 1)).any():
        raise TuringTestError("column 'prevalence' must hold probabilities, 0 to 1, or be empty")
    return Votes(**columns)


def votes_to_csv(votes: Votes) -> str:
    """The table as CSV with the columns of DATA_DICTIONARY, safe in a spreadsheet; `read_votes` reads it back."""
    return table_to_csv({name: getattr(votes, name).tolist() for name in DATA_DICTIONARY})


def read_votes(
    path: str | Path, columns: Mapping[str, str] | None = None, values: Mapping[str, str] | None = None
) -> Votes:
    """Read a CSV file with at least the columns judge, signal, response.

    Args:
        path: of the file.
        columns: for tables of other tools: our name of a column and theirs.
        values: likewise for cells, as {"signal.fake": "1"}.

    Raises:
        TuringTestError: no such file, or not such a table.
    """
    return votes_from_rows(read_rows(path, columns or {}, DATA_DICTIONARY, values))
