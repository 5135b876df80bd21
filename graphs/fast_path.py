"""Fast path of one P0 incident: load -> plain_words -> verify -> publish or keep -> reroute.

The first notice was written by triage's dispatch and is on its way; nothing here can hold it back. This graph only
makes it easier to read, under the same dedup key, and hands the incident to the slow path in every case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy
from pydantic import JsonValue
from typing_extensions import TypedDict

from agents.alert_facts import Case, case_of
from agents.alerter import Alerter, plain_notice
from agents.rewording import TRIES, AlertModel, alert_input, alert_words, verify_alert
from agents.wordings import origin_of
from graphs.state import Plain
from prompts import AlertInput, fill
from setpoint.contracts import PRIORITIES, Event, FactSheet, Incident, Notice, Triage
from setpoint.contracts.wording import CORRECTED_BY
from setpoint.errors import BackendError, StoreLocked

Outcome = Literal["plain", "kept"]
_REWORDED = ("first", "update")
"""Stages whose notice plain words may follow."""
_RACES = 3


class FastLedger(Protocol):
    """The part of the ledger that the fast path reads and writes. Calls may block: they run in a thread."""

    def get_incident(self, incident_id: str) -> Incident: ...
    def get_events(self, ids: Iterable[str]) -> Sequence[Event]: ...
    def get_triage(self, event_id: str) -> Triage | None: ...
    def events_of(self, incident_id: str) -> Sequence[Event]: ...
    def last_notice(self, incident_id: str) -> Notice | None:
        """The newest version queued, whatever its stage."""

    def queue_notice(self, notice: Notice) -> int:
        """How many rows were new: 0 where that version is queued already."""
        ...

    def enqueue(
        self, kind: str, key: str, payload: Mapping[str, JsonValue] | None = None, *, urgency: int = 2
    ) -> int:
        """Queue a job; one of the same kind and key that still waits absorbs it."""
        ...


@dataclass(frozen=True)
class FastContext:
    """What a run needs from outside."""

    ledger: FastLedger
    model: AlertModel
    alerter: Alerter
    timeout_s: float = 5.0
    """For one attempt of the model."""
    progress: Callable[[str], None] = lambda _: None


class FastInput(TypedDict):
    incident_id: str
    payload: dict[str, JsonValue]
    """The fast job's own payload: the slow job gets the same."""


class FastState(TypedDict, total=False):
    """Plain values only."""

    incident_id: str
    payload: dict[str, JsonValue]
    urgency: int
    inputs: Plain
    """What the prompt is told."""
    firing: bool
    words: str
    attempts: int
    tokens: int
    problems: list[str]
    """Of the last attempt."""
    outcome: Outcome
    reason: str
    """Why the first notice was kept; empty where plain words were published."""
    status: Literal["done"]


class Loaded(TypedDict, total=False):
    urgency: int
    inputs: Plain
    firing: bool
    attempts: int
    tokens: int
    reason: str


class Worded(TypedDict, total=False):
    words: str
    attempts: int
    tokens: int
    problems: list[str]
    reason: str


class Verified(TypedDict, total=False):
    problems: list[str]


class Concluded(TypedDict, total=False):
    outcome: Outcome
    reason: str


class Ended(TypedDict, total=False):
    status: Literal["done"]


async def load(state: FastState, runtime: Runtime[FastContext]) -> Loaded:
    """Read what is known of the incident now."""
    standing = await asyncio.to_thread(_standing, state, runtime.context)
    update: Loaded = {"urgency": PRIORITIES.index(standing.incident.priority), "attempts": 0, "tokens": 0}
    if standing.case is None:
        return {**update, "reason": standing.reason}
    return {
        **update,
        "inputs": _dump_input(alert_input(standing.case)),
        "firing": standing.case.lead.status == "firing",
    }


@dataclass(frozen=True)
class _Standing:
    """An incident as the ledger has it, and what may be reworded of it."""

    incident: Incident
    last: Notice | None = None
    case: Case | None = None
    """None where there is nothing to reword; then `reason` says why."""
    reason: str = ""


def _standing(state: FastState, context: FastContext) -> _Standing:
    ledger = context.ledger
    incident = ledger.get_incident(state["incident_id"])
    last = ledger.last_notice(incident.id)
    if last is None:
        return _Standing(incident, reason="nobody was notified of this incident")
    if incident.state in ("resolved", "closed"):
        return _Standing(incident, last, reason=f"the incident is {incident.state}")
    if last.written_by.startswith(CORRECTED_BY):
        return _Standing(incident, last, reason=f"it was {last.written_by}")
    if last.stage not in _REWORDED:
        return _Standing(incident, last, reason=f"a newer notice stands ({last.stage})")
    named = state["payload"].get("event_ids")
    ids = [str(one) for one in named] if isinstance(named, list) else []
    events = ledger.get_events(ids) or ledger.events_of(incident.id)
    triages = [found for event in events if (found := ledger.get_triage(event.id))]
    if not triages:
        return _Standing(incident, last, reason="no event of this incident is ranked")
    return _Standing(incident, last, case_of(incident, events, triages, context.alerter.site))


def after_load(state: FastState) -> Literal["plain_words", "keep"]:
    """Keep what stands where there is nothing to reword."""
    return "keep" if state.get("reason") else "plain_words"


