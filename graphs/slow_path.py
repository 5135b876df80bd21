"""The slow path: one incident from evidence to a diagnosis with a guide and proposed actions.

gather -> test -> retrieve -> reason -> guide -> rehearse -> verify -> record

`test` tries the causes on the plant model and `rehearse` the proposed actions, where the site's readings allow it; the
trial's shares order the causes, whatever signatures or a model would have said, and a different opinion is kept.

A run belongs to one revision of one incident (thread id `slow:INCIDENT:REVISION`). Its last node writes diagnosis,
reviews and the end of the job in one ledger transaction, so a crash before it repeats work and never a side effect.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from agents.decider import Decider, as_corrected, decide, overruled
from agents.evidence import Case, gather, most_urgent
from agents.explainer import TEMPLATE, Budget, Writer, explain, subject_of
from agents.guide import MAX_ACTIONS, called_for, choose_section, first_thing, queries, words_of, write_guide
from agents.troubleshooter import by_signature, by_trial, certainty, disagreement, weigh_causes
from agents.verification import verify_diagnosis
from knowledge.causes import NO_FAULT, UNKNOWN, Cause
from knowledge.runbooks import Section
from setpoint.contracts import (
    ActionProposal,
    Diagnosis,
    Evidence,
    Hypothesis,
    Mode,
    Passage,
    ReasoningStep,
    RecoveryGuide,
)
from setpoint.contracts.action import Withheld
from setpoint.contracts.diagnosis import CausalPath, StateNote, Trial, Verdict
from setpoint.contracts.wording import Wording
from tools.actions import describe
from tools.causal import path_over
from tools.rehearsal import is_best, only_costs

PLANT_AREAS = frozenset({"cooling", "power", "inference"})
"""Areas of causes whose remedies act within what the plant model shows."""


class Library(Protocol):
    """Where passages are found."""

    def search(self, query: str, limit: int) -> Sequence[Passage]: ...


TryCauses = Callable[[Case, Mapping[str, float]], Trial | str | None]
"""From the log evidence of the event pattern by cause; in words why the case could not be tried, or None where there is
nothing to try it on."""
Rehearse = Callable[[ActionProposal, Case, Verdict | None, Sequence[str]], ActionProposal]
"""The proposal with its rehearsal, given the tested first cause and the names of alternatives."""


@dataclass(frozen=True)
class SlowPorts:
    """All that the slow path reaches outside itself."""

    load_case: Callable[[str], Case]
    library: Library
    causes: Mapping[str, Cause]
    sections: Mapping[str, Section]
    writer: Writer | None
    decider: Decider | None
    mode: Mode
    action_names: frozenset[str]
    asset_names: frozenset[str]
    propose: Callable[[str, Case, Sequence[str]], ActionProposal | Withheld | None]
    """Catalog action by name for this case and evidence, or why it is not proposed; None where it does not apply."""
    record: Callable[[Diagnosis], None]
    new_budget: Callable[[], Budget]
    try_causes: TryCauses = lambda _case, _scores: None
    explain_service: Callable[[Case], str] = lambda _case: ""
    """What change points, order in time and elimination say of services that no plant model covers; "" for others."""
    rehearse: Rehearse = lambda proposal, _case, _cause, _others: proposal
    passages: int = 6
    progress: Callable[[str, str], None] = lambda _incident, _stage: None


class SlowState(TypedDict, total=False):
    """Plain values only: a checkpoint must be readable without our classes."""

    incident_id: str
    revision: int
    started: float
    evidence: list[dict[str, Any]]
    urgent: list[str]
    """Ids of the evidence with the incident's own priority."""
    evidence_of: dict[str, str]
    """Evidence id by event id."""
    hypotheses: list[dict[str, Any]]
    decided_by: str
    trial: dict[str, Any] | None
    path: dict[str, Any] | None
    disagreement: str
    untested: str
    service: str
    passages: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    summary: str
    summary_by: str
    summary_origin: dict[str, Any] | None
    written_by: str
    guide: dict[str, Any]
    proposals: list[dict[str, Any]]
    withheld: list[dict[str, Any]]
    fallbacks: list[str]
    tokens: int
    problems: list[str]


class Gathered(TypedDict, total=False):
    started: float
    evidence: list[dict[str, Any]]
    evidence_of: dict[str, str]
    urgent: list[str]


class CausesTested(TypedDict, total=False):
    hypotheses: list[dict[str, Any]]
    decided_by: str
    trial: dict[str, Any] | None
    path: dict[str, Any] | None
    disagreement: str
    untested: str
    service: str
    fallbacks: list[str]
    tokens: int


