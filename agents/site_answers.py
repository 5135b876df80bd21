"""What the tools over the site as a whole found, in words: where an asset stands, and how the GPU nodes do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agents.plant_answers import Result, Told, n


def tell_site(tool: str, result: Any) -> Told:
    """Words for the tool's result; what a tool refuses is its own words."""
    return TELL[tool](result) if isinstance(result, dict) else (f"{str(result).rstrip('.')}.", [])


def _topology(r: Result) -> Told:
    served = f"; services that depend on it: {_some(r['services'])}" if r["services"] else ""
    below = [one for one in r["stand_on_it"] if one not in r["services"]]
    plain = f"{r['asset']} stands on {_few(r['stands_on'])}; {_few(below)} {'stands' if len(below) == 1 else 'stand'} on it{served}."
    lines = [f"stands on: {_some(r['stands_on'])}", f"stand on it: {_some(below)}"]
    if r["redundant_with"]:
        lines.append(f"carried on by: {_some(r['redundant_with'])}")
    return plain, lines


def _few(names: list[str]) -> str:
    """
    >>> _few([]), _few(["a", "b"]), _few(["a", "b", "c", "d", "e"])
    ('nothing', 'a, b', 'a, b, c and 2 more')
    """
    return _some(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _gpus(r: Result) -> Told:
    plain = f"{n(r['busy'])} of {n(r['nodes'])} GPU nodes are busy, {n(r['idle'])} idle, {n(len(r['throttled']))} throttled, {n(len(r['down']))} down."
    lines = [f"{words}: {_some(r[key])}" for key, words in (("throttled", "throttled by heat"), ("down", "down"), ("short_of_gpus", "with a GPU missing"),
             ("cordoned", "cordoned or drained")) if r[key]]  # fmt: skip
    if r["hottest"]:
        lines.append(f"hottest: {r['hottest']}, {n(r['hottest_c'], 'C')}")
    unread = [f"not read: {_some(r['not_read'])}"] if r["not_read"] else []
    return plain, [*lines, *unread]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"


TELL: dict[str, Callable[[Result], Told]] = {"topology": _topology, "gpus": _gpus}
"""Tools whose results are put into words here."""
