"""Incidents as the alerter gets them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.alerter import FirstStep
from setpoint.contracts import Context, Event, Incident, Judgement, Priority, Ranked, Triage
from setpoint.contracts.site import Asset, Site

NOW = datetime(2026, 11, 21, 1, 14, 7, tzinfo=UTC)
SITE = Site(
    name="test",
    timezone="Europe/Berlin",
    assets=(
        Asset(name="hall-1", kind="hall"),
        Asset(name="cdu-1", kind="cdu", on=("hall-1", "pump-a")),
        Asset(name="pump-a", kind="pump", redundant_with=("pump-b",)),
        Asset(name="r-02", kind="rack", on=("hall-1", "cdu-1")),
        Asset(name="gpu-07", kind="gpu_node", on=("r-02",), tier="vip", tenant="northwind"),
    ),
)
PUMP_STEP = FirstStep("Keep hands off couplings.", "Start the standby pump.", "pump-failure")


@dataclass(frozen=True)
class Told:
    incident: Incident
    events: list[Event]
    triages: list[Triage]

    @property
    def ranked(self) -> list[Ranked]:
        return [
            Ranked(
                event=event, context=Context(), triage=triage, incident_id=self.incident.id,
                group_key="g", grouped_by="alone",
            )
            for event, triage in zip(self.events, self.triages, strict=True)
        ]  # fmt: skip


def event(number: int = 1, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "id": f"ev-{number}", "time": NOW, "received": NOW, "asset": "pump-a", "source": "bms", "kind": "PumpTrip",
        "message": "pump tripped", "metric": "pump_speed_rpm", "value": 0.0, "threshold": 1200.0,
    }  # fmt: skip
    return Event(**values | changes)


def triage(event_id: str = "ev-1", priority: Priority = "P0", **changes: Any) -> Triage:
    values: dict[str, Any] = {
        "event_id": event_id,
        "priority": priority,
        "urgency": Judgement(level="high", reason="loss for many is near unless something is done"),
        "impact": Judgement(level="high", reason="the racks on this loop lose cooling without it"),
        "complexity": Judgement(level="low", reason="the event names what failed"),
        "confidence": 0.95,
        "decided_by": ("cooling.pump-failed@1",),
        "condition": "coolant pump failed",
        "cause_hints": ("coolant_pump_failure",),
    }
    return Triage(**values | changes)


def incident(**changes: Any) -> Incident:
    values: dict[str, Any] = {
        "id": "INC-0042", "group_key": "g", "title": "Coolant pump failed on pump-a", "priority": "P0",
        "state": "open", "opened": NOW, "updated": NOW + timedelta(minutes=3), "assets": ("pump-a",),
        "event_count": 1, "path": "fast", "grouped_by": "alone",
    }  # fmt: skip
    return Incident(**values | changes)


def told(**event_changes: Any) -> Told:
    return Told(incident(), [event(**event_changes)], [triage()])
