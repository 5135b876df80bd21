"""A plan's sentences in a model's words where they hold, else as code wrote them.

A model says the leading lines again, in slots; code fills them. The rest stays as it is. What the model wrote must use
every fact of those lines, each as its own line has it, and claim nothing that they do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.explainer import TEMPLATE, TRIES, Writer
from agents.plan_words import Told
from agents.verification import verify_answer, verify_text
from prompts import PlanInput, PlanPart, render
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
    if writer.terse:  # measured: see docs/loops.md, "Words"
        return Words(told.text, fell_back=f"{writer.name} was not taught to speak of plans")
    lines = told.lines[: min(told.lead, MOST_LEAD)]
    inputs = PlanInput(part, told.sheet_of(lines), lines)
    problem = ""
    for attempt in range(TRIES):
        try:
            said = writer.words(render("plan", inputs, show_values=True), inputs.sheet, attempt=attempt).text
        except (ModelFailed, ModelMissing) as error:
            return Words(told.text, fell_back=str(error))
        checked = verify_plan_words(said, inputs)
        if checked.ok:
            rest = " ".join(told.sheet.fill(line) for line in told.lines[len(lines) :])
            return Words(f"{inputs.sheet.fill(said)} {rest}".strip(), writer.name)
        problem = "; ".join(checked.problems[:2])
    return Words(told.text, fell_back=problem)


def verify_plan_words(said: str, inputs: PlanInput) -> Verification:
    """Before and after filling."""
    before = verify_answer(said, inputs)
    if not before.ok:
        return before
    plain = " ".join(inputs.sheet.fill(line) for line in inputs.lines)
    piece = Evidence(id="E1", kind="metric", text=plain, source="plan", sheet=inputs.sheet)
    return verify_text(inputs.sheet.fill(said), [piece], given=(plain,))
