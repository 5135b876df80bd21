"""A fresh ledger for each test: a SQLite file, or a PostgreSQL database where SETPOINT_TEST_POSTGRES names a server.

SETPOINT_TEST_POSTGRES=postgresql+psycopg://user@host:port/postgres runs the same tests there; those that are about
files or processes sharing a file keep to SQLite and are skipped.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from setpoint.ledger import Ledger

_SERVER = os.environ.get("SETPOINT_TEST_POSTGRES", "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    if _SERVER:
        pytest.skip("about SQLite's file, and SETPOINT_TEST_POSTGRES is set")
    return tmp_path / "var" / "ledger.db"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    target = _fresh_database() if _SERVER else tmp_path / "var" / "ledger.db"
    with Ledger.open(target, wait_s=5.0) as opened:
        yield opened


def _fresh_database() -> str:
    server = make_url(_SERVER)
    name = f"setpoint_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)
