"""The recovery guide: steps quoted from runbooks, each citing where it stands, and the actions they call for.

No step is invented: the words are the runbook's own, so a citation can be checked to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knowledge.causes import NO_FAULT, UNKNOWN, Cause
from knowledge.runbooks import Section, Step, slug
from setpoint.contracts import Citation, GuideStep, Hypothesis, Passage, RecoveryGuide

MAX_CHECKS, MAX_STEPS = 2, 6


def queries(hypotheses: Sequence[Hypothesis], causes: Mapping[str, Cause], conditions: Sequence[str]) -> list[str]:
    """What to ask the knowledge base: cause titles with their meaning, then what was seen."""
    named = [causes[h.cause] for h in hypotheses[:2] if h.cause not in (UNKNOWN, NO_FAULT)]
    asked = [f"{cause.title}. {cause.meaning}" for cause in named]
    return [*asked, " ".join(dict.fromkeys(filter(None, conditions)))] if conditions else asked


def choose_section(
    top: Hypothesis, causes: Mapping[str, Cause], sections: Mapping[str, Section], passages: Sequence[Passage]
) -> Section | None:
    """The section to follow: the cause's own, preferring one that retrieval found too; for an open cause, the
    general section of its catalog entry."""
    own = [key for key in causes[top.cause].sections if key in sections]
    found = [passage.section for passage in passages]
    ordered = sorted(own, key=lambda key: (found.index(key) if key in found else len(found) + own.index(key)))
    return sections[ordered[0]] if ordered else None


def write_guide(section: Section | None) -> RecoveryGuide:
    """Safety first, then checks, then steps, then when to escalate."""
    if section is None:
        return RecoveryGuide(steps=())
    safety = [step for step in section.steps if step.is_safety]
    steps = [step for step in section.steps if not step.is_safety][:MAX_STEPS]
    made = [_step("safety", section, "steps", step) for step in safety]
    made += [_step("check", section, "checks", step) for step in section.checks[:MAX_CHECKS]]
    made += [_step("step", section, "steps", step) for step in steps]
    if text := section.parts.get("escalate-when", ""):
        quote = " ".join(text.split())
        made.append(
            GuideStep(
                kind="escalate",
                text=quote,
                citation=Citation(passage_id=f"{section.id}#{slug('Escalate when')}", quote=quote),
            )
        )
    return RecoveryGuide(steps=tuple(made))


def called_for(guide: RecoveryGuide, cause: Cause) -> list[str]:
    """Names of the catalog actions that this guide's steps call for and the cause's remedies admit, in the
    remedies' order. A guide may mention an action for a branch that does not apply here; the catalog decides."""
    mentioned = {step.action for step in guide.steps if step.action}
    return [name for name in cause.remedies if name in mentioned] or list(cause.remedies[:1])


def _step(kind: str, section: Section, heading: str, step: Step) -> GuideStep:
    citation = section.cite(heading, step)
    return GuideStep.model_validate(
        {"kind": kind, "text": step.text, "citation": citation.model_dump(), "action": step.action}
    )
