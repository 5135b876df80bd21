"""CSV and its relatives: the header says what the columns are, each row is one event."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping

from setpoint.errors import InputError
from setpoint.intake.draft import Draft
from setpoint.intake.fields import ALL_NAMES, Plan, make_plan, read_record

_DELIMITERS = (",", ";", "\t", "|")
_CELLS = {
    mark: re.compile(
        rf'(?:^|{re.escape(mark)})(?:"(?:[^"]++|"")*+(?P<close>"?)[^{re.escape(mark)}]*|[^{re.escape(mark)}]*)'
    )
    for mark in _DELIMITERS
}
"""By delimiter: one cell, and whether a quoted one closes."""
_NAME = re.compile(r"[\w@. /()%#-]{0,64}")


class Table:
    """One header and the plan its rows are read by."""

    def __init__(self, columns: list[str], delimiter: str, plan: Plan) -> None:
        self.columns, self.delimiter, self.plan = columns, delimiter, plan

    def row(self, line: str) -> Draft:
        """The draft of one row. Raises InputError where it has not the header's columns."""
        cells = split(line, self.delimiter)
        if len(cells) != len(self.columns):
            raise InputError(
                f"the row's columns ({len(cells)}) are not the header's ({len(self.columns)})",
                remedy="Quote cells that hold the delimiter; a shorter last row is a file still being written",
            )
        return read_record(dict(zip(self.columns, cells, strict=True)), self.plan, "csv")


def split(line: str, delimiter: str) -> list[str]:
    """The cells of one logical row. Raises InputError."""
    try:
        return next(csv.reader((line,), delimiter=delimiter, strict=False), [])
    except csv.Error as error:
        raise InputError(f"a CSV row that cannot be read: {error}", remedy="Mend the row") from error


def is_open(text: str, delimiter: str) -> bool:
    """Does a quoted cell begin in `text` and not end? A quote within a cell (`5" pipe`) opens nothing."""
    if text.count('"') % 2 == 0:
        return False
    *_, last = _CELLS[delimiter].finditer(text)
    return last["close"] == ""


def header(line: str, overrides: Mapping[str, str]) -> Table | None:
    """The table `line` opens; None where it is no header.

    Raises InputError where it is one, but of rows that say nothing an event could be made of.
    """
    tables = [
        opened
        for delimiter in _DELIMITERS
        if delimiter in line and (opened := _opened(line, delimiter, overrides))
    ]
    best = max(tables, key=lambda opened: len(opened.plan.fields), default=None)
    if best is None or best.plan.speaks():
        return best
    raise InputError(
        f"a CSV header without a column for message, kind or metric; its columns are {', '.join(best.columns[:12])}",
        remedy="Name the column that says what happened in the field map",
    )


def _opened(line: str, delimiter: str, overrides: Mapping[str, str]) -> Table | None:
    try:
        columns = [cell.strip() for cell in split(line, delimiter)]
    except InputError:
        return None
    plan = make_plan(columns, overrides)
    names_only = all(_NAME.fullmatch(column) for column in columns)
    plain_names = len(columns) > 2 or " " not in line
    sure = len(plan.fields) >= 2 or (len(plan.fields) == 1 and plain_names)
    return Table(_distinct(columns), delimiter, plan) if names_only and sure else None


def _distinct(columns: list[str]) -> list[str]:
    """A second column of one name must not overwrite the first."""
    seen: set[str] = set()
    named = []
    for number, column in enumerate(columns, start=1):
        named.append(f"{column}#{number}" if column in seen else column)
        seen.add(column)
    return named


def looks_like_header(line: str, table: Table, overrides: Mapping[str, str]) -> Table | None:
    """Another header in the middle (files put one after the other): most of its cells are names of fields."""
    first = line.partition(table.delimiter)[0].strip().strip('"')
    if first != table.columns[0] and first.lower() not in ALL_NAMES:
        return None
    opened = _opened(line, table.delimiter, overrides)
    if opened is None or not opened.plan.speaks():
        return None
    known = len(opened.plan.fields) + len(opened.plan.date)
    return opened if known >= 3 and known * 2 > len(opened.columns) else None
