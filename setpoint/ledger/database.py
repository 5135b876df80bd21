"""Opening the database, and one transaction at a time.

SQLite runs in WAL with synchronous=FULL: a commit that returned survives a power loss. A writing transaction
takes the write lock at its start (BEGIN IMMEDIATE), so that what it read cannot change under it. On PostgreSQL
every writing transaction takes one advisory lock, which gives the same order.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool, QueuePool

from setpoint.errors import BackendError, ConfigError
from setpoint.errors import StoreLocked as Locked
from setpoint.ledger.faults import StoreReadOnly
from setpoint.ledger.migrate import migrate
from setpoint.ledger.translate import translated

_LOG_PAGES = 25_000
"""About 100 MB of log: beyond that a commit moves it itself, should nobody call `tidy`."""
_WRITE_LOCK_KEY = 0x5E79014
"""Advisory lock of PostgreSQL that all writers of a ledger share."""


class Database:
    """An engine with reading and writing transactions. Errors come out as the ledger's own."""

    def __init__(self, engine: Engine, where: str, wait_s: float) -> None:
        self._engine = engine
        self._where = where
        self._wait_s = wait_s
        # SQLite polls for its lock with growing sleeps; threads of one process queue here instead.
        self._turn = threading.Lock()

    @classmethod
    def open(cls, target: str | Path, *, wait_s: float = 10.0) -> Database:
        """Connect, create what is missing, migrate. Raises ConfigError for a URL that names no database."""
        url = _url_of(target)
        where = url.render_as_string(hide_password=True)
        if _sqlite_file(url):
            where = str(_sqlite_file(url))
            _prepare_file(Path(where), readonly="mode=ro" in (url.database or ""))
        database = cls(_engine(url, wait_s), where, wait_s)
        try:
            with translated(where, wait_s), database._engine.connect() as connection:
                migrate(connection, where)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view. Never waits for writers (WAL)."""
        with translated(self._where, self._wait_s), self._engine.connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One writing transaction: all of it is on disk when the block is left, or nothing of it."""
        if not self._turn.acquire(timeout=self._wait_s):
            raise Locked(f"no writing turn within {self._wait_s:g} s", where=self._where)
        try:
            with translated(self._where, self._wait_s), self._engine.connect() as connection:
                writer = connection.execution_options(setpoint_writes=True)
                with writer.begin():
                    self._take_turn_on_server(writer)
                    yield writer
        finally:
            self._turn.release()

    def _take_turn_on_server(self, writer: Connection) -> None:
        if writer.dialect.name == "postgresql":
            writer.exec_driver_sql(f"SET LOCAL lock_timeout = {int(self._wait_s * 1000)}")
            writer.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK_KEY})")

    def tidy(self) -> None:
        """Move what SQLite's log holds into the database, without making a writer wait."""
        with self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        self._engine.dispose()


def _url_of(target: str | Path) -> URL:
    if isinstance(target, Path) or "://" not in target:
        return URL.create("sqlite", database=str(target))
    try:
        return make_url(target)
    except ArgumentError as error:
        raise ConfigError(
            "store.url is not a database URL", remedy="for example postgresql+psycopg://user@host/setpoint"
        ) from error


def _sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite URL, whatever query stands behind it; None for another database."""
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise ConfigError("the ledger cannot live in memory", remedy="name a file: it must survive a restart")
    return Path(url.database.removeprefix("file:").split("?")[0])


def _prepare_file(path: Path, readonly: bool) -> None:
    """Make folder and file readable by their owner only, before SQLite makes them readable by all."""
    if readonly:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise StoreReadOnly(
            f"cannot be opened for writing: {error.strerror}",
            where=str(path),
            remedy="give Setpoint's user write access to the folder, or set store.dir",
        ) from error
    except OSError as error:
        raise BackendError(f"cannot be created: {error.strerror}", where=str(path)) from error


def _engine(url: URL, wait_s: float) -> Engine:
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(url, pool_pre_ping=True)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigError(
                f"no driver for {url.drivername}: {error}", remedy="pip install 'setpoint[postgres]'"
            ) from error
    pool = NullPool if "mode=ro" in (url.database or "") else QueuePool
    options: dict[str, Any] = {} if pool is NullPool else {"pool_size": 8, "max_overflow": 24}
    engine = create_engine(
        url, poolclass=pool, connect_args={"timeout": wait_s, "check_same_thread": False}, **options
    )
    event.listen(engine, "connect", _set_up_connection)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up_connection(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # this module begins transactions itself
    cursor = connection.cursor()
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # Moving the log into the database takes long: `Database.tidy` does it beside the commits, not within one.
    cursor.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
    cursor.execute("PRAGMA cache_size=-16000")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("setpoint_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


__all__ = ["Connection", "DBAPIError", "Database"]
