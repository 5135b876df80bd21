"""Runs a whole small Setpoint day on one ledger in child processes that are killed with -9 at random instants.

    python -m tests.setpoint.ledger.killed_worker LEDGER LOG EVENTS KILLS SEED

The last child is left alone and finishes. LOG gets a line for each thing somebody outside was told or that
happened outside: A event acknowledged, S notice at the sink, X action executed. The children fork from this
process, since importing takes longer than living. Prints how many were killed, and how many of these after having
told something.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from setpoint.contracts import Action, Event, Outcome
from setpoint.contracts.dispatch import Dispatch, JobRequest
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import dispatch, event, incident, notice, ranked

_BATCH = 7
_LEASE_S = 0.02


class Worker:
    """Sender, triage, deliverer and executor in one process, each only a few statements long."""

    def __init__(self, path: str, log: str, events: int) -> None:
        self.ledger = Ledger.open(path)
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.events = events

    def tell(self, kind: str, names: list[str]) -> None:
        """One write: a kill leaves all of it or nothing."""
        os.write(self.log, "".join(f"{kind} {name}\n" for name in names).encode())

    def run(self) -> None:
        sent = sum(1 for _ in self.ledger.iter_events()) // _BATCH * _BATCH
        busy = True
        while busy:
            busy = sent < self.events
            if busy:
                self.send(list(range(sent, min(sent + _BATCH, self.events))))
                sent += _BATCH
            busy = self.triage() | self.deliver() | self.act() | busy

    def send(self, numbers: list[int]) -> None:
        batch = [event(n, f"gpu-{n % 50}") for n in numbers]
        self.ledger.accept(batch)
        self.tell("A", [item.id for item in batch])

    def triage(self) -> bool:
        pending = self.ledger.pending(5)
        if pending:
            self.ledger.commit_triage(_dispatch(pending))
        return bool(pending)

    def deliver(self) -> bool:
        due = self.ledger.due(10)
        for delivery in due:
            self.tell("S", [delivery.key])
        self.ledger.mark_sent([delivery.key for delivery in due])
        return bool(due)

    def act(self) -> bool:
        job = self.ledger.claim(("slow",), f"pid-{os.getpid()}", lease_s=_LEASE_S)
        if job is None:
            return bool(self.ledger.list_jobs(states=("queued", "running"), limit=1))
        move = Action(name="cap_gpu_power", asset=job.key, args={"power_w": 500})
        if self.ledger.begin_action(f"act-{job.key}", move, incident_id=job.key, dry_run=False):
            self.tell("X", [job.key])
            outcome = Outcome(action_id=job.key, state="done", message="", dry_run=False)
            self.ledger.finish_action(f"act-{job.key}", outcome)
        self.ledger.finish(job)
        return True


def _dispatch(pending: list[Event]) -> Dispatch:
    names = [f"INC-{item.id}" for item in pending]
    return dispatch(
        [ranked(item, name) for item, name in zip(pending, names, strict=True)],
        [incident(name) for name in names],
        new_incidents=tuple(names),
        notices=tuple(notice(name) for name in names),
        jobs=tuple(JobRequest(kind="slow", key=name) for name in names),
    )


def _live(path: str, log: str, events: int, ready: int) -> None:
    """The child: says that it is about to work, and works until it is done or killed."""
    code = 1
    try:
        worker = Worker(path, log, events)
        os.write(ready, b"!")
        worker.run()
        code = 0
    finally:
        os._exit(code)


def _kill_soon(child: int, ready: int, delay_s: float) -> None:
    """Kill once the child works: killing it while it only opens its files would test little."""
    if os.read(ready, 1):
        time.sleep(delay_s)  # the instant of the kill is what is tested
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def main(path: str, log: str, events: int, kills: int, seed: int) -> int:
    Ledger.open(path).close()  # migrate before, since nothing is acknowledged until then
    Path(log).touch()
    told = 0
    chance = random.Random(seed)
    deadline = datetime.now(UTC) + timedelta(minutes=5)
    killed = killed_at_work = 0
    while datetime.now(UTC) < deadline:
        ready, says_ready = os.pipe()
        child = os.fork()
        if child == 0:
            _live(path, log, events, says_ready)
        os.close(says_ready)
        if killed < kills:
            _kill_soon(child, ready, chance.uniform(0.0, 0.2))
        os.close(ready)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            killed += 1
            told, before = os.stat(log).st_size, told
            killed_at_work += told > before
            continue
        print(killed, killed_at_work)
        return os.waitstatus_to_exitcode(status)
    return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], *(int(text) for text in sys.argv[3:])))
