"""A ledger with as many incidents as a bad year leaves, written as triage writes them.

    python -m tests.setpoint.app.console.many STORE [COUNT]

makes one to be served and looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from setpoint.contracts import Context, Event, Incident, Judgement, Notice, Ranked, Triage
from setpoint.contracts.dispatch import Dispatch
from setpoint.contracts.site import Site, load_site
from setpoint.ledger import Ledger

SITE = Path(__file__).parents[4] / "plant" / "sites" / "demo.yaml"
BATCH = 250
TITLES = ("Coolant flow lost", "GPU fell off the bus", "Fan speed high", "Link flaps", "Disk latency rises")
RANKS = ("P3", "P3", "P3", "P2", "P2", "P1", "P3", "P2", "P3", "P0")
STATES = ("open", "closed", "resolved", "closed", "acknowledged")


def fill(ledger: Ledger, site: Site, count: int, now: datetime, titles: Sequence[str] = TITLES) -> None:
    """So many incidents over the year before, one event and, where it is urgent, one notice each."""
    made = [
        _one(site, number, now - timedelta(minutes=50 * (count - number)), titles) for number in range(count)
    ]
    for begin in range(0, count, BATCH):
        part = made[begin : begin + BATCH]
        ledger.accept([ranked.event for _, ranked in part], (), "test")
        incidents = tuple(incident for incident, _ in part)
        notices = tuple(_notice(one) for one in incidents if one.priority in ("P0", "P1"))
        dispatch = Dispatch(
            batch_id=f"B-many-{begin}", time=part[-1][0].updated, ranked=tuple(ranked for _, ranked in part),
            incidents=incidents, new_incidents=tuple(one.id for one in incidents), notices=notices,
        )  # fmt: skip
        ledger.commit_triage(dispatch, now=part[-1][0].updated)
    for delivery in ledger.list_deliveries(states=("queued",), limit=count):
        ledger.mark_sent(delivery.key, now=delivery.queued)


def _one(site: Site, number: int, at: datetime, titles: Sequence[str]) -> tuple[Incident, Ranked]:
    asset = site.assets[number % len(site.assets)].name
    title = f"{titles[number % len(titles)]} on {asset}"
    priority = RANKS[number % len(RANKS)]
    event = Event.model_validate({
        "id": f"E-{number}", "time": at, "received": at, "asset": asset, "source": "bms", "kind": "alarm", "message": title[:4000],
    })  # fmt: skip
    incident = Incident.model_validate({
        "id": f"INC-M{number:07d}", "group_key": f"many:{number}", "title": title, "priority": priority,
        "state": STATES[number % len(STATES)] if priority != "P0" or number % 50 else "open", "opened": at, "updated": at,
        "assets": (asset,), "event_count": 1, "path": "fast" if priority == "P0" else "slow", "grouped_by": f"the same asset, {asset}",
    })  # fmt: skip
    level = Judgement(level="high", reason="it stands in the catalog")
    triage = Triage(
        event_id=event.id, priority=incident.priority, urgency=level, impact=level, complexity=level, confidence=0.9,
        decided_by=("test",), condition=title[:80],
    )  # fmt: skip
    return incident, Ranked(
        event=event, context=Context(), triage=triage, incident_id=incident.id, group_key=incident.group_key,
        grouped_by=incident.grouped_by,
    )  # fmt: skip


def _notice(incident: Incident) -> Notice:
    return Notice(
        incident_id=incident.id, dedup_key=f"setpoint/{incident.id}", version=0, stage="first", priority=incident.priority,
        title=incident.title, text=incident.title, written_by="template",
    )  # fmt: skip


def main(store: str, count: str = "10000") -> None:
    Path(store).mkdir(parents=True, exist_ok=True)
    with Ledger.open(Path(store) / "ledger.db") as ledger:
        fill(ledger, load_site(SITE), int(count), datetime.now(UTC))
        print(ledger.waiting())


if __name__ == "__main__":
    main(*sys.argv[1:])
