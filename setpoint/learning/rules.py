"""The rules an answer must keep before its slots are filled: the verifier's rules, as far as words go."""

from __future__ import annotations

import re

from prompts import AlertInput, StepInput, SummaryInput, WordInput
from prompts.renderer import inner

_SLOT = re.compile(r"\{([a-z]+[0-9]?)\}")
_DIGIT_OUTSIDE = re.compile(r"[0-9]")
_FORBIDDEN = re.compile(
    r"\b(one|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|percent|degrees?|celsius|watts?"
    r"|kilowatts?|volts?|amps?|seconds?|minutes?|hours?|days?|bytes?|gigabytes?)\b",
    re.IGNORECASE,
)


def problems(inputs: WordInput, answer: str) -> list[str]:
    """What is wrong with `answer`; empty where nothing is.

    Slots: only the sheet's, each at most once, required ones present. Words: no digit, brace, number or unit
    word that the given phrases did not hold. Phrases: the condition, title and todo stand verbatim.
    """
    used = _SLOT.findall(answer)
    facts = inputs.sheet.facts
    words = _SLOT.sub(" ", answer)
    found = [f"unknown slot {slot}" for slot in used if slot not in inputs.sheet.slots]
    found += [f"slot {slot} more than once" for slot in set(used) if used.count(slot) > 1]
    found += [
        f"required slot {fact.slot} missing" for fact in facts if fact.required and fact.slot not in used
    ]
    found += ["digit"] if _DIGIT_OUTSIDE.search(words) else []
    found += ["brace"] if "{" in words or "}" in words else []
    found += ["does not end"] if not answer.rstrip().endswith(".") else []
    given = " ".join(_phrases(inputs)).lower()
    found += [f"word {word!r}" for word in _FORBIDDEN.findall(words) if word.lower() not in given]
    return found + [f"phrase lost: {text}" for text in lost_phrases(inputs, answer)]


def lost_phrases(inputs: WordInput, answer: str) -> list[str]:
    """Given phrases that do not stand verbatim in `answer`."""
    return [text for text in _phrases(inputs) if text.lower() not in answer.lower()]


def _phrases(inputs: WordInput) -> list[str]:
    phrases = [inputs.sheet.condition]
    if isinstance(inputs, AlertInput):
        phrases += [inputs.impact, inputs.todo]
    elif isinstance(inputs, StepInput):
        phrases.append(inputs.title)
    elif isinstance(inputs, SummaryInput):
        phrases += [inputs.todo, inputs.title if inputs.cause not in ("unknown", "no_fault") else ""]
    return [inner(text) for text in phrases if text]
