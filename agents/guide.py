"""The recovery guide: steps quoted from runbooks, each citing where it stands, and the actions they call for.

No step is invented: the words are the runbook's own, so a citation can be checked to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from agents.evidence import Case, telling_events
from agents.verification.lexicon import NUMBER_WORDS
from knowledge.causes import NO_FAULT, UNKNOWN, Cause
from knowledge.runbooks import Section, Step, slug
from prompts import Certainty
from setpoint.contracts import Citation, GuideStep, Hypothesis, Passage, RecoveryGuide

MAX_CHECKS = 2
"""Checks told; steps are told all, since the last one is often the ticket that ends the work."""
MAX_ACTIONS = 3
"""Actions proposed of one analysis: a person must be able to weigh each."""
LONGEST_FIRST_WORDS = 16
SHORT_QUOTE = 24
_SPLIT = re.compile(r"[^a-z0-9]+")
_BULLET = re.compile(r"^\s*[-*]\s+", re.MULTILINE)


def queries(
    hypotheses: Sequence[Hypothesis], causes: Mapping[str, Cause], conditions: Sequence[str]
) -> list[str]:
    """What to ask the knowledge base: cause titles with their meaning, then what was seen."""
    named = [causes[h.cause] for h in hypotheses[:2] if h.cause not in (UNKNOWN, NO_FAULT)]
    asked = [f"{cause.title}. {cause.meaning}" for cause in named]
    return [*asked, " ".join(dict.fromkeys(filter(None, conditions)))] if conditions else asked


def choose_section(
    top: Hypothesis,
    causes: Mapping[str, Cause],
    sections: Mapping[str, Section],
    passages: Sequence[Passage],
    said: str = "",
) -> Section | None:
    """The section to follow, of those the catalog names for the cause: the one whose own tags stand in what was
    `said`, written for this cause before those that only help with it; of equals the one the catalog names first, then the
    one retrieval found. Sections on how to operate (hand-over, closing) are no guide to a fault, and an open cause has
    its one general section."""
    named = [sections[key] for key in causes[top.cause].sections if key in sections]
    own = [section for section in named if section is named[0] or "operations" not in section.tags]
    if not own or top.cause in (UNKNOWN, NO_FAULT):
        return own[0] if own else None
    common = set.intersection(*(set(section.tags) for section in own))
    text = " ".join(_SPLIT.split(said.lower()))
    found = [passage.section for passage in passages]

    def fit(section: Section) -> tuple[bool, int, int, bool]:
        tags = sum(_says(text, tag) for tag in section.tags if tag not in common)
        return top.cause in section.causes, tags, -own.index(section), section.id in found

    return max(own, key=fit)


def _says(text: str, tag: str) -> bool:
    return f" {' '.join(_SPLIT.split(tag))} " in f" {text} "


def words_of(case: Case) -> str:
    """Everything that was said of a case, for choosing its runbook."""
    kinds = {event.asset: found.kind for event in case.events if (found := case.site.find(event.asset))}
    lines = [f"{event.kind} {event.message} {event.metric or ''}" for event in telling_events(case)]
    return " ".join([*kinds.values(), *lines])


def write_guide(section: Section | None) -> RecoveryGuide:
    """Safety first, then checks, then steps, then when to escalate."""
    if section is None:
        return RecoveryGuide(steps=())
    safety = [step for step in section.steps if step.is_safety]
    steps = [step for step in section.steps if not step.is_safety]
    made = [_step("safety", section, "steps", step) for step in safety]
    made += [_step("check", section, "checks", step) for step in section.checks[:MAX_CHECKS]]
    made += [_step("step", section, "steps", step) for step in steps]
    made += _escalations(section)
    return RecoveryGuide(steps=tuple(made))


def _escalations(section: Section) -> Iterator[GuideStep]:
    """Each condition by itself, in the runbook's words; one too short to prove where it stands cites them all."""
    passage, whole = f"{section.id}#{slug('Escalate when')}", section.parts.get("escalate-when", "")
    for line in _BULLET.split(whole):
        if text := " ".join(line.split()):
            quote = text if len(text) >= SHORT_QUOTE else " ".join(whole.split())
            yield GuideStep(kind="escalate", text=text, citation=Citation(passage_id=passage, quote=quote))


def first_thing(section: Section | None, certainty: Certainty) -> str:
    """What to do first, as a phrase without facts: the first step, or the first plain check while the cause is open;
    "" where that is no plain phrase."""
    if section is None:
        return ""
    steps = [step for step in section.steps if not step.is_safety][:1]
    chosen = section.checks[: MAX_CHECKS + 1] if certainty == "open" else steps
    return next((sentence for step in chosen if (sentence := _plain(step.text))), "")


def _plain(text: str) -> str:
    """The first sentence where it is short and holds no figure, path or question."""
    sentence = re.split(r"(?<=[.?])\s", text)[0].rstrip(".")
    words = re.findall(r"[a-z]+", sentence.lower())
    bare = not re.search(r'[0-9{}"`?/:]', sentence) and not NUMBER_WORDS & set(words)
    return sentence if bare and len(words) <= LONGEST_FIRST_WORDS else ""


def called_for(guide: RecoveryGuide, cause: Cause, certainty: Certainty = "clear") -> list[str]:
    """Names of the catalog actions that this guide's steps call for and the cause's remedies admit, in the
    remedies' order. A guide may mention an action for a branch that does not apply here; the catalog decides.
    A cause that is open moves nothing: somebody is asked to look."""
    if certainty == "open":
        return ["open_ticket"]
    mentioned = {step.action for step in guide.steps if step.action}
    return [name for name in cause.remedies if name in mentioned] or list(cause.remedies[:1])


def _step(kind: str, section: Section, heading: str, step: Step) -> GuideStep:
    citation = section.cite(heading, step)
    return GuideStep.model_validate(
        {"kind": kind, "text": step.text, "citation": citation.model_dump(), "action": step.action}
    )
