"""Contract values as triage and the slow path would make them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from setpoint.contracts import (
    Action,
    ActionProposal,
    Context,
    Diagnosis,
    Event,
    Hypothesis,
    Incident,
    Judgement,
    Notice,
    Priority,
    Quarantined,
    RecoveryGuide,
    Review,
    Triage,
    priority_of,
)
from setpoint.contracts.dispatch import Dispatch, JobRequest, Ranked

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
_LEVELS: dict[Priority, tuple[Any, Any, Any]] = {
    "P0": ("high", "high", "low"),
    "P1": ("low", "high", "low"),
    "P2": ("high", "low", "low"),
    "P3": ("low", "low", "low"),
}


def at(seconds: float) -> datetime:
    """NOW plus some seconds."""
    return NOW + timedelta(seconds=seconds)


def event(number: int | str, asset: str = "gpu-01", **changes: Any) -> Event:
    values: dict[str, Any] = {
        "id": f"ev-{number}",
        "time": NOW,
        "received": at(0.2),
        "asset": asset,
        "source": "kernel",
        "kind": "xid-79",
        "message": "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
        "severity": "critical",
        "dedup_key": f"{asset}/xid-79",
        "labels": {"cluster": "a", "rack": "r07"},
    }
    return Event(**values | changes)


def bad_item(number: int) -> Quarantined:
    return Quarantined(
        id=f"bad-{number}",
        received=NOW,
        origin="events.jsonl:7",
        reason="not JSON",
        remedy="mend it",
        raw=b"\xff{",
    )


def triage(event_id: str, priority: Priority = "P0") -> Triage:
    urgency, impact, complexity = _LEVELS[priority]
    assert priority_of(urgency, impact, complexity) == priority
    return Triage(
        event_id=event_id,
        priority=priority,
        urgency=Judgement(level=urgency, reason="work is being lost"),
        impact=Judgement(level=impact, reason="a GPU is lost"),
        complexity=Judgement(level=complexity, reason=""),
        confidence=0.97,
        decided_by=("xid.79@3",),
        condition="GPU fell off the bus",
    )


def ranked(item: Event, incident_id: str = "INC-1", priority: Priority = "P0", **changes: Any) -> Ranked:
    values: dict[str, Any] = {
        "event": item,
        "context": Context(template="GPU has fallen off the bus", tier="shared"),
        "triage": triage(item.id, priority),
        "incident_id": incident_id,
        "group_key": f"asset:{item.asset}",
        "grouped_by": "same asset",
    }
    return Ranked(**values | changes)


def incident(name: str = "INC-1", priority: Priority = "P0", **changes: Any) -> Incident:
    values: dict[str, Any] = {
        "id": name,
        "group_key": "asset:gpu-01",
        "title": "gpu-01: GPU fell off the bus",
        "priority": priority,
        "state": "open",
        "opened": NOW,
        "updated": NOW,
        "assets": ("gpu-01",),
        "event_count": 1,
        "path": "fast",
        "grouped_by": "same asset",
    }
    return Incident(**values | changes)


def notice(incident_id: str = "INC-1", version: int = 0, **changes: Any) -> Notice:
    values: dict[str, Any] = {
        "incident_id": incident_id,
        "dedup_key": f"setpoint/{incident_id}",
        "version": version,
        "stage": "first",
        "priority": "P0",
        "title": "gpu-01: GPU fell off the bus",
        "text": "gpu-01 lost a GPU.",
        "written_by": "template",
    }
    return Notice(**values | changes)


def dispatch(items: Sequence[Ranked], incidents: Sequence[Incident] = (), **changes: Any) -> Dispatch:
    ids = "\n".join(item.event.id for item in items)
    values: dict[str, Any] = {
        "batch_id": hashlib.sha256(ids.encode()).hexdigest(),
        "time": at(0.3),
        "ranked": tuple(items),
        "incidents": tuple(incidents),
    }
    return Dispatch(**values | changes)


def one_incident(*items: Event, name: str = "INC-1", priority: Priority = "P0", **changes: Any) -> Dispatch:
    """A batch whose events are one new incident, with its first notice and a job for the slow path."""
    values: dict[str, Any] = {
        "new_incidents": (name,),
        "notices": (notice(name, priority=priority),),
        "jobs": (
            JobRequest(
                kind="slow",
                key=name,
                payload={"incident_id": name, "event_ids": [item.id for item in items]},
                urgency=int(priority[1]),
            ),
        ),
    }
    whole = incident(name, priority, event_count=len(items))
    return dispatch([ranked(item, name, priority) for item in items], [whole], **values | changes)


def action(power_w: int = 500, asset: str = "gpu-01") -> Action:
    return Action(name="cap_gpu_power", asset=asset, args={"power_w": power_w})


def review(name: str = "REV-1", **changes: Any) -> Review:
    proposal = ActionProposal(
        id=f"act-{name}",
        incident_id="INC-1",
        action=action(),
        risk="low",
        effect="limits the power of the GPU",
        why="it runs hot",
        rollback="restore the old cap",
        evidence=("E1",),
    )
    values: dict[str, Any] = {
        "id": name,
        "kind": "action",
        "incident_id": "INC-1",
        "subject": "Cap gpu-01 at 500 W?",
        "proposal": proposal,
        "digest": proposal.action.digest("INC-1"),
        "created": NOW,
        "expires": at(3600),
    }
    return Review(**values | changes)


def diagnosis(incident_id: str = "INC-1", cause: str = "gpu_off_bus") -> Diagnosis:
    return Diagnosis(
        incident_id=incident_id,
        revision=0,
        mode="facts",
        evidence=(),
        passages=(),
        hypotheses=(
            Hypothesis(cause=cause, title="GPU fell off the bus", score=0.8),
            Hypothesis(cause="unknown", title="Unknown", score=0.2),
        ),
        steps=(),
        summary="The GPU fell off the bus.",
        guide=RecoveryGuide(steps=()),
        written_by="template",
    )
