"""What a person should look at before they sign a set of lessons. Each finding names its lessons and says why.

A poisoned lesson looks like any other by itself. What gives it away is the company it keeps: it contradicts its own teacher or
another one, stands apart from all others of its kind, comes in a flood, or quietly drops what must be said.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Literal

from agents.verification import lexicon
from agents.wordings import inputs_of
from prompts import required_slots
from setpoint.contracts.autonomy import plain_name
from setpoint.contracts.event import Frozen
from setpoint.contracts.wording import Wording
from setpoint.learning.lessons import Lesson, like

FindingKind = Literal["conflict", "contradiction", "outlier", "flood", "burst", "dropped", "instruction"]
MANY = 10
"""Fewer lessons than this of one person are no flood, whoever else taught."""
TIMES_THE_REST = 3.0
BURST, BURST_WITHIN = 15, timedelta(minutes=5)
"""Nobody reads and rewords so many texts in so short a time."""
ALIKE, USUAL = 0.35, 0.55
"""A lesson whose nearest neighbour is less like it than ALIKE stands apart, where they usually are closer than USUAL."""
LEAST_COMPANY = 5
"""Lessons of one kind, before one of them can stand apart."""
_TOKEN = re.compile(r"\{\w+\}|[a-z'-]+")
_SLOT = re.compile(r"\{([a-z]+[0-9]?)\}")
_INSTRUCTION = re.compile(
    r"\b(ignore|disregard|forget|override)\b.{0,40}\b(previous|prior|above|rules?|instructions?|prompts?|checks?|verif\w+)\b"
    r"|\b(system prompt|you are now|as an ai|always (say|answer|approve|write)|never (say|mention|write|report|alert))\b"
    r"|<\||\|>|\[/?inst\]",
    re.IGNORECASE,
)
_UNSEEN = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


class Finding(Frozen):
    """One thing to look at."""

    kind: FindingKind
    lessons: tuple[str, ...]
    """Their ids, or the feedback's where it became none."""
    who: tuple[str, ...]
    reason: str


def examine(lessons: Sequence[Lesson], texts: Mapping[str, tuple[str, str]] | None = None) -> list[Finding]:
    """Everything found. `texts`: what people typed, as (who, text) by the id of the feedback, set-aside ones included."""
    looks: tuple[Callable[[Sequence[Lesson]], Iterator[Finding]], ...] = (
        _opposed, _other_orders, _outliers, _floods, _bursts, _dropped,
    )  # fmt: skip
    found = [finding for look in looks for finding in look(lessons)]
    return [*_instructions(texts or {}), *found]


# ---- conflicts ----------------------------------------------------------------------------------------------------


def _opposed(lessons: Sequence[Lesson]) -> Iterator[Finding]:
    """The very words that one wants are the words that another refused, for like inputs."""
    wanted: defaultdict[tuple[str, ...], list[Lesson]] = defaultdict(list)
    for one in lessons:
        if one.kind == "edit":
            wanted[(*like(one), one.chosen)].append(one)
    for one in lessons:
        for other in wanted.get((*like(one), one.rejected), ()) if one.rejected else ():
            yield _between(one, other, f"one refuses the words the other wants: {one.rejected!r}")


def _other_orders(lessons: Sequence[Lesson]) -> Iterator[Finding]:
    """For like inputs the same slots are wanted in another order."""
    groups: defaultdict[tuple[str, ...], list[Lesson]] = defaultdict(list)
    for one in lessons:
        if one.kind == "edit":
            groups[(*like(one), *sorted(_SLOT.findall(one.chosen)))].append(one)
    for group in groups.values():
        first = group[0]
        for other in group[1:]:
            if _SLOT.findall(first.chosen) != _SLOT.findall(other.chosen):
                yield _between(
                    first, other, f"like inputs, another order: {first.chosen!r} and {other.chosen!r}"
                )


def _between(one: Lesson, other: Lesson, reason: str) -> Finding:
    same = plain_name(one.who) == plain_name(other.who)
    return Finding(
        kind="contradiction" if same else "conflict",
        lessons=(one.id, other.id),
        who=tuple(dict.fromkeys((one.who, other.who))),
        reason=f"{f'{one.who} contradicts themselves' if same else f'{one.who} and {other.who} disagree'}: {reason}",
    )


