"""Words with unfilled slots: what may be said about one fact sheet."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.verification import lexicon
from agents.verification.lexicon import stem
from setpoint.contracts import Fact, FactSheet, Priority, Verification

Task = Literal["alert", "step", "summary", "chat", "plan"]
MAX_WORDS, MAX_SENTENCES = 60, 3
_SLOT = re.compile(r"\{([a-z]+[0-9]?)\}")
_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
_ALLOWED = re.compile(r"[A-Za-z ,.;:()'\-]")
_HOLE, _PHRASE = "\ue000", "\ue001"
_THING_STEMS, _VERB_STEMS = lexicon.stems(lexicon.THINGS), lexicon.stems(lexicon.ACTION_VERBS)
_LIMIT_CUE = r"\b(?:limit|threshold|maximum|minimum|allowed)(?: value)?(?: of| is|:)? "
_READING_CUE = r"\b(?:reading|reads|read|measured|measures)(?: of| at|:)? "
_REACHED_CUE = r"\b(?:now at|currently at|reached|reaches|rose to|fell to|dropped to|stands at) "
_COMPARE_CUE = (
    r"\b(?:above|over|exceeds|exceeding|exceeded|below|under|beyond|beneath|against)(?: the| its| a)? "
)
_UP = re.compile(r"\b(above|over|exceed\w*|higher|beyond)\b", re.IGNORECASE)
_DOWN = re.compile(r"\b(below|under|lower|beneath)\b", re.IGNORECASE)
_PHRASE_CUES = {
    "first": r"\b(?:to do(?: now| first)?|do(?: this)? (?:now|first)|next step|next|start here|first|action)",
    "why": r"\b(?:impact|effect|consequence|why(?: it matters)?|because(?: of)?|matters|reason)",
    "cause": r"\b(?:cause(?: is clear)?|points? to|fits?|supports?|explains?|speaks (?:for|against))(?: this)?(?: cause)?",
}
"""What announces a phrase: after these words stands this slot, or none of the phrases."""
_NAMES_CAUSE = re.compile(
    r"\b(?:causes?|points? to|fits?|supports?|confirms?|explains?|weakens|contradicts|speaks? (?:for|against)|agrees?)\b",
    re.IGNORECASE,
)
_FIRST_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NOT_AFTER: dict[str, frozenset[str]] = {
    "on": frozenset(("quantity", "limit", "time", "duration", "count", "code", "phrase")),
    "in": frozenset(("quantity", "limit", "count", "code", "quote", "phrase")),
    "at": frozenset(("phrase", "tenant", "code")),
    "since": frozenset(("asset", "place", "quantity", "limit", "count", "code", "tenant", "metric")),
    "code": frozenset(("asset", "place", "quantity", "limit", "count", "time", "duration", "tenant")),
    "counting": frozenset(("asset", "place", "quantity", "limit", "time", "duration", "code", "tenant")),
}


@dataclass(frozen=True)
class Stance:
    """What the words must not contradict."""

    firing: bool = True
    """False: the condition is over."""
    priority: Priority | None = None
    relation: Literal["supports", "contradicts", "absent"] | None = None
    """For a step: what the evidence says about the cause."""
    cause: str | None = None
    """For a summary: the cause's id; "unknown" and "no_fault" may claim no cause."""
    certainty: Literal["clear", "likely", "open"] | None = None
    """For a summary: how sure the cause is. It may not be said surer."""


@dataclass(frozen=True)
class _Reading:
    """One text made ready for the checks."""

    words: str
    sheet: FactSheet
    free: str
    """`words` with slots and given phrases cut out: what the model said of its own."""
    given_stems: frozenset[str]

    @property
    def used(self) -> list[str]:
        return _SLOT.findall(self.words)

    @property
    def free_words(self) -> list[str]:
        return _WORD.findall(self.free)


def verify_words(
    words: str,
    sheet: FactSheet,
    *,
    task: Task,
    given: Sequence[str] = (),
    stance: Stance | None = None,
    names: Sequence[str] = (),
    closed: bool = False,
) -> Verification:
    """Whether `words` may be filled and shown. Each problem is one plain sentence part.

    `given`: phrases of the prompt beside the sheet's condition (impact, todo, cause title); said verbatim they are
    above suspicion. `closed`: nothing but connecting words may stand between them, for models too small to be trusted
    with words of their own. `names`: names of assets and tenants on the site, none of which may be written out.
    """
    reading = _read(words, sheet, (sheet.condition, *given))
    problems = [
        *_shape(reading),
        *_slots(reading),
        *_foreign_characters(reading),
        *_invented(reading, names),
        *(_own_words(reading) if closed else ()),
        *(_loose_phrases(reading, task) if closed else ()),
        *_deeds(reading),
        *_stance(reading, task, stance or Stance()),
        *_roles(reading),
    ]
    return Verification(ok=not problems, problems=tuple(dict.fromkeys(problems)))