class Retrieved(TypedDict, total=False):
    passages: list[dict[str, Any]]


class Reasoned(TypedDict, total=False):
    steps: list[dict[str, Any]]
    summary: str
    summary_by: str
    summary_origin: dict[str, Any] | None
    written_by: str
    fallbacks: list[str]
    tokens: int


class Guided(TypedDict, total=False):
    passages: list[dict[str, Any]]
    guide: dict[str, Any]
    proposals: list[dict[str, Any]]
    withheld: list[dict[str, Any]]


class Rehearsed(TypedDict, total=False):
    proposals: list[dict[str, Any]]
    withheld: list[dict[str, Any]]


class Verified(TypedDict, total=False):
    steps: list[dict[str, Any]]
    summary: str
    summary_by: str
    summary_origin: dict[str, Any] | None
    written_by: str
    problems: list[str]
    fallbacks: list[str]


class Recorded(TypedDict, total=False):
    problems: list[str]


async def gather_evidence(state: SlowState, runtime: Runtime[SlowPorts]) -> Gathered:
    """Read the case and list its evidence."""
    ports = runtime.context
    ports.progress(state["incident_id"], "gathering evidence")
    case = await asyncio.to_thread(ports.load_case, state["incident_id"])
    evidence, evidence_of = gather(case)
    return {
        "started": time.time(),
        "evidence": [piece.model_dump(mode="json") for piece in evidence],
        "evidence_of": evidence_of,
        "urgent": most_urgent(case, evidence_of),
    }


async def test_causes(state: SlowState, runtime: Runtime[SlowPorts]) -> CausesTested:
    """Rank the causes by their signatures, then by how they fare on the plant model."""
    ports = runtime.context
    ports.progress(state["incident_id"], "testing causes on the plant model")
    case = await asyncio.to_thread(ports.load_case, state["incident_id"])
    evidence = _evidence(state)
    weighed = weigh_causes(case, ports.causes, state["evidence_of"], evidence)
    ranked = by_signature(weighed)
    scores = {finding.cause.id: finding.score for finding in weighed}
    tried = await asyncio.to_thread(ports.try_causes, case, scores)
    trial = tried if isinstance(tried, Trial) else None
    opinion = ""
    if trial is not None:
        signature, ranked = ranked, by_trial(weighed, trial, ports.causes)
        opinion = disagreement(signature, ranked)
    verdict = as_corrected(ranked, case.corrected_cause, ports.causes)
    if verdict is None:
        verdict = await asyncio.to_thread(decide, ports.mode, ports.decider, ranked, evidence, ports.causes)
        if trial is not None and verdict.decided_by != "code":
            opinion, verdict = overruled(verdict, ranked, opinion)
    service = await asyncio.to_thread(ports.explain_service, case) if trial is None else ""
    first = verdict.hypotheses[0].tested
    path = path_over(case.site, first, case.events, case.triages) if first and first.asset else None
    return {
        "hypotheses": [hypothesis.model_dump(mode="json") for hypothesis in verdict.hypotheses],
        "decided_by": verdict.decided_by,
        "trial": trial.model_dump(mode="json") if trial else None,
        "path": path.model_dump(mode="json") if path else None,
        "disagreement": opinion,
        "untested": tried if isinstance(tried, str) else "",
        "service": service,
        "fallbacks": [verdict.problem] if verdict.problem else [],
        "tokens": verdict.tokens,
    }


async def retrieve(state: SlowState, runtime: Runtime[SlowPorts]) -> Retrieved:
    """Passages on the likely causes and on what was seen, without doubles."""
    ports = runtime.context
    ports.progress(state["incident_id"], "reading runbooks")
    conditions = [piece.sheet.condition for piece in _evidence(state) if piece.kind == "event"]
    asked = queries(_hypotheses(state), ports.causes, conditions[:4])
    found: dict[str, Passage] = {}
    for query in asked:
        for passage in await asyncio.to_thread(ports.library.search, query, ports.passages):
            found.setdefault(passage.id, passage)
    return {
        "passages": [
            passage.model_dump(mode="json") for passage in list(found.values())[: 2 * ports.passages]
        ]
    }


