"""Suite `guide`: is the recovery guide the right one, and may it be followed to the letter?

Cases are incidents of the suite `rca`'s nights. Of each, three guides are judged: the one the product writes on what it
concludes itself, the one after a person named the true cause, and one after a person named another cause of the same
area, so that a full run has every cause of the catalog. The product's graph writes and verifies the guide; the judge reads
the runbooks' files by itself and believes neither.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from inspect_ai.dataset import Sample

from evals.figures import Figure, rate
from evals.registry import Ask, Prepared, Row
from evals.running.tasks import suite_task
from evals.suites.guide.case import GuideWriter
from evals.suites.guide.judging import CHECKS, action_problems, kept, moves_site, problems_of, sections_of
from evals.suites.rca.nights import RcaFault, RcaNight, case_text, compose_all, night_of, seeds_of
from knowledge.causes import NO_FAULT, UNKNOWN, load_causes
from setpoint.contracts import Diagnosis

OWN, GIVEN, OTHER = "own conclusion", "cause given", "other cause given"
"""Who said what the cause is; the last is one of its area that it was not."""


@dataclass(frozen=True)
class GuideCase:
    """One incident and what the product is told of its cause."""

    night: RcaNight
    fault: RcaFault
    kind: str
    given: str
    """The cause that a person names; "" for none."""

    @property
    def truth(self) -> str:
        """The cause whose runbook is wanted."""
        return self.given or self.fault.plan.fault.cause


def prepare(ask: Ask) -> Prepared:
    """The task. `data` is not needed: every case is generated."""
    writer = GuideWriter(ask.contender)
    cases = list(itertools.islice(_cases(ask), ask.limit))
    task = suite_task(
        "guide", [_sample(case) for case in cases], partial(write, writer), judge, ("sound", "right_runbook")
    )
    return Prepared(task, partial(figures, split=ask.split), gate=gate, labels=_labels)


def _cases(ask: Ask) -> Iterator[GuideCase]:
    """Three of each incident, and what is left of the catalog at the end."""
    seeds = seeds_of(ask.split, ask.seed)
    if ask.limit is None:
        compose_all(seeds)
    area_of = {cause.id: cause.area for cause in load_causes().values()}
    todo = dict(area_of)
    seen: dict[str, tuple[RcaNight, RcaFault]] = {}
    for night in map(night_of, seeds):
        for fault in night.faults:
            if fault.seat is None:
                continue
            truth = fault.plan.fault.cause
            seen.setdefault(area_of[truth], (night, fault))
            todo.pop(truth, None)
            yield GuideCase(night, fault, OWN, "")
            yield GuideCase(night, fault, GIVEN, truth)
            if other := next((cause for cause, area in todo.items() if area == area_of[truth]), ""):
                todo.pop(other)
                yield GuideCase(night, fault, OTHER, other)
    yield from (GuideCase(*seen[area], OTHER, cause) for cause, area in todo.items() if area in seen)


def _sample(case: GuideCase) -> Sample:
    told = case_text(case.night, case.fault)
    if case.given:
        told += f"\nA person says the cause is {load_causes()[case.given].title}."
    return Sample(
        id=f"{case.night.seed}-{case.fault.story}-{case.kind.replace(' ', '-')}"
        + (f"-{case.given}" if case.kind == OTHER else ""),
        input=told,
        target=list(load_causes()[case.truth].sections),
        metadata={
            "seed": case.night.seed, "story": case.fault.story, "kind": case.kind, "given": case.given,
            "truth": case.truth, "sort": case.night.case.sorts[case.fault.story], "tags": list(case.fault.tags),
        },
    )  # fmt: skip


def _labels(sample: Sample) -> Sequence[str]:
    """Ids of runbooks and of the cause. Words such as "smoke" and "congestion" are said by equipment; a cause that a
    person names is said in words, never by its id."""
    case = sample.metadata or {}
    return [
        name for name in (*load_causes()[case["truth"]].sections, case["truth"]) if "-" in name or "_" in name
    ]


def write(writer: Callable[..., Diagnosis], case: Row) -> Row:
    """The product's guide, what it proposes with it, and what it takes for the cause."""
    fault = night_of(case["seed"]).fault(case["story"])
    assert fault.seat is not None  # only seated faults are cases
    found = writer(fault.seat, case["given"])
    guide = found.guide.model_dump(mode="json")["steps"]
    lines = [f"{step['kind']}: {step['text']} ({step['citation']['passage_id']})" for step in guide]
    proposed = [f"proposes {one.action.name} at {one.action.asset}" for one in found.proposals]
    return {
        "text": "\n".join([f"{found.top.title} ({found.top.score:.0%})", *lines, *proposed]),
        "cause": found.top.cause,
        "share": found.top.score,
        "guide": guide,
        "proposals": [one.model_dump(mode="json") for one in found.proposals],
        "evidence": [piece.id for piece in found.evidence],
        "passages": [passage.id for passage in found.passages],
        "fallbacks": list(found.fallbacks),
        "assets": [asset.name for asset in fault.seat.told.site.assets],
    }


