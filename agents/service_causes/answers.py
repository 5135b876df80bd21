"""Fits an answer of our own list into a closed list that someone else set."""

from __future__ import annotations

from collections.abc import Sequence

from knowledge.service_causes import HEALTHY, UNKNOWN, load_catalog, plain

OWN = tuple(c.id for c in load_catalog().categories.values() if c.own)
"""Our own closed list of categories."""


def category_of(mode: str, choices: Sequence[str] = ()) -> str:
    """The category of a mode, in the words of `choices` where it holds one that fits; else of our own list.

    >>> category_of("dns_failure"), category_of("dns_failure", ["Network", "Healthy"])
    ('configuration_error', 'Network')
    """
    catalog = load_catalog()
    wanted = (mode,) if mode in (HEALTHY, UNKNOWN) else catalog.modes[mode].categories
    for category in wanted:
        known = {category, *catalog.categories[category].also}
        for choice in choices:
            if plain(choice) in known:
                return choice
    return next(c for c in (*wanted, UNKNOWN) if c in OWN)


def is_ours(choices: Sequence[str]) -> bool:
    """Whether every answer of a list is a category of ours by some name: then it needs no reading for meaning.

    >>> is_ours(["Network", "Healthy"]), is_ours(["broker_disk_io", "healthy"])
    (True, False)
    """
    known = {name for one in load_catalog().categories.values() for name in (one.id, *one.also)}
    return all(plain(choice) in known for choice in choices)


def answer_of(mode: str, choices: Sequence[str]) -> str:
    """The entry of `choices` for a mode: the most specific one that fits, else its category.

    >>> answer_of("memory_exhaustion", ["cpu", "OOM", "resource_exhaustion"])
    'OOM'
    """
    catalog = load_catalog()
    if mode in catalog.modes:
        names = {mode, plain(catalog.modes[mode].title), *catalog.modes[mode].also}
        categories = {n for c in catalog.categories.values() for n in (c.id, *c.also)}
        exact = [c for c in choices if plain(c) in names and plain(c) not in categories - {mode}]
        if exact:
            return exact[0]
        loose = [
            c for c in choices if any(set(name.split("_")) <= set(plain(c).split("_")) for name in names)
        ]
        if loose:
            return loose[0]
    return category_of(mode, choices)


def listed(text: str) -> tuple[str, ...]:
    """A closed list as typed on the command line.

    >>> listed("network, storage full,")
    ('network', 'storage full')
    """
    return tuple(item for part in text.split(",") if (item := part.strip()))
