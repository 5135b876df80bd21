"""How far a run of control loops has come, on stderr: one line that is written over on a terminal, and what waits for a
person wherever stderr goes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TextIO

from setpoint.app.formatting import counted, one_line
from setpoint.contracts import Review

EVERY_PU = 0.05
"""Where stderr is no terminal a line is written each time so much more of the run is done."""


class LoopProgress:
    """Listens to the engine. `ask`: people decide, so each question is told."""

    def __init__(self, out: TextIO, start: datetime, end: datetime, *, ask: bool) -> None:
        self._out, self._start, self._end, self._ask = out, start, end, ask
        self._overwrite, self._drawn, self._told_pu = out.isatty(), False, 0.0
        self._now, self._stage = start, ""
        self.cycles = self.asked = self.done = 0

    def __call__(self, what: str, value: Any) -> None:
        if what == "cycle-stage":
            cycle, stage = value
            self._stage = f"{cycle.split('-')[1]}: {stage}"
        elif what == "cycle":
            self.cycles += 1
        elif what == "review" and isinstance(value, Review):
            self.asked += 1
            if self._ask:
                self._line(f"{self._now:%m-%d %H:%M}  waits: {value.id}  {one_line(value.subject)}")
        elif what == "outcome":
            self.done += value[1].state == "done"
        elif what == "job-failed":
            job, error, state = value
            self._line(f"setpoint: job {job.kind} {job.key} failed ({state}): {error}")
        self._draw()

    def at(self, now: datetime) -> None:
        """The site has come so far."""
        self._now = now
        done_pu = (now - self._start) / (self._end - self._start)
        if not self._overwrite and done_pu >= self._told_pu + EVERY_PU:
            self._told_pu = done_pu
            print(self._said(), file=self._out, flush=True)
        self._draw()

    def _said(self) -> str:
        done_pu = min(1.0, (self._now - self._start) / (self._end - self._start))
        return (
            f"{self._now:%Y-%m-%d %H:%M} UTC, {done_pu:.0%}: {counted(self.cycles, 'cycle')}, {self.asked} asked, "
            f"{self.done} done"
        )

    def _draw(self) -> None:
        if self._overwrite:
            self._drawn = True
            print(f"\r\x1b[K{self._said()}  {self._stage}", end="", file=self._out, flush=True)

    def _line(self, text: str) -> None:
        self._clear()
        print(text, file=self._out, flush=True)

    def _clear(self) -> None:
        if self._drawn:
            print("\r\x1b[K", end="", file=self._out, flush=True)
            self._drawn = False

    def close(self) -> None:
        """Wipe the line that is written over."""
        self._clear()