async def reason(state: SlowState, runtime: Runtime[SlowPorts]) -> Reasoned:
    """Word the steps and the conclusion; each text is verified as it is written."""
    ports, identifier = runtime.context, state["incident_id"]
    case = await asyncio.to_thread(ports.load_case, identifier)
    hypotheses, evidence = _hypotheses(state), {piece.id: piece for piece in _evidence(state)}
    top, budget, sure = hypotheses[0], ports.new_budget(), certainty(hypotheses)
    subject = subject_of(list(evidence.values()), top, state["urgent"])
    todo = (
        first_thing(_section(state, case, top, ports), sure) if top.cause not in (UNKNOWN, NO_FAULT) else ""
    )
    steps, summary, fallbacks = await asyncio.to_thread(
        explain, ports.writer, top, sure, evidence, subject, todo, budget,
        lambda stage: ports.progress(identifier, f"writing {stage}"),
    )  # fmt: skip
    writers = {step.written_by for step in steps} | {summary.written_by}
    return {
        "steps": [step.model_dump(mode="json") for step in steps],
        "summary": summary.text,
        "summary_by": summary.written_by,
        "summary_origin": summary.origin.model_dump(mode="json") if summary.origin else None,
        "written_by": " and ".join(sorted(writers)),
        "fallbacks": [*state.get("fallbacks", []), *fallbacks],
        "tokens": state.get("tokens", 0) + budget.spent,
    }


async def guide(state: SlowState, runtime: Runtime[SlowPorts]) -> Guided:
    """Quote the steps of the fitting runbook and propose the actions they call for."""
    ports = runtime.context
    ports.progress(state["incident_id"], "writing the recovery guide")
    hypotheses = _hypotheses(state)
    top = hypotheses[0]
    case = await asyncio.to_thread(ports.load_case, state["incident_id"])
    section = _section(state, case, top, ports)
    made = write_guide(section)
    # What the guide quotes is part of the analysis, whether retrieval found it or the catalog named it.
    passages = _passages(state)
    cited = list(section.passages()) if section else []
    passages += [passage for passage in cited if passage.id not in {known.id for known in passages}]
    found: list[ActionProposal | Withheld | None] = []
    if top.cause != NO_FAULT:
        called = called_for(made, ports.causes[top.cause], certainty(hypotheses))
        # For an unknown cause nothing speaks; what made the incident as grave as it is still calls for the action.
        found = [ports.propose(name, case, top.supports or state["urgent"]) for name in called]
    proposals, withheld = _at_most(MAX_ACTIONS, found)
    return {
        "passages": [passage.model_dump(mode="json") for passage in passages],
        "guide": made.model_dump(mode="json"),
        "proposals": [proposal.model_dump(mode="json") for proposal in proposals],
        "withheld": [one.model_dump(mode="json") for one in withheld],
    }


async def rehearse(state: SlowState, runtime: Runtime[SlowPorts]) -> Rehearsed:
    """Each proposed action on the plant model, beside doing nothing and the cause's other remedies. The best comes first;
    what only costs is not put to people."""
    ports = runtime.context
    proposals = [ActionProposal.model_validate(item) for item in state["proposals"]]
    if not proposals:
        return {"proposals": []}
    ports.progress(state["incident_id"], "rehearsing actions")
    case = await asyncio.to_thread(ports.load_case, state["incident_id"])
    top = _hypotheses(state)[0]
    others = list(ports.causes[top.cause].remedies)
    rehearsed = [
        await asyncio.to_thread(ports.rehearse, proposal, case, top.tested, others) for proposal in proposals
    ]
    # Of what breaks in a node or a switch the plant model knows the outside only: a drain looks like a mere loss.
    covered = ports.causes[top.cause].area in PLANT_AREAS
    kept, withheld = [], list(state.get("withheld", []))
    for proposal in sorted(rehearsed, key=lambda one: not is_best(one.rehearsal)):
        foreseen = proposal.rehearsal
        if covered and foreseen is not None and only_costs(foreseen):
            why = f"rehearsed: {foreseen.said}"
            withheld.append(Withheld(subject=describe(proposal.action), why=why).model_dump(mode="json"))
        else:
            kept.append(proposal.model_dump(mode="json"))
    return {"proposals": kept, "withheld": withheld}


async def verify(state: SlowState, runtime: Runtime[SlowPorts]) -> Verified:
    """The whole once more: citations, catalogs, facts. What fails is replaced by the evidence as it stands."""
    ports = runtime.context
    problems = _check(state, ports)
    if not problems:
        return {"problems": []}
    top = _hypotheses(state)[0]
    evidence = _evidence(state)
    used = [piece for piece in evidence if piece.id in top.supports] or evidence[:2]
    steps = [ReasoningStep(text=piece.text, evidence=(piece.id,), written_by=TEMPLATE) for piece in used]
    return {
        "steps": [step.model_dump(mode="json") for step in steps],
        "summary": f"{evidence[0].text.rstrip('.')}. First candidate: {top.title}.",
        "summary_by": TEMPLATE,
        "summary_origin": None,
        "written_by": TEMPLATE,
        "problems": problems,
        "fallbacks": [*state.get("fallbacks", []), *(f"analysis: {problem}" for problem in problems[:3])],
    }


