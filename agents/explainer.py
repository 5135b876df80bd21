"""Puts an analysis into words: each reasoning step from one piece of evidence, then the conclusion.

A model may write the words; every text is verified against its fact sheet, tried twice, and falls back to a
deterministic sentence that is marked as such. The facts are the same either way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from agents.evidence import UNNAMED
from agents.verification import verify_answer
from agents.wordings import origin_of
from knowledge.causes import NO_FAULT, UNKNOWN
from prompts import (
    AlertInput,
    Certainty,
    ChatInput,
    Prompt,
    Relation,
    StepInput,
    SummaryInput,
    fill,
    render,
    whole_sheet,
)
from setpoint.contracts import Evidence, Fact, FactSheet, Hypothesis, ReasoningStep
from setpoint.contracts.wording import Wording
from setpoint.errors import ModelFailed, ModelMissing

WordInput = AlertInput | StepInput | SummaryInput | ChatInput
WordTask = Literal["alert", "step", "summary", "chat"]
TEMPLATE = "template"
MAX_STEPS = 4
TRIES = 2


class Worded(Protocol):
    """What a model gave: words with slots, and what they cost."""

    @property
    def text(self) -> str: ...
    @property
    def tokens(self) -> int: ...


class Writer(Protocol):
    """A model in its role. Raises ModelFailed or ModelMissing."""

    @property
    def name(self) -> str: ...
    @property
    def terse(self) -> bool:
        """It takes prompts without instructions and values."""
        ...

    def words(self, prompt: Prompt, sheet: FactSheet, *, attempt: int = 0) -> Worded: ...


@dataclass
class Budget:
    """What one incident may still cost."""

    tokens: int
    calls: int
    seconds: float
    started: float = field(default_factory=time.monotonic)
    spent: int = 0

    def left(self) -> bool:
        return self.spent < self.tokens and self.calls > 0 and time.monotonic() - self.started < self.seconds


@dataclass(frozen=True)
class Said:
    """One text and who wrote it; `problem` says why a model's words were not used."""

    text: str
    written_by: str
    problem: str = ""
    words: str = ""
    """The model's own words, slots unfilled; "" where the template stands."""
    origin: Wording | None = None
    """What it was written from, for whoever corrects it."""


def say(writer: Writer | None, task: WordTask, inputs: WordInput, plain: str, budget: Budget) -> Said:
    """The model's verified words with their facts filled in, else `plain`."""
    if writer is None:
        return Said(plain, TEMPLATE)
    problem = "the budget of this incident is spent"
    prompt = render(task, inputs, show_values=not writer.terse)
    for attempt in range(TRIES):
        if not budget.left():
            break
        budget.calls -= 1
        try:
            worded = writer.words(prompt, whole_sheet(inputs), attempt=attempt)
        except (ModelFailed, ModelMissing) as error:
            return Said(plain, TEMPLATE, str(error))
        budget.spent += worded.tokens
        checked = verify_answer(worded.text, inputs, closed=writer.terse)
        if checked.ok:
            return Said(fill(worded.text, inputs), writer.name, words=worded.text)
        problem = "; ".join(checked.problems[:2])
    return Said(plain, TEMPLATE, problem)


