"""Finished text: every number with its unit, name, time and quotation must stand in the evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from agents.verification import lexicon
from agents.verification.claims import Claim, claims_of, quotations, without_quotations
from agents.verification.lexicon import stem
from setpoint.contracts import Evidence, Verification

_SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")
_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
_NUMBER = r"(-?\d+(?:,\d{3})*(?:\.\d+)?(?:[ ]?[^\s,.;:()]+)?)"
_LIMIT_OF = re.compile(
    r"\b(?:limit|threshold|maximum|minimum)(?: value)?(?: of| is| was| at|:)? " + _NUMBER, re.I
)
_READS = re.compile(
    r"\b(?:reading|reads|measured|now at|currently at|reached|stands at)(?: of| at|:)? " + _NUMBER, re.I
)
_COMPARED = re.compile(r"\b(above|over|exceeds?|exceeded|below|under)\b", re.I)
_ECHO_WORDS = 6
"""So many words in a row from an event's own message, outside quotation marks, are an echo."""
_TEXT_NUMBER_WORDS = lexicon.NUMBER_WORDS - {"one", "once", "single", "both", "second", "score", "pair"}


@dataclass(frozen=True)
class _Item:
    """One piece of evidence with what it claims."""

    text: str
    claims: tuple[Claim, ...]
    assets: frozenset[str] = frozenset()
    limits: frozenset[str] = frozenset()
    readings: frozenset[str] = frozenset()
    quotes: tuple[str, ...] = ()
    message: str = ""
    """Its only quotation, marks included: repeated to the letter, what stands in it is the source's. Of several it is
    open which of them a text shows."""
    amounts: tuple[str, ...] = ()
    """Quantities as they are written."""


@dataclass
class _Pool:
    items: list[_Item]
    allowed: list[Claim] = field(default_factory=list)
    """Claims of given phrases: titles, passages."""

    def all_claims(self) -> list[Claim]:
        return [claim for item in self.items for claim in item.claims] + self.allowed

    @property
    def assets(self) -> frozenset[str]:
        return frozenset(name for item in self.items for name in item.assets)

    @property
    def text(self) -> str:
        return "\n".join(item.text for item in self.items)

    def without_messages(self, text: str) -> str:
        for item in self.items:
            text = text.replace(item.message, " ") if item.message else text
        return text


def verify_text(text: str, evidence: Sequence[Evidence | str], *, given: Sequence[str] = ()) -> Verification:
    """Whether finished `text` says nothing beyond `evidence`.

    `given`: text whose names and numbers may be used too and whose words are above suspicion (cause titles, the
    cited runbook passages).
    """
    pool = _Pool([_item(one) for one in evidence], [claim for phrase in given for claim in claims_of(phrase)])
    problems = [
        *_unfounded(text, pool),
        *_unquoted(text, pool, given),
        *_misplaced(text, pool),
        *_swapped(text, pool),
        *_forbidden(text, pool, given),
    ]
    return Verification(ok=not problems, problems=tuple(dict.fromkeys(problems)))


def foreign_facts(text: str, evidence: Sequence[Evidence | str]) -> tuple[str, ...]:
    """Numbers, names, times and number words of `text` that stand in no evidence: nobody may add one, a person included."""
    return tuple(dict.fromkeys(_unfounded(text, _Pool([_item(one) for one in evidence]))))


def _item(one: Evidence | str) -> _Item:
    if isinstance(one, str):
        return _Item(one, tuple(claims_of(one)))
    facts = one.sheet.facts
    whole = "\n".join((one.text, one.sheet.condition, *(fact.text for fact in facts)))
    return _Item(
        whole,
        tuple(claims_of(whole)),
        assets=frozenset(fact.text.lower() for fact in facts if fact.kind == "asset"),
        limits=frozenset(_first(fact.text) for fact in facts if fact.kind == "limit"),
        readings=frozenset(_first(fact.text) for fact in facts if fact.kind == "quantity"),
        quotes=tuple(fact.text for fact in facts if fact.kind == "quote"),
        message=_only_quotation(one.text),
        amounts=tuple(fact.text for fact in facts if fact.kind in ("quantity", "limit")),
    )


def _only_quotation(text: str) -> str:
    return text[text.index('"') : text.rindex('"') + 1] if text.count('"') == 2 else ""


def _first(text: str) -> str:
    return next((claim.said for claim in claims_of(text) if claim.kind == "number"), text)


def _stands(claim: Claim, found: Sequence[Claim]) -> bool:
    for one in found:
        if one.kind != claim.kind:
            continue
        if claim.kind == "time":
            if one.text == claim.text or one.text.startswith(f"{claim.text}:"):
                return True
        elif one.text == claim.text and (not claim.unit or claim.unit == one.unit):
            return True
    return False


