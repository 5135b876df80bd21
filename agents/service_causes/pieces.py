"""Every piece of evidence with what it is about and how much it says, whether or not a failure mode knows it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.service_causes.changes import Movement
from agents.service_causes.peers import odd_rows
from agents.service_causes.signs import Placed
from agents.service_causes.weigh import Seen
from knowledge.service_concepts import features, spaced
from tools.case_types import Fact, Line

LASTING, PASSED, HARMLESS, STEADY = 1.3, 0.3, 0.6, -1.0
"""Weight of a movement that lasts, one that is over, one that hurts nobody, and of a series that did not move."""
COMPLAINED = 0.5
"""What the alert itself names is the complaint, seldom its cause."""
SYMPTOM_ROLES = ("latency", "errors", "availability")
FAILURE, CHANGE, OTHER_SIGN, PLAIN, ALERT = 1.4, 1.2, 0.7, 0.3, 0.25
LOUD_WORDS = ("error", "warn", "crit", "fatal", "alert", "emerg", "fail", "abort")
STANDS_OUT = 1.3
"""A movement that one part of many shows counts so much more."""
MET, TURNED, ODD_ROW = 1.0, 1.5, 1.2
"""Weight of a line that stands at every spike, of a value that log lines turned to, of a row far from the others."""
MOST_SPIKES, MOST_LINES_A_SPIKE, SHORTEST_REACH_S = 0.75, 1.5, 45.0
LEAST_LINES, TURNED_BY = 5, 0.5
_DIGITS = re.compile(r"\d+")
_PAIR = re.compile(r"([A-Za-z_][\w.-]{1,30})=\"?([^\s\",;]{1,40})")
_TOLD = re.compile(r"(?:^|, )([A-Za-z_][\w.-]{1,30}) ([^\s\",;]{1,40})(?=,|$)")
MOST_FACTS, SINGLE = 300, 0.2
_COUNT = re.compile(
    r"errors?|keys|count|total|dropped|drops|evicted|rejected|refused|failed|failures|lost|retries|timeouts"
)
MOST_TEMPLATES = 400
"""Lines that say the same count once; a log of more templates than this is not read to its end."""
NEAR = timedelta(minutes=30)


@dataclass(frozen=True)
class Item:
    """One piece of evidence; a weight below 0: it was looked at and nothing was there."""

    source: Movement | Placed | Line | Fact
    weight: float
    features: frozenset[str]


def file_of(item: Item) -> str:
    """Which file a piece stands in; "" for the alert's own."""
    if isinstance(item.source, Movement):
        return item.source.readings.file
    if isinstance(item.source, Placed):
        return "" if item.source.said.alert else item.source.said.line.file
    return item.source.file


def items_of(seen: Seen) -> list[Item]:
    """All pieces of a case."""
    met = coincident(seen)
    return [
        *_movements(seen),
        *_signs(seen, met),
        *_lines(seen, met),
        *_turned(seen),
        *_odd_rows(seen),
        *_facts(seen),
    ]


def _movements(seen: Seen) -> Iterator[Item]:
    for moved in seen.movements:
        if moved.quantity.role == "limit":
            continue
        name = f"{moved.readings.name} {moved.quantity.title if moved.quantity.id != 'other' else ''}"
        yield Item(moved, _weight(moved, seen), features(f"{name} {_way(moved, id(moved) in seen.alone)}"))


def _weight(moved: Movement, seen: Seen) -> float:
    if not moved.events:
        return STEADY
    if moved.recovered:
        return PASSED
    if not moved.bad and moved.quantity.id != "other":
        return HARMLESS
    out = STANDS_OUT if id(moved) in seen.alone else 1.0
    symptom = moved.quantity.role in SYMPTOM_ROLES and moved.quantity.id in seen.complaint
    return LASTING * out * (COMPLAINED if symptom else 1.0)


def _way(moved: Movement, alone: bool) -> str:
    """How it moved, in words that answers use."""
    if not moved.events:
        return ""
    return " ".join((
        "full" if moved.events & {"full", "low"} else "",
        "stands out" if alone else "",
        "slow" if moved.quantity.role == "latency" and "up" in moved.events else "",
    )).strip()  # fmt: skip


