"""What lines and states say happened, and when: events of others, log lines, states of objects, the alert itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from knowledge.service_causes import Sign, load_catalog
from tools.case_types import Fact, Line, ServiceCase

BEFORE = timedelta(minutes=60)
"""What happened longer than that before the first symptom is history."""
_VALUE = re.compile(
    r"(?<!code )(?<!code: )(?<!status )\b(?:\d+\.\d+|\d{1,2}|\d{4,})(?=\D|$)(?! ?%)|(?<=[A-Za-z_])\d+"
)
"""Numbers that are no codes and no shares: what a line measures, not what it says."""
SAME_AGAIN = 40
"""After so many lines that differ in such numbers alone and all say the same, further ones are taken to say so too."""
_LONG_NUMBER = re.compile(r"\d{4,}|0x\w+|\b(?=[a-f]*\d)[0-9a-f]{8,}\b")
_NUMBER = re.compile(r"\d+|0x\w+|\b[0-9a-f]{8,}\b")
_NEGATED = re.compile(
    r"(?:\bno|\bnot|n't|\bwithout|\bzero|\b0|\bnever|\bnone|\bfree of|\bfix(?:es|ed)?)\s+(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"^[^\w.;(]{0,3}(?:errors?|count|events?|total)?[^\w.;(]{0,3}(?:0|none|nil|zero|no|passed|n/a)\b(?![.\d%])",
    re.IGNORECASE,
)
"""What follows a word where it says that there is none of it."""
_RELEASES = re.compile(r"deploy|release|rollout|version", re.IGNORECASE)
"""Names of files that list releases."""
_CALM = re.compile(
    r"^\W*(?:info|normal|debug|notice|trace)\b|\b(?:level|type|severity) (?:info|normal|debug)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Said:
    """One sign in one line."""

    sign: Sign
    line: Line
    times: int = 1
    """How many lines of this file say the same."""
    alert: bool = False
    """Said by the alert, not by evidence."""
    fact: bool = False
    """A state without a time."""

    @property
    def calm(self) -> bool:
        """Whether the source itself calls it routine."""
        return bool(_CALM.search(self.line.text) or _CALM.search(self.line.about))


def signs_of(case: ServiceCase) -> list[Said]:
    """Every sign of the evidence, repeats of one template folded into the first."""
    found: dict[tuple[str, str, str], Said] = {}
    reader = _Reader()
    said = [(line, f"{line.text} {line.about}", False) for line in case.lines]
    stated = [(line, line.text, True) for line in (_as_line(fact) for fact in case.facts if _wordy(fact))]
    for line, text, fact in [*said, *stated]:
        read = reader.signs(text)
        listed = _listed_change(line, read)
        for sign in [*read, *listed]:
            key = (sign.id, line.file, _NUMBER.sub("#", line.text)[:160])
            known = found.get(key)
            found[key] = (
                Said(sign, known.line, known.times + 1, False, fact)
                if known
                else Said(sign, line, 1, False, fact)
            )
    for consumer in case.consumers:
        words = Line(consumer.file, consumer.field, f"{consumer.name} {consumer.kind}".strip())
        found |= {
            (s.id, consumer.file, consumer.name): Said(s, words, 1, False, True) for s in signs_in(words.text)
        }
    return [*found.values(), *_of_alert(case)]


class _Reader:
    """Looks each wording through once: a log repeats a few of them thousands of times. Short numbers may be codes."""

    def __init__(self) -> None:
        self.read: dict[str, list[Sign]] = {}
        self.alike: dict[str, list[list[Sign]]] = {}

    def signs(self, text: str) -> list[Sign]:
        template = _LONG_NUMBER.sub("#", text)
        if template in self.read:
            return self.read[template]
        alike = self.alike.setdefault(_VALUE.sub("#", template), [])
        if len(alike) >= SAME_AGAIN and all(one == alike[0] for one in alike):
            return alike[0]
        found = signs_in(text)
        self.read[template] = found
        alike.append(found)
        return found


def _listed_change(line: Line, read: Sequence[Sign]) -> list[Sign]:
    """A dated line of a file that lists releases is one, whatever its words."""
    listed = line.time is not None and _RELEASES.search(line.file.rsplit("/", 1)[-1])
    return (
        [load_catalog().signs["deploy"]] if listed and not any(sign.role == "change" for sign in read) else []
    )


def _of_alert(case: ServiceCase) -> Iterable[Said]:
    if case.alert is None:
        return
    for number, words in enumerate(case.alert.text.split("\n")):
        line = Line(
            case.alert.file,
            "title" if words == case.alert.title else f"text {number + 1}",
            words,
            case.alert.at,
        )
        yield from (Said(sign, line, alert=True) for sign in signs_in(words))


def signs_in(text: str) -> list[Sign]:
    """The signs of one text, without those it denies.

    >>> [s.id for s in signs_in("write failed: no space left on device")]
    ['storage_full']
    >>> signs_in("no deadlock seen"), signs_in("uncorrectable ECC: 0")
    ([], [])
    """
    found = []
    for sign in load_catalog().signs.values():
        for match in sign.words.finditer(text):
            denied = _NEGATED.search(text[max(0, match.start() - 24) : match.start()])
            if not denied and not _NOTHING.match(text[match.end() : match.end() + 24]):
                found.append(sign)
                break
    return found


def _wordy(fact: Fact) -> bool:
    return fact.number is None and 3 < len(fact.text) < 400 and not re.fullmatch(r"[\w./:@-]{60,}", fact.text)


def _as_line(fact: Fact) -> Line:
    return Line(fact.file, fact.field, f"{fact.key}: {fact.text}" if fact.key else fact.text, None, fact.of)


@dataclass(frozen=True)
class Placed:
    """A sign with its place in time against the first symptom."""

    said: Said
    weight: float
    """1 where it may count in full, 0 where it may not."""
    why: str = ""
    """Why it counts for less."""

    @property
    def at(self) -> datetime | None:
        return self.said.line.time


def place(found: Sequence[Said], first: datetime | None, slack: timedelta) -> list[Placed]:
    """Each sign with what its time makes of it. `first` is when the first symptom began, `slack` how exactly that is
    known."""
    return [_place(said, first, slack) for said in found]


def _place(said: Said, first: datetime | None, slack: timedelta) -> Placed:
    if said.alert:
        return Placed(said, 0.4, "said by the alert alone")
    at = said.line.time
    weight = 0.5 if said.calm and said.sign.role == "failure" else 1.0
    if at is None or first is None:
        return Placed(said, weight)
    ahead = first - at
    if said.sign.role == "change":
        if ahead < -slack:
            return Placed(said, 0.0, "it came after the first symptom")
        if ahead > 6 * BEFORE:
            return Placed(said, 0.0, f"it came {_hours(ahead)} before the first symptom")
        return Placed(said, weight if ahead <= BEFORE / 2 else 0.4 * weight if ahead <= 2 * BEFORE else 0.15)
    if ahead > BEFORE:
        return Placed(said, 0.0, f"it was over {_hours(ahead)} before the first symptom")
    return Placed(said, weight)


def _hours(span: timedelta) -> str:
    """`2 hours`, `45 minutes`."""
    minutes = span.total_seconds() / 60
    return f"{minutes / 60:.0f} hours" if minutes >= 90 else f"{minutes:.0f} minutes"