# ---- what stands out ----------------------------------------------------------------------------------------------


def _outliers(lessons: Sequence[Lesson]) -> Iterator[Finding]:
    """Edits whose words are unlike all others of their task."""
    for task in dict.fromkeys(one.task for one in lessons):
        edits = [one for one in lessons if one.task == task and one.kind == "edit"]
        if len(edits) < LEAST_COMPANY:
            continue
        said = [frozenset(_TOKEN.findall(one.chosen.lower())) for one in edits]
        nearest = [
            max(_alike(own, other) for other in (*said[:place], *said[place + 1 :]))
            for place, own in enumerate(said)
        ]
        if median(nearest) < USUAL:
            continue  # everybody words as they like: nothing stands out
        for one, near in zip(edits, nearest, strict=True):
            if near < ALIKE:
                yield Finding(
                    kind="outlier", lessons=(one.id,), who=(one.who,),
                    reason=f"unlike every other {task} that was taught: {one.chosen!r}",
                )  # fmt: skip


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of words and slots they have in common (Dice)."""
    return 2 * len(one & other) / max(1, len(one) + len(other))


def _floods(lessons: Sequence[Lesson]) -> Iterator[Finding]:
    """One person who teaches far more than the rest."""
    by_person = _by_person([one for one in lessons if one.kind != "approve"])
    for who, taught in by_person.items():
        rest = [len(others) for name, others in by_person.items() if name != who]
        if len(taught) >= MANY and rest and len(taught) > TIMES_THE_REST * median(rest):
            yield Finding(
                kind="flood", lessons=tuple(one.id for one in taught), who=(taught[0].who,),
                reason=f"{taught[0].who} made {len(taught)} of {sum(rest) + len(taught)} corrections",
            )  # fmt: skip


def _bursts(lessons: Sequence[Lesson]) -> Iterator[Finding]:
    """More judgements by one person at once than anybody reads."""
    for taught in _by_person(lessons).values():
        ordered = sorted(taught, key=lambda one: one.time)
        for first in range(len(ordered) - BURST + 1):
            last = first + BURST - 1
            if ordered[last].time - ordered[first].time <= BURST_WITHIN:
                until = ordered[first].time + BURST_WITHIN
                together = [one for one in ordered[first:] if one.time <= until]
                yield Finding(
                    kind="burst", lessons=tuple(one.id for one in together), who=(ordered[first].who,),
                    reason=f"{ordered[first].who} judged {len(together)} texts within {BURST_WITHIN.seconds // 60} minutes "
                    f"from {ordered[first].time:%Y-%m-%d %H:%M} UTC",
                )  # fmt: skip
                break


def _by_person(lessons: Sequence[Lesson]) -> dict[str, list[Lesson]]:
    found: dict[str, list[Lesson]] = {}
    for one in lessons:
        found.setdefault(plain_name(one.who), []).append(one)
    return found


# ---- what must not be lost ----------------------------------------------------------------------------------------


def _dropped(lessons: Sequence[Lesson]) -> Iterator[Finding]:
    """Better words that leave out what has to be said, or what to do first."""
    for one in lessons:
        if not one.chosen:
            continue
        inputs = inputs_of(Wording.model_validate({"task": one.task, "inputs": one.inputs}))
        said = set(_SLOT.findall(one.chosen))
        lost = [slot for slot in required_slots(inputs) if slot not in said]
        if lost:
            words = ", ".join("what to do first" if slot == "first" else f"{{{slot}}}" for slot in lost)
            yield Finding(
                kind="dropped", lessons=(one.id,), who=(one.who,), reason=f"no longer says {words}: {one.chosen!r}"
            )  # fmt: skip


def _instructions(texts: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    """Text that speaks to a model instead of to an operator, or that hides something."""
    for name, (who, text) in texts.items():
        hidden, told = _UNSEEN.search(text), _INSTRUCTION.search(text) or lexicon.COMMAND.search(text)
        if hidden or told:
            what = (
                "holds characters that nobody sees"
                if hidden
                else f"looks like an instruction: {told[0]!r}"
                if told
                else ""
            )
            yield Finding(kind="instruction", lessons=(name,), who=(who,), reason=f"{who}'s text {what}")
