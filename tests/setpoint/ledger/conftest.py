"""A fresh ledger for each test: a SQLite file, or a PostgreSQL schema where SETPOINT_TEST_POSTGRES names a server.

SETPOINT_TEST_POSTGRES=postgresql+psycopg://user@host:port/postgres runs the same tests there; those that are about
files or processes sharing a file keep to SQLite and are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from setpoint.ledger import Ledger
from setpoint.ledger.schema import metadata

_SERVER = os.environ.get("SETPOINT_TEST_POSTGRES", "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    if _SERVER:
        pytest.skip("about SQLite's file, and SETPOINT_TEST_POSTGRES is set")
    return tmp_path / "var" / "ledger.db"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(
        _schema_on_server() if _SERVER else tmp_path / "var" / "ledger.db", wait_s=5.0
    ) as opened:
        if _SERVER:
            _empty(opened)
        yield opened


def _schema_on_server() -> str:
    """URL whose connections see a schema of the tests' own, whatever else is on the server."""
    server = make_url(_SERVER)
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS setpoint_test")
    engine.dispose()
    return server.update_query_dict({"options": "-csearch_path=setpoint_test"}).render_as_string(
        hide_password=False
    )


def _empty(ledger: Ledger) -> None:
    """Far quicker than to migrate for each test."""
    with ledger._db.write() as tx:
        for table in metadata.tables.values():
            tx.execute(table.delete())