async def plain_words(state: FastState, runtime: Runtime[FastContext]) -> Worded:
    """One attempt of the light model. A model that is missing, slow or broken is no error of the graph."""
    context, attempt = runtime.context, state["attempts"]
    context.progress("plain words")
    try:
        words, tokens = await alert_words(
            context.model, _load_input(state["inputs"]), attempt=attempt, timeout_s=context.timeout_s
        )
    except (BackendError, TimeoutError) as error:
        reason = str(error) or f"the model took longer than {context.timeout_s:g} s"
        return {"words": "", "attempts": attempt + 1, "reason": reason}
    return {"words": words, "attempts": attempt + 1, "tokens": state["tokens"] + tokens, "problems": []}


def after_words(state: FastState) -> Literal["verify", "keep"]:
    """A model that could not answer is not asked again: the alert is old enough."""
    return "verify" if state["words"] else "keep"


async def verify(state: FastState, runtime: Runtime[FastContext]) -> Verified:
    """Output must match input."""
    closed = runtime.context.model.terse
    checked = verify_alert(
        state["words"], _load_input(state["inputs"]), firing=state["firing"], closed=closed
    )
    return {"problems": list(checked.problems)}


def after_verify(state: FastState) -> Literal["publish", "plain_words", "keep"]:
    """Wrong words are asked for once more, then the template stands."""
    if not state["problems"]:
        return "publish"
    return "plain_words" if state["attempts"] < TRIES else "keep"


async def publish(state: FastState, runtime: Runtime[FastContext]) -> Concluded:
    """Queue the next version of the same notification, its slots filled with the facts of this moment."""
    return await asyncio.to_thread(_publish, state, runtime.context)


def _publish(state: FastState, context: FastContext) -> Concluded:
    for _ in range(_RACES):
        now = _standing(state, context)
        if now.last is not None and now.last.stage == "plain":
            return {"outcome": "plain", "reason": ""}  # this very notice, queued before a crash
        if now.case is None or now.last is None:
            return {"outcome": "kept", "reason": now.reason}
        inputs = alert_input(now.case)
        if not verify_alert(
            state["words"], inputs, firing=now.case.lead.status == "firing", closed=context.model.terse
        ).ok:
            return {"outcome": "kept", "reason": "the incident changed while the model wrote"}
        filled = fill(state["words"], inputs)
        first_step = context.alerter.first_step([now.case.triage])
        notice = plain_notice(now.last, filled, context.model.name, first_step)
        origin = origin_of("alert", inputs, state["words"])
        if context.ledger.queue_notice(notice.model_copy(update={"origin": origin})):
            return {"outcome": "plain", "reason": ""}
        # Somebody queued that version in between: look again.
    return {"outcome": "kept", "reason": "newer notices kept coming"}


async def keep(state: FastState, runtime: Runtime[FastContext]) -> Concluded:
    """The notice that stands is good; say why it was not reworded."""
    reason = state.get("reason") or f"the model's words were refused: {'; '.join(state['problems'])}"
    runtime.context.progress(f"first notice kept: {reason}")
    return {"outcome": "kept", "reason": reason}


async def reroute(state: FastState, runtime: Runtime[FastContext]) -> Ended:
    """Hand the incident to the slow path, whatever became of the words."""
    payload = {**state["payload"], "incident_id": state["incident_id"]}
    await asyncio.to_thread(
        runtime.context.ledger.enqueue, "slow", state["incident_id"], payload, urgency=state["urgency"]
    )
    return {"status": "done"}


FastGraph = CompiledStateGraph[FastState, FastContext, FastInput, FastState]


def build_fast_graph(checkpointer: BaseCheckpointSaver[str] | None = None) -> FastGraph:
    """Compile the graph. Run it with one thread a job and durability "sync" (see graphs.threads.run_to_stop)."""
    graph = StateGraph(FastState, context_schema=FastContext, input_schema=FastInput)
    patient = RetryPolicy(max_attempts=5, initial_interval=0.2, retry_on=StoreLocked)
    graph.add_node("load", load, retry_policy=patient)
    graph.add_node("plain_words", plain_words)
    graph.add_node("verify", verify)
    graph.add_node("publish", publish, retry_policy=patient)
    graph.add_node("keep", keep)
    graph.add_node("reroute", reroute, retry_policy=patient)
    graph.add_edge(START, "load")
    graph.add_conditional_edges("load", after_load)
    graph.add_conditional_edges("plain_words", after_words)
    graph.add_conditional_edges("verify", after_verify)
    graph.add_edge("publish", "reroute")
    graph.add_edge("keep", "reroute")
    graph.add_edge("reroute", END)
    return graph.compile(checkpointer=checkpointer, name="fast_path")


def _dump_input(inputs: AlertInput) -> dict[str, Any]:
    return {
        "priority": inputs.priority,
        "sheet": inputs.sheet.model_dump(mode="json"),
        "impact": inputs.impact,
        "todo": inputs.todo,
    }


def _load_input(plain: Plain) -> AlertInput:
    return AlertInput(
        priority=plain["priority"],
        sheet=FactSheet.model_validate(plain["sheet"]),
        impact=plain["impact"],
        todo=plain["todo"],
    )
