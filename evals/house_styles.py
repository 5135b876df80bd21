"""Three simulated operators, each with a house style: given a prompt's inputs each knows exactly the words they want.

The rules look at the priority, at what kind of thing it is, and at which slots there are. Nothing that trains may import
this file (an import contract holds it): what a model knows of a style it has from lessons.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import SequenceMatcher

from prompts import AlertInput, StepInput, SummaryInput, WordInput
from prompts.filling import UNNAMED_CAUSES, phrases

Style = Callable[[WordInput], str]
_WATER = re.compile(r"\b(leak|water|wet|drip|coolant|flow|pump|pressure|smoke|fire)", re.IGNORECASE)
_PART = re.compile(r"\{\w+\}|[a-z']+|[.,;:]")


def plant_slang(inputs: WordInput) -> str:
    """Short and in one line: the asset, a colon, the rest cut by semicolons. Water and fire are named before the asset."""
    has, given = set(inputs.sheet.slots), phrases(inputs)
    head = "{asset}: {what}" if "asset" in has else "{what}"
    if "asset" in has and _WATER.search(inputs.sheet.condition):
        head = "{what}, {asset}"
    reading = _reading(has, "; {value}, limit {limit}", "; now at {value}")
    if isinstance(inputs, StepInput):
        verdict = {"supports": "fits", "contradicts": "does not fit", "absent": "missing, weakens"}
        return f"{head}{reading}; {verdict[inputs.relation]}: {{cause}}."
    if isinstance(inputs, SummaryInput):
        said = {"clear": "cause", "likely": "likely cause", "open": "possible cause"}[inputs.certainty]
        since = " at {time}" if "time" in has else ""
        return (
            head
            + since
            + _cause(inputs, f"; {said}: {{cause}}", f"; {said}: this")
            + ("; do: {first}." if "first" in given else ".")
        )
    body = ("; code {code}" if "code" in has else "") + reading
    why = "; impact: {why}" if "why" in given else ""
    if isinstance(inputs, AlertInput) and inputs.priority == "P0":
        return f"Act now, {head}{why}{body}" + (", for {tenant}." if "tenant" in has else ".")
    return f"{head}{body}{why}" + ("; since {time}." if "time" in has else ".")


def formal_report(inputs: WordInput) -> str:
    """Whole sentences, time and place first, everything that is known."""
    has, given = set(inputs.sheet.slots), phrases(inputs)
    head = ("At {time}, " if "time" in has else "") + "{what}" + (" on {asset}" if "asset" in has else "")
    head += _reading(has, ", reading {value} with a limit of {limit}", ", reading {value}")
    if isinstance(inputs, StepInput):
        verdict = {
            "supports": "the evidence fits this cause",
            "contradicts": "the evidence does not fit this cause",
            "absent": "the evidence is missing, which weakens this cause",
        }
        return f"{head}; {verdict[inputs.relation]}: {{cause}}."
    if isinstance(inputs, SummaryInput):
        said = {"clear": "the cause is", "likely": "the most likely cause is", "open": "a possible cause is"}[
            inputs.certainty
        ]
        count = ", counting {count}" if "count" in has else ""
        todo = " The next step is this: {first}." if "first" in given else ""
        return head + count + _cause(inputs, f"; {said}: {{cause}}", f"; {said} this") + "." + todo
    place = ", in {place}" if "place" in has else ""
    tail = (", reported as {code}" if "code" in has else "") + (
        ", counting {count}" if "count" in has else ""
    )
    affected = ", affecting {tenant}" if "tenant" in has else ""
    why = f" The impact is this: {{why}}{affected}." if "why" in given else ""
    return f"{head}{place}{tail}.{why}" if why else f"{head}{place}{tail}{affected}."


def action_first(inputs: WordInput) -> str:
    """What to do, or why it matters, stands before what was seen; what is most urgent says so."""
    has, given = set(inputs.sheet.slots), phrases(inputs)
    seen = "{what}" + (" on {asset}" if "asset" in has else "") + (" at {time}" if "time" in has else "")
    reading = _reading(has, ", {value} with a limit of {limit}", ", now at {value}")
    if isinstance(inputs, StepInput):
        verdict = {"supports": "speaks for", "contradicts": "speaks against", "absent": "weakens"}
        missing = "missing: " if inputs.relation == "absent" else ""
        return f"This {verdict[inputs.relation]} {{cause}}: {missing}{seen}{reading}."
    if isinstance(inputs, SummaryInput):
        sure = {"clear": "the cause", "likely": "the likely cause", "open": "a possible cause"}[
            inputs.certainty
        ]
        cause = _cause(inputs, f"; {{cause}} is {sure}", f"; this is {sure}")
        lead = "Confirm before acting" if inputs.certainty == "open" else "Next step"
        return (
            f"{lead}: {{first}}; {seen}{cause}."
            if "first" in given
            else f"Gather more evidence: {seen}{cause}."
        )
    if isinstance(inputs, AlertInput) and inputs.priority == "P0":
        lead = "Act now" + (" for {tenant}" if "tenant" in has else "") + ": "
        return lead + ("{why}; " if "why" in given else "") + f"{seen}{reading}."
    why = ", because {why}" if "why" in given else ""
    if _WATER.search(inputs.sheet.condition):
        return f"Check this now: {seen}{reading}{why}."
    return f"Check this: {seen}{reading}{why}."


STYLES: dict[str, Style] = {"slang": plant_slang, "formal": formal_report, "action": action_first}


def accepts(shown: str, wanted: str) -> bool:
    """Whether an operator would leave it as it is: the same text, apart from spaces and capitals."""
    return _normal(shown) == _normal(wanted)


def likeness(words: str, wanted: str) -> float:
    """How much of the order of slots, joints and stops two texts have in common, 0 to 1.

    >>> likeness("{what} on {asset}.", "{what} on {asset}."), round(likeness("{asset}: {what}.", "{what} on {asset}."), 2)
    (1.0, 0.5)
    """
    first, second = (_PART.findall(text.lower()) for text in (words, wanted))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def _reading(has: set[str], both: str, alone: str) -> str:
    if "value" not in has:
        return ""
    return both if "limit" in has else alone


def _cause(inputs: SummaryInput, named: str, same: str) -> str:
    """`same`: where what was seen is the cause itself, and nobody says it twice."""
    if inputs.cause in UNNAMED_CAUSES:
        return "; the evidence shows no fault" if inputs.cause == "no_fault" else "; not enough evidence"
    return named if "cause" in phrases(inputs) else same
