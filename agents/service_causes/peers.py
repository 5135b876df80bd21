"""One of many: a part that does what its equals do not, among series of one name and among rows of one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from agents.service_causes.changes import Movement
from tools.case_types import Fact

LEAST_PEERS, LEAST_ROWS = 3, 5
MOST_SHARE = 0.34
"""More than this share of the parts moving alike is no matter of one part."""
FAR_RATIO, FAR_DEVIATIONS = 3.0, 6.0
_NUMBER = re.compile(r"\d+")


def standing_out(movements: Sequence[Movement]) -> frozenset[int]:
    """Ids of movements of one part, or few, that hurt or changed while the others of their name stayed as they were."""
    found: set[int] = set()
    for group in _groups(movements):
        moved = [one for one in group if one.events and not one.recovered]
        still = [one for one in group if not one.events]
        if moved and len(moved) <= MOST_SHARE * len(group) and len(still) >= 2:
            found |= {id(one) for one in moved}
    return frozenset(found)


def _groups(movements: Sequence[Movement]) -> list[list[Movement]]:
    """Series of one file and name: numbers in names count parts (`broker2_cpu`), and so do labels."""
    found: dict[tuple[str, str], list[Movement]] = {}
    for moved in movements:
        found.setdefault((moved.readings.file, _NUMBER.sub("#", moved.readings.name)), []).append(moved)
    return [group for group in found.values() if len(group) >= LEAST_PEERS]


@dataclass(frozen=True)
class OddRow:
    """One cell that is far from the others of its column."""

    fact: Fact
    usual: float


def odd_rows(facts: Sequence[Fact]) -> list[OddRow]:
    """Rows of tables whose number is far from those of all other rows, at most one for each column."""
    columns: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        if fact.number is not None and fact.of:
            columns.setdefault((fact.file, fact.key), []).append(fact)
    return [
        odd for column in columns.values() if len(column) >= LEAST_ROWS and (odd := _odd(column)) is not None
    ]


def _odd(column: Sequence[Fact]) -> OddRow | None:
    values = [fact.number or 0.0 for fact in column]
    usual = median(values)
    spread = max(1.4826 * median(abs(value - usual) for value in values), 0.02 * abs(usual))
    far = [fact for fact, value in zip(column, values, strict=True) if _is_far(value, usual, spread)]
    return OddRow(far[0], usual) if 0 < len(far) <= 0.2 * len(column) else None


def _is_far(value: float, usual: float, spread: float) -> bool:
    if abs(value - usual) < FAR_DEVIATIONS * spread or abs(value - usual) < 1e-9:
        return False
    high, low = max(abs(value), abs(usual)), min(abs(value), abs(usual))
    return high >= FAR_RATIO * max(low, 1e-9) and high >= 1.0
