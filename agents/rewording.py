"""A P0 notice in plain words: the light model writes, code verifies, twice at most; else the template stands."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from agents.alert_facts import Case, alert_sheet
from agents.alerter import TEMPLATE, why_in_words
from agents.verification import verify_answer, verify_text
from prompts import AlertInput, Prompt, fill, render, whole_sheet
from setpoint.contracts import Evidence, FactSheet, Verification
from setpoint.errors import BackendError

TRIES = 2


class Words(Protocol):
    """What a model gave."""

    @property
    def text(self) -> str: ...
    @property
    def tokens(self) -> int: ...


class AlertModel(Protocol):
    """The light model in its role. Raises ModelMissing or ModelFailed."""

    @property
    def name(self) -> str: ...
    @property
    def terse(self) -> bool:
        """It takes prompts without instructions and values."""
        ...

    async def awords(
        self, prompt: Prompt, sheet: FactSheet, *, attempt: int = 0, timeout_s: float | None = None
    ) -> Words: ...


@dataclass(frozen=True)
class Reworded:
    """Plain words with their facts filled in, or why there are none."""

    text: str = ""
    written_by: str = TEMPLATE
    problem: str = ""
    tokens: int = 0
    tries: int = 0


def alert_input(case: Case) -> AlertInput:
    """What the prompt `alert` is told about the case. What to do first stays in the runbook's own words."""
    return AlertInput(
        priority=case.incident.priority,
        sheet=alert_sheet(case),
        impact=why_in_words(case),
    )


async def alert_words(
    model: AlertModel, inputs: AlertInput, *, attempt: int, timeout_s: float
) -> tuple[str, int]:
    """Raw words and tokens of one attempt, within `timeout_s`. Raises BackendError, TimeoutError."""
    prompt = render("alert", inputs, show_values=not model.terse)
    # The model has a deadline of its own; this one holds for a model that does not keep it.
    async with asyncio.timeout(timeout_s * 1.5):
        words = await model.awords(prompt, whole_sheet(inputs), attempt=attempt, timeout_s=timeout_s)
    return words.text, words.tokens


def verify_alert(
    words: str, inputs: AlertInput, *, firing: bool = True, closed: bool = False
) -> Verification:
    """Before and after filling. `closed`: see `verify_words`."""
    before = verify_answer(words, inputs, firing=firing, closed=closed)
    if not before.ok:
        return before
    given = (inputs.sheet.condition, inputs.impact, inputs.todo)
    return verify_text(fill(words, inputs), [_evidence(inputs.sheet)], given=given)


async def reword(model: AlertModel, case: Case, *, timeout_s: float = 5.0) -> Reworded:
    """The case in verified plain words. Never raises for a model's sake: `problem` says why the template stands."""
    inputs = alert_input(case)
    tokens, problem = 0, ""
    for attempt in range(TRIES):
        try:
            words, used = await alert_words(model, inputs, attempt=attempt, timeout_s=timeout_s)
        except (BackendError, TimeoutError) as error:
            return Reworded(problem=str(error) or "the model took too long", tokens=tokens, tries=attempt + 1)
        tokens += used
        checked = verify_alert(words, inputs, firing=case.lead.status == "firing", closed=model.terse)
        if checked.ok:
            return Reworded(fill(words, inputs), model.name, tokens=tokens, tries=attempt + 1)
        problem = "; ".join(checked.problems)
    return Reworded(problem=problem, tokens=tokens, tries=TRIES)


def _evidence(sheet: FactSheet) -> Evidence:
    text = "; ".join((sheet.condition, *(fact.text for fact in sheet.facts)))
    return Evidence(id="E1", kind="event", text=text, source="fact sheet", sheet=sheet)
