"""What a model is told when it words real incidents of generated nights: the inputs of its prompts, as the product
makes them (alerts by `agents.rewording`, steps and conclusions by `agents.explainer`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.evidence import Case, gather, most_urgent
from agents.explainer import MAX_STEPS, subject_of
from agents.guide import choose_section, first_thing, words_of
from agents.rewording import alert_input
from agents.troubleshooter import certainty, rank_causes
from evals.suites.alert.cases import CHANGES, changed
from evals.suites.triage.cases import FAULT_SITES, FAULTS, SEEDS_PER_RUN, played
from evals.triage_score import PAGES
from knowledge.causes import NO_FAULT, UNKNOWN, load_causes
from knowledge.runbooks import load_corpus
from prompts import Certainty, Relation, StepInput, SummaryInput, Task, WordInput, render
from setpoint.contracts import Hypothesis

OF_SPLIT = {"dev": 2 * SEEDS_PER_RUN, "held-out": 3 * SEEDS_PER_RUN, "gate": 4 * SEEDS_PER_RUN}
"""The first night of each split, as the eval suites number them with seed 1."""


@dataclass(frozen=True)
class Told:
    """One text to be written."""

    incident: str
    """Night and incident: texts of one incident belong together."""
    task: Task
    inputs: WordInput


def told(split: str, nights: int) -> list[Told]:
    """The texts of all alerting incidents of so many nights. Each prompt once: what comes twice is kept the first time."""
    found = dict[str, Told]()
    for number in range(nights):
        site = FAULT_SITES[number % len(FAULT_SITES)]
        for one in _of_night(site, OF_SPLIT[split] + number):
            found.setdefault(render(one.task, one.inputs).user, one)
    return list(found.values())


def _of_night(site: str, seed: int) -> Iterator[Told]:
    for case in played(FAULTS, site, seed).cases:
        if case.incident.priority in PAGES:
            name = f"{site}-{seed}-{case.incident.id}"
            yield from (Told(name, "alert", inputs) for inputs in _alerts(case))
            yield from (Told(name, task, inputs) for task, inputs in _analysis(case))


def _alerts(case: Case) -> Iterator[WordInput]:
    """As it was, and with what the suite `alert` changes: no limit, no value, another unit, another asset."""
    for change in CHANGES:
        if (one := changed(case, change)) is not None:
            yield alert_input(one)


def _analysis(case: Case) -> Iterator[tuple[Task, WordInput]]:
    """Steps and conclusion over the causes that code ranks by signatures."""
    evidence, of_event = gather(case)
    pieces = {piece.id: piece for piece in evidence}
    ranked = rank_causes(case, load_causes(), of_event, evidence)
    top, sure = ranked[0], certainty(ranked)
    weighed: list[tuple[Relation, str]] = [("supports", key) for key in top.supports[:MAX_STEPS]]
    weighed += [("contradicts", key) for key in top.contradicts[:1]]
    for relation, key in weighed:
        if key in pieces:
            yield "step", StepInput(title=top.title, relation=relation, sheet=pieces[key].sheet)
    subject = subject_of(evidence, top, most_urgent(case, of_event))
    yield "summary", SummaryInput(top.cause, top.title, sure, subject, todo_of(case, top, sure))


def todo_of(case: Case, top: Hypothesis, sure: Certainty) -> str:
    if top.cause in (UNKNOWN, NO_FAULT):
        return ""
    return first_thing(choose_section(top, load_causes(), load_corpus(), (), words_of(case)), sure)
