"""Runbook sections: Markdown files with front matter, read into passages and citable steps."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from setpoint.contracts import Citation, Passage
from setpoint.errors import ConfigError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where it is there: ten times faster, and a start must be quick."""
CORPUS = Path(__file__).parent / "corpus"
HEADINGS = ("Meaning", "Likely causes", "Checks", "Steps", "Escalate when")
_STEP = re.compile(r"^\d+\.\s+(.*)$")
_ACTION = re.compile(r"\s*\{action:\s*([a-z_]+)\}\s*$")


@dataclass(frozen=True)
class Step:
    """One numbered line of a section."""

    number: int
    text: str
    """Without number and action tag; this is what a citation quotes."""
    action: str | None
    """The catalog action that carries it out, where there is one."""

    @property
    def is_safety(self) -> bool:
        return self.text.startswith("Safety:")


@dataclass(frozen=True)
class Section:
    """One runbook section."""

    id: str
    title: str
    tags: tuple[str, ...]
    causes: tuple[str, ...]
    version: str
    sources: tuple[str, ...]
    parts: dict[str, str]
    """Text by heading slug."""

    @property
    def checks(self) -> tuple[Step, ...]:
        return _steps(self.parts.get("checks", ""))

    @property
    def steps(self) -> tuple[Step, ...]:
        return _steps(self.parts.get("steps", ""))

    def passages(self) -> Iterator[Passage]:
        for heading, text in self.parts.items():
            yield Passage(
                id=f"{self.id}#{heading}",
                section=self.id,
                title=self.title,
                heading=heading,
                text=text,
                version=self.version,
            )

    def cite(self, heading: str, step: Step) -> Citation:
        return Citation(passage_id=f"{self.id}#{heading}/{step.number}", quote=step.text)


def slug(heading: str) -> str:
    """`Escalate when` to `escalate-when`."""
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def parse_section(text: str, where: str) -> Section:
    """One section of a Markdown text. Raises ConfigError with file, field and remedy."""
    match = re.match(r"\A---\n(.*?)\n---\n(.*)\Z", text, re.DOTALL)
    if not match:
        raise ConfigError("no front matter between two lines of ---", where=where)
    try:
        front = yaml.load(match[1], Loader=_LOADER)
        return Section(
            id=front["id"],
            title=front["title"],
            tags=tuple(front.get("tags") or ()),
            causes=tuple(front.get("causes") or ()),
            version=str(front["version"]),
            sources=tuple(front["sources"]),
            parts=_parts(match[2]),
        )
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(
            f"front matter: {error}", where=where, remedy="Needed: id, title, version, sources"
        ) from error


@cache
def load_corpus(folder: Path = CORPUS) -> dict[str, Section]:
    """Every section of our own corpus by id."""
    sections = [
        parse_section(path.read_text("utf-8"), str(path.name)) for path in sorted(folder.rglob("*.md"))
    ]
    return {section.id: section for section in sections}


def corpus_hash(sections: dict[str, Section]) -> str:
    digest = hashlib.sha256()
    for key in sorted(sections):
        digest.update(repr((key, sections[key].version, sections[key].parts)).encode())
    return digest.hexdigest()[:16]


def _parts(body: str) -> dict[str, str]:
    pieces = re.split(r"^## +(.+)$", body, flags=re.MULTILINE)
    return {slug(pieces[i]): pieces[i + 1].strip() for i in range(1, len(pieces) - 1, 2)}


def _steps(text: str) -> tuple[Step, ...]:
    found: list[Step] = []
    for line in _joined(text):
        if match := _STEP.match(line):
            action = _ACTION.search(match[1])
            found.append(Step(len(found) + 1, _ACTION.sub("", match[1]), action[1] if action else None))
    return tuple(found)


def _joined(text: str) -> Iterator[str]:
    """Numbered items as single lines: a wrapped item continues on indented or plain lines."""
    item = ""
    for line in text.splitlines():
        if _STEP.match(line):
            if item:
                yield item
            item = line.strip()
        elif line.strip() and item:
            item += " " + line.strip()
    if item:
        yield item
