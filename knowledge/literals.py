"""Which plain strings a pattern cannot match without: a quick test before the pattern itself is tried.

Hundreds of rules are tried on each new wording; most need a word that is not there. `needed` finds these words in the
pattern's own syntax tree, so that nobody has to keep a second list beside the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from re import _parser  # type: ignore[attr-defined]  # the parser that `re` itself uses; there is no public one
from typing import Any

MIN_LENGTH = 2
"""Shorter strings are in nearly every text: no use as a test."""
MAX_STRINGS = 120


@cache
def needed(pattern: re.Pattern[str]) -> frozenset[str]:
    """Lower-case strings of which every text that matches holds at least one; empty: no such set is known.

    >>> sorted(needed(re.compile("(?:fan|pump) (?:has )?failed|seized")))
    ['failed', 'seized']
    """
    found = _of_sequence(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))
    return found if found and len(found) <= MAX_STRINGS else frozenset()


def _of_sequence(items: Iterable[tuple[Any, Any]]) -> frozenset[str]:
    """The most telling set among the parts that all have to be there."""
    candidates: list[frozenset[str]] = []
    run = ""
    for op, argument in items:
        if str(op) == "LITERAL":
            run += chr(argument).lower()
            continue
        if str(op) == "AT":  # a border between characters takes none, so the run goes on
            continue
        candidates.append(_of_run(run))
        run = ""
        candidates.append(_of_part(str(op), argument))
    candidates.append(_of_run(run))
    usable = [found for found in candidates if found]
    return max(usable, key=_telling, default=frozenset())


def _of_run(run: str) -> frozenset[str]:
    return frozenset({run}) if len(run) >= MIN_LENGTH else frozenset()


def _of_part(op: str, argument: Any) -> frozenset[str]:
    if op == "SUBPATTERN":
        return _of_sequence(argument[3])
    if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and argument[0] >= 1:
        return _of_sequence(argument[2])
    if op == "BRANCH":
        branches = [_of_sequence(branch) for branch in argument[1]]
        return frozenset().union(*branches) if all(branches) else frozenset()
    return frozenset()


def _telling(strings: frozenset[str]) -> tuple[int, int]:
    """Long strings, then few of them."""
    return min(map(len, strings)), -len(strings)