def _unfounded(text: str, pool: _Pool) -> Iterator[str]:
    found = pool.all_claims()
    for claim in claims_of(text):
        if not _stands(claim, found):
            yield f"{claim.kind} {claim.said!r} is not in the evidence"
    known = {word.lower() for word in _WORD.findall(pool.text)}
    for word in _WORD.findall(without_quotations(text)):
        for part in word.lower().split("-"):
            if part in _TEXT_NUMBER_WORDS and part not in known:
                yield f"number word {part!r} is not in the evidence"


def _unquoted(text: str, pool: _Pool, given: Sequence[str]) -> Iterator[str]:
    whole = _flat("\n".join((pool.text, *given)))
    for quote in quotations(text):
        if _flat(quote) not in whole:
            yield f"quotation {quote!r} is not in the evidence"


def _flat(text: str) -> str:
    return " ".join(text.split())


def _misplaced(text: str, pool: _Pool) -> Iterator[str]:
    """A number that stands beside one asset must come from evidence about that asset."""
    for sentence in _SENTENCE.split(text):
        near: list[str] = []
        waiting: list[Claim] = []
        closed = False
        for claim in claims_of(sentence):
            if claim.text in pool.assets:
                near, closed = ([claim.text] if closed else [*near, claim.text]), False
                yield from (_away(number, near) for number in waiting if not _together(number, near, pool))
                waiting = []
            elif claim.kind in ("number", "time"):
                closed = True
                if not near:
                    waiting.append(claim)
                elif not _together(claim, near, pool):
                    yield _away(claim, near)


def _together(claim: Claim, near: Sequence[str], pool: _Pool) -> bool:
    about = [item for item in pool.items if any(_mentions(item, asset) for asset in near)]
    return _stands(claim, pool.allowed) or any(_stands(claim, item.claims) for item in about)


def _mentions(item: _Item, asset: str) -> bool:
    return asset in item.assets or any(claim.text == asset for claim in item.claims)


def _away(claim: Claim, near: Sequence[str]) -> str:
    return f"{claim.kind} {claim.said!r} does not belong to {' or '.join(map(repr, near))}"


def _swapped(text: str, pool: _Pool) -> Iterator[str]:
    """A reading called a limit, a limit called a reading, or a comparison that is false."""
    limits = frozenset(said for item in pool.items for said in item.limits)
    readings = frozenset(said for item in pool.items for said in item.readings)
    for found in _LIMIT_OF.findall(text):
        if limits and (said := _first(found)) not in limits and not _bare(said, limits):
            yield f"calls {said!r} a limit"
    for found in _READS.findall(text):
        if (said := _first(found)) in limits - readings:
            yield f"calls the limit {said!r} a reading"
    for sentence in _SENTENCE.split(pool.without_messages(text)):
        yield from _false_comparisons(sentence)


def _false_comparisons(sentence: str) -> Iterator[str]:
    """Plain arithmetic: "92.4 C is below 85 C"."""
    numbers = [claim for claim in claims_of(sentence) if claim.kind == "number"]
    for found in _COMPARED.finditer(sentence):
        before = [claim for claim in numbers if claim.at < found.start()]
        after = [claim for claim in numbers if claim.at > found.start()]
        if not before or not after or before[-1].unit != after[0].unit:
            continue
        left, right = Decimal(before[-1].text), Decimal(after[0].text)
        up = found[0].lower().startswith(("above", "over", "exceed"))
        if left != right and (left > right) != up:
            yield f"{before[-1].said} is not {found[0]} {after[0].said}"


def _bare(said: str, full: frozenset[str]) -> bool:
    return " " not in said and any(one.split()[0] == said for one in full)


def _forbidden(text: str, pool: _Pool, given: Sequence[str]) -> Iterator[str]:
    own = without_quotations(pool.without_messages(text))
    for phrase in given:
        own = re.sub(re.escape(phrase), " ", own, flags=re.I) if phrase else own
    amounts = {amount for item in pool.items for amount in item.amounts}
    for name in sorted(pool.assets | amounts, key=len, reverse=True):
        own = re.sub(re.escape(name), " ", own, flags=re.I)
    if found := lexicon.COMMAND.search(own):
        yield f"a command or address: {found[0]!r}"
    if found := lexicon.DEED.search(own):
        yield f"speaks of persons or of deeds: {found[0]!r}"
    said = [stem(word) for word in _WORD.findall(own)]
    for quote in (quote for item in pool.items for quote in item.quotes):
        source = [stem(word) for word in _WORD.findall(quote)]
        size = min(_ECHO_WORDS, max(3, len(source)))
        runs = {tuple(source[at : at + size]) for at in range(len(source) - size + 1)}
        if any(tuple(said[at : at + size]) in runs for at in range(len(said) - size + 1)):
            yield "repeats an event's own words outside quotation marks"
