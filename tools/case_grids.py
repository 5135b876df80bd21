"""Tables inside plain text: columns aligned by spaces, as command lines print them, and columns between bars."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tools.case_shapes import TEXT_KEY, TIME_KEY, number
from tools.case_tables import LONGEST_TEXT, Collected, collect_rows
from tools.case_types import Fact, Line

_CAPITALS = re.compile(r"^\s*[A-Z][A-Z0-9_()%/-]*(?: ?[A-Z0-9_()%/-]+)*(?:\s{2,}[A-Z][A-Z0-9_()%/ -]*)+$")
_GAP = re.compile(r"\s{2,}|\t")
_RULE = re.compile(r"^[\s|:+=-]+$")
_AGE_NAME = re.compile(r"age|last seen|since|ago|when", re.IGNORECASE)
_AGE = re.compile(
    r"(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?(?: ago)?(?: \(x\d+ over .*\))?"
)
_WINDOW = re.compile(r"^(?P<start>.*?\d\d:\d\d(?::\d\d)?)\s*(?:-|\u2013|to|until)\s*\S+")
_DAY = re.compile(
    r"^(?P<day>\d{1,2}) (?P<month>[A-Z][a-z]{2})(?: (?P<year>\d{4}))? (?P<clock>\d\d:\d\d)(?::\d\d)?$"
)
LEAST_COLUMNS = 3


@dataclass(frozen=True)
class Grid:
    """A table: names of its columns, its rows with the line each stands in, and the line after it."""

    head: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    end: int


def grid_at(lines: Sequence[str], at: int) -> Grid | None:
    """The table whose head stands at `at`; None where there is none."""
    return _barred(lines, at) or _aligned(lines, at)


def _barred(lines: Sequence[str], at: int) -> Grid | None:
    if (
        not lines[at].lstrip().startswith("|")
        or at + 1 >= len(lines)
        or "-" not in lines[at + 1]
        or not _RULE.match(lines[at + 1])
    ):
        return None
    head = _cells(lines[at])
    rows, end = [], at + 2
    while end < len(lines) and lines[end].lstrip().startswith("|"):
        cells = _cells(lines[end])
        if len(cells) == len(head):
            rows.append((end + 1, cells))
        end += 1
    return Grid(head, tuple(rows), end) if rows else None


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().strip("`*") for cell in line.strip().strip("|").split("|"))


def _aligned(lines: Sequence[str], at: int) -> Grid | None:
    """A head is in capitals, or lies over a rule, or over a row with as many cells of which one is a number."""
    head_line = lines[at].rstrip()
    head = tuple(_GAP.split(head_line.strip()))
    capitals = bool(_CAPITALS.match(head_line))
    if not capitals and (
        len(head) < LEAST_COLUMNS or any(number(cell) is not None or len(cell) > 40 for cell in head)
    ):
        return None
    ruled = at + 1 < len(lines) and bool(lines[at + 1].strip()) and bool(_RULE.match(lines[at + 1]))
    first = at + 1 + ruled
    if first >= len(lines) or not (capitals or ruled or _numbers_under(head, lines[first])):
        return None
    starts = [match.start() for match in re.finditer(r"\S+(?: \S+)*", head_line)]
    rows, end = [], first
    while end < len(lines) and lines[end].strip() and not _RULE.match(lines[end]):
        cells = _row(lines[end], head, starts)
        if cells is None:
            break
        rows.append((end + 1, cells))
        end += 1
    return Grid(head, tuple(rows), end) if rows else None


def _numbers_under(head: Sequence[str], line: str) -> bool:
    cells = _GAP.split(line.strip())
    return len(cells) == len(head) and any(number(cell) is not None for cell in cells)


def _row(line: str, head: Sequence[str], starts: Sequence[int]) -> tuple[str, ...] | None:
    """Cells by their gaps, or by where the columns begin where a cell is empty or holds gaps itself."""
    cells = _GAP.split(line.strip())
    if len(cells) == len(head):
        return tuple(cells)
    if len(line) <= starts[-1]:
        return None
    return tuple(line[a:b].strip() for a, b in itertools.pairwise([*starts, len(line) + 1]))


def take_grid(grid: Grid, file: str, into: Collected) -> None:
    """Rows with a running time are series; of other rows each cell is a fact, and the row a line."""
    records = [dict(zip(grid.head, cells, strict=True)) for _, cells in grid.rows]
    if collect_rows(records, file, into):
        return
    timed = [
        name
        for name in grid.head
        if TIME_KEY.fullmatch(name.split(" (")[0])
        or _AGE_NAME.fullmatch(name)
        or name.lower().startswith("window")
    ]
    events = any(TEXT_KEY.fullmatch(name) for name in grid.head)
    for place, cells in grid.rows:
        _take_row(
            dict(zip(grid.head, cells, strict=True)), f"line {place}", file, into, timed if events else ()
        )


def _take_row(row: dict[str, str], place: str, file: str, into: Collected, timed: Sequence[str]) -> None:
    (_, about), *rest = row.items()
    time = next((found for name in timed if (found := _when(row[name], name, into))), None)
    for name, cell in (
        rest if time is None else ()
    ):  # a fact has no time: what an event says stays in its line
        if cell:
            into.facts.append(Fact(file, place, name, cell, number(cell), about))
    words = ", ".join(f"{name} {cell}" for name, cell in row.items() if cell)
    into.lines.append(Line(file, place, words[:LONGEST_TEXT], time, about))


def _when(cell: str, name: str, into: Collected) -> datetime | None:
    """A time, the start of a window, or an age counted back from the last reading."""
    if _AGE_NAME.fullmatch(name) and (age := _age(cell)) is not None:
        return into.now - age
    window = _WINDOW.match(cell)
    given = window["start"].strip() if window else cell
    if match := _DAY.match(given):
        return into.clock.read(
            f"{match['month']} {match['day']} {match['year'] or into.clock.reference.year} {match['clock']}:00"
        )
    return into.clock.when(given)


def _age(cell: str) -> timedelta | None:
    match = _AGE.fullmatch(cell.strip())
    if not match or not any(match[unit] for unit in ("days", "hours", "minutes", "seconds")):
        return None
    return timedelta(**{unit: int(match[unit] or 0) for unit in ("days", "hours", "minutes", "seconds")})
