"""A case out of an incident that Setpoint holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agents.service_causes import explain_case
from agents.service_causes.incident import case_of_incident
from setpoint.contracts import Event, Incident
from tools.telemetry import Kept

START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


def event(number: int, message: str, **more: object) -> Event:
    at = START + timedelta(minutes=number)
    given = {"severity": "error", "status": "firing", **more}
    return Event(
        id=f"e{number}",
        time=at,
        received=at,
        asset="orders-db",
        source="app",
        kind="log",
        message=message,
        **given,
    )


INCIDENT = Incident(
    id="INC-0007", group_key="orders-db", title="orders-db: connections refused", priority="P1", state="open", opened=START,
    updated=START, assets=("orders-db",), event_count=2, path="slow", grouped_by="one asset",
)  # fmt: skip


def test_events_and_history_together_name_the_cause() -> None:
    rising = [200.0 + 2 * n for n in range(20)] + [495.0] * 20
    history = Kept.of(
        ("orders-db", metric, START - timedelta(minutes=20 - n), value)
        for metric, values in (("connections", rising), ("max_connections", [500.0] * 40))
        for n, value in enumerate(values)
    )
    events = [
        event(1, "FATAL: remaining connection slots are reserved"),
        event(2, "FATAL: too many connections"),
    ]
    found = explain_case(case_of_incident(INCIDENT, events, history))
    assert found.mode == "connection_exhaustion"
    assert {"events", "history"} == set(found.cited_files)
    assert {cited.place for cited in found.evidence if cited.file == "events"} <= {"e1", "e2"}


def test_values_that_events_carry_are_a_series() -> None:
    events = [event(n, "cpu reading", metric="cpu_percent", value=float(n), unit="%") for n in range(5)]
    case = case_of_incident(INCIDENT, events)
    assert [(r.name, r.of, r.values) for r in case.readings] == [
        ("cpu_percent", "orders-db", (0.0, 1.0, 2.0, 3.0, 4.0))
    ]


def test_an_incident_whose_events_are_all_resolved_is_stale() -> None:
    events = [
        event(1, "probe of orders-db failed", dedup_key="k"),
        event(2, "probe is ok again, recovered", status="resolved", severity="info", dedup_key="k"),
    ]
    case = case_of_incident(INCIDENT, events)
    assert case.alert is not None
    assert case.alert.state == "resolved"
    assert explain_case(case).mode == "healthy"


def test_an_incident_without_events_gives_an_open_answer() -> None:
    case = case_of_incident(INCIDENT, [])
    assert case.alert is None
    assert explain_case(case).certainty == "open"
