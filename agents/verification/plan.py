"""Words about a plan: each sentence says one given line again, its facts in their order, its claims no others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agents.verification import lexicon
from setpoint.contracts import FactSheet

_SLOT = re.compile(r"\{([a-z]+[0-9]?)\}")
_BEFORE = re.compile(r"\b([A-Za-z]+) \{([a-z]+[0-9]?)\}")
_PREPOSITIONS = frozenset(
    "from to at by until till within in of for against above below over under before after since between on with without than".split()  # noqa: SIM905  # a long list of quoted words reads worse
)
_SENTENCE = re.compile(r"(?<=[.;!?])\s+")
CLAIMS: dict[str, re.Pattern[str]] = {
    name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    for name, words in {
        "a rise": r"rise[sn]?|rising|rose|rais\w*|climb\w*|grow\w*|grew|increas\w*|higher|up(?:ward)?s?|surg\w*|soar\w*|jump\w*",
        "a fall": r"falls?|falling|fell|fallen|drop\w*|declin\w*|decreas\w*|lower\w*|s[iau]nk\w*|down(?:ward)?s?|dip\w*|eas\w+|reduc\w*|cut\w*",
        "no change": r"stay\w*|steady|constant|flat|unchanged|remain\w*|still|stable",
        "a saving": r"sav(?:e|es|ed|ing|ings)|cheap\w*|gain\w*|avoid\w*|spar(?:e|es|ed|ing)|benefit\w*",
        "a cost": r"costs?|dear\w*|expensive|wast\w+|los(?:e|es|s|ing|ses)|worse\w*|more",
        "safety": r"safe\w*|sure\w*|guarante\w+|never|always|harmless|riskless",
        "danger": r"danger\w*|unsafe|critical\w*|fail\w*|risk\w*|break\w*|emergenc\w+",
        "a comparison": r"better|best|optimal\w*|perfect\w*|cheapest|than",
    }.items()
}
"""What a sentence may claim, by the words that claim it. A sentence claims only what its line claims."""
_OPPOSITES = ("a rise", "a fall", "a saving", "a cost")


def plan_problems(words: str, lines: Sequence[str]) -> Iterator[str]:
    """What is wrong with `words` as another way to say `lines`; both with unfilled slots."""
    for sentence in _SENTENCE.split(words.strip()):
        used = _SLOT.findall(sentence)
        own = [line for line in lines if set(_SLOT.findall(line)) & set(used)]
        if len(own) > 1 and not any(set(used) <= set(_SLOT.findall(line)) for line in own):
            yield "one sentence mixes the facts of several lines"
            continue
        own = [line for line in own if set(used) <= set(_SLOT.findall(line))] or list(lines)
        if used and not any(_in_order(used, _SLOT.findall(line)) for line in own):
            yield "the facts of a line stand in another order"
        yield from _roles(sentence, " ".join(own))
        yield from _claims(sentence, " ".join(own))


def _in_order(used: Sequence[str], given: Sequence[str], *, each: bool = False) -> bool:
    """Whether things stand as they were given; some may be left out here, none may change places. `each`: said twice
    they were given twice."""
    rest = iter(given)
    return all(one in rest for one in (used if each else dict.fromkeys(used)))


def _turns(sentence: str) -> list[str]:
    """The claims that have an opposite, in the order in which they stand."""
    found = [
        (one.start(), name) for name in _OPPOSITES for one in CLAIMS[name].finditer(_SLOT.sub("", sentence))
    ]
    return [name for _, name in sorted(found)]


def _roles(sentence: str, given: str) -> Iterator[str]:
    """A fact keeps the preposition it was given with: what rises from a value does not rise to it."""
    meant = {slot: word.lower() for word, slot in _BEFORE.findall(given)}
    for word, slot in _BEFORE.findall(sentence):
        if word.lower() in _PREPOSITIONS and meant.get(slot) != word.lower():
            yield f"puts {slot!r} after {word!r}"


def _claims(sentence: str, given: str) -> Iterator[str]:
    for name, words in CLAIMS.items():
        if (found := words.search(_SLOT.sub("", sentence))) and not words.search(_SLOT.sub("", given)):
            yield f"claims {name} that was not given: {found[0]!r}"
    if not _in_order(_turns(sentence), _turns(given), each=True):
        yield "rise and fall, or saving and cost, stand in another order"
    if (found := lexicon.NEGATION.search(sentence)) and not lexicon.NEGATION.search(given):
        yield f"denies something: {found[0]!r}"


def given_phrases(sheet: FactSheet, lines: Sequence[str]) -> tuple[str, ...]:
    """The lines as phrases that may be said word for word, and their parts between slots."""
    parts = [part.strip(" ,.;:") for line in lines for part in _SLOT.split(line)[::2]]
    return (*lines, *(part for part in parts if len(part.split()) > 1), sheet.condition)
