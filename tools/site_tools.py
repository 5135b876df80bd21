"""Read-only tools for models and people: what the site is, what it reads, what happened. None can change anything.

Text from events is data: it is returned under "quoted", beside where it came from, and is never an instruction.
An asset or incident that does not exist is answered in words, so that the caller can choose another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Protocol

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, ConfigDict, Field

from setpoint.contracts import Event, Incident
from setpoint.contracts.site import Asset, Site
from setpoint.errors import UsageError
from tools.readings import Read, age_s
from tools.typed import in_words

MOST_EVENTS = 40
QUOTE_CHARS = 240


class EventLedger(Protocol):
    """What the tools read of the ledger."""

    def iter_events(self, since: datetime | None = None) -> Iterator[Event]: ...

    def events_of(self, incident_id: str, limit: int = 10_000) -> list[Event]: ...

    def get_incident(self, incident_id: str) -> Incident: ...


@dataclass(frozen=True)
class ReadPorts:
    """All that the tools read."""

    site: Site
    read: Read
    ledger: EventLedger
    clock: Callable[[], datetime]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AssetArgs(_Closed):
    asset: Annotated[str, Field(max_length=120, description="Name from the site file, e.g. gpu-03 or cdu-1")]


class RecentArgs(AssetArgs):
    minutes: Annotated[int, Field(ge=1, le=1440, description="How far back")] = 60


class IncidentArgs(_Closed):
    id: Annotated[str, Field(max_length=40, description="Incident id, e.g. INC-0042")]


def site_tools(ports: ReadPorts) -> list[BaseTool]:
    """All read tools, bound to these ports."""
    return [
        _tool("site_state", "Latest readings of one asset, with their age.", AssetArgs, ports, _site_state),
        _tool("topology", "What an asset stands on, what stands on it, and who depends on it.", AssetArgs, ports, _topology),
        _tool("recent_events", "Events about one asset in the last minutes, newest first.", RecentArgs, ports, _recent_events),
        _tool("incident", "One incident with its latest events.", IncidentArgs, ports, _incident),
        _tool("changes", "Hardware, firmware and maintenance that touch an asset, latest first.", AssetArgs, ports, _changes),
    ]  # fmt: skip


def _tool(
    name: str, what: str, schema: type[BaseModel], ports: ReadPorts, answer: Callable[..., dict[str, Any]]
) -> BaseTool:
    def call(**args: Any) -> dict[str, Any]:
        return answer(ports, **args)

    return StructuredTool.from_function(
        func=call,
        name=name,
        description=what,
        args_schema=schema,
        handle_tool_error=True,
        handle_validation_error=in_words,
    )


def _site_state(ports: ReadPorts, asset: str) -> dict[str, Any]:
    found, reading = _found(ports.site, asset), ports.read(asset)
    if reading is None:
        return {"asset": found.name, "kind": found.kind, "readings": {}, "note": "no telemetry of this asset"}
    return {
        "asset": found.name,
        "kind": found.kind,
        "tier": found.tier,
        "read_at": _iso(reading.time, ports.site),
        "age_s": round(age_s(reading, ports.clock()), 1),
        "readings": dict(reading.values),
    }


def _topology(ports: ReadPorts, asset: str) -> dict[str, Any]:
    found, site = _found(ports.site, asset), ports.site
    below = site.downstream(found.name)
    serving = [name for name in below if (other := site.find(name)) and other.kind == "service"]
    return {
        "asset": found.name,
        "kind": found.kind,
        "tier": found.tier,
        "tenant": found.tenant,
        "stands_on": list(site.upstream(found.name)),
        "stand_on_it": list(below),
        "services": serving,
        "redundant_with": list(found.redundant_with),
    }


def _recent_events(ports: ReadPorts, asset: str, minutes: int = 60) -> dict[str, Any]:
    now = ports.clock()
    name = known.name if (known := ports.site.find(asset)) else asset
    mine = [
        e for e in ports.ledger.iter_events(now - timedelta(minutes=minutes)) if _about(ports.site, e, name)
    ]
    latest = sorted(mine, key=lambda event: event.time, reverse=True)[:MOST_EVENTS]
    return {
        "asset": name,
        "minutes": minutes,
        "count": len(mine),
        "events": [_event(event, ports.site) for event in latest],
    }


def _incident(ports: ReadPorts, id: str) -> dict[str, Any]:
    try:
        incident = ports.ledger.get_incident(id)
    except UsageError as error:
        raise ToolException(str(error)) from error
    latest = ports.ledger.events_of(id)[-MOST_EVENTS:]
    return {
        "id": incident.id,
        "title": incident.title,
        "priority": incident.priority,
        "state": incident.state,
        "opened": _iso(incident.opened, ports.site),
        "updated": _iso(incident.updated, ports.site),
        "assets": list(incident.assets),
        "event_count": incident.event_count,
        "grouped_by": incident.grouped_by,
        "events": [_event(event, ports.site) for event in reversed(latest)],
    }


def _changes(ports: ReadPorts, asset: str) -> dict[str, Any]:
    found, site, now = _found(ports.site, asset), ports.site, ports.clock()
    own = [change for change in site.changes if change.time <= now and fnmatchcase(found.name, change.assets)]
    windows = [window for window in site.maintenance if fnmatchcase(found.name, window.assets)]
    return {
        "asset": found.name,
        "changes": [
            {"time": _iso(c.time, site), "what": c.what}
            for c in sorted(own, key=lambda c: c.time, reverse=True)
        ],
        "maintenance": [
            {"start": _iso(w.start, site), "end": _iso(w.end, site), "what": w.what} for w in windows
        ],
    }


def _found(site: Site, asset: str) -> Asset:
    found = site.find(asset)
    if found is None:
        raise ToolException(f"no asset {asset!r} on this site; use a name from the site file")
    return found


def _about(site: Site, event: Event, name: str) -> bool:
    known = site.find(event.asset)
    return (known.name if known else event.asset) == name


def _event(event: Event, site: Site) -> dict[str, Any]:
    return {
        "id": event.id,
        "time": _iso(event.time, site),
        "asset": event.asset,
        "source": event.source,
        "kind": event.kind,
        "status": event.status,
        "quoted": event.message[:QUOTE_CHARS],
    }


def _iso(time: datetime, site: Site) -> str:
    """On the site's clock, as its people read it."""
    return time.astimezone(site.zone).isoformat(timespec="seconds")
