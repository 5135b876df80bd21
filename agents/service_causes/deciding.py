"""Lets a model choose from a case's closed list: it sees the evidence that code extracted, and code checks its choice."""

from __future__ import annotations

from collections.abc import Sequence

from agents.decider import Decider, decide
from agents.service_causes import wording
from agents.service_causes.answers import OWN
from agents.service_causes.findings import AnswerShare, Cited, ServiceFindings
from knowledge.causes import Cause
from knowledge.service_causes import UNKNOWN, load_catalog, plain
from setpoint.contracts import Evidence, Hypothesis, Mode
from setpoint.contracts.facts import FactSheet

ASSISTED = 4
"""So many of code's first answers are open to a model that only assists."""


def decided(
    found: ServiceFindings, choices: Sequence[str], mode: Mode, decider: Decider | None
) -> tuple[ServiceFindings, str]:
    """The findings with the model's answer at the head, and why that was not taken ("" where it was).

    `choices`: the case's list. A choice outside it, or one for which the model names no evidence that is there, is
    not taken; then the findings stay as they were.
    """
    listed = _listed(found, choices)
    pieces = tuple(dict.fromkeys([*found.evidence, *found.order]))
    if mode == "facts" or decider is None or not pieces:
        return found, "no model decides"
    offered = listed[:ASSISTED] if mode == "assisted" else listed
    ranked = [Hypothesis(cause=one.answer, title=one.answer, score=one.share) for one in offered]
    causes = {one.answer: _cause(one) for one in listed}
    verdict = decide(mode, decider, ranked, _evidence(pieces), causes)
    first = verdict.hypotheses[0]
    if verdict.problem:
        return found, verdict.problem
    if not first.supports:
        return found, "the model names no evidence for its answer"
    cited = [pieces[int(one[1:]) - 1] for one in first.supports]
    return _with_answer(
        found,
        next(one for one in listed if one.answer == first.cause),
        first.score,
        cited,
        verdict.decided_by,
    ), ""


def _listed(found: ServiceFindings, choices: Sequence[str]) -> list[AnswerShare]:
    """The case's list, best first by code; of categories of ours each with the best share of its modes."""
    if found.answers:
        return list(found.answers)
    catalog = load_catalog().categories
    names = list(choices) or list(OWN)
    shares = {plain(one): 0.0 for one in names}
    modes: dict[str, str] = {}
    for one in found.candidates:
        key = plain(one.category)
        if key in shares and one.share >= shares[key]:
            shares[key], modes[key] = one.share, one.mode
    meanings = {name: c.meaning for c in catalog.values() for name in (c.id, *c.also)}
    ranked = sorted(names, key=lambda one: -shares[plain(one)])
    return [
        AnswerShare(answer=one, meaning=meanings.get(plain(one), ""), share=shares[plain(one)], mode=modes.get(plain(one), UNKNOWN))
        for one in ranked
    ]  # fmt: skip


def _evidence(pieces: Sequence[Cited]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            id=f"E{number}", kind="event", text=f"{f'{wording.clock(one.time)} ' if one.time else ''}{one.text}",
            source=f"{one.file} {one.place}".strip(), sheet=FactSheet(condition=one.quote or one.text),
        )
        for number, one in enumerate(pieces, 1)
    )  # fmt: skip


def _cause(one: AnswerShare) -> Cause:
    return Cause(one.answer, "", one.answer, one.meaning or one.answer, (), (), None)


def _with_answer(
    found: ServiceFindings, answer: AnswerShare, share: float, cited: Sequence[Cited], model: str
) -> ServiceFindings:
    same = plain(answer.answer) == plain(found.category)
    head = f"The model {model} names {answer.answer}, on {wording.joined([one.text[:200].rstrip('. ') for one in cited[:3]])}."
    before = f"Code by itself came to {found.answer}: {found.conclusion}"
    return found.model_copy(
        update={
            "category": answer.answer, "answer": answer.answer, "share": share, "certainty": wording.certainty(share, answer.mode),
            "mode": found.mode if same else answer.mode, "title": found.title if same else answer.meaning or answer.answer,
            "conclusion": f"{head} {before}", "evidence": tuple(dict.fromkeys([*cited, *found.evidence])),
        }
    )  # fmt: skip