async def record(state: SlowState, runtime: Runtime[SlowPorts]) -> Recorded:
    """One transaction: the diagnosis, its reviews and the end of the job."""
    await asyncio.to_thread(runtime.context.record, _diagnosis(state, runtime.context))
    return {"problems": state.get("problems", [])}


def build_slow_path(
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[SlowState, SlowPorts, SlowState, SlowState]:
    """The compiled graph. Invoke it with `durability="sync"`."""
    graph = StateGraph(SlowState, context_schema=SlowPorts)
    nodes: dict[str, Any] = {
        "gather": gather_evidence, "test": test_causes, "retrieve": retrieve, "reason": reason, "write_guide": guide,
        "rehearse": rehearse, "verify": verify, "record": record,
    }  # fmt: skip
    for name, node in nodes.items():
        graph.add_node(name, node)
    names = list(nodes)
    graph.add_edge(START, names[0])
    for before, after in itertools.pairwise(names):
        graph.add_edge(before, after)
    graph.add_edge(names[-1], END)
    return graph.compile(checkpointer=checkpointer, name="slow_path")


def _at_most(
    count: int, found: Sequence[ActionProposal | Withheld | None]
) -> tuple[list[ActionProposal], list[Withheld]]:
    """The first so many that people are or were asked about, and what an interlock is against on the way there: where
    the fitting ones were all judged, less fitting ones do not take their place."""
    proposals: list[ActionProposal] = []
    withheld: list[Withheld] = []
    for one in found:
        if len(proposals) + sum(bool(other.review) for other in withheld) >= count:
            break
        if isinstance(one, Withheld):
            withheld.append(one)
        elif one is not None:
            proposals.append(one)
    return proposals, withheld


def _check(state: SlowState, ports: SlowPorts) -> list[str]:
    checked = verify_diagnosis(
        _diagnosis(state, ports), causes=ports.causes, actions=ports.action_names, assets=ports.asset_names
    )
    return list(checked.problems)


def _diagnosis(state: SlowState, ports: SlowPorts) -> Diagnosis:
    return Diagnosis(
        incident_id=state["incident_id"],
        revision=state["revision"],
        mode=ports.mode if state.get("decided_by", "code") != "code" else "facts",
        evidence=tuple(_evidence(state)),
        passages=tuple(Passage.model_validate(item) for item in state["passages"]),
        hypotheses=tuple(_hypotheses(state)),
        state=_state_note(state),
        path=CausalPath.model_validate(state["path"]) if state.get("path") else None,
        disagreement=state.get("disagreement", ""),
        untested=state.get("untested", ""),
        service=state.get("service", ""),
        steps=tuple(ReasoningStep.model_validate(item) for item in state["steps"]),
        summary=state["summary"],
        summary_by=state.get("summary_by", ""),
        summary_origin=_origin(state.get("summary_origin")),
        guide=RecoveryGuide.model_validate(state["guide"]),
        proposals=tuple(ActionProposal.model_validate(item) for item in state["proposals"]),
        withheld=tuple(Withheld.model_validate(item) for item in state.get("withheld", [])),
        written_by=state["written_by"],
        fallbacks=tuple(state.get("fallbacks", [])),
        tokens=state.get("tokens", 0),
        seconds=round(max(0.0, time.time() - state["started"]), 3),
    )


def _origin(kept: dict[str, Any] | None) -> Wording | None:
    return Wording.model_validate(kept) if kept else None


def _state_note(state: SlowState) -> StateNote | None:
    trial = state.get("trial")
    return Trial.model_validate(trial).state if trial else None


def _evidence(state: SlowState) -> list[Evidence]:
    return [Evidence.model_validate(item) for item in state["evidence"]]


def _hypotheses(state: SlowState) -> list[Hypothesis]:
    return [Hypothesis.model_validate(item) for item in state["hypotheses"]]


def _passages(state: SlowState) -> list[Passage]:
    return [Passage.model_validate(item) for item in state["passages"]]


def _section(state: SlowState, case: Case, top: Hypothesis, ports: SlowPorts) -> Section | None:
    return choose_section(top, ports.causes, ports.sections, _passages(state), words_of(case))
