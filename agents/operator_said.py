"""What a model that plans freely says, held against what its tools gave, sentence by sentence.

A sentence is taken where every number, time and identifier in it stands in a tool's result or in the question: a number with
its unit, rounded at most, and from a place that tells of what the sentence names. It may claim no deed, approval or all-clear
that no tool told. What does not hold is left out, and the facts that code lists stand in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.operator import Finding
from agents.verification import lexicon
from agents.verification.claims import Claim, claims_of
from agents.verification.lexicon import stem

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)|\n+")
_CODE = re.compile(r"\b(?:INC|REV|ACT|ASK|LOOP|TURN)-[\w.-]*\w", re.IGNORECASE)
_CITED = re.compile(r"\[([\w./-]+(?:#[\w-]+)?(?:/\d+)?)\]")
_NUMBER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)(?:\s?([a-zA-Z%/]+))?")
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:T[\d:.+Z]*)?|\b\d{1,2}:\d{2}(?::\d{2})?\b|\b\d{1,2} [A-Z][a-z]{2} (?=\d{2}:)"
)
"""Dates and times within words: their parts are no quantities."""
_KEY_UNIT = re.compile(r"_(kw|w|kwh|wh|c|k|lpm|pct|pu|ms|s|min|h|mhz|ghz|rps|eur|kpa|gb|g)$")
_SCALES: dict[str, tuple[str, float]] = {
    "w": ("w", 1.0), "kw": ("w", 1e3), "mw": ("w", 1e6), "wh": ("wh", 1.0), "kwh": ("wh", 1e3), "mwh": ("wh", 1e6),
    "c": ("c", 1.0), "k": ("k", 1.0), "lpm": ("lpm", 1.0), "%": ("%", 1.0), "pct": ("%", 1.0), "pu": ("%", 100.0),
    "ms": ("s", 1e-3), "s": ("s", 1.0), "min": ("s", 60.0), "h": ("s", 3600.0), "d": ("s", 86400.0), "mhz": ("hz", 1e6),
    "ghz": ("hz", 1e9), "rps": ("rps", 1.0), "eur": ("eur", 1.0), "kpa": ("pa", 1e3), "gb": ("b", 1e9), "g": ("g", 1.0),
}  # fmt: skip
"""Units by what they measure, and their size in its base unit."""
_OWN_DEED = re.compile(
    r"\b(?:i|we|i've|i have|we have|setpoint|the agent|the assistant)\b(?:\s+\w+){0,2}?\s+(?:approv|reject|sign|restart|reboot|drain|cordon|reset|set|start|stop|"
    r"clos|open|cap|shed|charg|discharg|migrat|paus|execut|appl|acknowledg|escalat|silenc|notif|page|disabl|bypass|overrid|propos)\w*(?:ed|d|t|ied|osed|oposed)?\b",
    re.IGNORECASE,
)
_CAN = re.compile(
    r"\b(?:i|we)\s+(?:can(?:not|'t)?|could|would|will not|won't|do not|don't|may not)\b", re.IGNORECASE
)
_DEED = re.compile(
    r"\b(?:has been|have been|had been|was|were|is|are|been|got|now)\s+(?:\w+ly\s+)?(approved|rejected|signed|restarted|rebooted|drained|cordoned|reset|started|"
    r"stopped|closed|opened|capped|shed|migrated|paused|executed|applied|acknowledged|escalated|silenced|disabled|bypassed|overridden|proposed|granted)\b",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Za-z]+")
COUNT = "#"
"""In the place of a unit: how many there are of what is listed."""
QUOTED = frozenset({"quoted", "message", "raw"})
"""Where a result holds text of events."""
NEAR = 0.0051
"""Of a number's size: three digits are what people read."""


def sentences(text: str) -> list[str]:
    """As they stand, marks of lists and emphasis taken away.

    >>> sentences("It is hot.\\n- **cdu-1** has 41.5 LPM. Look at [gpu-off-bus#steps].")
    ['It is hot.', 'cdu-1 has 41.5 LPM.', 'Look at [gpu-off-bus#steps].']
    """
    plain = re.sub(r"[*`_]{2,}|`|^\s*#+\s*", "", text, flags=re.MULTILINE)
    found = (re.sub(r"^\s*(?:[-*\u2022]|\d+[.)])\s+", "", one).strip() for one in _SENTENCE.split(plain))
    return [one for one in found if one]


@dataclass(frozen=True)
class Known:
    """One number that a tool gave: its unit where that is told, and the names beside it."""

    value: float
    unit: str
    near: frozenset[str]


