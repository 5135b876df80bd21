"""A whole root-cause analysis: ids from the catalogs, claims from the evidence, guide from the passages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from agents.verification.citation import passage_of, verify_citation
from agents.verification.text import verify_text
from setpoint.contracts import Diagnosis, Evidence, Hypothesis, Verification

_SUM_TOLERANCE = 0.01


def verify_diagnosis(
    diagnosis: Diagnosis, *, causes: Collection[str], actions: Collection[str], assets: Collection[str] = ()
) -> Verification:
    """`causes` and `actions`: the names in the catalogs. `assets`: further names that proposals may act on,
    beside those in the evidence (standby units, upstream valves of the site)."""
    evidence = {one.id: one for one in diagnosis.evidence}
    problems = [
        *_hypotheses(diagnosis, causes, evidence),
        *_steps(diagnosis, evidence),
        *_summary(diagnosis),
        *_guide(diagnosis, actions),
        *_proposals(diagnosis, actions, evidence, assets),
    ]
    return Verification(ok=not problems, problems=tuple(problems))


def _hypotheses(
    diagnosis: Diagnosis, causes: Collection[str], evidence: Mapping[str, Evidence]
) -> Iterator[str]:
    found = diagnosis.hypotheses
    if not found:
        yield "names no cause, not even unknown"
        return
    if len({one.cause for one in found}) < len(found):
        yield "names one cause twice"
    scores = [one.score for one in found]
    if abs(sum(scores) - 1.0) > _SUM_TOLERANCE:
        yield f"the scores sum to {sum(scores):.2f} instead of 1"
    if scores != sorted(scores, reverse=True):
        yield "the most likely cause is not first"
    for one in found:
        if one.cause not in causes:
            yield f"cause {one.cause!r} is not in the catalog"
        yield from _cited_evidence(one, evidence)


def _cited_evidence(one: Hypothesis, evidence: Mapping[str, Evidence]) -> Iterator[str]:
    for name in sorted({*one.supports, *one.contradicts} - evidence.keys()):
        yield f"cause {one.cause!r} names evidence {name!r} that does not exist"
    if both := set(one.supports) & set(one.contradicts):
        yield f"cause {one.cause!r} is supported and contradicted by {', '.join(sorted(both))}"


def _steps(diagnosis: Diagnosis, evidence: Mapping[str, Evidence]) -> Iterator[str]:
    titles = [one.title for one in diagnosis.hypotheses]
    for number, step in enumerate(diagnosis.steps, 1):
        if unknown := [name for name in step.evidence if name not in evidence]:
            yield f"reasoning step {number} names evidence {', '.join(unknown)} that does not exist"
            continue
        if not step.evidence:
            yield f"reasoning step {number} names no evidence"
        found = verify_text(step.text, [evidence[name] for name in step.evidence], given=titles)
        yield from (f"reasoning step {number}: {problem}" for problem in found.problems)


def _summary(diagnosis: Diagnosis) -> Iterator[str]:
    given = [one.title for one in diagnosis.hypotheses] + [step.text for step in diagnosis.guide.steps]
    found = verify_text(diagnosis.summary, diagnosis.evidence, given=given)
    yield from (f"summary: {problem}" for problem in found.problems)


def _guide(diagnosis: Diagnosis, actions: Collection[str]) -> Iterator[str]:
    after_safety = False
    for number, step in enumerate(diagnosis.guide.steps, 1):
        if step.kind == "safety" and after_safety:
            yield f"guide step {number} is a safety step after other steps"
        after_safety = after_safety or step.kind != "safety"
        if step.action is not None and step.action not in actions:
            yield f"guide step {number} names action {step.action!r} that is not in the catalog"
        passage = passage_of(step.citation, diagnosis.passages)
        if passage is None:
            yield f"guide step {number} cites {step.citation.passage_id!r}, which was not retrieved"
            continue
        yield from (
            f"guide step {number}: {problem}" for problem in verify_citation(step.citation, passage).problems
        )
        if " ".join(step.text.split()) not in " ".join(passage.text.split()):
            yield f"guide step {number} is not the runbook's own wording"


def _proposals(
    diagnosis: Diagnosis, actions: Collection[str], evidence: Mapping[str, Evidence], assets: Collection[str]
) -> Iterator[str]:
    known = {name.lower() for name in assets}
    known |= {
        fact.text.lower()
        for one in evidence.values()
        for fact in one.sheet.facts
        if fact.kind in ("asset", "place")
    }
    for one in diagnosis.proposals:
        if one.action.name not in actions:
            yield f"proposed action {one.action.name!r} is not in the catalog"
        if one.action.asset.lower() not in known:
            yield f"action {one.action.name!r} would act on {one.action.asset!r}, which is not in the evidence"
        if one.incident_id != diagnosis.incident_id:
            yield f"action {one.action.name!r} belongs to incident {one.incident_id!r}"
        if unknown := [name for name in one.evidence if name not in evidence]:
            yield f"action {one.action.name!r} names evidence {', '.join(unknown)} that does not exist"
