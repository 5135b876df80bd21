"""Evidence out of structured data, whatever its nesting: series, records with a time, rankings, single values.

A walk over the parsed document decides at each node by its shape alone: parallel arrays of times and values, pairs of
time and value, rows with a time and numbers, rows with a time and words, rows with a name and a weight.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tools.case_shapes import (
    KIND_KEY,
    METRIC_KEY,
    NAME_KEY,
    SAID_KEY,
    TEXT_KEY,
    TIME_KEY,
    TIMES_KEY,
    UNIT_KEY,
    VALUE_KEY,
    WEIGHT_KEY,
    WITHHELD_KEY,
    dimensions,
    generic,
    grid_of,
    holds_mappings,
    inline,
    is_identity,
    is_record,
    is_words,
    join,
    number,
    own_name,
    parts_of,
    subject,
    unit_of,
)
from tools.case_times import Clock
from tools.case_types import Consumer, Fact, Line, Problem, Readings

MOST_NODES = 400_000
MOST_GROUPS = 60
LEAST_ROWS = 3
"""So many readings make a series; fewer are single values."""
LONGEST_TEXT = 2000


@dataclass
class Collected:
    """What one walk found."""

    clock: Clock
    readings: list[Readings] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    consumers: list[Consumer] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    nodes: int = 0

    @property
    def now(self) -> datetime:
        """The end of what was measured so far; the alert's time where nothing was."""
        return max((one.times[-1] for one in self.readings), default=self.clock.reference)


def collect(document: object, file: str, into: Collected) -> None:
    """Everything in one parsed document of `file`."""
    _Walk(file, into).visit(document, "", "", "")


def collect_rows(rows: Sequence[dict[str, Any]], file: str, into: Collected) -> bool:
    """Rows of a table as series, where they have a time and numbers; False where they have not."""
    return _Walk(file, into).rows_of_readings(rows, "", "", "")


