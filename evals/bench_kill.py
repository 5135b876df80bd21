"""Kill -9: a real server is killed at random instants while events come, people decide and actions run.

A sender repeats each POST until it is acknowledged, with the same event ids. An operator's policy approves what the
server asks, over HTTP, and repeats a decision whose answer it never saw. At the end one clean run drains what is
left, and everything is counted against the ledger, the sink and the plant.
"""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from evals.bench_service import HttpSink, Receipt, Server, load_now
from setpoint.ledger import Ledger

SITE = Path(__file__).parents[1] / "plant" / "sites" / "demo.yaml"
IN_START = 0.35
"""Share of kills that hit a server before it is ready."""
LONGEST_LIFE_S = 1.0
"""A ready server lives at most this long before it is killed."""
DRAIN_S = 900.0

# What a night may bring on the demo site: (asset pattern, source, severity, message). `{n}` varies.
_CRITICAL = (
    ("cdu-{c}-pump-a", "bms", "critical", "Pump tripped on overload and stopped"),
    ("leak-r-0{r}", "bms", "critical", "Leak rope wet at rack r-0{r}, zone {n}"),
    ("feed-{f}", "bms", "critical", "Utility feed lost"),
    ("ups-{c}", "bms", "critical", "UPS on battery"),
    ("fire-panel-{c}", "bms", "critical", "Smoke alarm hall {c}, aspirating detector zone {n}"),
)  # fmt: skip
_TROUBLE = (
    ("gpu-{g:02d}", "kernel", "error", "NVRM: Xid (PCI:0000:{n:02x}:00): 79, pid={n}, GPU has fallen off the bus."),
    ("gpu-{g:02d}", "kernel", "error", "NVRM: Xid (PCI:0000:{n:02x}:00): 48, pid={n}, Double Bit ECC Error"),
    ("cdu-{c}", "bms", "warning", "Coolant supply temperature high, {n} C"),
    ("ib-leaf-{q}", "snmp", "error", "port {n} link down"),
    ("pool-chat", "vllm", "warning", "KV cache usage {n}% above 92%, requests preempted"),
    ("gpu-{g:02d}", "dcgm", "warning", "GPU {q} thermal slowdown, {n} C"),
)  # fmt: skip
_ROUTINE = (
    ("gpu-{g:02d}", "systemd", "info", "Started Daily cleanup of temporary files."),
    ("gpu-{g:02d}", "kernel", "info", "EDAC MC0: 1 CE on DIMM {n}"),
    ("bmc-{g:02d}", "ipmi", "info", "session opened for user svc-monitor"),
    ("pdu-0{r}a", "bms", "info", "output {n} A"),
)  # fmt: skip


@dataclass
class Trial:
    """One kill trial: what is to be done, and what was seen."""

    events: int
    kills: int
    seed: int = 1
    chance: random.Random = field(init=False)
    acknowledged: set[str] = field(default_factory=set)
    decided: Counter[str] = field(default_factory=Counter)
    start_s: list[float] = field(default_factory=list)
    killed: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)


def event(number: int, chance: random.Random) -> dict[str, str]:
    """One event of the stream: 5% critical, 20% trouble, the rest routine."""
    share = chance.random()
    asset, source, severity, message = chance.choice(
        _CRITICAL if share < 0.05 else _TROUBLE if share < 0.25 else _ROUTINE
    )
    values: dict[str, Any] = {
        "c": chance.randint(1, 2), "r": chance.randint(1, 6), "f": chance.choice("ab"), "g": chance.randint(1, 32),
        "q": chance.randint(1, 4), "n": chance.randint(1, 99),
    }  # fmt: skip
    return {
        "id": f"kill-{number:05d}", "time": datetime.now(UTC).isoformat(), "host": asset.format(**values),
        "source": source, "severity": severity, "message": message.format(**values),
    }  # fmt: skip


# ---- who talks to the server ----------------------------------------------------------------------------------------


