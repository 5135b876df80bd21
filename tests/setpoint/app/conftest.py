from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from setpoint.ledger import Ledger
from tests.setpoint.app.sample import Sample, build, hostile_line
from tests.setpoint.app.terminal import Terminal


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """A played night with one hostile log line in it. Shared: tests only read it."""
    made = build(tmp_path_factory.mktemp("night"), extra=[hostile_line()])
    yield made
    made.ledger.close()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    return Terminal(monkeypatch, capsys, tmp_path)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "empty.db") as ledger:
        yield ledger
