"""Open a database, SQLite in one file or PostgreSQL, and bring it to the present form (Alembic)."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from improved_gan.turing_test.errors import TuringTestError, needs_extra

__all__ = ["database_url", "migration_config", "open_database", "writing"]


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
        must_exist: an SQLite file that is not there is an error instead of a new one.

    Raises:
        TuringTestError: it cannot be reached, is no such database, or was made by a newer version.
    """
    url = _url(text)
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and must_exist and not Path(url.database or "").is_file():
        raise TuringTestError(f"there is no database {url.database}: name one with --db, or make a study first")
    try:
        engine = create_engine(url, **({} if is_sqlite else {"pool_size": 10, "pool_pre_ping": True}))
        if is_sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        with writing(engine) as connection:
            _migrate(connection)
    except ModuleNotFoundError as error:
        raise needs_extra(error) from error
    except (ArgumentError, NoSuchModuleError, DBAPIError) as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()[0]
        raise TuringTestError(f"the database {url.render_as_string()} cannot be used: {reason}") from error
    return engine


def _url(text: str) -> URL:
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


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def _migrate(connection: Connection) -> None:
    config = migration_config(connection)
    if connection.dialect.name == "postgresql":  # two servers that start at once migrate one after the other
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(160603498)")
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
