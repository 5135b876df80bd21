"""Statements shared by the concerns: insert what is not there yet, and JSON as the ledger writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

_CHUNK = 500
"""Values in one IN list."""


def insert_new(table: Table, dialect: str) -> Insert:
    """INSERT that leaves rows alone which break a unique rule."""
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def insert_rows(tx: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert those rows that are not there yet."""
    if rows:
        tx.execute(insert_new(table, tx.dialect.name), list(rows))


def known(
    tx: Connection, column: ColumnElement[str], values: Sequence[str], *where: ColumnElement[bool]
) -> set[str]:
    """Which of `values` stand in `column` (of rows that fulfil `where`)."""
    found: set[str] = set()
    for part in chunks(values):
        found.update(tx.execute(select(column).where(column.in_(part), *where)).scalars())
    return found


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def to_json(value: Any) -> str:
    """Compact JSON with sorted keys: the same value always gives the same text.

    >>> to_json({"b": 1, "a": "ü"})
    '{"a":"ü","b":1}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
