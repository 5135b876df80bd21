"""What every part of the ledger stands on: one database, and where notices go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from setpoint.ledger.database import Database


class Store:
    """An open database. It is a context manager."""

    def __init__(self, database: Database, sinks: tuple[str, ...]) -> None:
        self._db = database
        self.sinks = sinks
        """Where notices go unless a call says otherwise."""

    @classmethod
    def open(cls, target: str | Path, *, sinks: Sequence[str] = ("console",), wait_s: float = 10.0) -> Self:
        """Open or create the ledger and bring its schema up to date.

        `target` is a SQLAlchemy URL, or the path of a SQLite file (made with mode 0600, its folder too).
        `wait_s` is how long any call waits for another process before StoreLocked.
        Raises StoreTooNew where a newer Setpoint wrote it.
        """
        return cls(Database.open(target, wait_s=wait_s), tuple(sinks))

    def close(self) -> None:
        """Close every connection. Nothing is lost by not calling it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _sinks(self, sinks: Sequence[str] | None) -> tuple[str, ...]:
        return self.sinks if sinks is None else tuple(sinks)
