"""Open a database, SQLite in one file or PostgreSQL: ours, or an empty one, in which the tables are made.

The table `schema_version` holds one number. A database of another number is refused: there is nothing to migrate, since
no version has been released. Another program's database is refused too, without touching it.

`back_up` copies a study's database while its server runs: complete, consistent, one file (SQLite's online backup).
"""

import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError, StatementError

from improved_gan.turing_test.errors import TuringTestError, needs_extra, short
from improved_gan.turing_test.tables import SCHEMA_VERSION, Base, SchemaVersion

__all__ = [
    "back_up",
    "check_ours",
    "check_sqlite_file",
    "database_url",
    "open_database",
    "open_unchanged",
    "reading",
    "sqlite_path",
    "writing",
]


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
        >>> check_ours(["schema_version", "study", "condition", "picture", "judge", "trial"], "s.db", must_hold=True)
    """
    missing = set(Base.metadata.tables) - set(names)
    if not names:
        if must_hold:
            raise TuringTestError(f"the database {database} holds no study: create one first")
    elif missing:
        there, lacking = ", ".join(sorted(names)[:3]), ", ".join(sorted(missing))
        raise TuringTestError(
            f"the database {database} was made by another program (it holds {there}, and not {lacking}): it is left as "
            "it was; name another with --db"
        )


# what code that trusts its columns raises at a value of another type, a missing row, a number without bounds
_OF_WRONG_VALUES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError)
_CONNECT_SECONDS = 5  # a server that is away is told as away, not waited for


def database_url(text: str) -> str:
    """A path or an address as SQLAlchemy wants it; PostgreSQL goes through psycopg 3.

    Raises:
        TuringTestError: another kind of database.

    Example:
        >>> database_url("study.db"), database_url("postgresql://me@host/db")
        ('sqlite:///study.db', 'postgresql+psycopg://me@host/db')
    """
    if "://" not in text:
        return f"sqlite:///{text}"
    for scheme in ("postgresql://", "postgres://"):
        if text.startswith(scheme):
            return "postgresql+psycopg://" + text.removeprefix(scheme)
    if text.startswith(("sqlite:///", "postgresql+psycopg://")):
        return text
    raise TuringTestError(f"--db takes a path, sqlite:///PATH or postgresql://..., not {text.split('://')[0]}://...")


def open_database(text: str, *, must_exist: bool = False) -> Engine:
    """An engine for the database, with the tables of this version in it.

    Args:
        text: path or address.
        must_exist: a database that is not there, or is empty, is an error instead of a new one.

    Raises:
        TuringTestError: it cannot be reached, is no such database, is another program's (it is left as it was), or was
            made by a newer version.
    """
    url, path = _url(text), sqlite_path(text)
    if path is not None:
        _check_file(path, must_exist=must_exist)
    try:
        engine = _engine(url)
        try:
            with writing(engine) as connection:
                _make_tables(connection, url, must_exist=must_exist)
        except BaseException:
            engine.dispose()
            raise
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    except (SQLAlchemyError, UnicodeDecodeError) as error:
        raise TuringTestError(f"the database {url.render_as_string()} cannot be used: {_reason(error)}") from error
    return engine


def _reason(error: Exception) -> str:
    """The first line of what the database said, without the statement and its values."""
    said = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    return (str(said).strip().splitlines() or [type(said).__name__])[0]


def sqlite_path(text: str) -> Path | None:
    """The file of an SQLite database; None for PostgreSQL.

    Raises:
        TuringTestError: no address of a database.

    Example:
        >>> sqlite_path("study.db"), sqlite_path("postgresql://me@host/db")
        (PosixPath('study.db'), None)
    """
    url = _url(text)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _check_file(path: Path, *, must_exist: bool) -> None:
    if path.is_file():
        check_sqlite_file(path, must_hold=must_exist)
    elif must_exist:
        raise TuringTestError(f"there is no database {path}: give another --db, or create a study first")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        timeout = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_SECONDS}
        return create_engine(url, pool_size=10, pool_pre_ping=True, connect_args=timeout)
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _url(text: str) -> URL:
    if "://" not in text:
        return URL.create("sqlite", database=text)  # not by way of an address: a file's name may hold ? # and %
    try:
        return make_url(database_url(text))
    except (ArgumentError, ValueError) as error:
        if isinstance(error, TuringTestError):
            raise
        scheme = text.split("://")[0]
        raise TuringTestError(
            f"--db {scheme}://... is not a database address: write postgresql://USER:PASSWORD@HOST:PORT/NAME, the "
            "port a number"
        ) from None


def writing(engine: Engine) -> Any:
    """A transaction that writes: on SQLite it takes the lock at once, so it cannot fail half way for want of it."""
    return engine.execution_options(sqlite_begin="IMMEDIATE").begin()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read a whole study from; whatever stored values turn out to be, an error is one line.

    Raises:
        TuringTestError: the database is damaged, or cannot be reached any more.
    """
    try:
        with engine.connect() as connection:
            yield connection
    except TuringTestError:
        raise
    except (SQLAlchemyError, *_OF_WRONG_VALUES) as error:
        raise TuringTestError(
            f"the database {engine.url.render_as_string()} cannot be read, perhaps it is damaged: {_reason(error)} "
            "(restore a copy that `improved-gan turing-test backup` made)"
        ) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in (
        "busy_timeout=10000",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def _make_tables(connection: Connection, url: URL, *, must_exist: bool) -> None:
    if connection.dialect.name == "postgresql":  # two servers that start at once make the tables one after the other
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(160603498)")
        check_ours(inspect(connection).get_table_names(), url.render_as_string(), must_hold=must_exist)
    if not inspect(connection).has_table(SchemaVersion.__tablename__):
        Base.metadata.create_all(connection)
        connection.execute(insert(SchemaVersion).values(version=SCHEMA_VERSION))
    found = connection.scalars(select(SchemaVersion.version)).all()
    if list(found) != [SCHEMA_VERSION]:
        raise TuringTestError(
            f"the database has the schema {short(found)}, and this version reads {SCHEMA_VERSION}: use the version of "
            "improved-gan that made it, or name another database with --db"
        )


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
        raise TuringTestError("backup copies SQLite files; for PostgreSQL use pg_dump -Fc ADDRESS > FILE")
    if not path.is_file():
        raise TuringTestError(f"there is no database {path}: give another --db")
    if out.exists():
        raise TuringTestError(f"{out} exists already: give another --out")
    check_sqlite_file(path, must_hold=True)
    part = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        answers = _copy(path, part)
        part.replace(out)
        _keep_name(out.absolute().parent)
    except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
        raise TuringTestError(f"the database {path} cannot be copied to {out}: {error}") from error
    finally:
        with suppress(OSError):  # not there, or below a file
            part.unlink()
    return answers


def _copy(path: Path, part: Path) -> int:
    with closing(sqlite3.connect(path, timeout=10)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # the copy is one file, without a log beside it
        (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            words = " ".join(str(found).split())
            raise TuringTestError(f"the database {path} is damaged: {words}: restore an earlier copy")
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
