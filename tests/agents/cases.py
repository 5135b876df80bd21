"""Incidents as the slow path gets them: events with their triages on the demo site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import plant
from agents.evidence import Case
from setpoint.contracts import Event, Incident, Judgement, Priority, Triage
from setpoint.contracts.site import Site, load_site

NIGHT = datetime(2026, 3, 14, 23, 40, tzinfo=UTC)


@cache
def demo_site() -> Site:
    return load_site(Path(plant.__file__).parent / "sites" / "demo.yaml")


def event(asset: str, message: str, minute: float = 0.0, **changes: Any) -> Event:
    time = NIGHT + timedelta(minutes=minute)
    values: dict[str, Any] = {
        "id": f"ev-{asset}-{minute:g}-{len(message)}", "time": time, "received": time, "asset": asset, "source": "bms", "kind": "",
        "message": message,
    }  # fmt: skip
    return Event(**values | changes)


def triage(
    event_id: str, priority: Priority, condition: str = "", hints: Sequence[str] = (), rule: str = "rule@1"
) -> Triage:
    reason = Judgement(level="low", reason="")
    return Triage(
        event_id=event_id, priority=priority, urgency=reason, impact=reason, complexity=reason, confidence=0.9,
        decided_by=(rule,), condition=condition, cause_hints=tuple(hints),
    )  # fmt: skip


def case(
    *told: tuple[Event, Triage], telemetry: Mapping[str, Mapping[str, float]] | None = None, **changes: Any
) -> Case:
    """One incident of the events given, in the order of time."""
    events = tuple(sorted((event for event, _ in told), key=lambda one: one.time))
    priority = min(triage.priority for _, triage in told)
    incident = Incident(
        id="INC-0001", group_key="g", title="trouble", priority=priority, state="open", opened=events[0].time,
        updated=events[-1].time, assets=tuple(dict.fromkeys(one.asset for one in events)), event_count=len(events),
        path="slow", grouped_by="one condition",
    )  # fmt: skip
    triages = {triage.event_id: triage for _, triage in told}
    return Case(incident, events, triages, demo_site(), telemetry=telemetry or {}, **changes)


def told(
    asset: str, message: str, minute: float, priority: Priority, condition: str = "", hints: Sequence[str] = (),
    rule: str = "rule@1", **changes: Any,
) -> tuple[Event, Triage]:  # fmt: skip
    one = event(asset, message, minute, **changes)
    return one, triage(one.id, priority, condition, hints, rule)


def pump_case(**changes: Any) -> Case:
    """A pump trips, the flow falls, two nodes throttle."""
    return case(
        told("cdu-1-pump-a", "Pump tripped on overload and stopped", 0, "P1", "coolant pump failed", ["coolant_pump_failure"],
             metric="speed_rpm", value=0.0, unit="rpm", threshold=1200.0),
        told("cdu-1", "Coolant flow below minimum", 0.2, "P0", "coolant flow lost",
             ["coolant_pump_failure", "coolant_flow_restricted", "coolant_leak"], metric="flow_lpm", value=41.0, unit="lpm", threshold=60.0),
        told("gpu-01", "HW Thermal Slowdown is active, temperature 88 C", 1.2, "P2", "GPU throttled", ["gpu_thermal_throttle"]),
        told("gpu-02", "HW Thermal Slowdown is active, temperature 91 C", 1.4, "P2", "GPU throttled", ["gpu_thermal_throttle"]),
        **changes,
    )  # fmt: skip
