"""Fact sheets for prompts: shaped as the product shapes them, or drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import cast

from prompts import Task
from setpoint.contracts import Fact, FactKind, FactSheet
from setpoint.learning.phrases import words

_PRODUCT: dict[Task, tuple[str, ...]] = {
    "alert": ("place", "metric", "value", "limit", "time", "code", "count", "tenant"),
    "step": ("time", "value", "limit", "count"),
    "summary": ("time", "count"),
    "chat": ("place", "time", "value", "limit", "count"),
}
_REQUIRED = {"asset", "value", "limit"}


def product_sheet(rng: Random, condition: str, task: Task) -> FactSheet:
    """The asset and some of the others in the product's order; a limit or metric only with a value."""
    slots = ["asset", *(slot for slot in _PRODUCT[task] if rng.random() < 0.55)]
    if "value" not in slots:
        slots = [slot for slot in slots if slot not in ("metric", "limit")]
    return FactSheet(condition=condition, facts=tuple(_fact(slot, slot, slot in _REQUIRED) for slot in slots))


def random_sheet(rng: Random, condition: str) -> FactSheet:
    """Up to seven slots of any kind and name."""
    count = rng.choices([0, 1, 2, 3, 4, 5, 6, 7], weights=[2, 10, 20, 24, 20, 12, 7, 5])[0]
    return FactSheet(condition=condition, facts=draw_facts(rng, count))


def draw_facts(rng: Random, count: int) -> tuple[Fact, ...]:
    """`count` facts in an order the product might use; slot names are mostly the kind's usual one."""
    kinds: Sequence[str] = rng.choices(
        [
            "asset",
            "place",
            "metric",
            "quantity",
            "limit",
            "count",
            "time",
            "duration",
            "code",
            "quote",
            "tenant",
            "name",
        ],
        weights=[30, 9, 10, 14, 10, 10, 14, 7, 7, 4, 5, 5],
        k=count,
    )
    if count > 1 and rng.random() < 0.6:
        kinds = ["asset", *kinds[1:]]
    needy = rng.choice([0.3, 0.7, 1.0])
    facts: dict[str, Fact] = {}
    for kind in kinds:
        slot = rng.choice(words()["slot_names"][kind][: 3 if rng.random() < 0.7 else None])
        needed = rng.random() < needy
        facts.setdefault(slot, _fact(slot, kind, needed))
    return tuple(facts.values())


def _fact(slot: str, kind: str, required: bool) -> Fact:
    # The terse prompt never shows a value, so any text serves.
    kind = "quantity" if kind == "value" else kind
    return Fact(slot=slot, kind=cast(FactKind, kind), text="x", evidence_id="E1", required=required)
