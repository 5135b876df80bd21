"""How the bundled model speaks: answers composed of slots and connecting words, in a calm operator's voice.

Most examples speak in the house style, which is the same for the same prompt: what happened, where and when, the reading
beside its limit, why it matters, what to do first. The others are spoken in styles drawn at random, so that a
hundred corrections find every joint, order and label already known.

No digits, no unit words, no number words, only the punctuation `. , : ; - '`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from prompts import (
    AlertInput,
    ChatInput,
    PlanInput,
    Relation,
    StepInput,
    SummaryInput,
    phrases,
)
from setpoint.contracts import Fact, FactKind, FactSheet

HOUSE_SHARE = 0.55
Order = Literal["what", "place", "time", "first", "why"]
_KINDS_AFTER: tuple[FactKind, ...] = ("count", "code", "tenant", "name", "quote")


@dataclass(frozen=True)
class Style:
    """One way to speak. Its defaults are the house style."""

    order: Order = "what"
    """What comes first. `place` and `time` begin the sentence where the sheet has them."""
    kept: float = 1.0
    """Share of the facts that are said though they need not be."""
    on: str = " on {}"
    place: str = " in {}"
    time: str = " at {}"
    since: str = " since {}"
    value: str = ": {metric} at {value}, limit {limit}"
    """With a metric and a limit; what is missing is left out of it, see `_reading`."""
    count: str = ", {} so far"
    code: str = ", code {}"
    stop: str = ". "
    """Between what happened and why it matters or what caused it."""
    why: str = "Why it matters: {why}"
    first: str = "First: {first}"
    now: str = "Act now: "
    """Before the reason of a P0."""
    supports: str = ", which fits this cause: {cause}"
    contradicts: str = ", which speaks against this cause: {cause}"
    absent: str = "Expected but missing: {seen}, which weakens this cause: {cause}"
    clear: str = "The cause is clear: {cause}"
    likely: str = "Most likely cause: {cause}"
    open: str = "Possible cause, others remain open: {cause}"
    unknown: str = "The evidence is not enough to name a cause"
    no_fault: str = "The evidence shows no fault"
    lines: str = "{a}. {b}"


HOUSE = Style()
_VARIETY: dict[str, tuple[str, ...]] = {
    "on": (" on {}", " on {}", " at {}", ", {}", " - {}", " reported by {}", " seen on {}", ": {}"),
    "place": (" in {}", ", {}", ", place {}", " - {}"),
    "time": (" at {}", " since {}", ", {}", ", seen at {}", " - {}", ", first seen at {}", ", time {}"),
    "since": (" since {}", " since {}", ", since {}", ", first seen at {}", ", {}", " - since {}"),
    "value": (
        ", {metric} at {value} against a limit of {limit}",
        ", {metric} {value}, limit {limit}",
        ": {metric} {value}, limit {limit}",
        " - {metric} at {value}, limit {limit}",
        "; {metric} reads {value}, its limit is {limit}",
        ", {metric} measured at {value}, limit {limit}",
        ", observed {metric} {value}, limit {limit}",
        " with {metric} at {value}, limit {limit}",
        ", value {value} for {metric}, limit {limit}",
    ),
    "count": (", {} so far", ", counting {}", "; {} so far", " - {}", ", {} recorded", ", {} together"),
    "code": (", code {}", ", reported as {}", ", with code {}", " - code {}"),
    "stop": (". ", ". ", "; ", " - ", ". "),
    "why": (
        "Why it matters: {why}",
        "Impact: {why}",
        "This matters: {why}",
        "It matters because {why}",
        "Effect: {why}",
        "Consequence: {why}",
        "What it means: {why}",
        "Please note: {why}",
        "Note: {why}",
    ),
    "first": (
        "First: {first}",
        "Next step: {first}",
        "To do: {first}",
        "Do first: {first}",
        "Start here: {first}",
        "Please {first}",
        "Please first {first}",
        "Action: {first}",
        "Next: {first}",
        "What to do first: {first}",
        "Recommended action: {first}",
        "{first}",
    ),
    "now": ("Act now: ",),
    "supports": (
        ", which fits this cause: {cause}",
        ", which speaks for this cause: {cause}",
        ", which supports the cause {cause}",
        "; this points to {cause}",
        ". This points to {cause}",
        ". It fits this cause: {cause}",
        " - fits the cause {cause}",
        ", as expected for this cause: {cause}",
        ". Cause supported by it: {cause}",
        "; it agrees with the cause {cause}",
    ),
    "contradicts": (
        ", which speaks against this cause: {cause}",
        ", which does not fit this cause: {cause}",
        "; this speaks against {cause}",
        ". This does not fit the cause {cause}",
        " - speaks against the cause {cause}",
        ". It weakens this cause: {cause}",
    ),
    "absent": (
        "Expected but missing: {seen}, which weakens this cause: {cause}",
        "Missing so far: {seen}; it weakens this cause: {cause}",
        "Not seen though expected: {seen}. This speaks against {cause}",
        "For the cause {cause} this was expected and is missing: {seen}",
        "{seen} is missing, though expected for this cause: {cause}",
        "{seen} was expected and not seen, which speaks against this cause: {cause}",
    ),
    "clear": (
        "The cause is clear: {cause}",
        "The evidence points to this cause: {cause}",
        "Cause: {cause}",
        "The cause is {cause}",
        "Confirmed cause: {cause}",
        "All evidence points to {cause}",
    ),
    "likely": (
        "Most likely cause: {cause}",
        "The most likely cause is this: {cause}",
        "Likely cause: {cause}",
        "Probable cause: {cause}",
        "The cause is most likely {cause}",
        "Suspected cause: {cause}",
        "The evidence most likely points to {cause}",
    ),
    "open": (
        "Possible cause, others remain open: {cause}",
        "A possible cause: {cause}",
        "Others remain open, this cause is possible: {cause}",
        "The cause is not yet certain; possible cause: {cause}",
        "The cause is not yet confirmed; possible cause: {cause}",
        "Possibly the cause: {cause}",
    ),
    "unknown": (
        "The evidence is not enough to name a cause",
        "Cause not yet known",
        "The evidence names no cause so far",
        "No cause is known yet",
        "The cause is not known",
    ),
    "no_fault": ("The evidence shows no fault", "No fault found", "The evidence points to no fault"),
    "lines": (
        "{a}. {b}",
        "{a}. {b}",
        "{a}; {b}",
        "{a}. Also: {b}",
        "{a} - {b}",
        "{a}; also: {b}",
        "{a}. Note: {b}",
    ),
}
_LED: dict[str, tuple[str, ...]] = {
    # Small letters: they may also stand behind a colon.
    "place": ("on {asset}{place}: {what}{time}", "{asset}{place}: {what}{time}", "{asset}{place} reports {what}{time}"),
    "time": ("at {when}: {what}{on}{place}", "{when}: {what}{on}{place}", "at {when}, {what}{on}{place}",
             "since {when}: {what}{on}{place}", "observed at {when}: {what}{on}{place}"),
}  # fmt: skip
_PLAN_LEADS = {
    "forecast": ("Forecast: ", "Outlook: ", "What is coming: ", "Expected: "),
    "advice": ("Advice: ", "To do: ", "Recommended: ", "Next step: "),
}
_AFTER = {
    "clear": "Follow the recovery guide",
    "likely": "Confirm it with the checks before acting",
    "open": "Gather more evidence before acting",
    "unknown": "Gather more evidence before acting",
    "no_fault": "Keep watching",
}


def draw_style(rng: Random) -> Style:
    """The house style most of the time, else one drawn at random."""
    if rng.random() < HOUSE_SHARE:
        return HOUSE
    order: Order = rng.choice(("what", "what", "what", "place", "place", "time", "time", "first", "why"))
    # A style differs from the house in some things, seldom in all.
    changed = {name: rng.choice(forms) for name, forms in _VARIETY.items() if rng.random() < 0.6}
    return Style(order=order, kept=rng.choice((0.0, 0.5, 1.0, 1.0)), **changed)  # type: ignore[arg-type]


def alert_answer(rng: Random, inputs: AlertInput, style: Style) -> str:
    """What happened where, the value against its limit, then why it matters and what to do."""
    given = phrases(inputs)
    urgent = style.now if inputs.priority == "P0" else ""
    why = (urgent + "{why}" if urgent else style.why) if "why" in given else ""
    first = style.first if "first" in given else ""
    if urgent and not why and first:
        first = urgent + "{first}"
    seen = _observed(rng, inputs.sheet, style)
    if style.order == "first" and first:
        return _text(first, ". ", seen, style.stop if why else "", why)
    if style.order == "why" and why:
        return _text(why, ". ", seen, ". " if first else "", first)
    return _text(seen, style.stop if why else "", why, ". " if first else "", first)


def step_answer(rng: Random, inputs: StepInput, style: Style) -> str:
    """The evidence, and what it says about the cause."""
    seen = _observed(rng, inputs.sheet, style)
    verdicts: dict[Relation, str] = {"supports": style.supports, "contradicts": style.contradicts}
    if inputs.relation == "absent":
        return _text(style.absent.replace("{seen}", seen))
    return _text(seen + verdicts[inputs.relation])


def summary_answer(rng: Random, inputs: SummaryInput, style: Style) -> str:
    """What was seen and its cause, as certain as it is; then what to do."""
    given, seen = phrases(inputs), _observed(rng, inputs.sheet, style, ongoing=True)
    state = inputs.cause if inputs.cause in ("unknown", "no_fault") else inputs.certainty
    verdict = str(getattr(style, state))
    if state == inputs.certainty and "cause" not in given:
        verdict = ""  # what was seen is the cause itself
    first = style.first if "first" in given else _AFTER[state]
    if style.order == "first" and "first" in given:
        return _text(first, ". ", seen, style.stop if verdict else "", verdict)
    return _text(seen, style.stop if verdict else "", verdict, ". ", first)


def chat_answer(rng: Random, inputs: ChatInput, style: Style) -> str:
    """The condition with its facts."""
    return _text(_observed(rng, inputs.sheet, style))


def plan_answer(rng: Random, inputs: PlanInput, style: Style) -> str:
    """The lines, one after the other."""
    slots = [f"{{{slot}}}" for slot in phrases(inputs)]
    joined = slots[0]
    for slot in slots[1:]:
        joined = style.lines.format(a=joined, b=slot)
    return _text(
        ("" if style == HOUSE or rng.random() < 0.5 else rng.choice(_PLAN_LEADS[inputs.part])) + joined
    )


def _text(*parts: str) -> str:
    """The parts as sentences: a capital at the beginning of each, small letters behind other joints, a full stop."""
    text = ""
    for part in parts:
        begins = not text or text.endswith(". ")
        text += part[:1].upper() + part[1:] if begins else part[:1].lower() + part[1:]
    return f"{text}."


def _observed(rng: Random, sheet: FactSheet, style: Style, *, ongoing: bool = False) -> str:
    """What happened with the chosen facts: where, when, the reading against its limit, the rest."""
    chosen = [fact for fact in sheet.facts if fact.required or rng.random() < style.kept]
    of = {kind: [f"{{{fact.slot}}}" for fact in chosen if fact.kind == kind] for kind in _kinds(chosen)}
    time_form = style.since if ongoing else style.time
    assets, places, times = (of.pop(kind, []) for kind in ("asset", "place", "time"))
    place = "".join(style.place.format(slot) for slot in places)
    where = style.on.format(_listed(assets)) if assets else ""
    if style.order == "place" and assets:
        lead = rng.choice(_LED["place"]).format(
            asset=_listed(assets), place=place, what="{what}", time="".join(map(time_form.format, times))
        )
    elif style.order == "time" and times:
        lead = rng.choice(_LED["time"]).format(when=times[0], what="{what}", on=where, place=place)
        lead += "".join(map(time_form.format, times[1:]))
    else:
        lead = "{what}" + where + place + "".join(map(time_form.format, times))
    lead += "".join(f" for {slot}" for slot in of.pop("duration", []))
    return lead + _readings(of, style) + _rest(of, style)


def _kinds(facts: Iterable[Fact]) -> set[FactKind]:
    return {fact.kind for fact in facts}


def _listed(slots: Sequence[str]) -> str:
    return ", ".join(slots[:-1]) + " and " + slots[-1] if len(slots) > 1 else slots[0]


def _readings(of: dict[FactKind, list[str]], style: Style) -> str:
    """Metric, value and limit belong together; whatever is left over stands alone."""
    metrics, values, limits = (of.pop(kind, []) for kind in ("metric", "quantity", "limit"))
    parts = []
    for number, value in enumerate(values):
        form = style.value if not number else ", {metric} at {value}, limit {limit}"
        parts.append(_reading(form, metrics[number:][:1], value, limits[number:][:1]))
    parts += [f", seen in {metric}" for metric in metrics[len(values) :]]
    parts += [f", limit {limit}" for limit in limits[len(values) :]]
    return "".join(parts)


def _reading(form: str, metric: Sequence[str], value: str, limit: Sequence[str]) -> str:
    """`form` without the parts for what is not there.

    >>> _reading(", {metric} at {value}, limit {limit}", [], "{value}", ["{limit}"])
    ', reading {value}, limit {limit}'
    """
    if not limit:
        form = form[: form.index("{limit}")]
        for joint in (" against a limit of ", ", its limit is ", ", limit "):
            form = form.removesuffix(joint)
    if not metric:
        begin = form[: len(form) - len(form.lstrip(",:;- "))]
        behind = (
            form.partition("{limit}")[0].rpartition("{value}")[2].replace(" for {metric}", "")
            if limit
            else ""
        )
        form = f"{begin}reading {{value}}{behind}{{limit}}"
    for slot, given in (("{metric}", metric), ("{value}", [value]), ("{limit}", limit)):
        form = form.replace(slot, given[0] if given else "")
    return form


def _rest(of: dict[FactKind, list[str]], style: Style) -> str:
    forms = {"count": style.count, "code": style.code, "tenant": ", affecting {}", "name": ", involving {}",
             "quote": ", with the message {}"}  # fmt: skip
    return "".join(forms[kind].format(slot) for kind in _KINDS_AFTER for slot in of.get(kind, []))
