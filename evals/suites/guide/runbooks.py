"""The runbooks as their files have them, read apart from the code that writes guides, so that an error in reading is one
that the judge can see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import knowledge

CORPUS = Path(knowledge.__file__).parent / "corpus"
_NUMBERED = re.compile(r"(\d+)\. (.*)")
_TAG = re.compile(r" *\{action: (\w+)\}$")
_PLACE = re.compile(r"(?P<section>[a-z0-9-]+)#(?P<heading>[a-z-]+)(?:/(?P<number>\d+))?")


@dataclass(frozen=True)
class Item:
    """One numbered or listed line of a runbook."""

    text: str
    """Without its number and action tag."""
    action: str


@dataclass(frozen=True)
class Runbook:
    """One file: its items by heading and number, and everything under a heading as one line of text."""

    items: Mapping[str, Mapping[int, Item]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@cache
def runbooks() -> Mapping[str, Runbook]:
    """By file name, which is the section's id."""
    return {path.stem: read_runbook(path.read_text("utf-8")) for path in sorted(CORPUS.rglob("*.md"))}


def read_runbook(text: str) -> Runbook:
    """From a file's text. A wrapped item goes on in the next line."""
    items: dict[str, dict[int, Item]] = {}
    texts: dict[str, str] = {}
    for part in text.split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        heading = title.strip().lower().replace(" ", "-")
        texts[heading] = flat(body)
        items[heading] = _items(body)
    return Runbook(items, texts)


def _items(body: str) -> dict[int, Item]:
    lines: list[str] = []
    for line in body.splitlines():
        if _NUMBERED.match(line) or line.startswith("- "):
            lines.append(line)
        elif line.strip() and lines:
            lines[-1] += f" {line.strip()}"
    return {place: _item(line) for place, line in enumerate(lines, 1)}


def _item(line: str) -> Item:
    numbered = _NUMBERED.match(line)
    text = flat(numbered[2] if numbered else line.removeprefix("- "))
    tag = _TAG.search(text)
    return Item(_TAG.sub("", text), tag[1] if tag else "")


@dataclass(frozen=True)
class Place:
    """Where a citation points."""

    section: str
    heading: str
    number: int | None
    text: str
    """All that stands there."""
    item: Item | None
    """The one line, where it names one."""


def place_of(passage_id: str) -> Place | None:
    """None where there is no such file, heading or line.

    >>> place_of("pump-failure#steps/2").item.action
    'start_standby_pump'
    """
    found = _PLACE.fullmatch(passage_id)
    runbook = runbooks().get(found["section"]) if found else None
    if found is None or runbook is None or found["heading"] not in runbook.texts:
        return None
    heading = found["heading"]
    if found["number"] is None:
        return Place(found["section"], heading, None, runbook.texts[heading], None)
    number = int(found["number"])
    item = runbook.items[heading].get(number)
    return Place(found["section"], heading, number, item.text, item) if item else None


def flat(text: str) -> str:
    """On one line, single spaces."""
    return " ".join(text.split())
