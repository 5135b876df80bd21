"""Root cause of a service incident without a plant: from a case to findings, and findings as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from agents.service_causes import chain, wording
from agents.service_causes.answers import answer_of, category_of
from agents.service_causes.candidates import candidates_of
from agents.service_causes.concluding import conclusion_of, missing_of
from agents.service_causes.findings import Cited, Role, ServiceFindings
from agents.service_causes.showing import evidence_of, order_of
from agents.service_causes.view import View
from agents.service_causes.weigh import see, weigh
from knowledge.service_causes import HEALTHY, UNKNOWN, load_catalog
from tools.case_types import ServiceCase

WARMTH, WARMER = 1.3, 0.12
"""Scores are divided by the first before they become shares; each problem in the input adds the second."""
SHOWN = 5
_CHECK = {
    HEALTHY: "Close the alert; if it comes back, look at its threshold.",
    UNKNOWN: "Collect logs, recent changes and the metrics of what the service calls for the same hour.",
}


def explain_case(case: ServiceCase) -> ServiceFindings:
    """What happened, as far as the evidence tells. Never raises for odd evidence: what does not fit is left aside."""
    seen = see(case)
    weighed = weigh(seen)
    chain.separate(weighed, seen)
    scores = {mode: one.score for mode, one in weighed.items() if one.score > 0}
    scores |= {HEALTHY: chain.fault_free(seen, weighed), UNKNOWN: chain.not_to_tell(seen, weighed)}
    shares = _shares(scores, len(case.problems))
    best = max(shares, key=lambda mode: shares[mode])
    return _put(View(seen, weighed, shares, best))


def _shares(scores: Mapping[str, float], problems: int) -> dict[str, float]:
    warmth = WARMTH + WARMER * min(problems, 8)
    top = max(scores.values())
    raw = {mode: math.exp((score - top) / warmth) for mode, score in scores.items()}
    return {mode: value / sum(raw.values()) for mode, value in raw.items()}


def _put(v: View) -> ServiceFindings:
    case = v.seen.case
    evidence = evidence_of(v)
    return ServiceFindings(
        case=case.name,
        alert=case.alert.title if case.alert else "",
        question=case.question,
        category=category_of(v.best, case.choices),
        mode=v.best,
        title=load_catalog().modes[v.best].title if v.top else load_catalog().categories[v.best].title,
        answer=answer_of(v.best, case.choices),
        share=v.shares[v.best],
        certainty=v.how,
        conclusion=conclusion_of(v),
        evidence=tuple(evidence),
        order=tuple(order_of(v)),
        candidates=tuple(candidates_of(v)),
        second=v.second.mode.id if v.second else "",
        missing=tuple(missing_of(v)),
        quiet=tuple(dict.fromkeys(m.readings.name for m in v.seen.movements if not m.bad)),
        check=v.top.mode.check if v.top else _CHECK[v.best],
        problems=tuple(f"{p.where}: {p.text}" for p in case.problems),
        files=case.files,
        withheld=case.withheld,
    )


def render(found: ServiceFindings) -> str:
    """The findings as an operator reads them."""
    lines = [
        f"{found.alert or found.case}",
        "",
        f"{found.answer}: {found.title} ({found.share:.0%}, {found.certainty})",
        "",
        found.conclusion,
    ]
    lines += _block("Evidence", [_cited(c) for c in found.evidence])
    lines += _block(
        "In order", [f"{wording.clock(c.time)}  {_mark(c.role)}{c.text}" for c in found.order if c.time]
    )
    ruled = [
        c
        for c in found.candidates
        if c.standing in ("eliminated", "effect", "possible") and c.mode not in (HEALTHY, UNKNOWN)
    ]
    lines += _block(
        "Ruled out or less likely", [f"{c.title} ({c.share:.0%}): {c.reason}" for c in ruled[:SHOWN]]
    )
    if found.check:
        lines += ["", f"Look at next: {found.check}"]
    lines += _block("Input that could not be used", found.problems)
    return "\n".join(lines)


def _block(title: str, items: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {item}" for item in items)] if items else []


def _cited(cited: Cited) -> str:
    return f"{cited.text} [{cited.file}{' ' + cited.place if cited.place else ''}]"


def _mark(role: Role) -> str:
    return {"unrelated": "(not linked) ", "change": "(change) ", "recovery": "(recovery) "}.get(role, "")
