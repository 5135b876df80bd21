"""A citation must quote its passage word for word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from setpoint.contracts import Citation, Passage, Verification

MIN_QUOTE_CHARS = 12
_ITEM = re.compile(r"(?m)^\s*(?:[-*]|\d+[.)])\s+")
_STEP = re.compile(r"(?P<passage>.+)/(?P<number>\d+)")


def passage_of(citation: Citation, passages: Sequence[Passage]) -> Passage | None:
    """The cited passage; a step is cited as `passage-id/number`."""
    step = _STEP.fullmatch(citation.passage_id)
    wanted = {citation.passage_id} | ({step["passage"]} if step else set())
    return next((passage for passage in passages if passage.id in wanted), None)


def verify_citation(citation: Citation, passage: Passage) -> Verification:
    """Whether the quote stands in the passage (line breaks aside) and, for a step, in that step."""
    problems = tuple(_problems(citation, passage))
    return Verification(ok=not problems, problems=problems)


def _problems(citation: Citation, passage: Passage) -> Iterator[str]:
    if passage_of(citation, [passage]) is None:
        yield f"cites {citation.passage_id!r}, the passage is {passage.id!r}"
        return
    quote = _flat(citation.quote)
    if len(quote) < MIN_QUOTE_CHARS and quote not in _items(passage):
        yield f"the quote {quote!r} is too short to prove anything"
    elif quote not in _flat(_cited_part(citation, passage)):
        yield f"the quote is not in {citation.passage_id!r}: {quote!r}"


def _items(passage: Passage) -> set[str]:
    """Whole items of the passage's lists: even a short one is a quotation of its own."""
    return {_flat(item) for item in _ITEM.split(passage.text)} - {""}


def _cited_part(citation: Citation, passage: Passage) -> str:
    step = _STEP.fullmatch(citation.passage_id)
    if step is None or citation.passage_id == passage.id:
        return passage.text
    found = re.search(rf"(?ms)^\s*{step['number']}[.)]\s(.*?)(?=^\s*\d+[.)]\s|\Z)", passage.text)
    return found[1] if found else passage.text


def _flat(text: str) -> str:
    return " ".join(text.split())