def judge(case: Row, said: Row) -> Row:
    """Every line of the guide against the runbooks' files, and the guide against the true cause."""
    guide, proposals = said["guide"], said["proposals"]
    acted = action_problems(said["cause"], said["share"], proposals, said["evidence"], said["assets"])
    found = [*problems_of(guide), *acted]
    if unread := [
        one for one in sections_of(guide) if not any(p.startswith(f"{one}#") for p in said["passages"])
    ]:
        found.append(
            ("cited", f"quotes {', '.join(unread)}, which is not among the passages of the analysis")
        )
    if not guide:
        found.append(("cited", "there is no guide"))
    sections = load_causes()[case["truth"]].sections
    right = bool(guide) and set(sections_of(guide)) <= set(sections)
    row: dict[str, Any] = {key: case[key] for key in ("kind", "sort", "truth", "tags")}
    row |= {name: not any(check == name for check, _ in found) for name in CHECKS}
    return row | {
        "sound": not found,
        "right_runbook": right,
        "cause_right": said["cause"] == case["truth"],
        "moves": any(moves_site(one["action"]["name"]) for one in proposals),
        "proposals": len(proposals),
        "with_evidence": sum(bool(one["evidence"]) for one in proposals),
        "lines": len(guide),
        "words": sum(len(step["text"].split()) for step in guide),
        "kept": kept(guide),
        "said": said["cause"],
        "problems": [text for _, text in found] + _not_right(right, said["cause"], guide, case),
    }


def _not_right(right: bool, cause: str, guide: Sequence[Row], case: Row) -> list[str]:
    if right:
        return []
    followed = ", ".join(sections_of(guide)) or "no runbook"
    return [f"follows {followed} for {cause}; it was {case['truth']}"]


# ---- figures ---------------------------------------------------------------------------------------------------


def figures(rows: Sequence[Row], split: str) -> list[Figure]:
    """Whether guides may be followed, and whether they are the right ones, by who named the cause."""
    found = list(_of_every(f"{split}, every guide", rows))
    for kind in (GIVEN, OTHER):
        found += _of_kind(f"{split}, {kind}", [row for row in rows if row["kind"] == kind])
    own = [row for row in rows if row["kind"] == OWN]
    for sort in dict.fromkeys(row["sort"] for row in own):
        some = [row for row in own if row["sort"] == sort]
        found += _of_kind(
            f"{split}, {OWN}, {sort} fault" if sort != "harmless" else f"{split}, {OWN}, harmless", some
        )
    return found


def _of_every(title: str, rows: Sequence[Row]) -> Iterator[Figure]:
    for check in CHECKS:
        yield rate(title, check, rows, partial(_flag, key=check), hard=True)
    # For a cause that nothing speaks for there is a person's word alone.
    proposing = [row for row in rows if row["proposals"] and row["kind"] != OTHER]
    if proposing:
        yield rate(
            title, "proposals with evidence", proposing, lambda row: row["with_evidence"] / row["proposals"]
        )
    opened = [row for row in rows if row["said"] in (NO_FAULT, UNKNOWN)]
    if opened:
        yield rate(title, "moves something though the cause is open", opened, partial(_flag, key="moves"),
                   better="lower", hard=True)  # fmt: skip
    yield rate(title, "runbook steps given", rows, lambda row: row["kept"])
    yield rate(title, "lines", rows, lambda row: row["lines"], better="")
    yield rate(title, "words", rows, lambda row: row["words"], better="lower")


def _of_kind(title: str, rows: Sequence[Row]) -> Iterator[Figure]:
    if not rows:
        return
    yield rate(title, "right runbook", rows, partial(_flag, key="right_runbook"))
    quiet = [row for row in rows if row["truth"] in (NO_FAULT, UNKNOWN)]
    if quiet:
        yield rate(title, "proposes to move something where nothing known is wrong", quiet, partial(_flag, key="moves"),
                   better="lower")  # fmt: skip
    wrong = [row for row in rows if not row["right_runbook"] and row["truth"] not in (NO_FAULT, UNKNOWN)]
    if wrong:
        yield rate(
            title, "moves something by a wrong runbook", wrong, partial(_flag, key="moves"), better="lower"
        )


def _flag(row: Row, *, key: str) -> bool:
    return bool(row[key])


def gate(found: Sequence[Figure]) -> str:
    """No line may be followed that no runbook has."""
    bad = [figure for figure in found if figure.name in CHECKS and figure.value < 1.0]
    return "; ".join(f"{one.name}: only {one.value:.3f} of {one.n} guides" for one in bad)
