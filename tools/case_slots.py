"""Numbers inside log lines that say the same again and again: each place of a number becomes a series over time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import datetime

from tools.case_shapes import is_identity
from tools.case_types import Line, Readings

LEAST_LINES = 8
TIME_UNITS = ("ms", "s", "sec", "us")
MOST_SLOTS, MOST_TEMPLATES = 12, 40
_NUMBER = re.compile(r"(?<![\w.:/-])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d:]|[./-]\d)")
_NAME = re.compile(r"([A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z][A-Za-z0-9_-]*)?)[\s=:(\[|]*$")
_UNIT = re.compile(r"^\s?(ms|s|sec|us|%|[KMGT]i?B(?:/s|ps)?|tokens?/s|samples?/s|it/s|[GM]bps|W|C|MHz)\b|^%")


def series_in(lines: Sequence[Line]) -> list[Readings]:
    """Series out of the lines of one file. A number that counts on by itself, such as a step, is none."""
    templates: dict[str, list[Line]] = {}
    for line in lines:
        if line.time is not None:
            templates.setdefault(_NUMBER.sub("#", line.text), []).append(line)
    often = [same for same in templates.values() if len(same) >= LEAST_LINES]
    found = []
    for same in sorted(often, key=len, reverse=True)[:MOST_TEMPLATES]:
        found += _slots(same)
    return found


def _slots(lines: Sequence[Line]) -> list[Readings]:
    matches = list(_NUMBER.finditer(lines[0].text))[:MOST_SLOTS]
    values = [[float(match[0]) for match in list(_NUMBER.finditer(line.text))[:MOST_SLOTS]] for line in lines]
    times: list[datetime] = [line.time for line in lines if line.time is not None]
    order = sorted(range(len(times)), key=lambda at: times[at])
    found = []
    for place, match in enumerate(matches):
        name = _name(lines[0].text[: match.start()])
        column = tuple(values[at][place] for at in order)
        if name and not is_identity(name) and not _counts_on(column):
            unit = _UNIT.match(lines[0].text[match.end() :])
            if unit and unit[0].strip() in TIME_UNITS and not name.endswith("time"):
                name = f"{name} duration"
            found.append(
                Readings(lines[0].file, lines[0].field, name, unit[0].strip() if unit else "", "",
                         tuple(times[at] for at in order), column)
            )  # fmt: skip
    return found


def _name(before: str) -> str:
    """The word or two right before a number.

    >>> _name("step 120 | loss="), _name("took ")
    ('loss', 'took')
    """
    match = _NAME.search(before)
    return match[1].strip() if match else ""


def _counts_on(values: Sequence[float]) -> bool:
    """Whether values only climb by one even step, or never change."""
    steps = {round(b - a, 9) for a, b in itertools.pairwise(values)}
    return len(steps) == 1
