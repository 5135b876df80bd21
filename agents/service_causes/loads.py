"""Who uses what: rankings of statements, waits, users and hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from knowledge.service_causes import load_catalog
from tools.case_types import Consumer, ServiceCase

LEAST_WRITER = 0.15
LEAST_LEAD = 0.4
"""A consumer is the main one from this share of its ranking."""


@dataclass(frozen=True)
class Loads:
    """What the rankings say together."""

    waits: dict[str, float]
    """Share of each kind of wait: cpu, io, lock, latch, log, idle, network. Empty where no ranking has waits."""
    wait_rows: dict[str, Consumer]
    """The largest row of each kind of wait."""
    leaders: tuple[tuple[Consumer, float], ...]
    """The first of each ranking with its share, statements first."""
    holder: Consumer | None = None
    """Where most rows of a list wait for a lock: the longest-running one that does not."""

    biggest_writer: tuple[Consumer, float] | None = None
    """The statement that writes most, with its share, though others may read more."""

    @property
    def writer(self) -> Consumer | None:
        """The leading statement, where it writes."""
        return next(
            (c for c, _ in self.leaders if load_catalog().writes.search(c.name) and " " in c.name), None
        )


def loads_of(case: ServiceCase) -> Loads:
    """The rankings of a case, summed up."""
    tables: dict[tuple[str, str], list[Consumer]] = {}
    for consumer in case.consumers:
        tables.setdefault((consumer.file, consumer.table), []).append(consumer)
    waits: dict[str, float] = {}
    rows: dict[str, Consumer] = {}
    for table in sorted(tables.values(), key=len):
        kinds = [(wait_kind(f"{row.kind} {row.name}"), row) for row in table]
        known = [(kind, row) for kind, row in kinds if kind]
        if not waits and len(known) >= max(1, len(table) / 2) and not any(row.parts for row in table):
            total = sum(row.weight for row in table) or 1.0
            for kind, row in known:
                assert kind is not None
                waits[kind] = waits.get(kind, 0.0) + row.weight / total
                if kind not in rows or row.weight > rows[kind].weight:
                    rows[kind] = row
    return Loads(
        waits,
        rows,
        tuple(_leaders(list(tables.values()))),
        _holder(list(tables.values())),
        _biggest_writer(list(tables.values())),
    )


def _leaders(tables: Sequence[Sequence[Consumer]]) -> list[tuple[Consumer, float]]:
    """Rows of one name count together."""
    found = []
    for table in tables:
        sums: dict[str, float] = {}
        for row in table:
            sums[row.name] = sums.get(row.name, 0.0) + max(row.weight, 0.0)
        name = max(sums, key=lambda one: sums[one])
        total = sum(sums.values())
        if total > 0 and sums[name] / total >= LEAST_LEAD and len(sums) > 1:
            row = max((r for r in table if r.name == name), key=lambda r: r.weight)
            found.append((row, sums[name] / total))
    return sorted(found, key=lambda pair: (not is_statement(pair[0]), -pair[1]))


def is_statement(consumer: Consumer) -> bool:
    """Whether a row is something being done rather than someone who does it."""
    return len(consumer.name.split()) >= 3


def _biggest_writer(tables: Sequence[Sequence[Consumer]]) -> tuple[Consumer, float] | None:
    for table in tables:
        writing = [row for row in table if is_statement(row) and load_catalog().writes.search(row.name)]
        total = sum(row.weight for row in table)
        if writing and total > 0:
            top = max(writing, key=lambda row: row.weight)
            if top.weight >= LEAST_WRITER * total:
                return top, top.weight / total
    return None


def _holder(tables: Sequence[Sequence[Consumer]]) -> Consumer | None:
    for table in tables:
        waiting = [row for row in table if wait_kind(row.kind) == "lock"]
        others = [
            row for row in table if wait_kind(row.kind) not in ("lock", "idle") and len(row.name.split()) > 1
        ]
        if len(waiting) >= 2 and len(waiting) >= len(table) / 2 and others:
            return max(others, key=lambda row: row.weight)
    return None


def wait_kind(text: str) -> str | None:
    """What the time of a wait is spent on.

    >>> wait_kind("IO IO:DataFileRead"), wait_kind("WAL WAL:Lock"), wait_kind("api_service")
    ('io', 'log', None)
    """
    return next((kind for kind, words in load_catalog().waits if words.search(text)), None)
