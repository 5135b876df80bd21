"""Killed with -9 at any instant, nothing acknowledged is lost and nothing happens twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from setpoint.ledger import Ledger

_EVENTS = 600
_KILLS = 60


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    path, log = tmp_path / "ledger.db", tmp_path / "log"
    command = [sys.executable, "-m", "tests.setpoint.ledger.killed_worker", str(path), str(log)]
    run = subprocess.run(
        [*command, str(_EVENTS), str(_KILLS), "7"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    _, killed_at_work = run.stdout.split()
    assert int(killed_at_work) >= _KILLS // 3

    told = [line.split(maxsplit=1) for line in log.read_text().splitlines()]
    acknowledged = {name for kind, name in told if kind == "A"}
    at_sink = {name for kind, name in told if kind == "S"}
    executed = Counter(name for kind, name in told if kind == "X")
    names = {f"ev-{n}" for n in range(_EVENTS)}
    with Ledger.open(path) as ledger:
        stats = ledger.stats()
        assert acknowledged <= names
        assert [item.event.id for item in ledger.iter_triaged()] == [item.id for item in ledger.iter_events()]
        assert {item.id for item in ledger.iter_events()} == names
        assert (stats.events, stats.events_waiting) == (_EVENTS, 0)
        assert {incident.id for incident in ledger.list_incidents()} == {f"INC-{name}" for name in names}
        deliveries = ledger.list_deliveries(limit=10_000)
        assert {delivery.key for delivery in deliveries} == at_sink
        assert stats.deliveries_by_state == {"sent": _EVENTS}
        assert stats.jobs_by_state == {"slow:done": _EVENTS}
        begun = {record.action.asset: record.state for record in ledger.list_actions(limit=10_000)}
        assert begun.keys() == {f"INC-{name}" for name in names}
        assert max(executed.values()) == 1
        assert {asset for asset, state in begun.items() if state == "done"} <= executed.keys() <= begun.keys()
        assert ledger.verify_chain().ok
