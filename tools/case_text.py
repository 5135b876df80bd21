"""Evidence out of plain text: log lines, `key: value` settings, tables, differences of files, JSON lines among them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from setpoint.intake.text import clean
from tools.case_grids import grid_at, take_grid
from tools.case_shapes import WITHHELD_KEY, number
from tools.case_slots import series_in
from tools.case_tables import LONGEST_TEXT, Collected, collect
from tools.case_types import Fact, Line, Problem

_SETTING = re.compile(r"^\s*[-*]?\s*([A-Za-z][\w .\-/]{0,50}?)\s*[:=]\s*(\S[^{}]{0,160})$")
_CONTINUES = re.compile(r"^(?:\s+\S|at \S+\(|Caused by:|Traceback|\.{3} \d+ more)")
_DIFF = re.compile(r"^(?:@@ -\d|diff --git |\+\+\+ |--- \S+\s*(?:\(|$))|^\s*-\s.*\n\s*\+\s", re.MULTILINE)
_CHANGED = re.compile(r"^\s*[-+](?![-+]{2} )\s*\S")
_FRAME = re.compile(r"^\s*(?:@@|diff --git |index [0-9a-f]+\.\.|-{3} |\+{3} )")
_SAMPLE = re.compile(
    r"^(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>[^}]*)\})?\s+(?P<value>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?:\s+\d{10,13})?$"
)
"""A metric as exporters print it."""
_PAIRS = re.compile(r"(?:^|\s)\w[\w.-]*=\S+")
_PARTS = re.compile(r"\w+=[^,=\s]+(?:,\w+=[^,=\s]+)+")
LEAST_PAIRS = 3
"""A line of so many `key=value` pairs is a record, not one setting."""
MOST_LINES = 60_000
DIFF_ABOUT = "configuration changed"


def collect_text(text: str, file: str, into: Collected) -> None:
    """Every line of `text`: with a time it is a log line, as `key: value` a fact, else words without a time."""
    lines = clean(text).split("\n")
    if len(lines) > MOST_LINES:
        into.problems.append(Problem(file, f"{len(lines):,} lines: only the last {MOST_LINES:,} are read"))
        lines = lines[-MOST_LINES:]
    if _is_difference(lines):
        _difference(lines, file, into)
        return
    at = 0
    while at < len(lines):
        grid = grid_at(lines, at)
        if grid is not None:
            take_grid(grid, file, into)
            at = grid.end
            continue
        line = lines[at]
        at += 1
        if line.strip() and not set(line.strip()) <= set("-=+|"):
            _one(line, file, f"line {at}", into)
    into.readings += series_in([line for line in into.lines if line.file == file])


def _one(line: str, file: str, place: str, into: Collected) -> None:
    if line.lstrip().startswith("{") and _as_json(line, file, place, into):
        return
    time, rest = into.clock.head(line)
    previous = into.lines[-1] if into.lines else None
    if time is None and previous and previous.file == file and previous.time and _CONTINUES.match(line):
        longer = f"{previous.text}; {line.strip()}"[:LONGEST_TEXT]
        into.lines[-1] = Line(file, previous.field, longer, previous.time, previous.about)
    elif line.startswith("# "):
        _comment(line, file, place, into)
    elif time is None and (sample := _SAMPLE.match(rest)):
        into.facts.append(
            Fact(
                file, place, sample["name"], sample["value"], number(sample["value"]), sample["labels"] or ""
            )
        )
    elif time is None and len(_PAIRS.findall(rest)) < LEAST_PAIRS and (setting := _SETTING.match(rest)):
        _setting(setting[1].strip(), setting[2].strip(), file, place, into)
    elif rest.strip():
        into.lines.append(Line(file, place, rest.strip()[:LONGEST_TEXT], time))


def _comment(line: str, file: str, place: str, into: Collected) -> None:
    """A heading of the file: said where it is a sentence, left out where it is a bare title."""
    if len(line.split()) > 3:
        into.lines.append(Line(file, place, line[2:].strip()[:LONGEST_TEXT], into.clock.inside(line)))


def _setting(key: str, value: str, file: str, place: str, into: Collected) -> None:
    if WITHHELD_KEY.fullmatch(key.replace(" ", "_")):
        into.withheld.append(f"{file} {place} {key}")
        return
    parts = _PARTS.fullmatch(value) and [part.split("=", 1) for part in value.split(",")]
    if parts:
        into.facts += [Fact(file, place, name, text, number(text), key) for name, text in parts]
    else:
        into.facts.append(Fact(file, place, key, value, number(value)))


def _as_json(line: str, file: str, place: str, into: Collected) -> bool:
    try:
        document = json.loads(line)
    except ValueError:
        return False
    before = len(into.lines)
    collect(document, file, into)
    into.lines[before:] = [
        Line(found.file, f"{place} {found.field}".rstrip(), found.text, found.time, found.about)
        for found in into.lines[before:]
    ]
    return True


# ---- differences of files --------------------------------------------------------------------------------------------


def _is_difference(lines: Sequence[str]) -> bool:
    """Whether lines are what changed in a file, as `diff`, `git` and `helm diff` print it."""
    taken = sum(bool(_CHANGED.match(line)) and line.strip()[0] == "-" for line in lines)
    added = sum(bool(_CHANGED.match(line)) and line.strip()[0] == "+" for line in lines)
    return bool(taken and added and _DIFF.search("\n".join(lines)))


def _difference(lines: Sequence[str], file: str, into: Collected) -> None:
    """What was taken out and what was put in stands in one line, with the time that the heading names."""
    time = next(
        (found for line in lines if not _CHANGED.match(line) and (found := into.clock.inside(line))), None
    )
    block: list[str] = []
    began = 0
    for at, line in enumerate([*lines, ""], 1):
        if _CHANGED.match(line) and not _FRAME.match(line):
            began = began or at
            block.append(" ".join(line.split()))
            continue
        if block:
            into.lines.append(Line(file, f"line {began}", "; ".join(block)[:LONGEST_TEXT], time, DIFF_ABOUT))
            block, began = [], 0
        if line.strip() and not line.lstrip().startswith("@@") and len(line.split()) > 3:
            into.lines.append(
                Line(file, f"line {at}", line.strip()[:LONGEST_TEXT], time, "heading of a change")
            )
