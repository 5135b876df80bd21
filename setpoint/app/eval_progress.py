"""How far an eval run has come, on stderr: one line that is written over on a terminal, else a line a suite."""

from __future__ import annotations

import sys

from evals.running.plan import Plan


class EvalProgress:
    """Is told by the run. The first call about a job announces it."""

    def __init__(self, plan: Plan) -> None:
        self._jobs = len(plan.jobs)
        self._begun: list[str] = []
        self._drawn = False
        self._live = sys.stderr.isatty()

    def __call__(self, job: str, done: int, of: int) -> None:
        if job not in self._begun:
            self._begun.append(job)
            if not self._live:
                self._say(f"{self._place(job)}: {of or done} cases{'' if of else ', done'}")
        if self._live:
            self._drawn = True
            print(
                f"\r\x1b[K{self._place(job)}: case {done}{f' of {of}' if of else ', done'}",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def _place(self, job: str) -> str:
        return f"[{self._begun.index(job) + 1} of {self._jobs}] {job}"

    def _say(self, words: str) -> None:
        print(words, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Wipes the line."""
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