class _Walk:
    """One document. `path` is the place, `name` the nearest naming key, `of` the nearest thing named."""

    def __init__(self, file: str, into: Collected) -> None:
        self.file, self.into = file, into
        self.unit = ""
        """Unit said by the mapping that holds what is being looked at."""

    def visit(self, node: object, path: str, name: str, of: str) -> None:
        self.into.nodes += 1
        if self.into.nodes > MOST_NODES:
            if self.into.nodes == MOST_NODES + 1:
                self.into.problems.append(
                    Problem(self.file, f"more than {MOST_NODES:,} values: the rest is left unread")
                )
            return
        if isinstance(node, Mapping):
            self._mapping(self._allowed(node, path), path, name, of)
        elif isinstance(node, list):
            self._list(node, path, name, of)
        elif isinstance(node, str) and ("\n" in node or self.into.clock.head(node)[0]):
            for offset, line in enumerate(node.splitlines(), 1):
                self._text(line, f"{path} line {offset}" if "\n" in node else path, of)
        elif node is not None:
            self.into.facts.append(Fact(self.file, path, name, str(node)[:LONGEST_TEXT], number(node), of))

    def _text(self, line: str, place: str, of: str) -> None:
        time, rest = self.into.clock.head(line)
        if rest.strip():
            self.into.lines.append(Line(self.file, place, rest.strip()[:LONGEST_TEXT], time, of))

    def _allowed(self, node: Mapping[Any, Any], path: str) -> dict[str, Any]:
        kept = {}
        for key, value in node.items():
            if WITHHELD_KEY.fullmatch(str(key)):
                self.into.withheld.append(f"{self.file} {join(path, str(key))}")
            else:
                kept[str(key)] = value
        return kept

    def _mapping(self, node: dict[str, Any], path: str, name: str, of: str) -> None:
        of = subject(node) or of
        if (grid := grid_of(node)) is not None:
            self._list(grid, path, name, of)
            return
        taken = self._arrays(node, path, name, of) or self._pairs(node, path, name, of)
        if not taken and (time_key := self._time_key(node)) and is_record(node):
            self._record(node, time_key, path, name, of)
            # What the record lists is part of its words; as a fact of its own it would lose its time.
            taken = {
                key
                for key, value in node.items()
                if not isinstance(value, Mapping) and not holds_mappings(value)
            }
        outer, self.unit = self.unit, unit_of(node) or self.unit
        for key, value in node.items():
            if key not in taken and not UNIT_KEY.fullmatch(key):
                called = own_name(node) or name if generic(key) else key
                self.visit(value, join(path, key), called, of)
        self.unit = outer

    def _arrays(self, node: dict[str, Any], path: str, name: str, of: str) -> set[str]:
        """Parallel arrays: one of times, others of numbers of the same length."""
        times_key = next((k for k, v in node.items() if TIMES_KEY.fullmatch(k) and self._are_times(v)), None)
        if times_key is None:
            return set()
        times = [self.into.clock.when(one) for one in node[times_key]]
        arrays = {
            key: value for key, value in node.items()
            if key != times_key and isinstance(value, list) and any(number(v) is not None for v in value)
            and not any(isinstance(v, list | Mapping) for v in value)
        }  # fmt: skip
        own = own_name(node)
        for key, values in arrays.items():
            if len(values) != len(times):
                where = f"{self.file} {join(path, key)}"
                self.into.problems.append(
                    Problem(where, f"{len(values)} values for {len(times)} times: the excess is left out")
                )
            called = (
                own or name
                if len(arrays) == 1 and generic(key)
                else (f"{key}" if not own else f"{own} {key}")
            )
            self._series(
                zip(times, values, strict=False), path, called or key, unit_of(node), dimensions(node) or of
            )
        taken = {times_key, *arrays}
        return (
            taken
            | {k for k, v in node.items() if not isinstance(v, Mapping | list)}
            | {"dimensions", "Dimensions"}
        )

    def _are_times(self, values: object) -> bool:
        return isinstance(values, list) and bool(values) and self.into.clock.when(values[0]) is not None

    def _pairs(self, node: dict[str, Any], path: str, name: str, of: str) -> set[str]:
        """A list of [time, value] or [value, time] beside the labels that name it."""
        for key, value in node.items():
            order = self._pair_order(value)
            if order is None:
                continue
            own = own_name(node) or (name if generic(key) else key)
            points = ((self.into.clock.read(pair[order]), pair[1 - order]) for pair in value)
            self._series(points, join(path, key), own, unit_of(node), dimensions(node) or of)
            return {k for k, v in node.items() if k == key or not isinstance(v, list)}
        return set()

    def _pair_order(self, value: object) -> int | None:
        if not isinstance(value, list) or len(value) < LEAST_ROWS:
            return None
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
            return None
        for order in (0, 1):
            if all(self.into.clock.read(pair[order]) is not None for pair in value[:3]):
                return order
        return None

    def _series(
        self, points: Iterable[tuple[datetime | None, object]], path: str, name: str, unit: str, of: str
    ) -> None:
        given = [(time, number(value)) for time, value in points]
        good = sorted((time, value) for time, value in given if time is not None and value is not None)
        if lost := sum(1 for time, value in given if time is None or value is None):
            self.into.problems.append(
                Problem(
                    f"{self.file} {path}".rstrip(),
                    f"{name}: {lost} of {len(given)} readings are missing or no number",
                )
            )
        if good:
            times, values = zip(*good, strict=True)
            self.into.readings.append(
                Readings(self.file, path, name, unit or self.unit, "" if of == name else of, times, values)
            )

    def _list(self, node: list[Any], path: str, name: str, of: str) -> None:
        rows = [row for row in node if isinstance(row, Mapping)]
        if len(rows) == len(node) and rows:
            kept = [self._allowed(row, f"{path}[{at}]") for at, row in enumerate(rows)]
            if self.rows_of_readings(kept, path, name, of) or self._ranking(kept, path, name):
                return
            for at, row in enumerate(kept):
                self._mapping(row, f"{path}[{at}]", name, of)
            return
        if self._pair_order(node) is not None:
            self._pairs({name or "values": node}, path, name, of)
            return
        for at, item in enumerate(node):
            self.visit(item, f"{path}[{at}]", name, of)

    def _time_key(self, row: Mapping[str, Any]) -> str | None:
        """The key of when it happened; the first time it was seen where several are given."""
        keys = [k for k, v in row.items() if TIME_KEY.fullmatch(k) and self.into.clock.when(v) is not None]
        return (
            min(
                keys,
                key=lambda k: (
                    not k.lower().startswith(("time", "ts", "@")),
                    row[k] if isinstance(row[k], str) else "",
                ),
            )
            if keys
            else None
        )

    def _running_key(self, rows: Sequence[dict[str, Any]]) -> str | None:
        """A column of another name in which time runs on from row to row."""
        for key, value in rows[0].items():
            if not isinstance(value, str) or self.into.clock.when(value) is None:
                continue
            times = [self.into.clock.when(row.get(key)) for row in rows]
            if all(a and b and a <= b for a, b in itertools.pairwise(times)) and times[0] != times[-1]:
                return key
        return None

    def _record(self, row: dict[str, Any], time_key: str, path: str, name: str, of: str) -> None:
        flat = {
            k: v
            for k, v in row.items()
            if not isinstance(v, Mapping) and v not in (None, "") and k != time_key
        }
        said = [str(v) for k, v in flat.items() if TEXT_KEY.fullmatch(k) and isinstance(v, str)]
        rest = [
            f"{k} {inline(v)}" for k, v in flat.items() if not (TEXT_KEY.fullmatch(k) and isinstance(v, str))
        ]
        if not said:
            said, rest = [", ".join(rest)], [name] if name else []
        inner = [(k, v) for value in row.values() if isinstance(value, Mapping) for k, v in value.items()]
        nested = [
            f"{k} {v}"
            for k, v in inner
            if isinstance(v, str | int | float) and not WITHHELD_KEY.fullmatch(str(k))
        ]
        about = ", ".join(
            dict.fromkeys([*rest, *(n for n in [*nested, of] if n and not any(n in r for r in rest))])
        )
        time = self.into.clock.when(row[time_key])
        self.into.lines.append(
            Line(self.file, path, ": ".join(said)[:LONGEST_TEXT], time, about[:LONGEST_TEXT])
        )

    def rows_of_readings(self, rows: Sequence[dict[str, Any]], path: str, name: str, of: str) -> bool:
        """Rows with a time and numbers, but no words of their own."""
        first = rows[0]
        time_key = self._time_key(first) or self._running_key(rows)
        if time_key is None or len(rows) < LEAST_ROWS:
            return False
        columns = [k for row in rows[:50] for k in row if k != time_key]
        columns = list(dict.fromkeys(columns))
        if any(TEXT_KEY.fullmatch(c) and any(is_words(row.get(c)) for row in rows) for c in columns):
            return False
        numeric = [
            c for c in columns
            if sum(number(row.get(c)) is not None for row in rows) >= max(LEAST_ROWS, 0.2 * len(rows)) and not is_identity(c)
        ]  # fmt: skip
        texts = [c for c in columns if c not in numeric and any(is_words(row.get(c)) for row in rows)]
        if not numeric or len({tuple(str(row.get(c)) for c in texts) for row in rows}) > MOST_GROUPS:
            return False
        metric_key = next((c for c in texts if METRIC_KEY.fullmatch(c)), None)
        value_key = next((c for c in numeric if VALUE_KEY.fullmatch(c)), None)
        if len(numeric) > 1 or value_key is None:
            metric_key = None
        unit_key = next((c for c in texts if UNIT_KEY.fullmatch(c)), None)
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(tuple(str(row.get(c, "")) for c in texts), []).append(row)
        for key, members in groups.items():
            told = dict(zip(texts, key, strict=True))
            unit = told.pop(unit_key, "") if unit_key else ""
            own = told.pop(metric_key, "") if metric_key else ""
            whose = " ".join(v for v in told.values() if v) or of
            for column in numeric:
                label = own or (name if generic(column) and name else column)
                points = [(self.into.clock.when(row.get(time_key)), row.get(column)) for row in members]
                self._series(points, path, label, unit, whose)
        return True

    def _ranking(self, rows: Sequence[dict[str, Any]], path: str, name: str) -> bool:
        """Rows with a name and a weight. Their other values stay facts."""
        if any(isinstance(value, Mapping) for row in rows for value in row.values()):
            return False
        named = [k for k, v in rows[0].items() if NAME_KEY.fullmatch(k) and isinstance(v, str)]
        name_key = next((k for k in named if SAID_KEY.fullmatch(k)), named[0] if named else None)
        weight_key = next(
            (k for k, v in rows[0].items() if WEIGHT_KEY.fullmatch(k) and number(v) is not None), None
        )
        if name_key is None or weight_key is None or self._time_key(rows[0]):
            return False
        for at, row in enumerate(rows):
            weight = number(row.get(weight_key))
            if weight is None or not row.get(name_key):
                continue
            parts = tuple(
                part for value in row.values() if isinstance(value, list) for part in parts_of(value)
            )
            kind_key = next((k for k, v in row.items() if KIND_KEY.fullmatch(k) and isinstance(v, str)), None)
            kind = str(row[kind_key]) if kind_key else ""
            self.into.consumers.append(
                Consumer(
                    self.file,
                    f"{path}[{at}]",
                    name or self.file.split(".")[0],
                    str(row[name_key])[:LONGEST_TEXT],
                    weight,
                    weight_key,
                    kind,
                    parts,
                )
            )
            for key, value in row.items():
                if (
                    isinstance(value, str | int | float)
                    and not isinstance(value, bool)
                    and key not in (name_key, weight_key, kind_key)
                ):
                    self.visit(value, f"{path}[{at}].{key}", key, str(row[name_key])[:80])
        return True
