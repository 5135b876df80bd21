"""How far a run has come: one line on stderr that is written over, where stderr is a terminal."""

from __future__ import annotations

import time
from typing import Any, TextIO

EVERY_S = 0.25
MOST_TOLD = 20
"""Unreadable items that are named one by one; the rest is counted."""


class Progress:
    """Listens to the engine. `overwrite`: draw the line; unreadable items are told where `tell_bad` is set."""

    def __init__(self, out: TextIO, *, overwrite: bool, tell_bad: bool) -> None:
        self._out, self._overwrite, self._tell_bad = out, overwrite, tell_bad
        self.read = self.bad = self.ranked = self.analysed = 0
        self._drawn, self._next, self._untold = False, 0.0, 0

    def __call__(self, what: str, value: Any) -> None:
        if what == "accepted":
            taken, bad = value
            self.read += taken.new + taken.duplicates
            self._unreadable(bad)
        elif what == "triaged":
            self.ranked += len(value.ranked)
        elif what == "diagnosed":
            self.analysed += 1
        self._draw()

    def _unreadable(self, items: Any) -> None:
        for item in items:
            self.bad += 1
            if self._tell_bad and self.bad > MOST_TOLD:
                self._untold += 1
            elif self._tell_bad:
                self._clear()
                print(f"setpoint: {item.origin}: {item.reason}. {item.remedy}", file=self._out)

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._overwrite or now < self._next:
            return
        self._next, self._drawn = now + EVERY_S, True
        bad = f", {self.bad:,} unreadable" if self.bad else ""
        line = f"{self.read:,} events read{bad}, {self.ranked:,} ranked, {self.analysed:,} incidents analysed"
        print(f"\r\x1b[K{line}", end="", file=self._out, flush=True)

    def _clear(self) -> None:
        if self._drawn:
            print("\r\x1b[K", end="", file=self._out, flush=True)
            self._drawn = False

    def close(self) -> None:
        """Wipe the line, and say what was left unsaid."""
        self._clear()
        untold, self._untold = self._untold, 0
        if untold:
            print(f"setpoint: {untold:,} more items were unreadable", file=self._out)
