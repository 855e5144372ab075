"""Open a database, SQLite in one file or PostgreSQL, and bring it to the present form (Alembic)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError, StatementError

from improved_gan.turing_test.errors import TuringTestError, needs_extra
from improved_gan.turing_test.ownership import check_ours, check_sqlite_file

__all__ = ["database_url", "migration_config", "open_database", "reading", "sqlite_path", "writing"]

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


def migration_config(connection: Connection) -> Config:
    """Alembic's settings for an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


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
                _migrate(connection, url, must_exist=must_exist)
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
        raise TuringTestError(f"there is no database {path}: name one with --db, or make a study first")


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
            f"--db {scheme}://... is no address of a database: write postgresql://USER:PASSWORD@HOST:PORT/NAME, the "
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
            "(go back to a copy that `improved-gan turing-test backup` made)"
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


def _migrate(connection: Connection, url: URL, *, must_exist: bool) -> None:
    config = migration_config(connection)
    if connection.dialect.name == "postgresql":  # two servers that start at once migrate one after the other
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(160603498)")
        check_ours(inspect(connection).get_table_names(), url.render_as_string(), must_hold=must_exist)
    here = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if here is not None and here not in known:
        raise TuringTestError(
            f"the database has the form {here}, which this version does not know: update improved-gan"
        )
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise TuringTestError(f"the database could not be brought to this version's form: {error}") from error
