"""The alert path, measured from outside: events by HTTP at a fixed schedule, notices at a real HTTP sink.

The sender is open-loop: an event's clock starts at the moment it was scheduled to be sent, whether or not the
server kept up. 5% of the events are P0. Each P0 is a condition of its own (asset and alarm point), so nothing
is folded away as a repeat: on an asset without open trouble it opens an incident and is told by a first notice, whose
way is timed; on an asset whose incident was told already it joins that, and its update is spaced by
`alerts.update_every_s`, so it is counted and not timed.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from evals.bench_service import HttpSink, Receipt, Server, load_now

ASSETS = 1000
P0_SHARE = 0.05
WARM_S, LEAD_S = 6.0, 2.0
"""A server that is up for this long has loaded its index; then the schedule is made, and begins after LEAD_S."""
DRAIN_S = 120.0
CONNECTIONS = 64

# Wordings of the other 95%, by the share that a real stream shows: most of it is routine.
_ROUTINE = (
    "session opened for user svc-monitor by (uid=0)", "chassis fan speed {n} rpm within limits",
    "corrected memory error, 1 error on DIMM {n}", "link up, 400 Gb/s", "systemd: Started Daily cleanup of caches",
    "job {n} finished with exit code 0", "power supply 2 output {n} W", "NTP offset 0.00{n} s",
    "health check passed in {n} ms", "rotating logs, {n} files",
)  # fmt: skip
_TROUBLE = (
    "NVRM: Xid (PCI:0000:{n:02x}:00): 31, pid={n}, MMU fault", "nvme0: I/O error, sector {n}",
    "GPU temperature {n} C above slowdown limit", "power supply 1 failed",
    "ib0: symbol error rate above threshold, {n} errors", "filesystem /scratch 9{d}% full",
)  # fmt: skip
_P0 = (
    "Leak rope wet, zone {n}", "Smoke alarm, aspirating detector {n}", "Coolant leak detected at manifold {n}",
)  # fmt: skip


@dataclass(frozen=True)
class Load:
    """One load: how many events, how fast, how many to a POST."""

    name: str
    per_second: float
    events: int
    per_post: int


@dataclass(frozen=True)
class Post:
    """One request of the schedule."""

    due: float
    """Seconds since the epoch."""
    body: bytes
    events: int


def loads(seconds: float) -> list[Load]:
    """The loads of the alert path, `seconds` each."""
    return [
        Load(f"{rate:g} events/s", rate, round(rate * seconds), per_post)
        for rate, per_post in ((10, 1), (100, 1), (1000, 20))
    ]


STORM = Load("storm of 10,000 in 1 s", 10_000, 10_000, 100)


# ---- the schedule ---------------------------------------------------------------------------------------------------


def write_site(path: Path) -> None:
    """A site of 1,000 nodes in racks of 20, each rack under its own PDU."""
    racks = "\n".join(
        f"  - {{name: rack-{r:02d}, kind: rack, on: [pdu-{r:02d}]}}\n  - {{name: pdu-{r:02d}, kind: pdu}}"
        for r in range(ASSETS // 20)
    )
    nodes = "\n".join(
        f"  - {{name: node-{n:04d}, kind: gpu_node, on: [rack-{n // 20:02d}]}}" for n in range(ASSETS)
    )
    path.write_text(f"name: bench\nsimulated: true\nassets:\n{racks}\n{nodes}\n")


def schedule(load: Load, begin: float, seed: int = 1) -> tuple[list[Post], dict[str, float]]:
    """The POSTs, and when each P0 event was due, by its id."""
    chance = random.Random(seed)
    critical = set(chance.sample(range(load.events), round(load.events * P0_SHARE)))
    order = chance.sample(range(ASSETS), ASSETS)
    posts, due_of, told = [], {}, 0
    for first in range(0, load.events, load.per_post):
        numbers = range(first, min(first + load.per_post, load.events))
        due = begin + numbers[-1] / load.per_second
        lines = []
        for number in numbers:
            event_id = f"{load.name}/{number}"
            if number in critical:
                lines.append(_critical(event_id, due, order[told % ASSETS], told))
                due_of[event_id] = due
                told += 1
            else:
                lines.append(_other(event_id, due, chance))
        posts.append(Post(due, "\n".join(lines).encode(), len(numbers)))
    return posts, due_of


def _critical(event_id: str, due: float, asset: int, number: int) -> str:
    """Building alarms carry the name of their point, so each is a condition, and a template, of its own."""
    said = _P0[number % len(_P0)].format(n=number)
    return _line(
        event_id, due, f"node-{asset:04d}", "bms", "critical", said, alarm_name=f"BMS.ALM.P{number:05d}"
    )


def _other(event_id: str, due: float, chance: random.Random) -> str:
    trouble = chance.random() < 0.1
    said = chance.choice(_TROUBLE if trouble else _ROUTINE).format(
        n=chance.randrange(1, 99), d=chance.randrange(10)
    )
    asset = f"node-{chance.randrange(ASSETS):04d}"
    return _line(event_id, due, asset, "syslog", "error" if trouble else "info", said)


def _line(event_id: str, due: float, host: str, source: str, severity: str, message: str, **more: str) -> str:
    at = datetime.fromtimestamp(due, UTC).isoformat()
    return json.dumps({"id": event_id, "time": at, "host": host, "source": source, "severity": severity,
                       "message": message, **more})  # fmt: skip


# ---- one run ----------------------------------------------------------------------------------------------------------


def measure(load: Load, folder: Path, *, light: str, heavy: str) -> dict[str, Any]:
    """Run one load against a fresh server and sink. Returns its figures."""
    site = folder / "site.yaml"
    write_site(site)
    with HttpSink() as sink:
        server = Server(folder / "store", site, log=folder / "serve.log", settings={
            "alerts.sinks": json.dumps([f"webhook+{sink.url}"]), "models.light.kind": light, "models.heavy.kind": heavy,
        })  # fmt: skip
        start_s = server.start()
        try:
            time.sleep(WARM_S)
            cpu_before, before = server.cpu_s(), load_now()
            posts, due_of = schedule(load, time.time() + LEAD_S)
            sent = asyncio.run(_send(server.url, posts))
            drained_s = _drain(server)
            cpu_s = server.cpu_s() - cpu_before
            time.sleep(1.0)  # plain words may still be under way; the first notices are not
            receipts = sink.receipts()
        finally:
            server.stop()
    figures = _figures(folder / "store" / "ledger.db", due_of, receipts)
    return {
        "load": load.name, "events": load.events, "per_post": load.per_post, "models": f"light {light}, heavy {heavy}",
        "start_s": start_s, "machine": before, "cpu_ms_per_event": 1000 * cpu_s / load.events, "drained_s": drained_s,
    } | sent | figures  # fmt: skip


async def _send(url: str, posts: Sequence[Post]) -> dict[str, Any]:
    """Every POST at its time; a refused or failed one is counted, never repeated."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    took: list[float] = []
    failed: list[str] = []
    late: list[float] = []
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        await asyncio.gather(*(client.get(f"{url}/healthz") for _ in range(8)))

        async def post(one: Post) -> None:
            try:
                answer = await client.post(f"{url}/v1/events", content=one.body)
            except httpx.HTTPError as error:
                failed.append(type(error).__name__)
                return
            took.append(time.time() - one.due)
            if answer.status_code != 202:
                failed.append(str(answer.status_code))

        tasks = []
        for one in posts:
            await asyncio.sleep(max(0.0, one.due - time.time()))
            late.append(time.time() - one.due)
            tasks.append(asyncio.create_task(post(one)))
        await asyncio.gather(*tasks)
    return {"posts": len(posts), "posts_failed": len(failed), "acknowledged_ms": quantiles_ms(took),
            "sender_late_ms": quantiles_ms(late)}  # fmt: skip