def _read(words: str, sheet: FactSheet, phrases: Sequence[str]) -> _Reading:
    free = " ".join(words.split())
    for phrase in sorted((clean for text in phrases if (clean := _clean(text))), key=len, reverse=True):
        free = re.sub(rf"(?<!\w){re.escape(phrase)}(?!\w)", _PHRASE, free, flags=re.IGNORECASE)
    for idiom in lexicon.IDIOMS:
        free = re.sub(rf"\b{idiom}\b", "", free, flags=re.IGNORECASE)
    known = " ".join((*phrases, *(fact.text for fact in sheet.facts)))
    given = {fact.slot for fact in sheet.facts if fact.kind == "phrase"}
    free = _SLOT.sub(lambda slot: _PHRASE if slot[1] in given else _HOLE, free)
    return _Reading(words, sheet, free, frozenset(map(stem, _WORD.findall(known))))


def _clean(phrase: str) -> str:
    return " ".join(phrase.split()).strip(".;:,! ")


def _shape(reading: _Reading) -> Iterator[str]:
    words = reading.words.strip()
    if not words:
        yield "empty"
        return
    count = len(words.split())
    if count > MAX_WORDS:
        yield f"too long: {count} words, {MAX_WORDS} allowed"
    if (
        len(re.findall(r"[.:;](?= |$)", words)) > 2 * MAX_SENTENCES + 2
        or len(re.findall(r"\.(?= |$)", words)) > MAX_SENTENCES
    ):
        yield f"more than {MAX_SENTENCES} sentences"
    if count < 2 and not any(
        fact.slot in reading.used for fact in reading.sheet.facts if fact.kind == "phrase"
    ):
        yield "too short to be a sentence"
    if not words.endswith("."):
        yield "does not end with a full stop"
    yield from _repeats(reading)


def _repeats(reading: _Reading) -> Iterator[str]:
    own = re.findall(r"[^\s,.;:]+", reading.free.lower())
    for first, second in itertools.pairwise(own):
        if first == second and first not in (_HOLE, _PHRASE):
            yield f"says {first!r} twice in a row"
    tokens = re.findall(r"[^\s,.;:]+", reading.words.lower())
    # "with a limit of" may come twice, for two limits; a loop comes round with more words or more often.
    if _most(tokens, 6) > 1 or _most(tokens, 4) > 2:
        yield "repeats a clause"


def _most(tokens: Sequence[str], size: int) -> int:
    runs = Counter(tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1))
    return max(runs.values(), default=0)


def _slots(reading: _Reading) -> Iterator[str]:
    if re.search(r"[{}]", _SLOT.sub("", reading.words)):
        yield "a brace that belongs to no slot"
    used, known = Counter(reading.used), {fact.slot: fact.kind for fact in reading.sheet.facts}
    for slot, times in used.items():
        if slot not in known:
            yield f"unknown slot {slot!r}"
        if times > (1 if known.get(slot) == "phrase" else 2):
            yield f"uses slot {slot!r} {times} times"
    for fact in reading.sheet.facts:
        if fact.required and fact.slot not in used and not _written_out(fact, reading):
            yield f"misses the required slot {fact.slot!r}"
    if re.search(r"\w\{|\}\w|\}\{", reading.words):
        yield "a slot runs into a word"


def _written_out(fact: Fact, reading: _Reading) -> bool:
    """A phrase may be copied instead of its slot, word for word; a fact may not."""
    return fact.kind == "phrase" and _clean(fact.text).lower() in " ".join(reading.words.split()).lower()


def _foreign_characters(reading: _Reading) -> Iterator[str]:
    for char in dict.fromkeys(reading.free):
        if char in (_HOLE, _PHRASE) or _ALLOWED.match(char) or char in "{}":
            continue
        if unicodedata.category(char).startswith("N"):
            yield f"a digit of its own: {char!r}"
        else:
            yield f"a character that plain words do not need: {char!r}"
    if re.search(r"[.:/]\w", reading.free):
        yield "something like an address"


