"""A person's text back into words with slots: the other way round from filling, so that a correction can be learned from.

Code fills the slots again, with the facts of another incident. A slot therefore always stands for the whole fact: who writes
"02:14" where the fact is "02:14:07 CET" taught the place of the time, not its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.verification import lexicon
from agents.verification.claims import claims_of
from prompts import WordInput, phrases
from setpoint.contracts import Fact

_ENDS = ".;:,! "
_TIME = re.compile(r"(?P<minute>\d{1,2}:\d{2})(?P<second>:\d{2})?(?P<zone> [A-Za-z+\-\d:]+)?")
_DAY = r"(?:\d{1,2} [A-Z][a-z]{2} )?"
_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
_UNITS = "|".join(re.escape(unit) for unit in sorted(lexicon.UNIT_SYMBOLS, key=len, reverse=True))
_HOLE = "\ue000"
_BRACES = str.maketrans("{}", "()")


@dataclass(frozen=True)
class Slotted:
    """Words with slots, as a model would have to write them."""

    words: str
    foreign: tuple[str, ...] = ()
    """Facts of the text that no slot stands for, each in words. Such words are no lesson."""


@dataclass(frozen=True)
class _Saying:
    """One thing that may stand in a text, and the slots that would say it."""

    pattern: str
    length: int
    slots: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    begin: int
    end: int
    slots: tuple[str, ...]


def unfill(text: str, inputs: WordInput) -> Slotted:
    """`text` with every phrase and fact of `inputs` replaced by its slot, the longest first; punctuation stays."""
    flat = " ".join(text.split())
    words, rest, at = "", "", 0
    used: set[str] = set()
    for found in sorted(_places(flat, _sayings(inputs)), key=lambda one: one.begin):
        slot = next((one for one in found.slots if one not in used), found.slots[0])
        used.add(slot)
        between = flat[at : found.begin].translate(_BRACES)
        words, rest, at = f"{words}{between}{{{slot}}}", f"{rest}{between}{_HOLE}", found.end
    tail = flat[at:].translate(_BRACES)
    return Slotted(words + tail, tuple(dict.fromkeys(_foreign(rest + tail))))


def _sayings(inputs: WordInput) -> list[_Saying]:
    """Longest first; those that read the same stand for their slots in the order of the prompt."""
    spelled: dict[str, tuple[int, list[str]]] = {}
    for slot, text in phrases(inputs).items():
        clean = " ".join(text.split()).strip(_ENDS)
        if clean:
            spelled.setdefault(_spaced(clean), (len(clean), []))[1].append(slot)
    for fact in inputs.sheet.facts:
        if fact.text.strip():
            spelled.setdefault(_spelling(fact), (len(fact.text), []))[1].append(fact.slot)
    made = [_Saying(pattern, length, tuple(slots)) for pattern, (length, slots) in spelled.items()]
    return sorted(made, key=lambda one: -one.length)


def _spaced(text: str) -> str:
    return r"\s+".join(re.escape(part) for part in text.split())


def _spelling(fact: Fact) -> str:
    """A pattern of the ways in which people write this fact: a time without its seconds or zone, a unit without its blank, a
    place by one of its parts, a count without its assets."""
    if fact.kind == "time" and (found := _TIME.fullmatch(fact.text)):
        zone = f"(?:{re.escape(found['zone'])})?" if found["zone"] else ""
        second = f"(?:{re.escape(found['second'])})?" if found["second"] else ""
        return f"{_DAY}{re.escape(found['minute'])}{second}{zone}"
    if fact.kind in ("quantity", "limit", "duration"):
        return r"\s*".join(re.escape(part) for part in fact.text.split())
    if fact.kind == "place":
        parts = [_spaced(part.strip()) for part in fact.text.split(",") if part.strip()]
        runs = [r",\s*".join(parts[i:j]) for i in range(len(parts)) for j in range(len(parts), i, -1)]
        return f"(?:{'|'.join(sorted(runs, key=len, reverse=True))})"
    if fact.kind == "count" and " on " in fact.text:
        events, assets = fact.text.split(" on ", 1)
        return rf"{_spaced(events)}(?:\s+on\s+{_spaced(assets)})?"
    if fact.text.replace(".", "").isdigit():
        return rf"{re.escape(fact.text)}(?!\s?(?:{_UNITS})(?!\w))"
    return _spaced(fact.text)


def _places(text: str, sayings: Sequence[_Saying]) -> list[_Found]:
    """Where each stands. What a longer one has taken is not looked at again."""
    found: list[_Found] = []
    for one in sayings:
        # A short code or letter is a fact in its own spelling only; anything longer also where a sentence begins with it.
        flags = re.IGNORECASE if one.length > 2 else re.NOFLAG
        # Neither inside a longer name, nor a part of a longer number: cdu-1 in cdu-1-pump-a, 5 in 5.2.
        around = rf"(?<![\w{{])(?<!\w[-./:]){one.pattern}(?![\w}}])(?![-./:]\w)"
        for hit in re.finditer(around, text, flags):
            if hit.end() > hit.start() and all(hit.end() <= f.begin or f.end <= hit.start() for f in found):
                found.append(_Found(hit.start(), hit.end(), one.slots))
    return found


def _foreign(rest: str) -> Iterator[str]:
    """Facts in what stands between the slots."""
    claims = claims_of(rest)
    for claim in claims:
        yield f"{claim.kind} {claim.said!r}"
    counted = {claim.unit for claim in claims}
    for word in _WORD.findall(rest):
        for part in word.lower().split("-"):
            if part in lexicon.NUMBER_WORDS:
                yield f"number word {part!r}"
            elif part in lexicon.UNIT_WORDS - counted:
                yield f"unit {part!r}"
