"""What needs a person, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from setpoint.app.desk import DESK
from setpoint.app.formatting import counted
from setpoint.contracts import Priority

if TYPE_CHECKING:
    from setpoint.app.wiring import Runtime

MOST = 12
"""Of one kind; the rest is a number and a link."""


@dataclass(frozen=True)
class Need:
    """One thing, one line, one step from what is to be done about it."""

    what: str
    href: str
    words: str
    """Of the link or button that goes there."""
    priority: Priority | None = None
    detail: str = ""
    since: datetime | None = None
    expires: datetime | None = None
    acknowledge: str = ""
    """Incident that can be acknowledged right here."""


@dataclass(frozen=True)
class Needs:
    """All of it, and what is left out of the list."""

    rows: tuple[Need, ...]
    more: tuple[tuple[str, str], ...] = ()
    """Words and link of each kind of which there are more."""
    machine: tuple[Need, ...] = field(default=())
    """What is wrong with Setpoint itself."""


def needs_of(runtime: Runtime) -> Needs:
    """From the ledger and the engine, as they stand."""
    waiting = runtime.ledger.waiting()
    reviews, urgent = list(_reviews(runtime)), list(_urgent(runtime))
    more = []
    if waiting.urgent > len(urgent):
        more.append(
            (f"{waiting.urgent - len(urgent)} more P0 and P1 that nobody has", "/incidents?state=open")
        )
    if waiting.reviews > MOST:
        more.append((f"{waiting.reviews - MOST} more waiting for a decision", "/approvals"))
    rows = sorted([*urgent, *reviews[:MOST], *_loops(runtime), *_held(waiting.held)], key=_urgency)
    return Needs(tuple(rows), tuple(more), tuple(_machine(runtime)))


def _urgency(need: Need) -> tuple[str, float]:
    """By priority; within one what expires first, then what waits longest."""
    soon = need.expires or need.since
    return need.priority or "P4", soon.timestamp() if soon else 0.0


def _urgent(runtime: Runtime) -> Iterator[Need]:
    found = runtime.ledger.list_incidents(states=("open",), priorities=("P0", "P1"), limit=MOST)
    for one in found:
        yield Need(
            one.title, f"/incidents/{one.id}", "Open", one.priority, f"{one.id}, {counted(one.event_count, 'event')}, nobody has it",
            since=one.opened, acknowledge=one.id,
        )  # fmt: skip


def _reviews(runtime: Runtime) -> Iterator[Need]:
    rows: Any = DESK["review_list"](runtime.desk)
    for row in sorted(rows, key=lambda row: (row.get("priority") or "P2", row["expires"] or "9")):
        expires = datetime.fromisoformat(row["expires"]) if row["expires"] else None
        agreed = f", {len(row['approvals'])} of {row['needed']} have agreed" if row["needed"] > 1 else ""
        about = row.get("incident_title") or row["kind"].replace("_", " ")
        yield Need(
            row["subject"], f"/approvals#{row['id']}", "Decide", row.get("priority") or "P2", f"{about}{agreed}",
            since=datetime.fromisoformat(row["created"]), expires=expires,
        )  # fmt: skip


def _machine(runtime: Runtime) -> Iterator[Need]:
    """Ourselves: a watch that has stopped is worse than what it watches."""
    engine = runtime.engine
    if engine.failure is not None:
        yield Need(
            f"A safety rule of Setpoint was broken and its work stopped: {engine.failure}",
            "/audit",
            "Audit",
            "P0",
        )
    for name in engine.dead_loops():
        yield Need(f"{name[0].upper()}{name[1:]}: start Setpoint again", "/audit", "Audit", "P0")
    for name, why in engine.troubles.items():
        yield Need(f"The {name} loop has trouble and goes on", "/audit", "Audit", "P1", why)
    dead = runtime.ledger.list_deliveries(states=("dead",), limit=MOST)
    if dead:
        yield Need(
            f"{counted(len(dead), 'notice')} could not be delivered", f"/incidents/{dead[-1].notice.incident_id}", "The last",
            "P1", f"to {dead[-1].sink}: {dead[-1].error}",
        )  # fmt: skip


def _held(held: int) -> Iterator[Need]:
    if held:
        yield Need(
            f"{counted(held, 'item')} could not be read", "/quarantine", "Look", None,
            "kept in quarantine until somebody mends or removes them",
        )  # fmt: skip


def _loops(runtime: Runtime) -> Iterator[Need]:
    """Control loops that are held by what they cannot rest on."""
    for name in runtime.loops.names:
        memory = runtime.ledger.loop_memory(name)
        for open_trouble in memory.troubles.values() if memory else ():
            trouble = open_trouble.trouble
            if trouble.blocks:
                yield Need(
                    f"The {name} loop proposes nothing: {trouble.what}", f"/incidents?asset={trouble.asset}", "Incidents", "P2",
                    f"{trouble.instead}. {trouble.remedy}", since=open_trouble.since.astimezone(UTC),
                )  # fmt: skip