def explain(
    writer: Writer | None,
    top: Hypothesis,
    certainty: Certainty,
    evidence: Mapping[str, Evidence],
    subject: FactSheet,
    todo: str,
    budget: Budget,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[list[ReasoningStep], Said, list[str]]:
    """The chain of steps, the summary, and what fell back and why."""
    steps, fallbacks = [], list[str]()
    for number, (relation, piece) in enumerate(_chain(top, evidence), 1):
        progress(f"step {number}")
        inputs = StepInput(title=top.title, relation=relation, sheet=piece.sheet)
        said = say(writer, "step", inputs, _plain_step(relation, piece, top, number == 1), budget)
        steps.append(
            ReasoningStep(
                text=said.text,
                evidence=(piece.id,),
                written_by=said.written_by,
                origin=origin_of("step", inputs, said.words),
            )
        )
        if said.problem:
            fallbacks.append(f"step {number}: {said.problem}")
    progress("summary")
    summary_inputs = SummaryInput(
        cause=top.cause, title=top.title, certainty=certainty, sheet=subject, todo=todo
    )
    summary = say(writer, "summary", summary_inputs, _plain_summary(top, certainty, subject, todo), budget)
    if summary.problem:
        fallbacks.append(f"summary: {summary.problem}")
    return steps, replace(summary, origin=origin_of("summary", summary_inputs, summary.words)), fallbacks


def subject_of(evidence: Sequence[Evidence], top: Hypothesis, urgent: Collection[str]) -> FactSheet:
    """What the conclusion is about: the first of the most urgent things seen that is not the cause itself, else the
    cause's best evidence. `urgent` holds the ids of the evidence with the incident's own priority."""
    seen = [piece for piece in evidence if piece.kind == "event"] or list(evidence)
    known = [piece for piece in seen if piece.sheet.condition not in (UNNAMED, top.title)] or seen
    first = next(
        (piece for piece in known if piece.id in urgent),
        next((piece for piece in known if piece.id in top.supports), known[0]),
    )
    facts = {fact.slot: fact.text for fact in first.sheet.facts}
    return subject_sheet(
        first.sheet.condition, facts.get("asset", ""), facts.get("count", ""), facts.get("time", ""), first.id
    )


def subject_sheet(condition: str, asset: str, count: str, began: str, evidence_id: str) -> FactSheet:
    """The facts of the conclusion: where, since when, how many events."""
    rows = (("asset", "asset", asset, True), ("time", "time", began, True), ("count", "count", count, False))
    facts = [
        Fact.model_validate({"slot": s, "kind": k, "text": t, "evidence_id": evidence_id, "required": r})
        for s, k, t, r in rows
        if t
    ]
    return FactSheet(condition=condition or "trouble was reported", facts=tuple(facts))


def _chain(top: Hypothesis, evidence: Mapping[str, Evidence]) -> Sequence[tuple[Relation, Evidence]]:
    """The best supports in the order they happened, then what speaks against it."""
    best = sorted(top.supports[:MAX_STEPS], key=_number)
    found: list[tuple[Relation, Evidence]] = [("supports", evidence[key]) for key in best if key in evidence]
    found += [("contradicts", evidence[key]) for key in top.contradicts[:1] if key in evidence]
    if not found:
        found = [("supports", piece) for piece in list(evidence.values())[:2]] if top.cause != UNKNOWN else []
    return found


def _plain_step(relation: Relation, piece: Evidence, top: Hypothesis, first: bool) -> str:
    """The evidence as it stands and, once, what it points to."""
    fits = f"This points to: {top.title}" if first else "This agrees"
    verdict = {"supports": fits, "contradicts": "This speaks against it", "absent": "This would be expected"}
    return f"{piece.text.rstrip('.')}. {verdict[relation]}."


def _plain_summary(top: Hypothesis, certainty: Certainty, subject: FactSheet, todo: str) -> str:
    facts = {fact.slot: fact.text for fact in subject.facts}
    place = f" on {facts['asset']}" if "asset" in facts else ""
    since = f" since {facts['time']}" if "time" in facts else ""
    where = f"{subject.condition[:1].upper()}{subject.condition[1:]}{place}{since}."
    if top.cause == UNKNOWN:
        return f"{where} The evidence does not name a cause."
    if top.cause == NO_FAULT:
        return f"{where} Nothing points at a fault."
    verdict = {"clear": "The cause is", "likely": "The likely cause is", "open": "A possible cause is"}[
        certainty
    ]
    cause = "" if top.title.lower() == subject.condition.lower() else f" {verdict}: {top.title}."
    first = f" First: {todo[:1].lower()}{todo[1:].rstrip('.')}." if todo else ""
    return f"{where}{cause}{first}"


def _number(evidence_id: str) -> int:
    return int(evidence_id[1:])
