"""Examples as the product itself makes them: phrases of its own rules, catalog and runbooks, sheets of its shape.

For scoring only: nobody composed these phrases for the model, and the model shipped never trained on them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, cast

import yaml

from prompts import (
    AlertInput,
    Certainty,
    ChatInput,
    Relation,
    StepInput,
    SummaryInput,
    Task,
    WordInput,
    render,
)
from setpoint.contracts import PRIORITIES, Fact, FactKind, FactSheet
from setpoint.learning.corpus import Example

KNOWLEDGE = Path(__file__).parents[2] / "knowledge"
_INTENTS = ("what happened", "when did it start", "which device is affected", "what is the reading")
_REQUIRED = {"asset", "value", "limit"}
_KIND: dict[str, FactKind] = {"value": "quantity"}


def product_example(rng: Random, task: Task) -> Example:
    """One prompt of `task` without a model answer: `answer` is empty."""
    inputs = _inputs(rng, task)
    prompt = render(task, inputs)
    return Example(task=task, system=prompt.system, user=prompt.user, answer="", inputs=inputs)


def _inputs(rng: Random, task: Task) -> WordInput:
    condition = rng.choice(conditions())
    if task == "alert":
        sheet = _sheet(
            rng, condition, ("place", "metric", "value", "limit", "time", "code", "count", "tenant")
        )
        return AlertInput(rng.choice(PRIORITIES), sheet, impact=rng.choice(impacts()))
    if task == "step":
        relations: tuple[Relation, ...] = ("supports", "supports", "supports", "contradicts", "absent")
        sheet = _sheet(rng, condition, ("time", "value", "limit", "count"))
        return StepInput(rng.choice(titles())[1], rng.choice(relations), sheet)
    if task == "chat":
        return ChatInput(rng.choice(_INTENTS), _sheet(rng, condition, ("time", "value", "limit", "count")))
    certainties: tuple[Certainty, ...] = ("clear", "likely", "open")
    cause, title = rng.choice(titles())
    sheet = _sheet(rng, condition, ("time", "count"))
    return SummaryInput(cause, title, rng.choice(certainties), sheet, rng.choice(("", *todos())))


def _sheet(rng: Random, condition: str, optional: tuple[str, ...]) -> FactSheet:
    """The asset and some of the others in the product's order; a limit or metric only with a value."""
    slots = ["asset", *(slot for slot in optional if rng.random() < 0.55)]
    if "value" not in slots:
        slots = [slot for slot in slots if slot not in ("metric", "limit")]
    facts = [
        Fact(
            slot=slot,
            kind=_KIND.get(slot, cast(FactKind, slot)),
            text="x",
            evidence_id="E1",
            required=slot in _REQUIRED,
        )
        for slot in slots
    ]
    return FactSheet(condition=condition, facts=tuple(facts))


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
    causes = _load(KNOWLEDGE / "catalogs" / "causes.yaml")["causes"]
    return tuple((cause["id"], cause["title"]) for cause in causes)


@cache
def todos() -> tuple[str, ...]:
    """First sentences of short runbook steps."""
    found: list[str] = []
    for file in sorted((KNOWLEDGE / "corpus").rglob("*.md")):
        steps = file.read_text(encoding="utf-8").partition("\n## Steps\n")[2].partition("\n## ")[0]
        lines = re.findall(r"(?m)^[0-9]+\. (?:Safety: )?(.*?)(?: \{action: \w+\})?$", steps)
        found += [line.split(". ")[0].rstrip(".") for line in lines]
    return tuple(todo for todo in _plain(found) if len(todo.split()) <= 14)


def _rules() -> list[dict[str, Any]]:
    files = sorted((KNOWLEDGE / "rules").glob("*.yaml"))
    return [rule for file in files for rule in _load(file).get("rules", []) if isinstance(rule, dict)]


def _load(path: Path) -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load(path.read_text(encoding="utf-8")))


def _plain(texts: Any) -> tuple[str, ...]:
    """Each phrase once, those with digits, braces or other facts left out, as the product leaves them out."""
    return tuple(dict.fromkeys(text for text in texts if not re.search(r'[0-9{}"`]', text)))