class Sender(threading.Thread):
    """Posts events in small batches, and each batch again until it is acknowledged."""

    def __init__(
        self, trial: Trial, server: Server, budget: Callable[[], int], stop: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self._trial, self._server, self._budget, self._end = trial, server, budget, stop
        self._chance, self._next = random.Random(trial.seed + 1), 0

    def run(self) -> None:
        with httpx.Client(timeout=10) as client:
            while self._next < self._trial.events and not self._end.is_set():
                if self._next >= self._budget():
                    self._end.wait(0.02)
                    continue
                size = min(self._chance.randint(1, 5), self._trial.events - self._next)
                batch = [event(self._next + offset, self._chance) for offset in range(size)]
                self._until_acknowledged(client, batch)
                self._next += size

    def _until_acknowledged(self, client: httpx.Client, batch: list[dict[str, str]]) -> None:
        body = "\n".join(map(json.dumps, batch))
        while not self._end.is_set():
            try:
                if client.post(f"{self._server.url}/v1/events", content=body).status_code == 202:
                    self._trial.acknowledged.update(one["id"] for one in batch)
                    return
            except httpx.HTTPError:
                pass
            self._end.wait(0.02)


class Operator(threading.Thread):
    """Approves every action that is asked, as two people, and a few of them twice."""

    def __init__(self, trial: Trial, server: Server, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._trial, self._server, self._end = trial, server, stop
        self._chance = random.Random(trial.seed + 2)

    def run(self) -> None:
        with httpx.Client() as client:
            while not self._end.is_set():
                try:
                    for review in self._server.desk("review_list", client, kinds=["action"]):
                        self._decide(client, review)
                except (httpx.HTTPError, OSError, ValueError):
                    pass  # killed: ask again when it is back
                self._end.wait(0.1)

    def _decide(self, client: httpx.Client, review: dict[str, Any]) -> None:
        clicks = 2 if self._chance.random() < 0.1 else 1
        for who in ("bench, first person", "bench, second person")[: review["needed"]] * clicks:
            try:
                self._server.desk("review_decide", client, id=review["id"], type="approve", who=who,
                                  reason="kill trial", digest=review["digest"], simulated=True)  # fmt: skip
                self._trial.decided[review["id"]] += 1
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in (409, 404):
                    raise


# ---- the trial --------------------------------------------------------------------------------------------------------


def run(
    events: int, kills: int, *, folder: Path | None = None, seed: int = 1, light: str = "none",
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Run the trial. Returns its figures."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="setpoint-kill-") as fresh:
            return run(events, kills, folder=Path(fresh), seed=seed, light=light, progress=progress)
    trial, stop, begun = Trial(events, kills, seed), threading.Event(), time.monotonic()
    with HttpSink() as sink:
        server = Server(folder / "store", SITE, log=folder / "serve.log", settings={
            "alerts.sinks": json.dumps([f"webhook+{sink.url}"]), "alerts.update_every_s": "0", "act.dry_run": "false",
            "act.per_asset_per_hour": "1000", "review.expire_s": "86400", "models.light.kind": light,
            "models.heavy.kind": light,
        })  # fmt: skip
        share = events / max(1, kills)
        sender = Sender(trial, server, lambda: round((trial.killed + 1) * share), stop)
        operator = Operator(trial, server, stop)
        try:
            sender.start()
            operator.start()
            while trial.killed < kills:
                _one_life(trial, server)
                if trial.killed % 10 == 0:
                    progress(f"{trial.killed} kills, {len(trial.acknowledged)} events acknowledged, "
                             f"{len(trial.decided)} actions decided, {time.monotonic() - begun:.0f} s")  # fmt: skip
            trial.killed += 1  # the sender's budget: all of it
            trial.start_s.append(server.start())
            drained_s = _drain(server, sender, operator, stop)
        finally:
            stop.set()
            if server.alive():
                server.stop()
        receipts = sink.receipts()
    return {
        "events": events, "kills": kills, "seed": seed, "models": light, "machine": load_now(),
        "wall_s": round(time.monotonic() - begun), "drained_s": round(drained_s, 1),
        "start_s_median": round(sorted(trial.start_s)[len(trial.start_s) // 2], 2),
    } | count(folder / "store", trial, receipts)  # fmt: skip


def _one_life(trial: Trial, server: Server) -> None:
    """Start the server and kill it at a random instant: sometimes before it is ready, mostly at work."""
    usual_s = sorted(trial.start_s)[len(trial.start_s) // 2] if trial.start_s else 3.0
    if trial.start_s and trial.chance.random() < IN_START:
        server.spawn()
        time.sleep(trial.chance.uniform(0, usual_s))
    else:
        trial.start_s.append(server.start())
        time.sleep(trial.chance.uniform(0, LONGEST_LIFE_S))
    if not server.alive():
        raise RuntimeError(f"the server ended by itself; see {server.log}")
    server.kill()
    trial.killed += 1


def _drain(server: Server, sender: Sender, operator: Operator, stop: threading.Event) -> float:
    """Let all events in, all jobs end, and all that follows from decisions be done."""
    begun, calm = time.monotonic(), 0
    sender.join(DRAIN_S)
    while calm < 5 and time.monotonic() - begun < DRAIN_S:
        stats = server.desk("stats")
        calm = calm + 1 if not _left(stats) else 0
        time.sleep(0.5)
    stop.set()
    operator.join(30)
    return time.monotonic() - begun


def _left(stats: dict[str, Any]) -> int:
    jobs = sum(n for name, n in stats["jobs_by_state"].items() if name.endswith((":queued", ":running")))
    unsent = sum(stats["deliveries_by_state"].get(state, 0) for state in ("queued", "failed"))
    executing: int = stats["actions_by_state"].get("executing", 0)
    waiting: int = stats["events_waiting"]
    return int(jobs + unsent + executing + waiting)


# ---- the count --------------------------------------------------------------------------------------------------------


def count(store: Path, trial: Trial, receipts: list[Receipt]) -> dict[str, Any]:
    """What was lost, doubled or done without a yes. All zeros but the plain totals is the aim."""
    journal = (
        json.loads((store / "plant.json").read_text())["journal"] if (store / "plant.json").exists() else {}
    )
    rows = sqlite3.connect(f"file:{store / 'ledger.db'}?mode=ro", uri=True)

    def column(query: str) -> list[Any]:
        return [row[0] for row in rows.execute(query)]

    triaged = set(column("SELECT id FROM inbox WHERE state = 'triaged'"))
    linked = set(column("SELECT event_id FROM incident_events"))
    critical = set(column("SELECT id FROM incidents WHERE priority = 'P0'"))
    outgoing = set(column("SELECT key FROM outbox WHERE state != 'superseded'"))
    dead_jobs = column("SELECT kind || ' ' || error FROM jobs WHERE state IN ('dead', 'queued', 'running')")
    actions = rows.execute("SELECT key, review_id, state, dry_run FROM actions").fetchall()
    approved = set(
        column(
            "SELECT final_of FROM decisions d JOIN reviews r ON r.id = d.final_of WHERE r.kind = 'action' "
            "AND d.type IN ('approve', 'edit')"
        )
    )
    rows.close()
    with Ledger.open(store / "ledger.db") as ledger:
        chain = ledger.verify_chain()
        needed = {name: ledger.approvals(name) for name in {row[1] for row in actions}}
        tokens = {record.key: record.approvers for record in ledger.list_actions()}
    got = Counter(one.key for one in receipts)
    shown = Counter(
        (one.incident_id, one.stage, one.text) for one in {one.key: one for one in receipts}.values()
    )
    first = {one.incident_id for one in receipts if one.stage == "first"}
    per_review = Counter(review for _, review, state, _ in actions if state in ("done", "executing"))
    return {
        "acknowledged": len(trial.acknowledged),
        "lost_events": len(trial.acknowledged - triaged) + len(trial.acknowledged - linked),
        "not_sent_events": trial.events - len(trial.acknowledged),
        "notices": len(got),
        "lost_notices": len(outgoing - set(got)) + len(critical - first),
        "sent_again_same_key": sum(got.values()) - len(got),
        "duplicate_notices": sum(n - 1 for n in shown.values()),
        "actions": len(actions),
        "actions_moved": len(journal),
        "actions_by_state": dict(Counter(state for _, _, state, _ in actions)),
        "lost_actions": len(approved - {review for _, review, _, _ in actions}),
        "duplicate_actions": sum(n - 1 for n in per_review.values()),
        "unapproved_actions": sum(1 for key in journal if not tokens.get(key))
        + sum(1 for key, review, _, _ in actions if key in journal and _short_of(needed[review], review in approved)),
        "moved_without_record": len(set(journal) - {row[0] for row in actions}),
        "unfinished_jobs": len(dead_jobs),
        "unfinished_job_reasons": dict(Counter(dead_jobs).most_common(5)),
        "audit_intact": chain.ok,
        "audit_rows": chain.rows,
    }  # fmt: skip


def _short_of(found: tuple[tuple[str, ...], int], approved: bool) -> bool:
    """Fewer people said yes than its risk asks for, or the review does not stand approved."""
    agreed, needed = found
    return not approved or len(set(agreed)) < needed


def broken(figures: dict[str, Any]) -> list[str]:
    """The promises that did not hold, as text."""
    promises = ("lost_events", "not_sent_events", "lost_notices", "duplicate_notices", "lost_actions",
                "duplicate_actions", "unapproved_actions", "moved_without_record", "unfinished_jobs")  # fmt: skip
    wrong = [f"{name}: {figures[name]}" for name in promises if figures[name]]
    return wrong + ([] if figures["audit_intact"] else ["the audit chain is broken"])
