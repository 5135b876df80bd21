"""What people leave unchanged: counted from what they had before them, over weeks, with intervals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from setpoint.contracts.autonomy import DecidedAction
from setpoint.learning.acceptance import Judged, acceptance, judged_actions, judged_incidents
from tests.setpoint.learning.corrected import START, better, open_ledger, put_incident, say

NOON = datetime(2026, 11, 4, 12, tzinfo=UTC)
"""A Wednesday."""


def test_a_share_has_its_interval_and_its_weeks() -> None:
    found = [Judged("alert", "unchanged", NOON, "model")] * 8 + [Judged("alert", "edited", NOON, "model")]
    found += [
        Judged("alert", "rejected", NOON + timedelta(days=5), "model"),
        Judged("alert", "open", NOON, "model"),
    ]
    (row,) = acceptance(found)
    assert (row.shown, row.unchanged, row.edited, row.rejected) == (11, 8, 1, 1)
    assert row.share == pytest.approx(0.8)
    assert row.low == pytest.approx(0.490, abs=1e-3)
    assert row.high == pytest.approx(0.943, abs=1e-3)
    assert [(one.begins, one.unchanged, one.judged) for one in row.weeks] == [
        (date(2026, 11, 2), 8, 9), (date(2026, 11, 9), 0, 1),
    ]  # fmt: skip


def test_what_nobody_judged_has_no_share() -> None:
    (row,) = acceptance([Judged("summary", "open", NOON, "model")])
    assert (row.share, row.low, row.high, row.weeks) == (None, None, None, ())


def test_texts_come_first_and_model_and_template_apart() -> None:
    rows = acceptance(
        [Judged("cap_gpu_power", "unchanged", NOON), Judged("priority", "edited", NOON), Judged("alert", "open", NOON, "template"),
         Judged("alert", "open", NOON, "model")]
    )  # fmt: skip
    assert [(row.kind, row.writer) for row in rows] == [
        ("alert", "model"), ("alert", "template"), ("priority", ""), ("cap_gpu_power", ""),
    ]  # fmt: skip


def test_of_a_shift(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 4) as ledger:
        template = put_incident(ledger, 9, model=False)
        say(ledger, "INC-0000", "alert", better(ledger, "INC-0000"))
        say(ledger, "INC-0001", "summary", "", why="says nothing")
        ledger.correct("INC-0001", "priority", "P1", "ada", "the reserve runs")
        ledger.acknowledge("INC-0002", "bob", now=START + timedelta(hours=60))
        ledger.set_state(template, "closed", "bob", now=START + timedelta(hours=60))
        rows = {(row.kind, row.writer): row for row in acceptance(judged_incidents(ledger))}
    alert = rows["alert", "model"]
    assert (alert.shown, alert.unchanged, alert.edited) == (3, 1, 1), "INC-0003 was before nobody"
    summary = rows["summary", "model"]
    assert (summary.shown, summary.rejected, summary.unchanged) == (3, 1, 0), (
        "who acknowledged read the alert only"
    )
    assert rows["alert", "template"].unchanged == 1
    assert (rows["priority", ""].edited, rows["priority", ""].unchanged) == (1, 2)
    assert (rows["cause", ""].edited, rows["cause", ""].unchanged) == (0, 1)


def test_only_the_latest_are_looked_at(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 3) as ledger:
        for number in range(3):
            ledger.acknowledge(f"INC-000{number}", "bob", now=START + timedelta(hours=60 + number))
        found = [one for one in judged_incidents(ledger, most=2) if one.kind == "alert"]
    assert [one.lesson for one in found] == ["INC-0001:alert", "INC-0002:alert"]


def test_actions_are_peoples_decisions_only() -> None:
    given = {"review_id": "R", "incident_id": "I", "decided": NOON, "who": "ada", "changed": False}
    decided = [
        DecidedAction.model_validate(given | more)
        for more in (
            {"type": "approve"}, {"type": "approve", "changed": True}, {"type": "reject"},
            {"type": "approve", "alone": True, "who": "setpoint (autonomy)"},
        )
    ]  # fmt: skip
    assert [one.outcome for one in judged_actions("cap_gpu_power", decided)] == [
        "unchanged",
        "edited",
        "rejected",
    ]