def _invented(reading: _Reading, names: Sequence[str]) -> Iterator[str]:
    given = reading.given_stems
    for word in reading.free_words:
        for part in word.lower().removesuffix("'s").split("-"):
            if part in lexicon.NUMBER_WORDS:
                yield f"a number word: {part!r}"
            elif part in lexicon.UNIT_WORDS or (part == word and word in lexicon.UNIT_SYMBOLS):
                yield f"a unit: {part!r}"
            elif stem(part) in _THING_STEMS and stem(part) not in given:
                yield f"names a thing that was not given: {part!r}"
    for word in re.findall(
        r"(?<![.:] )(?<!^)\b[A-Za-z]*[A-Z][A-Za-z]*\b|\b[A-Za-z]+[A-Z][A-Za-z]*\b", reading.free
    ):
        if word in lexicon.UNIT_SYMBOLS:
            yield f"a unit: {word!r}"
        elif stem(word) not in given:
            yield f"looks like a name: {word!r}"
    limits = any(fact.kind == "limit" for fact in reading.sheet.facts)
    if (
        not limits
        and "limit" not in given
        and (found := re.search(r"\b(limit|threshold)s?\b", reading.free, re.I))
    ):
        yield f"speaks of a limit that was not given: {found[0]!r}"
    lower = f" {reading.free.lower()} "
    for name in names:
        if re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", lower) and stem(name) not in given:
            yield f"writes the name {name!r} instead of a slot"


def _own_words(reading: _Reading) -> Iterator[str]:
    for word in reading.free_words:
        if word.lower() not in lexicon.PLAIN_WORDS:
            yield f"a word of its own: {word!r}"


def _loose_phrases(reading: _Reading, task: Task) -> Iterator[str]:
    """What harmless words can do to a phrase: a cause needs words that call it one, a reason stands before the reason
    given, what was observed is no guess, and only a conclusion may tell to wait."""
    if task in ("alert", "chat") and (found := lexicon.LIKELY.search(reading.free)):
        yield f"makes a guess of what was observed: {found[0]!r}"
    if task not in ("summary", "plan") and (found := lexicon.WAIT.search(reading.free)):
        yield f"tells to wait: {found[0]!r}"
    for clause in re.split(r"[.;]", reading.words):
        if "{cause}" in clause and not _NAMES_CAUSE.search(_SLOT.sub("", clause)):
            yield "names the cause without saying that it is one"
    own = "because" in reading.free.lower()
    if own and re.search(r"\bbecause\b(?!(?: of)?:? \{why\})", reading.words, re.IGNORECASE):
        yield "gives a reason that was not given: 'because'"


def _deeds(reading: _Reading) -> Iterator[str]:
    if found := lexicon.COMMAND.search(reading.free):
        yield f"a command or address: {found[0]!r}"
    if found := lexicon.DEED.search(reading.free):
        yield f"speaks of persons or of deeds: {found[0]!r}"
    for word in reading.free_words:
        if stem(word) in _VERB_STEMS and stem(word) not in reading.given_stems:
            yield f"an action that was not given: {word!r}"


def _stance(reading: _Reading, task: Task, stance: Stance) -> Iterator[str]:
    free = reading.free
    if task in ("alert", "chat"):
        ended, firing = lexicon.ENDED.search(free), lexicon.FIRING.search(free)
        if stance.firing and ended:
            yield f"says it is over while it is firing: {ended[0]!r}"
        if not stance.firing and firing:
            yield f"says it is going on while it is over: {firing[0]!r}"
        if stance.firing and not ended and (denied := lexicon.NEGATION.search(free)):
            yield f"denies something: {denied[0]!r}"
    if stance.priority in ("P0", "P1") and (found := lexicon.HARMLESS.search(free)):
        yield f"plays a {stance.priority} down: {found[0]!r}"
    if (
        stance.priority in ("P2", "P3")
        and (found := lexicon.URGENT.search(reading.words))
        and _own(found[0], free)
    ):
        yield f"makes a {stance.priority} urgent: {found[0]!r}"
    if task == "step":
        yield from _relation(free, stance)
    if task == "summary":
        yield from _conclusion(free, stance)


def _own(found: str, free: str) -> bool:
    # Idioms are cut out of `free`; one that is there and not in a given phrase is the model's own.
    return found.lower() in free.lower() or found.lower() in lexicon.IDIOMS


def _relation(free: str, stance: Stance) -> Iterator[str]:
    against, speaks_for = lexicon.CONTRADICTS.search(free), lexicon.SUPPORTS.search(free)
    if stance.relation == "supports" and against:
        yield f"speaks against a cause that the evidence supports: {against[0]!r}"
    if stance.relation in ("contradicts", "absent") and speaks_for and not against:
        yield f"speaks for a cause that the evidence does not support: {speaks_for[0]!r}"
    if stance.relation in ("contradicts", "absent") and not against and not _says_absent(free, stance):
        yield "does not say that the evidence speaks against the cause"
    if stance.relation == "supports" and (denied := lexicon.NEGATION.search(free)):
        yield f"denies something: {denied[0]!r}"


