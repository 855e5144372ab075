"""A copy of a study's database while its server runs: complete, consistent, one file (SQLite's online backup)."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from improved_gan.turing_test.database import check_sqlite_file, sqlite_path
from improved_gan.turing_test.errors import TuringTestError

__all__ = ["back_up"]


def back_up(db: str, out: Path) -> int:
    """Copy the database to a new file, and check the copy.

    The server may go on meanwhile: the copy holds every answer that was confirmed before it began.

    Args:
        db: path or address of an SQLite database.
        out: the file to make; it appears when it is complete.

    Returns:
        How many answers the copy holds.

    Raises:
        TuringTestError: no such database or another program's, damaged, PostgreSQL, or `out` is there already.
    """
    path = sqlite_path(db)
    if path is None:
        raise TuringTestError("backup copies SQLite files; for PostgreSQL use its own: pg_dump -Fc ADDRESS > FILE")
    if not path.is_file():
        raise TuringTestError(f"there is no database {path}: name one with --db")
    if out.exists():
        raise TuringTestError(f"{out} is there already: give another --out")
    check_sqlite_file(path, must_hold=True)
    part = out.with_name(out.name + ".part")
    try:
        part.unlink(missing_ok=True)
        answers = _copy(path, part)
        part.replace(out)
        _keep_name(out.absolute().parent)
    except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
        raise TuringTestError(f"the database {path} cannot be copied to {out}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return answers


def _copy(path: Path, part: Path) -> int:
    with closing(sqlite3.connect(path, timeout=10)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # the copy is one file, without a log beside it
        (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            words = " ".join(str(found).split())
            raise TuringTestError(f"the database {path} is damaged: {words}: go back to an earlier copy")
        ((answers,),) = copy.execute("SELECT count(*) FROM trial WHERE answered_at IS NOT NULL")
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    return int(answers)


def _keep_name(folder: Path) -> None:
    """The new name, too, must survive a power cut; Windows does it by itself and opens no folders."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
