"""What a reader must find in a finished text, whatever the verifier thinks of it."""

from __future__ import annotations

from prompts import PlanInput, WordInput, fill, phrases


def lost(inputs: WordInput | PlanInput, words: str) -> list[str]:
    """Given phrases, required facts and lines of a plan that do not stand verbatim in the filled text."""
    try:
        text = fill(words, inputs).lower()
    except KeyError as error:
        return [f"slot {error.args[0]}"]
    if isinstance(inputs, PlanInput):
        wanted = [inputs.sheet.fill(line).rstrip(".") for line in inputs.lines]
    else:
        wanted = [*phrases(inputs).values(), *(fact.text for fact in inputs.sheet.facts if fact.required)]
    return [one for one in wanted if one.lower() not in text]
