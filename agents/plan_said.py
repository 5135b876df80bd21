"""A plan's sentences in a model's words where they hold, else as code wrote them.

A model says the leading lines again, in slots; code fills them. The rest stays as it is. What the model wrote must use
every fact of those lines, each as its own line has it, and claim nothing that they do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.explainer import TEMPLATE, TRIES, Writer
from agents.plan_words import Told
from agents.verification import verify_answer, verify_text
from prompts import PlanInput, PlanPart, fill, render, whole_sheet
from setpoint.contracts import Evidence, Verification
from setpoint.errors import ModelFailed, ModelMissing

MOST_LEAD = 2
"""Lines that a model is given: what a local model's grammar lets it write is two sentences."""


@dataclass(frozen=True)
class Words:
    """A text, who wrote it, and why a model's words were not taken; "" where they were, or none was asked."""

    text: str
    written_by: str = TEMPLATE
    fell_back: str = ""


def worded(part: PlanPart, told: Told, writer: Writer | None) -> Words:
    """The text about a plan. Never raises for a model's sake."""
    if writer is None or not told.lead:
        return Words(told.text)
    lines = told.lines[: min(told.lead, MOST_LEAD)]
    inputs = PlanInput(part, told.sheet_of(lines), lines)
    prompt = render("plan", inputs, show_values=not writer.terse)
    # A small model joins the lines; it is not trusted with the facts in them.
    sheet = whole_sheet(inputs.without_facts() if writer.terse else inputs)
    problem = ""
    for attempt in range(TRIES):
        try:
            said = writer.words(prompt, sheet, attempt=attempt).text
        except (ModelFailed, ModelMissing) as error:
            return Words(told.text, fell_back=str(error))
        checked = verify_plan_words(said, inputs, closed=writer.terse)
        if checked.ok:
            rest = " ".join(told.sheet.fill(line) for line in told.lines[len(lines) :])
            return Words(f"{fill(said, inputs)} {rest}".strip(), writer.name)
        problem = "; ".join(checked.problems[:2])
    return Words(told.text, fell_back=problem)


def verify_plan_words(said: str, inputs: PlanInput, *, closed: bool = False) -> Verification:
    """Before and after filling. `closed`: see `verify_words`."""
    before = verify_answer(said, inputs, closed=closed)
    if not before.ok:
        return before
    plain = " ".join(inputs.sheet.fill(line) for line in inputs.lines)
    piece = Evidence(id="E1", kind="metric", text=plain, source="plan", sheet=inputs.sheet)
    return verify_text(fill(said, inputs), [piece], given=(plain,))
