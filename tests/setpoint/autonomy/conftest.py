"""A fresh ledger and a record in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from setpoint.autonomy.bound import needed
from setpoint.autonomy.rules import alpha_of
from setpoint.ledger import Ledger
from tests.setpoint.autonomy.record import Record


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record]:
    """A ledger whose record just carries closed loop; it takes a thousand commits to make, so it is made once."""
    path = tmp_path_factory.mktemp("record") / "ledger.db"
    with Ledger.open(path) as opened:
        made = Record(opened)
        made.good(needed(0, 0.95, alpha_of(0)))
    return path, made


@pytest.fixture
def full(template: tuple[Path, Record], tmp_path: Path) -> Iterator[Record]:
    """A copy of it."""
    path, made = template
    shutil.copy(path, tmp_path / "full.db")
    with Ledger.open(tmp_path / "full.db") as opened:
        yield Record(opened, made.now, made.count)


@pytest.fixture
def record(ledger: Ledger) -> Record:
    return Record(ledger)