def _signs(seen: Seen, met: Container[str]) -> Iterator[Item]:
    for placed in seen.signs:
        base = {"failure": FAILURE, "change": CHANGE}.get(placed.said.sign.role, OTHER_SIGN)
        if placed.said.sign.role in ("recovery", "routine"):
            continue
        weight = ALERT if placed.said.alert else base * placed.weight
        if weight > 0:
            line = placed.said.line
            weight += MET if template(line) in met else 0.0
            yield Item(placed, weight, features(f"{line.text} {line.about}"[:600]))


def _lines(seen: Seen, met: Container[str]) -> Iterator[Item]:
    """Lines that say nothing our vocabulary knows: those of the time of the incident, loud ones first."""
    signed = {(p.said.line.file, p.said.line.field) for p in seen.signs}
    told: set[str] = set()
    for line in seen.case.lines:
        said = template(line)
        if said in told or (line.file, line.field) in signed or not _of_the_time(line, seen):
            continue
        told.add(said)
        if len(told) > MOST_TEMPLATES:
            return
        loud = any(word in line.text[:120].lower() for word in LOUD_WORDS)
        yield Item(
            line, PLAIN * (2.0 if loud else 1.0) + (MET if said in met else 0.0), features(line.text[:400])
        )


def _of_the_time(line: Line, seen: Seen) -> bool:
    return line.time is None or seen.first is None or line.time >= seen.first - NEAR


# ---- lines against the numbers ---------------------------------------------------------------------------------------


def template(line: Line) -> str:
    """A line without its numbers: what it says each time.

    >>> template(Line("a.log", "line 1", "42 changes in 60 seconds. Saving..."))
    'a.log: # changes in # seconds. Saving...'
    """
    return f"{line.file}: {_DIGITS.sub('#', line.text)[:80]}"


def coincident(seen: Seen) -> set[str]:
    """Templates of lines that stand at nearly every spike of some series and seldom elsewhere."""
    times: dict[str, list[datetime]] = {}
    for line in seen.case.lines:
        if line.time is not None:
            times.setdefault(template(line), []).append(line.time)
    found: set[str] = set()
    for moved in seen.movements:
        reach = timedelta(seconds=max(SHORTEST_REACH_S, 1.5 * moved.readings.step_s))
        for said, at in times.items() if moved.spikes else ():
            meets = sum(any(abs(one - spike) <= reach for one in at) for spike in moved.spikes)
            if meets >= MOST_SPIKES * len(moved.spikes) and len(at) <= MOST_LINES_A_SPIKE * len(moved.spikes):
                found.add(said)
    return found


def _turned(seen: Seen) -> Iterator[Item]:
    """`key=value` of log lines that hardly stood in any line before the first symptom, and in most after it."""
    pairs: dict[tuple[str, str], dict[str, list[Line]]] = {}
    split = seen.first
    for line in seen.case.lines:
        if line.time is None or split is None:
            continue
        when = "after" if line.time >= split - seen.slack else "before"
        for key, value in [*_PAIR.findall(line.text), *_TOLD.findall(line.about)]:
            pairs.setdefault((line.file, key), {"before": [], "after": []})[when].append(line)
            pairs.setdefault((line.file, f"{key}={value}"), {"before": [], "after": []})[when].append(line)
    for (file, pair), lines in pairs.items():
        whole = pairs.get((file, pair.partition("=")[0]))
        if "=" not in pair or whole is None or min(map(len, whole.values())) < LEAST_LINES:
            continue
        before = len(lines["before"]) / len(whole["before"])
        after = len(lines["after"]) / len(whole["after"])
        if after - before >= TURNED_BY and before <= 0.2:
            yield Item(lines["after"][0], TURNED, features(f"{pair} {_around(pair, lines['after'][0].text)}"))


def _around(pair: str, text: str) -> str:
    """The pair as it stands in its line, with what is quoted behind it."""
    at = text.find(pair)
    return text[at : at + len(pair) + 40] if at >= 0 else ""


def _facts(seen: Seen) -> Iterator[Item]:
    """Single values: a count of none of something speaks against what it counts."""
    for fact in seen.case.facts[:MOST_FACTS]:
        if fact.key:
            none = fact.number == 0 and _COUNT.search(spaced(fact.key)) is not None
            yield Item(
                fact,
                STEADY if none else SINGLE,
                features(f"{fact.key} {fact.text[:120] if fact.number is None else ''}"),
            )


def _odd_rows(seen: Seen) -> Iterator[Item]:
    for odd in odd_rows(seen.case.facts):
        yield Item(odd.fact, ODD_ROW, features(f"{odd.fact.key} stands out one of many"))