def _drain(server: Server) -> float:
    """Until every event is ranked and everything due was sent. Analyses, and updates put off, may go on."""
    begun = time.monotonic()
    ledger = sqlite3.connect(f"file:{server.store / 'ledger.db'}?mode=ro", uri=True)
    left = f"SELECT ({_WAITING}) + ({_UNSENT})"
    while time.monotonic() - begun < DRAIN_S and ledger.execute(left).fetchone()[0]:
        time.sleep(0.2)
    ledger.close()
    return time.monotonic() - begun


_WAITING = "SELECT count(*) FROM inbox WHERE state = 'new'"
_UNSENT = "SELECT count(*) FROM outbox WHERE state IN ('queued', 'failed') AND stage = 'first'"


# ---- figures ----------------------------------------------------------------------------------------------------------

_TOLD = """
SELECT t.event_id, o.key, o.stage, o.received FROM triage t
JOIN incident_events e ON e.event_id = t.event_id
JOIN outbox o ON o.incident_id = e.incident_id AND o.queued = t.committed AND o.stage IN ('first', 'update')
WHERE t.priority = 'P0' AND t.repeat = 0
"""
"""The notice that the commit of a P0 event queued."""
_REPLACED = """
SELECT o.key, min(later.version), later.key FROM outbox o
JOIN outbox later ON later.dedup_key = o.dedup_key AND later.sink = o.sink AND later.version > o.version
    AND later.state != 'superseded'
WHERE o.state = 'superseded' GROUP BY o.key
"""
"""An update that a newer one overtook in the outbox, and the newer one, which says all of it."""