def _says_absent(free: str, stance: Stance) -> bool:
    return stance.relation == "absent" and lexicon.ABSENT.search(free) is not None


def _conclusion(free: str, stance: Stance) -> Iterator[str]:
    if stance.cause is None:
        return
    if stance.cause in ("unknown", "no_fault"):
        if found := lexicon.CAUSE_CLAIM.search(free):
            yield f"claims a cause where none is known: {found[0]!r}"
        return
    if found := lexicon.NO_FAULT.search(free) or lexicon.ENDED.search(free):
        yield f"denies the fault whose cause it names: {found[0]!r}"
    elif (denied := lexicon.NEGATION.search(free)) and not re.search(
        r"not (yet )?(certain|confirmed|sure)", free
    ):
        yield f"denies something: {denied[0]!r}"
    yield from _surer_than_it_is(free, stance)


def _surer_than_it_is(free: str, stance: Stance) -> Iterator[str]:
    if stance.certainty not in ("likely", "open") or not lexicon.CAUSE_WORD.search(free):
        return
    hedge = lexicon.POSSIBLE if stance.certainty == "open" else lexicon.LIKELY
    if found := lexicon.CERTAIN.search(free):
        yield f"says a {stance.certainty} cause as if it were certain: {found[0]!r}"
    elif not hedge.search(free):
        yield f"does not say that the cause is {'likely' if stance.certainty == 'likely' else 'only possible'}"
    elif stance.certainty == "open" and (found := lexicon.MOST_LIKELY.search(free)):
        yield f"says an open cause as if it were likely: {found[0]!r}"


def _roles(reading: _Reading) -> Iterator[str]:
    """Slots in each other's place: a value called a limit, an asset where a time belongs."""
    kinds = {fact.slot: fact.kind for fact in reading.sheet.facts}
    text = reading.words
    for cue, allowed, name in (
        (_LIMIT_CUE, ("limit",), "limit"),
        (_READING_CUE, ("quantity",), "reading"),
        (_REACHED_CUE, ("quantity", "count", "duration"), "reading"),
    ):
        for slot in re.findall(cue + _SLOT.pattern, text, re.IGNORECASE):
            if kinds.get(slot, allowed[0]) not in allowed:
                yield f"calls {slot!r} a {name}"
    for slot in re.findall(_SLOT.pattern + r" (?:limit|threshold|maximum)\b", text):
        if kinds.get(slot, "limit") != "limit":
            yield f"calls {slot!r} a limit"
    if "limit" in kinds.values():
        for slot in re.findall(_COMPARE_CUE + _SLOT.pattern, text, re.IGNORECASE):
            if kinds.get(slot) == "quantity":
                yield f"compares against {slot!r}, which is no limit"
    for before, slot in re.findall(r"\b(\w+) " + _SLOT.pattern, text):
        if kinds.get(slot) in _NOT_AFTER.get(before.lower(), ()):
            yield f"puts {slot!r} after {before!r}"
    yield from _phrase_roles(reading)
    yield from _direction(reading)


def _phrase_roles(reading: _Reading) -> Iterator[str]:
    """A reason where the advice belongs, what happened where the cause belongs."""
    kinds = {fact.slot: fact.kind for fact in reading.sheet.facts}
    for meant, cue in _PHRASE_CUES.items():
        for slot in re.findall(
            cue + r"(?: is(?: this)?)?(?:,|:)? " + _SLOT.pattern, reading.words, re.IGNORECASE
        ):
            if kinds.get(slot) == "phrase" and slot != meant:
                yield f"puts {slot!r} where {meant!r} belongs"


def _direction(reading: _Reading) -> Iterator[str]:
    value, limit = (_number(reading.sheet.facts, kind) for kind in ("quantity", "limit"))
    if value is None or limit is None:
        return
    if value < limit and (found := _UP.search(reading.free)):
        yield f"says {found[0]!r}, but the value is below the limit"
    if value > limit and (found := _DOWN.search(reading.free)):
        yield f"says {found[0]!r}, but the value is above the limit"


def _number(facts: tuple[Fact, ...], kind: str) -> float | None:
    """The number of the only fact of that kind; None where there are several or none."""
    texts = [fact.text for fact in facts if fact.kind == kind]
    found = _FIRST_NUMBER.search(texts[0]) if len(texts) == 1 else None
    return float(found[0]) if found else None
