"""CSV tables: cells that no spreadsheet reads as a formula, and tables of other tools with other column names."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from improved_gan.turing_test.errors import TuringTestError, short

__all__ = ["judge_numbers", "read_rows", "safe_cell", "stored_text", "table_to_csv", "typed_columns"]

KINDS = ("main", "practice", "check")  # of a trial: only the first counts
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def safe_cell(value: Any) -> Any:
    """A value as a cell: 0 or 1 for a truth value, empty for a missing number (NaN, -1, None), text never a formula.

    Spreadsheets run text that begins with =, +, - or @; a single quote before it keeps it text. `stored_text` takes
    the quote off again.

    Example:
        >>> safe_cell("=1+1"), safe_cell(True), safe_cell(float("nan")), safe_cell(0.25)
        ("'=1+1", 1, '', '0.25')
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.10g}"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return "" if value == -1 or value is None else value


def stored_text(cell: str) -> str:
    """The text that `safe_cell` made a cell of.

    Example:
        >>> stored_text("'=1+1"), stored_text("it's")
        ('=1+1', "it's")
    """
    return cell[1:] if cell.startswith("'") and cell[1:2] in _FORMULA and cell[1:] else cell


class _Lines:
    """A file that keeps each row by itself."""

    def __init__(self, rows: list[str]) -> None:
        self._rows = rows

    def write(self, row: str) -> None:
        """Keep a row."""
        self._rows.append(row)


def table_to_csv(columns: Mapping[str, Sequence[Any]]) -> str:
    """Columns of equal length as CSV, every cell safe in a spreadsheet.

    Example:
        >>> print(table_to_csv({"judge": [0, 1], "model": ["a", "-b"]}), end="")
        judge,model
        0,a
        1,'-b
    """
    rows: list[str] = []
    # the writer quotes a lone carriage return, which readers take for the end of a row, only if its own rows end in one
    writer = csv.writer(_Lines(rows), lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(zip(*([safe_cell(value) for value in column] for column in columns.values()), strict=True))
    return "".join(f"{row[:-2]}\n" for row in rows)


def judge_numbers(given: list[Any]) -> list[int]:
    """The judges as whole numbers: as they are, or, where one is none, numbered as they appear.

    Example:
        >>> judge_numbers(["7", "3"]), judge_numbers(["ann", "7", "ann"])
        ([7, 3], [0, 1, 0])
    """
    texts = [str(one).strip() for one in given]
    if all(one.removeprefix("-").isdecimal() for one in texts):
        whole = [int(one) for one in texts]
        if len(set(whole)) == len(set(texts)):  # 7 and 007 are two judges
            return whole
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return [numbers[text] for text in texts]


def typed_columns(
    rows: Iterable[Mapping[str, Any]], kinds: Mapping[str, Any], defaults: Mapping[str, Any], *, table: str
) -> dict[str, NDArray[Any]]:
    """Columns of a table from one mapping a row, of a file's cells or of a program's values.

    Judges that are not whole numbers are numbered in the order in which they appear.

    Args:
        rows: may lack the columns that have a default, and may have others, which are left out.
        kinds: the NumPy type of each column.
        defaults: of an empty cell, by column; a column without one must have a value in each row.
        table: what the table holds, for messages.

    Raises:
        TuringTestError: a column is missing or a value has the wrong form.

    Example:
        >>> typed_columns([{"judge": "ann", "trial": "3"}], {"judge": np.int64, "trial": np.int64}, {}, table="votes")
        {'judge': array([0]), 'trial': array([3])}
    """
    rows, columns = list(rows), {}
    for name, kind in kinds.items():
        try:
            cells = [row[name] if name not in defaults else row.get(name) for row in rows]
            values = [_typed(cell, name, kind, defaults) for cell in cells]
            columns[name] = np.array(judge_numbers(values) if name == "judge" else values, dtype=kind)
        except KeyError as error:
            needed = ", ".join(one for one in kinds if one not in defaults)
            raise TuringTestError(f"the table of {table} lacks the column {name!r}: it needs {needed}") from error
        except (ValueError, TypeError, OverflowError) as error:
            raise TuringTestError(f"column {name!r} of the table of {table}: {short(error)}") from error
    if "kind" in columns and (unknown := set(columns["kind"].tolist()) - set(KINDS)):
        raise TuringTestError(f"column 'kind' must hold {', '.join(KINDS)} or be empty, not {short(sorted(unknown))}")
    return columns


def _typed(value: Any, name: str, kind: Any, defaults: Mapping[str, Any]) -> Any:
    if value is None or value == "":
        if name not in defaults:
            raise ValueError("a value is missing")
        return defaults[name]
    if kind is np.bool_:
        if str(value) not in ("0", "1", "True", "False"):
            raise ValueError(f"must be 0 or 1, not {value!r}")
        return str(value) in ("1", "True")
    if name == "judge":
        return value
    if kind is np.int64:
        return int(value)
    return float(value) if kind is np.float64 else stored_text(str(value))


def read_rows(
    path: str | Path, columns: Mapping[str, str], known: Mapping[str, str], values: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The rows of a CSV file, its columns renamed and their cells replaced.

    Args:
        path: of the file.
        columns: our name of a column and theirs.
        known: our names.
        values: "COLUMN.THEIRS" and ours: a cell of our column that is replaced, as {"outcome.model_a": "left"}.

    Raises:
        TuringTestError: no such file, no CSV, a name that is not `known`, a column that the file has not, or a value
            that no cell of its column has.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TuringTestError(f"{path} cannot be read as a table (CSV): {short(error)}") from error
    names = list(reader.fieldnames or [])
    for ours, theirs in columns.items():
        if ours not in known:
            raise TuringTestError(f"--column {ours}={theirs}: a table has the columns {', '.join(known)}")
        if theirs not in names:
            raise TuringTestError(f"{path} has no column {theirs!r}: it has {short(', '.join(names))}")
    for number, row in enumerate(rows, 1):
        if None in row:
            raise TuringTestError(f"{path}: row {number} has more cells than the first line has names")
    taken = set(columns.values())
    renamed = [
        {name: value for name, value in row.items() if name not in taken and name not in columns}
        | {ours: row[theirs] for ours, theirs in columns.items()}
        for row in rows
    ]
    _replace(renamed, values or {}, path)
    return renamed


def _replace(rows: list[dict[str, Any]], values: Mapping[str, str], path: str | Path) -> None:
    """All at once, so that a cell that one of them has replaced is not replaced again (0 and 1 exchanged)."""
    found: list[tuple[dict[str, Any], str, str]] = []
    for name, ours in values.items():
        column, _, theirs = name.partition(".")
        cells = [(row, column, ours) for row in rows if str(row.get(column)) == theirs]
        if not cells:
            there = ", ".join(sorted({str(row[column]) for row in rows if row.get(column) is not None})) or "nothing"
            raise TuringTestError(
                f"--value {name}={ours}: no cell of column {column!r} in {path} is {theirs!r}; it has {short(there)}"
            )
        found += cells
    for row, column, ours in found:
        row[column] = ours