def _figures(ledger: Path, due_of: dict[str, float], receipts: Sequence[Receipt]) -> dict[str, Any]:
    accepted: dict[str, float] = {}
    for one in receipts:
        accepted.setdefault(one.key, one.at)
    database = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    newer = {key: later for key, _, later in database.execute(_REPLACED)}
    told = [
        (event, newer.get(key, key), stage, since) for event, key, stage, since in database.execute(_TOLD)
    ]
    ranked = database.execute("SELECT count(*) FROM inbox WHERE state = 'triaged'").fetchone()[0]
    critical = {row[0] for row in database.execute("SELECT id FROM incidents WHERE priority = 'P0'")}
    first_keys = {
        row[0] for row in database.execute("SELECT key FROM outbox WHERE stage = 'first' AND priority = 'P0'")
    }
    database.close()
    reached = {one.incident_id for one in receipts if one.stage == "first"}
    ours = [
        (event, accepted[key], stage) for event, key, stage, _ in told if event in due_of and key in accepted
    ]
    since = {key: received for _, key, stage, received in told if key in accepted and stage == "first"}
    return {
        "p0_events": len(due_of),
        "p0_incidents": len(critical),
        "events_ranked": ranked,
        "first_ms": quantiles_ms([at - due_of[event] for event, at, stage in ours if stage == "first"]),
        "p0_events_joined": len(due_of) - sum(stage == "first" for _, _, stage in ours),
        "received_to_sink_ms": quantiles_ms([accepted[key] - received for key, received in since.items()]),
        "lost_incidents": len(critical - reached),
        "lost_first_notices": len(first_keys - set(accepted)),
        "p0_events_not_told": len(set(due_of) - {event for event, *_ in told}),
        "twice_at_sink": len(receipts) - len(accepted),
        **_words(receipts),
    }


def _words(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """Did any first notice of P0 or P1 wait for a model's words?"""
    first: dict[str, float] = {}
    plain: dict[str, float] = {}
    for one in receipts:
        if one.priority in ("P0", "P1"):
            (first if one.stage == "first" else plain if one.stage == "plain" else {}).setdefault(
                one.incident_id, one.at
            )
    waited = [name for name, at in plain.items() if name not in first or first[name] > at]
    return {"first_notices": len(first), "plain_notices": len(plain), "waited_for_a_model": len(waited),
            "waited_share": len(waited) / len(first) if first else 0.0}  # fmt: skip


def quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99, p99.9 and the worst, in ms. Nearest rank.

    >>> quantiles_ms([0.001, 0.002, 0.003])["p50"]
    2.0
    """
    ordered = sorted(seconds)
    if not ordered:
        return {"n": 0}
    named = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
    ranks = {name: ordered[max(0, -int(-share * len(ordered) // 1) - 1)] for name, share in named}
    return {"n": len(ordered)} | {name: round(1000 * value, 2) for name, value in ranks.items()}


def run(wanted: Sequence[Load], *, light: str, heavy: str) -> list[dict[str, Any]]:
    """Each load against a server of its own."""
    results = []
    for load in wanted:
        with tempfile.TemporaryDirectory(prefix="setpoint-bench-") as folder:
            results.append(measure(load, Path(folder), light=light, heavy=heavy))
    return results
