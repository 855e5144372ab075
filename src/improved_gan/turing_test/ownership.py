"""Whether a database is ours, told without touching it: another program's is refused, not changed."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from improved_gan.turing_test.errors import TuringTestError
from improved_gan.turing_test.tables import Base

__all__ = ["check_ours", "check_sqlite_file", "open_unchanged"]

_VERSION_TABLE = "alembic_version"


def open_unchanged(path: Path) -> sqlite3.Connection:
    """An SQLite file opened so that nothing is written: no journal, no files beside it that are not there already.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    # without a write-ahead log the file is all there is, and `immutable` keeps SQLite from making one
    has_log = path.with_name(path.name + "-wal").exists()
    words = "mode=ro" if has_log else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?{words}", uri=True, timeout=10)


def check_sqlite_file(path: Path, *, must_hold: bool) -> None:
    """Refuse a file that another program made; see `check_ours`.

    Raises:
        TuringTestError: it is not ours, or no database at all.
    """
    try:
        with closing(open_unchanged(path)) as connection:
            found = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'")
            names = [str(name) for (name,) in found]
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the message of a damaged schema quotes its bytes
        raise TuringTestError(f"the database {path} cannot be used: {error}") from error
    check_ours(names, str(path), must_hold=must_hold)


def check_ours(names: Collection[str], database: str, *, must_hold: bool) -> None:
    """Refuse a database by the names of its tables; it is not changed.

    Args:
        names: of tables.
        database: its name, for the message.
        must_hold: refuse an empty one, too.

    Raises:
        TuringTestError: it holds tables, but not ours; or none at all.

    Example:
        >>> check_ours(["alembic_version", "study", "condition", "picture", "judge", "trial"], "s.db", must_hold=True)
    """
    missing = ({_VERSION_TABLE} | set(Base.metadata.tables)) - set(names)
    if set(names) <= {_VERSION_TABLE}:  # new, or brought back to before its first migration
        if must_hold:
            raise TuringTestError(f"the database {database} holds no study: make one first")
    elif missing:
        there, lacking = ", ".join(sorted(names)[:3]), ", ".join(sorted(missing))
        raise TuringTestError(
            f"the database {database} was made by another program (it holds {there}, and not {lacking}): it is left as "
            "it was; name another with --db"
        )
