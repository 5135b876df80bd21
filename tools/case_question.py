"""The closed list of answers that a question or an alert sets: names, and what they are said to mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_CHOICES_KEY = re.compile(
    r"(?:answer_?)?(?:choices|options|candidates|closed_?list)|(?:allowed|possible|valid)_(?:answers|categories|values|causes)|categories|root_cause_categories|answers",
    re.IGNORECASE,
)
_ONE_OF = re.compile(
    r"(?:one of|choose from|choices|options|categories|allowed answers)\s*(?:\w+\s*)?:\s*(.+)",
    re.IGNORECASE | re.DOTALL,
)
_ITEM = re.compile(r"^\s*(?:[-*+\u2022]|\(?(?:\d{1,2}|[A-Za-z])[.)]|\|)\s*(?P<item>\S.*)$")
_PARTED = re.compile(
    r"^[`*\"']*(?P<name>[^`*\"':|]+?)[`*\"']*\s*(?::|\||\s[-\u2013\u2014]+\s|\s=\s)\s*(?P<meaning>\S.*)$"
)
_QUOTES = " \t-*.`'\"()|"
LONGEST_NAME = 60


def answers_in(question: str) -> dict[str, str]:
    """The closed list a question spells out, each answer with its meaning ("" where only a name stands).

    >>> answers_in("What failed? Answer with one of: network, storage full, healthy.")
    {'network': '', 'storage full': '', 'healthy': ''}
    >>> answers_in("Which?\\n- `disk_io` - a disk slow, failing or full\\n- `healthy` - nothing wrong")
    {'disk_io': 'a disk slow, failing or full', 'healthy': 'nothing wrong'}
    """
    found = (_ITEM.match(line) for line in question.splitlines())
    items = dict(parted for item in found if item and (parted := _part(item["item"])))
    if len(items) >= 2:
        return items
    match = _ONE_OF.search(question)
    if not match:
        return {}
    return {item: "" for raw in re.split(r"[,;\n]|\bor\b", match[1]) if (item := raw.strip(_QUOTES))}


def _part(item: str) -> tuple[str, str] | None:
    """Name and meaning of one item; None where it is no answer: the rule or head of a table, a whole sentence."""
    parted = _PARTED.match(item.strip())
    name, meaning = (parted["name"], parted["meaning"]) if parted else (item, "")
    name = name.strip(_QUOTES)
    if not name or len(name) > LONGEST_NAME or name.lower() in ("answer", "category", "id", "option", "name"):
        return None
    return name, meaning.strip(" |")


def choices_in(question: str) -> tuple[str, ...]:
    """The names alone.

    >>> choices_in("One of: a, b")
    ('a', 'b')
    """
    return tuple(answers_in(question))


def listed_in(document: Mapping[Any, Any]) -> dict[str, str]:
    """The closed list under a key such as `choices`: texts, a mapping to meanings, or records with a name."""
    for key, value in document.items():
        if not _CHOICES_KEY.fullmatch(str(key)):
            continue
        if isinstance(value, Mapping):
            return {str(name): meaning if isinstance(meaning, str) else "" for name, meaning in value.items()}
        if isinstance(value, list):
            return dict(_record(one) for one in value)
    return {}


def _record(one: object) -> tuple[str, str]:
    if not isinstance(one, Mapping):
        return str(one), ""
    name = next((one[key] for key in ("id", "name", "value", "answer") if one.get(key)), "")
    told = next((one[key] for key in ("meaning", "description", "text", "title") if one.get(key)), "")
    return str(name), str(told)