@dataclass
class Sources:
    """What one turn's tools gave, and what the person said. It grows as tools are called."""

    question: str
    names: frozenset[str] = frozenset()
    """Assets of the site, in lower case: a number beside one must come from a place that tells of it."""
    _numbers: list[Known] = field(default_factory=list)
    _text: str = ""
    _stems: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._take_words(self.question, may_clear=False)
        self._numbers += _numbers_in(self.question, frozenset())

    def add(self, found: Finding) -> None:
        """One more tool's result. What it was asked with is the model's own and proves nothing but what it is about."""
        asked = frozenset(str(value).lower() for value in found.args.values())
        self._numbers += _known(found.result, "", asked & self.names)
        for key, words in _leaves(found.result):
            self._take_words(words, may_clear=key not in QUOTED)

    def _take_words(self, text: str, *, may_clear: bool = True) -> None:
        """What an event's own text says was done or is over is its claim, and no tool's."""
        self._text += f"\n{text.lower()}"
        if may_clear:
            self._stems |= {stem(word) for word in _WORDS.findall(text)}

    def problems(self, sentence: str) -> list[str]:
        """Why it is not taken; empty where it holds."""
        return [*self._unfounded(sentence), *self._deeds(sentence)]

    def _unfounded(self, sentence: str) -> Iterator[str]:
        for code in (*_CODE.findall(sentence), *_CITED.findall(sentence)):
            if code.lower() not in self._text:
                yield f"{code!r} is in no tool's result"
        rest = _CITED.sub(" ", _CODE.sub(" ", sentence))
        about = frozenset(word.strip(".,;:()").lower() for word in rest.split()) & self.names
        for claim in claims_of(re.sub(r"(?<=\d),(?=\d{3})", "", rest)):
            if not self._stands(claim, about):
                beside = f" beside {', '.join(sorted(about))}" if about and claim.kind == "number" else ""
                yield f"{claim.kind} {claim.said!r} is in no tool's result{beside}"

    def _stands(self, claim: Claim, about: frozenset[str]) -> bool:
        if claim.kind == "number":
            return any(_same(claim, one, about) for one in self._numbers)
        if claim.kind == "time":
            return claim.text in self._text
        if claim.kind == "name":
            return re.search(rf"(?<![\w-]){re.escape(claim.text)}(?![\w-])", self._text) is not None
        return False

    def _deeds(self, sentence: str) -> Iterator[str]:
        if (own := _OWN_DEED.search(sentence)) and not _CAN.search(sentence):
            yield f"claims a deed of its own: {own[0]!r}"
        for found in _DEED.finditer(sentence):
            if stem(found[1]) not in self._stems:
                yield f"claims a deed that no tool told: {found[0]!r}"
        for pattern in (lexicon.ENDED, lexicon.HARMLESS):
            found_words = pattern.search(sentence)
            if found_words and not all(stem(word) in self._stems for word in _WORDS.findall(found_words[0])):
                yield f"gives an all-clear that no tool told: {found_words[0]!r}"


def _same(claim: Claim, known: Known, about: frozenset[str]) -> bool:
    """The number, rounded at most, in a unit that fits, from beside what the sentence names."""
    if about and known.near and not about & known.near:
        return False
    said = float(claim.text)
    kind, size = _SCALES.get(claim.unit.lower(), ("", 1.0))
    if known.unit == COUNT:
        return not kind and said == known.value
    known_kind, known_size = _SCALES.get(known.unit, ("", 1.0))
    if kind and known_kind:
        return kind == known_kind and _near(said * size, known.value * known_size)
    return _near(said, known.value) or (kind == "%" and _near(said, 100 * known.value))


def _near(said: float, known: float) -> bool:
    return abs(abs(said) - abs(known)) <= max(NEAR * abs(known), 5e-4)


# ---- what results hold -------------------------------------------------------------------------------------------


def _known(value: Any, key: str, near: frozenset[str]) -> Iterator[Known]:
    """Every number of a result, with the names that stand beside it or above."""
    if isinstance(value, Mapping):
        beside = near | frozenset(_words_of(value.values())) | frozenset(_words_of(value))
        for name, part in value.items():
            yield from _known(part, str(name), beside)
    elif isinstance(value, list | tuple):
        yield from (Known(float(count), COUNT, near) for count in range(len(value) + 1))
        beside = (
            near if any(isinstance(part, Mapping) for part in value) else near | frozenset(_words_of(value))
        )
        for part in value:
            yield from _known(part, key, beside)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        unit = _KEY_UNIT.search(key)
        yield Known(float(value), unit[1] if unit else "", near)
    else:
        yield from _numbers_in(str(value), near)


def _numbers_in(text: str, near: frozenset[str]) -> list[Known]:
    """Numbers within words, with the names of the same sentence."""
    found = []
    for sentence in _SENTENCE.split(text):
        beside = near | frozenset(_split(sentence))
        plain = re.sub(r"(?<=\d),(?=\d{3})", "", _MOMENT.sub(" ", sentence))
        for number, unit in _NUMBER.findall(plain):
            found.append(Known(float(number), unit.lower() if unit.lower() in _SCALES else "", beside))
    return found


def _words_of(values: Iterable[Any]) -> Iterator[str]:
    for one in values:
        if isinstance(one, str):
            yield from _split(one)
        elif isinstance(one, list | tuple):
            yield from (word for part in one if isinstance(part, str) for word in _split(part))


def _split(text: str) -> list[str]:
    return [word.strip(".,;:()[]\"'").lower() for word in text.split()]


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every word of a result, with the name it stands under."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield "", str(name).replace("_", " ")
            yield from _leaves(part, str(name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part, key)
    elif value is not None:
        yield key, str(value)


def checked(text: str, sources: Sources) -> tuple[list[str], list[str]]:
    """The sentences that hold, and why others were left out."""
    kept: list[str] = []
    why: list[str] = []
    for one in sentences(text):
        problems = sources.problems(one)
        why += problems[:1]
        kept += [] if problems else [one]
    return kept, why
