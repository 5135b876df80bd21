"""How the bundled model speaks: answers composed around slots, in a calm operator's voice.

Every frame is grammatical with any phrase (phrases follow a colon or open the sentence) and any slot text.
No digits, no unit words, no number words, only the punctuation `. , : ; - '`.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from prompts import AlertInput, ChatInput, StepInput, SummaryInput
from prompts.renderer import capital, inner
from setpoint.contracts import Fact, FactKind, FactSheet

_ALONE: dict[FactKind, tuple[str, ...]] = {
    "place": (" in {}",),
    "time": (" at {}",),
    "duration": (" for {}",),
    "metric": (", seen in {}",),
    "quantity": (", reading {}",),
    "limit": (", with a limit of {}",),
    "count": (", {} so far", ", counting {}"),
    "code": (", code {}", ", reported as {}"),
    "tenant": (", affecting {}",),
    "name": (", named {}", ", involving {}"),
    "quote": (", with the message {}",),
}
_TAIL: tuple[FactKind, ...] = ("count", "code", "tenant", "name", "quote")


def alert_answer(rng: Random, inputs: AlertInput) -> str:
    """What happened where, the value against its limit, then impact and what to do."""
    why, todo = inner(inputs.impact), inner(inputs.todo)
    lead = "Act now: " if inputs.priority == "P0" else "Impact: "
    ask = rng.choice(("to do now: ", "start here: ")) if inputs.priority == "P0" else "next step: "
    if why and todo:
        second = f" {lead}{why}; {ask}{todo}."
    elif why:
        second = f" {lead}{why}."
    else:
        second = f" {capital(ask)}: {todo}." if todo else ""
    return _observed(rng, inputs.sheet) + "." + second


def step_answer(rng: Random, inputs: StepInput) -> str:
    """One sentence: the evidence, and what it says about the cause."""
    cause = inner(inputs.title)
    if inputs.relation == "absent":
        thing = inner(inputs.sheet.condition) + _facts(rng, inputs.sheet)
        lead = rng.choice(("Expected but missing", "Missing so far"))
        return f"{lead}: {thing}, which weakens this cause: {cause}."
    verdict = {
        "supports": ("which fits this cause", "which speaks for this cause"),
        "contradicts": ("which does not fit this cause", "which speaks against this cause"),
    }[inputs.relation]
    return f"{_observed(rng, inputs.sheet)}, {rng.choice(verdict)}: {cause}."


def summary_answer(rng: Random, inputs: SummaryInput) -> str:
    """What was seen and its cause, as certain as it is; then what to do."""
    seen, todo, cause = _observed(rng, inputs.sheet), inner(inputs.todo), inner(inputs.title)
    if inputs.cause == "unknown":
        verdict, default = "the evidence is not enough to name a cause", "Gather more evidence before acting"
    elif inputs.cause == "no_fault":
        verdict, default = "the evidence shows no fault", "Keep watching"
    elif inputs.certainty == "clear":
        verdict = rng.choice((f"the cause is clear: {cause}", f"the evidence points to this cause: {cause}"))
        default = "Follow the recovery guide"
    elif inputs.certainty == "likely":
        verdict = rng.choice((f"most likely cause: {cause}", f"the most likely cause is this: {cause}"))
        default = "Confirm it with the checks before acting"
    else:
        verdict = rng.choice(
            (
                f"a possible cause, others remain open: {cause}",
                f"others remain open, this cause is possible: {cause}",
            )
        )
        default = "Gather more evidence before acting"
    return f"{seen}; {verdict}. " + (f"Next step: {todo}." if todo else f"{default}.")


def chat_answer(rng: Random, inputs: ChatInput) -> str:
    """The condition with its slots; long sheets are said in two sentences."""
    return _observed(rng, inputs.sheet) + "."


def _observed(rng: Random, sheet: FactSheet) -> str:
    return capital(sheet.condition) + _facts(rng, sheet)


def _facts(rng: Random, sheet: FactSheet) -> str:
    """The chosen slots in speaking order: where, when, the reading against its limit, the rest."""
    chosen = _chosen(rng, sheet.facts)
    of = {kind: [fact for fact in chosen if fact.kind == kind] for kind in {fact.kind for fact in chosen}}
    parts = [_assets(of.pop("asset", []))]
    parts += _each(rng, of, ("place", "time", "duration"))
    parts += _readings(rng, of)
    return "".join(parts + _each(rng, of, _TAIL))


def _chosen(rng: Random, facts: Iterable[Fact]) -> list[Fact]:
    return [fact for fact in facts if fact.required or rng.random() < 0.8]


def _assets(assets: list[Fact]) -> str:
    slots = [f"{{{fact.slot}}}" for fact in assets]
    if not slots:
        return ""
    return " on " + (", ".join(slots[:-1]) + " and " + slots[-1] if len(slots) > 1 else slots[0])


def _readings(rng: Random, of: dict[FactKind, list[Fact]]) -> list[str]:
    """Metric, value and limit belong together; whatever is left over stands alone."""
    parts: list[str] = []
    while of.get("quantity") and (of.get("metric") or of.get("limit")):
        value = f"{{{of['quantity'].pop(0).slot}}}"
        metric = f"{{{of['metric'].pop(0).slot}}} at " if of.get("metric") else "reading "
        limit = f" against a limit of {{{of['limit'].pop(0).slot}}}" if of.get("limit") else ""
        parts.append(f", {metric}{value}{limit}")
    return parts + _each(rng, of, ("metric", "quantity", "limit"))


def _each(rng: Random, of: dict[FactKind, list[Fact]], kinds: Iterable[FactKind]) -> list[str]:
    return [
        rng.choice(_ALONE[kind]).format(f"{{{fact.slot}}}") for kind in kinds for fact in of.get(kind, [])
    ]
