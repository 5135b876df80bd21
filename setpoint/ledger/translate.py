"""Database errors in Setpoint's words. SQLite's result codes are read, never its message texts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from setpoint.errors import BackendError, StoreLocked
from setpoint.ledger.faults import StoreCorrupt, StoreFull, StoreReadOnly

_FREE_SPACE = (
    "free some space or raise the quota; nothing of this transaction was kept, so it may be tried again"
)


@contextmanager
def translated(where: str, wait_s: float) -> Iterator[None]:
    """Let database errors of the block out as BackendError and its kinds."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreLocked(f"no connection became free within {wait_s:g} s", where=where) from error
    except DBAPIError as error:
        raise _sqlite_fault(error, where, wait_s) or _server_fault(error, where) or error from error
    except sqlite3.Error as error:
        raise _by_code(error, where, wait_s) or error from error


def _sqlite_fault(error: DBAPIError, where: str, wait_s: float) -> BackendError | None:
    return _by_code(error.orig, where, wait_s) if isinstance(error.orig, sqlite3.Error) else None


def _by_code(error: sqlite3.Error, where: str, wait_s: float) -> BackendError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLocked(
            f"another process has held the database for more than {wait_s:g} s",
            where=where,
            remedy="end the other process, or talk to the running `setpoint serve`",
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreFull("the disk is full", where=where, remedy=_FREE_SPACE)
    if code == sqlite3.SQLITE_IOERR:
        return StoreFull(f"the disk refused the access ({error})", where=where, remedy=_FREE_SPACE)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreReadOnly(
            f"cannot be written ({error})", where=where, remedy="check owner and mode of file and folder"
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreCorrupt(
            f"is damaged or no Setpoint ledger ({error})",
            where=where,
            remedy="move it aside and restore a backup; `sqlite3 FILE .recover` saves what is readable",
        )
    return None


def _server_fault(error: DBAPIError, where: str) -> BackendError | None:
    if not isinstance(error, OperationalError):
        return None
    state = getattr(error.orig, "sqlstate", "") or ""
    first_line = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no answer"
    if state in ("55P03", "57014", "40P01"):
        return StoreLocked(f"waited too long for a lock ({first_line})", where=where)
    if state.startswith("53"):
        return StoreFull(
            f"the database server is out of room ({first_line})", where=where, remedy=_FREE_SPACE
        )
    return BackendError(f"the database server failed ({first_line})", where=where, remedy="check store.url")
