"""Phrases the product itself says: conditions and reasons of its rules, causes, remedies, runbook sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

KNOWLEDGE = Path(__file__).parents[2] / "knowledge"


@cache
def conditions() -> tuple[str, ...]:
    """Every condition the rules can name."""
    return _plain(rule["condition"] for rule in _rules() if "condition" in rule)


@cache
def impacts() -> tuple[str, ...]:
    """Every reason a rule or verdict gives for a high impact or urgency."""
    verdicts = _load(KNOWLEDGE / "rules" / "verdicts.yaml")["verdicts"].values()
    reasons = [
        entry[key].removeprefix("high: ").replace("{what}", entry.get("what", "this device"))
        for entry in (*_rules(), *verdicts)
        for key in ("impact", "urgency")
        if str(entry.get(key, "")).startswith("high: ")
    ]
    return _plain(reasons)


@cache
def titles() -> tuple[tuple[str, str], ...]:
    """Id and title of every cause."""
    return tuple((cause["id"], cause["title"]) for cause in _causes())


@cache
def remedies() -> tuple[str, ...]:
    """What the product proposes first: catalog actions as words ("start standby pump")."""
    names = [name for cause in _causes() for name in cause.get("remedies", ())]
    return _plain(name.replace("_", " ").replace("gpu", "GPU").replace("ess", "ESS") for name in names)


@cache
def sentences() -> tuple[str, ...]:
    """Sentences of the runbooks, as far as they hold no digits or markup: our own plain English."""
    found: list[str] = []
    for file in sorted((KNOWLEDGE / "corpus").rglob("*.md")):
        text = file.read_text(encoding="utf-8").partition("\n## ")[2]
        lines = [
            re.sub(r"^(?:[0-9]+\.|-) |^Safety: | ?\{action: \w+\}$", "", line) for line in text.splitlines()
        ]
        found += [part.strip(" .") for line in lines for part in re.split(r"[.;:?!](?: |$)", line)]
    return tuple(
        text for text in _plain(found) if len(text.split()) > 1 and re.fullmatch(r"[A-Za-z ,'/()-]+", text)
    )


@cache
def vocabulary() -> tuple[str, ...]:
    """Every distinct word of the runbooks, as written."""
    return tuple(sorted({word for text in sentences() for word in re.findall(r"[A-Za-z][A-Za-z'-]*", text)}))


def _rules() -> list[dict[str, Any]]:
    files = sorted((KNOWLEDGE / "rules").glob("*.yaml"))
    return [rule for file in files for rule in _load(file).get("rules", []) if isinstance(rule, dict)]


def _causes() -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], _load(KNOWLEDGE / "catalogs" / "causes.yaml")["causes"])


def _load(path: Path) -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load(path.read_text(encoding="utf-8")))


def _plain(texts: Iterable[str]) -> tuple[str, ...]:
    """Each phrase once, those with digits, braces or other facts left out, as the product leaves them out."""
    return tuple(dict.fromkeys(text for text in texts if not re.search(r'[0-9{}"`]', text)))
