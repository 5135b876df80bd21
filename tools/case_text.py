"""Evidence out of plain text: log lines, `key: value` settings, tables of aligned columns, JSON lines among them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence

from setpoint.intake.text import clean
from tools.case_shapes import WITHHELD_KEY, number
from tools.case_tables import LONGEST_TEXT, Collected, collect
from tools.case_types import Fact, Line, Problem

_SETTING = re.compile(r"^\s*[-*]?\s*([A-Za-z][\w .\-/]{0,50}?)\s*[:=]\s*(\S[^{}]{0,160})$")
_HEADING = re.compile(r"^[A-Z][A-Z0-9_()%/-]*(?: ?[A-Z0-9_()%/-]+)*(?:\s{2,}[A-Z][A-Z0-9_()%/ -]*)+$")
_CONTINUES = re.compile(r"^(?:\s+\S|at \S+\(|Caused by:|Traceback|\.{3} \d+ more)")
MOST_LINES = 60_000


def collect_text(text: str, file: str, into: Collected) -> None:
    """Every line of `text`: with a time it is a log line, as `key: value` a fact, else words without a time."""
    lines = clean(text).split("\n")
    if len(lines) > MOST_LINES:
        into.problems.append(Problem(file, f"{len(lines):,} lines: only the last {MOST_LINES:,} are read"))
        lines = lines[-MOST_LINES:]
    heading: Sequence[tuple[str, int]] = ()
    for number_, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("# ") or set(line.strip()) <= set("-=+|"):
            heading = () if not line.strip() else heading
            continue
        place = f"line {number_}"
        if _HEADING.match(line.rstrip()):
            heading = _columns(line)
        elif heading and len(line) > heading[-1][1]:
            _aligned(line, heading, file, place, into)
        else:
            _one(line, file, place, into)


def _one(line: str, file: str, place: str, into: Collected) -> None:
    if line.lstrip().startswith("{") and _as_json(line, file, place, into):
        return
    time, rest = into.clock.head(line)
    previous = into.lines[-1] if into.lines else None
    if time is None and previous and previous.file == file and previous.time and _CONTINUES.match(line):
        longer = f"{previous.text}; {line.strip()}"[:LONGEST_TEXT]
        into.lines[-1] = Line(file, previous.field, longer, previous.time, previous.about)
    elif time is None and (setting := _SETTING.match(rest)):
        _setting(setting[1].strip(), setting[2].strip(), file, place, into)
    elif rest.strip():
        into.lines.append(Line(file, place, rest.strip()[:LONGEST_TEXT], time))


def _setting(key: str, value: str, file: str, place: str, into: Collected) -> None:
    if WITHHELD_KEY.fullmatch(key.replace(" ", "_")):
        into.withheld.append(f"{file} {place} {key}")
        return
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


def _columns(line: str) -> list[tuple[str, int]]:
    """Names of aligned columns with where each begins."""
    return [(match.group().strip(), match.start()) for match in re.finditer(r"\S+(?: \S+)*", line)]


def _aligned(line: str, heading: Sequence[tuple[str, int]], file: str, place: str, into: Collected) -> None:
    """A row under a heading, as `kubectl get` or `ps` print it."""
    edges = [*(start for _, start in heading), len(line) + 1]
    cells = [line[a:b].strip() for a, b in itertools.pairwise(edges)]
    if len(re.split(r"\s{2,}", line.strip())) == len(heading):
        cells = re.split(r"\s{2,}", line.strip())
    about = cells[0]
    for (name, _), cell in zip(heading[1:], cells[1:], strict=False):
        if cell:
            into.facts.append(Fact(file, place, name, cell, number(cell), about))
    words = ", ".join(f"{name} {cell}" for (name, _), cell in zip(heading, cells, strict=False) if cell)
    into.lines.append(Line(file, place, words[:LONGEST_TEXT], None, about))
