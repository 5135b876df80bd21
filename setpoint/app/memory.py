"""What correlation remembers, kept in step with what people say and with the disk.

The ledger is enough to rebuild it; the file in the store makes that short, and keeps what a day of history does not
show (repeat offenders). A file that is missing, old or unreadable costs time at the next start, nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agents.correlator import Correlator
from setpoint.contracts import Correlated, Event
from setpoint.ledger import Ledger

log = logging.getLogger("setpoint")
RECENT = timedelta(days=1)
"""History that correlation learns again from where there is no file."""
WRITE_EVERY_S = 300.0
WRITE_AT_LAST_S = 1800.0
"""Written this often even where no calm moment came."""


class Memory:
    """The correlator of a running Setpoint. `observe` and `settle` belong to triage; the rest may be called from any
    thread."""

    def __init__(self, correlator: Correlator, ledger: Ledger, path: Path) -> None:
        self._correlator, self._ledger, self._path = correlator, ledger, path
        self._said: deque[Callable[[], None]] = deque()
        self._open: set[str] = set()
        """Events that were placed and are not committed. Written down like that, they would come back as repeats."""
        self._written_at = time.monotonic()
        at = self._restore()
        since = datetime.now(UTC) - RECENT if at is None else None
        correlator.rebuild(ledger.iter_triaged(since, committed_after=at))

    def observe(self, events: Sequence[Event]) -> Sequence[Correlated]:
        """Place each event."""
        self._open.update(event.id for event in events)
        return self._correlator.observe(events)

    def committed(self, events: Sequence[Event]) -> None:
        """What was placed is in the ledger now."""
        self._open.difference_update(event.id for event in events)

    def closed(self, incident: str) -> None:
        """A person closed it: what comes next is a new incident."""
        self._said.append(lambda: self._correlator.forget(incident))

    def merged(self, incident: str, into: str) -> None:
        """A person put one incident into another."""
        self._said.append(lambda: self._correlator.merge(incident, into))

    def settle(self, *, calm: bool) -> None:
        """Between two batches: take in what people said, and write the file when it is time."""
        while self._said:
            self._said.popleft()()
        age_s = time.monotonic() - self._written_at
        if age_s > WRITE_AT_LAST_S or (calm and age_s > WRITE_EVERY_S):
            self.write()

    def write(self) -> None:
        """Write the file, whole or not at all; not while a batch is half done."""
        if self._open:
            return
        self._written_at = time.monotonic()
        fresh = self._path.with_suffix(".new")
        try:
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps({"at": datetime.now(UTC).isoformat()}).encode() + b"\n")
                file.write(self._correlator.snapshot())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            log.warning("what correlation remembers was not written: %s", error)

    def _restore(self) -> datetime | None:
        """Read the file. Returns when it was written; None where there is none to go by."""
        try:
            head, _, body = self._path.read_bytes().partition(b"\n")
            at = datetime.fromisoformat(json.loads(head)["at"])
            self._correlator.restore(body)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("what correlation remembers cannot be read, learning again: %s", error)
            return None
        return at
