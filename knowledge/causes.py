"""The closed catalog of root causes and how each shows itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where it is there: ten times faster, and a start must be quick."""
CATALOGS = Path(__file__).parent / "catalogs"
NO_FAULT, UNKNOWN = "no_fault", "unknown"


@dataclass(frozen=True)
class Expectation:
    """Something one would also see if the cause were right."""

    what: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Signature:
    """Patterns over `asset kind | kind | message | metric` of one event."""

    prior: float
    strong: tuple[re.Pattern[str], ...]
    weak: tuple[re.Pattern[str], ...]
    against: tuple[re.Pattern[str], ...]
    expects: tuple[Expectation, ...]
    at_least: int = 1
    """Strong patterns count only where so many events of one asset match them: once is no flapping."""


@dataclass(frozen=True)
class Cause:
    """One entry of the catalog."""

    id: str
    area: str
    title: str
    """Short noun phrase an operator reads."""
    meaning: str
    sections: tuple[str, ...]
    """Runbook sections, most useful first."""
    remedies: tuple[str, ...]
    """Catalog actions, most fitting first."""
    signature: Signature | None


@cache
def load_causes() -> dict[str, Cause]:
    """Every cause by id, `no_fault` and `unknown` among them."""
    signatures = _read("signatures.yaml")["signatures"]
    return {
        item["id"]: Cause(
            id=item["id"],
            area=item["area"],
            title=item["title"],
            meaning=item["meaning"],
            sections=tuple(item["sections"]),
            remedies=tuple(item["remedies"]),
            signature=_signature(signatures[item["id"]]) if item["id"] in signatures else None,
        )
        for item in _read("causes.yaml")["causes"]
    }


def catalog_version() -> str:
    """Versions of the two files, as feedback and reports name them."""
    return f"{_read('causes.yaml')['version']}.{_read('signatures.yaml')['version']}"


@cache
def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((CATALOGS / name).read_text("utf-8"), Loader=_LOADER)
    return content


def _signature(item: dict[str, Any]) -> Signature:
    return Signature(
        prior=float(item.get("prior", 1.0)),
        strong=_patterns(item.get("strong")),
        weak=_patterns(item.get("weak")),
        against=_patterns(item.get("against")),
        expects=tuple(Expectation(e["what"], _compiled(e["pattern"])) for e in item.get("expects") or ()),
        at_least=int(item.get("at_least", 1)),
    )


def _patterns(items: list[str] | None) -> tuple[re.Pattern[str], ...]:
    return tuple(_compiled(item) for item in items or ())


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
