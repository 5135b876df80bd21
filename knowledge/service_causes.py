"""The closed list of what can be wrong with a service, and the words services use: two catalogs, read once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import yaml

from knowledge.causes import CATALOGS

HEALTHY, UNKNOWN = "healthy", "unknown"
SignRole = Literal["change", "failure", "symptom", "recovery", "routine"]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Category:
    """A broad answer."""

    id: str
    title: str
    meaning: str
    also: tuple[str, ...]
    own: bool
    """Part of our own closed list; the others are only met in lists that others set."""


@dataclass(frozen=True)
class Mode:
    """A specific answer: what is wrong, how it shows, and what it can bring about."""

    id: str
    title: str
    categories: tuple[str, ...]
    """Best fitting first."""
    also: tuple[str, ...]
    mechanism: str
    check: str
    signs: Mapping[str, float]
    moves: Mapping[str, float]
    waits: Mapping[str, float]
    needs: frozenset[str]
    quiet: frozenset[str]
    causes: frozenset[str]
    shows: frozenset[str]


@dataclass(frozen=True)
class Quantity:
    """What a metric means."""

    id: str
    role: str
    bad: Literal["up", "down"]
    title: str
    words: tuple[re.Pattern[str], ...]


@dataclass(frozen=True)
class Sign:
    """What a line says."""

    id: str
    role: SignRole
    words: re.Pattern[str]


@dataclass(frozen=True)
class Catalog:
    """Both files."""

    categories: Mapping[str, Category]
    modes: Mapping[str, Mode]
    quantities: tuple[Quantity, ...]
    signs: Mapping[str, Sign]
    waits: tuple[tuple[str, re.Pattern[str]], ...]
    writes: re.Pattern[str]


@cache
def load_catalog() -> Catalog:
    """The catalogs, compiled."""
    causes, words = _read("service_causes.yaml"), _read("service_words.yaml")
    return Catalog(
        categories={item["id"]: _category(item) for item in causes["categories"]},
        modes={item["id"]: _mode(item) for item in causes["modes"]},
        quantities=tuple(_quantity(item) for item in words["quantities"]),
        signs={item["id"]: Sign(item["id"], item["role"], _any(item["words"])) for item in words["signs"]},
        waits=tuple((item["id"], _any(item["words"])) for item in words["waits"]),
        writes=re.compile(words["writes"], re.IGNORECASE),
    )


def plain(name: str) -> str:
    """A name as comparable words.

    >>> plain("Resource-Exhaustion (CPU)"), plain("imagePullBackOff")
    ('resource_exhaustion_cpu', 'image_pull_back_off')
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((CATALOGS / name).read_text("utf-8"), Loader=_LOADER)
    return content


def _category(item: dict[str, Any]) -> Category:
    also = tuple(plain(one) for one in item["also"])
    return Category(item["id"], item["title"], item["meaning"], also, item.get("own", True))


def _mode(item: dict[str, Any]) -> Mode:
    return Mode(
        id=item["id"],
        title=item["title"],
        categories=tuple(item["categories"]),
        also=tuple(plain(one) for one in item.get("also", ())),
        mechanism=item["mechanism"],
        check=item["check"],
        signs=item.get("signs", {}),
        moves=item.get("moves", {}),
        waits=item.get("waits", {}),
        needs=frozenset(item["needs"]),
        quiet=frozenset(item.get("quiet", ())),
        causes=frozenset(item.get("causes", ())),
        shows=frozenset(item.get("shows", ())),
    )


def _quantity(item: dict[str, Any]) -> Quantity:
    words = tuple(re.compile(one) for one in item["words"])
    return Quantity(item["id"], item["role"], item["bad"], item["title"], words)


def _any(words: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{one})" for one in words), re.IGNORECASE)
