"""A small suite whose cases go as they are told to: for tests of what runs suites and reads their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from inspect_ai.dataset import Sample

from evals.figures import Figure, rate, resampled
from evals.registry import SUITES, Ask, Prepared, Suite
from evals.running.tasks import suite_task


@dataclass
class Double:
    """A suite of cases c00, c01, ... of which some are wrong, raise, or hold their own answer."""

    cases: int = 8
    wrong: frozenset[str] = frozenset()
    raises: Mapping[str, BaseException] = field(default_factory=dict)
    leaks: frozenset[str] = frozenset()
    hard: bool = False
    skipped: tuple[str, ...] = ()
    gate: str = ""
    unprepared: BaseException | None = None

    def prepare(self, ask: Ask) -> Prepared:
        if self.unprepared:
            raise self.unprepared
        names = [f"c{number:02d}" for number in range(self.cases)]
        samples = [self._sample(name) for name in names[: ask.limit]]
        task = suite_task("double", samples, self._answer, self._judge, ("good",))
        return Prepared(task, self._figures, self.skipped, lambda _: self.gate)

    def _sample(self, name: str) -> Sample:
        told = "it is a heron" if name in self.leaks else "it is a herons' bird"
        return Sample(id=name, input=told, target="heron", metadata={"name": name})

    def _answer(self, case: Mapping[str, Any]) -> Mapping[str, Any]:
        if case["name"] in self.raises:
            raise self.raises[case["name"]]
        return {"text": "heron" if case["name"] not in self.wrong else "egret"}

    def _judge(self, case: Mapping[str, Any], said: Mapping[str, Any]) -> Mapping[str, Any]:
        good = said["text"] == "heron"
        return {"good": good, "problems": [] if good else [f"says {said['text']}, is heron"]}

    def _figures(self, rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
        return [
            rate("birds", "right", rows, lambda row: row["good"], hard=self.hard),
            resampled(
                "birds", "right, resampled", rows, lambda some: sum(row["good"] for row in some) / len(some)
            ),
        ]


@dataclass(frozen=True)
class Entry(Suite):
    """An entry of the registry with a suite that is already there."""

    double: Any = None

    def load(self) -> Any:
        return self.double


def enter(monkeypatch: pytest.MonkeyPatch, name: str, double: Double, *systems: str) -> None:
    """Put it into the registry for the time of a test."""
    found = cast(Any, systems or ("rules",))
    monkeypatch.setitem(SUITES, name, Entry("a double", "", found, double=double))


def numbered(first: int, last: int) -> frozenset[str]:
    return frozenset(_names(first, last))


def _names(first: int, last: int) -> Iterator[str]:
    return (f"c{number:02d}" for number in range(first, last))
