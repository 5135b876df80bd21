"""The final gatekeeper: one question to a person, and what follows from the answer.

prepare -> ask -> read_decision -> send_to_act | ask_again | close

`ask` holds the interrupt and nothing else, because a node runs again from its top when it is resumed. The decision
is read from the ledger's row, never from the value that resumed the graph: a stale, doubled or made-up answer
changes nothing. Everything after it may run twice (a crash, two workers): jobs and reviews are keyed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import UnknownInterruptError
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from pydantic import JsonValue
from typing_extensions import TypedDict

from agents.alert_facts import quoted
from graphs.act import thread_of
from graphs.threads import answer, need_checkpointer, pending_interrupt, run_to_stop
from setpoint.contracts import Action, ActionProposal, DecisionType, Review, ReviewKind
from setpoint.contracts.site import Site
from setpoint.errors import ActionRefused, BackendError, InputError, NotDecidable
from setpoint.settings import ReviewSettings
from tools.actions import describe, spec_of, validate
from tools.executor import Order
from tools.tokens import Grant, Signer, limits_version, new_nonce

ALLOWED: dict[ReviewKind, tuple[DecisionType, ...]] = {
    "action": ("approve", "edit", "reject", "respond"),
    "doubtful_input": ("approve", "reject", "respond"),
    "rule_change": ("approve", "reject", "respond"),
}
ACT_URGENCY = 0
"""Somebody has decided and waits for it."""


class ReviewLedger(Protocol):
    """What a review needs of the ledger."""

    def get_review(self, review_id: str) -> Review: ...

    def approvals(self, review_id: str) -> tuple[tuple[str, ...], int]: ...

    def open_review(
        self, review: Review, *, approvals_needed: int = 1, now: datetime | None = None
    ) -> bool: ...

    def enqueue(
        self,
        kind: str,
        key: str,
        payload: Mapping[str, JsonValue] | None = None,
        *,
        urgency: int = 2,
        now: datetime | None = None,
    ) -> int: ...

    def audit(
        self, who: str, what: str, subject: str, data: JsonValue = None, now: datetime | None = None
    ) -> object: ...


@dataclass(frozen=True)
class ReviewPorts:
    """All that a review reaches outside itself."""

    ledger: ReviewLedger
    site: Site
    signer: Signer
    settings: ReviewSettings
    clock: Callable[[], datetime]
    token_s: float = 900.0
    """How long an approval may wait for its execution."""


class ReviewState(TypedDict, total=False):
    """Plain values only: a checkpoint must be readable without our classes."""

    review_id: str
    request: dict[str, Any]
    """What is asked, in HITLRequest shape with our keys."""
    signal: dict[str, Any]
    """What woke the thread. Never a decision."""
    decision: str
    status: str
    """"closed" once everything that follows is written."""
    result: str
    """What came of it, in words."""


class Prepared(TypedDict, total=False):
    request: dict[str, Any]


class Asked(TypedDict, total=False):
    signal: dict[str, Any]


class Read(TypedDict, total=False):
    decision: str


class Closed(TypedDict, total=False):
    status: str
    result: str


def build_review_graph(
    checkpointer: BaseCheckpointSaver[str] | None,
) -> CompiledStateGraph[ReviewState, ReviewPorts, ReviewState, ReviewState]:
    """Raises ConfigError without a checkpointer."""
    graph = StateGraph(ReviewState, context_schema=ReviewPorts)
    graph.add_node("prepare", prepare)
    graph.add_node("ask", ask)
    graph.add_node("read_decision", read_decision)
    graph.add_node("send_to_act", send_to_act)
    graph.add_node("ask_again", ask_again)
    graph.add_node("close", close)
    graph.add_edge(START, "prepare")
    graph.add_edge("prepare", "ask")
    graph.add_edge("ask", "read_decision")
    graph.add_conditional_edges("read_decision", route)
    for last in ("send_to_act", "ask_again", "close"):
        graph.add_edge(last, END)
    return graph.compile(checkpointer=need_checkpointer(checkpointer, "review"), name="review")


# ---- nodes ------------------------------------------------------------------------------------------------


async def prepare(state: ReviewState, runtime: Runtime[ReviewPorts]) -> Prepared:
    review = await asyncio.to_thread(runtime.context.ledger.get_review, state["review_id"])
    return {"request": request_of(review)}


async def ask(state: ReviewState) -> Asked:
    return {"signal": interrupt(state["request"])}


async def read_decision(state: ReviewState, runtime: Runtime[ReviewPorts]) -> Read:
    """Raises NotDecidable while the ledger holds no decision, whatever woke the thread."""
    review = await asyncio.to_thread(runtime.context.ledger.get_review, state["review_id"])
    if review.state == "pending":
        raise NotDecidable("nobody has decided it", where=f"review {review.id}", remedy="Decide it first")
    return {"decision": review.decision.type if review.decision else review.state}


def route(state: ReviewState) -> Literal["send_to_act", "ask_again", "close"]:
    if state["decision"] in ("approve", "edit"):
        return "send_to_act"
    return "ask_again" if state["decision"] == "respond" else "close"


async def send_to_act(state: ReviewState, runtime: Runtime[ReviewPorts]) -> Closed:
    """Sign exactly what was approved and queue it. Anything that is no action is closed by its approval."""
    return {"status": "closed", "result": await asyncio.to_thread(_send, state, runtime.context)}


async def ask_again(state: ReviewState, runtime: Runtime[ReviewPorts]) -> Closed:
    """An answer is no yes and no no: the question is put again, with the answer beside it."""
    return {
        "status": "closed",
        "result": await asyncio.to_thread(_ask_again, state["review_id"], runtime.context),
    }


async def close(state: ReviewState) -> Closed:
    words = {"reject": "rejected", "expired": "nobody decided in time", "withdrawn": "withdrawn"}
    return {"status": "closed", "result": words.get(state["decision"], state["decision"])}


# ---- workers ----------------------------------------------------------------------------------------------


def thread_id(review_id: str) -> str:
    return f"review:{review_id}"


async def open_review(
    graph: CompiledStateGraph[Any, Any, Any, Any], ports: ReviewPorts, review_id: str
) -> dict[str, Any] | None:
    """Worker of `review` jobs: bring the thread to its question. Returns the request that waits, None if it is over."""
    await run_to_stop(graph, thread_id(review_id), {"review_id": review_id}, ports)
    pending = await pending_interrupt(graph, thread_id(review_id))
    return None if pending is None else dict(pending.value)


async def resume_review(
    graph: CompiledStateGraph[Any, Any, Any, Any], ports: ReviewPorts, review_id: str
) -> str:
    """Worker of `resume` jobs: what came of the review, in words. Safe to repeat at any point.

    Raises NotDecidable while the ledger holds no decision.
    """
    review = await asyncio.to_thread(ports.ledger.get_review, review_id)
    if review.state == "pending":
        raise NotDecidable("nobody has decided it", where=f"review {review_id}", remedy="Decide it first")
    state = await run_to_stop(graph, thread_id(review_id), {"review_id": review_id}, ports)
    pending = await pending_interrupt(graph, thread_id(review_id))
    if pending is not None:
        signal = {"review_id": review_id, "state": review.state, "digest": review.digest}
        with suppress(UnknownInterruptError):  # another worker answered it a moment ago
            state = await answer(graph, thread_id(review_id), pending, signal, ports)
    if state.get("status") != "closed":
        # Two workers hold one job only after a lost lease; whoever comes second looks again later.
        raise BackendError(
            "another worker is at this review", where=thread_id(review_id), remedy="It is tried again"
        )
    return str(state["result"])


# ---- what is asked ----------------------------------------------------------------------------------------


def request_of(review: Review) -> dict[str, Any]:
    """LangChain's HITLRequest with our keys beside it."""
    name, args, words = _asked(review)
    return {
        "action_requests": [{"name": name, "args": args, "description": words}],
        "review_configs": [{"action_name": name, "allowed_decisions": list(ALLOWED[review.kind])}],
        "review_id": review.id,
        "kind": review.kind,
        "incident_id": review.incident_id,
        "action_id": review.proposal.id if review.proposal else "",
        "evidence": list(review.proposal.evidence) if review.proposal else [],
        "expires_at": review.expires.isoformat() if review.expires else "",
        "digest": review.digest,
    }


def _asked(review: Review) -> tuple[str, dict[str, Any], str]:
    proposal = review.proposal
    if proposal is None:
        return review.kind, {"subject": review.subject}, review.subject
    words = (
        f"{describe(proposal.action)}. Why: {proposal.why}. Risk: {proposal.risk}. Undo: {proposal.rollback}"
    )
    return proposal.action.name, {"asset": proposal.action.asset, **proposal.action.args}, words


def check_edit(review: Review, edited: Action, site: Site) -> Action:
    """The edited action as it would be executed; call it before the decision is written.

    Raises ActionRefused and InputError as the catalog does, and where the edit names another action.
    """
    if review.proposal is None:
        raise NotDecidable("only an action can be edited", where=f"review {review.id}")
    return _same_action(review.proposal.action.name, validate(edited, site))


def _same_action(name: str, action: Action) -> Action:
    if action.name != name:
        raise ActionRefused(
            f"an edit may change asset and arguments; this one turns {name} into {action.name}",
            where="edit",
            remedy=f"Reject this one and propose {action.name}",
        )
    return action


# ---- what follows -----------------------------------------------------------------------------------------


def _send(state: ReviewState, ports: ReviewPorts) -> str:
    review = ports.ledger.get_review(state["review_id"])
    if review.kind != "action" or review.proposal is None:
        return "approved"
    try:
        order = _order(review, review.proposal, state["request"], ports)
    except (ActionRefused, InputError) as error:
        ports.ledger.audit("setpoint", "approval-refused", review.id, {"why": str(error)}, now=ports.clock())
        return f"refused: {error}"
    payload: dict[str, JsonValue] = order.model_dump(mode="json") | {"thread_id": thread_of(order)}
    ports.ledger.enqueue("act", order.key, payload, urgency=ACT_URGENCY, now=ports.clock())
    return f"sent to act: {describe(order.action)}"


def _order(review: Review, proposal: ActionProposal, request: Mapping[str, Any], ports: ReviewPorts) -> Order:
    """The approved action with its token. An edited action passes the catalog again under its own digest."""
    action = _same_action(request["action_requests"][0]["name"], validate(proposal.action, ports.site))
    digest = action.digest(review.incident_id)
    if digest != review.digest:
        raise ActionRefused("what was approved is not in the catalog's form", where=f"review {review.id}",
                            remedy="Propose it again")  # fmt: skip
    token = ports.signer.mint(
        Grant(
            digest=digest,
            incident_id=review.incident_id,
            review_id=review.id,
            limits_version=limits_version(ports.site),
            expires=ports.clock() + timedelta(seconds=ports.token_s),
            nonce=new_nonce(),
            approvers=_approvers(review, action, ports),
            simulated=bool(review.decision and review.decision.simulated),
        )
    )
    return Order(
        action_id=proposal.id, incident_id=review.incident_id, review_id=review.id, action=action, token=token
    )


def _approvers(review: Review, action: Action, ports: ReviewPorts) -> tuple[str, ...]:
    """Who approved. Two different people where the risk class asks for them, whatever the row was opened with."""
    agreed, needed = ports.ledger.approvals(review.id)
    by_policy = review.decision is not None and review.decision.simulated
    if not by_policy and spec_of(action.name).risk in ports.settings.two_people_for:
        needed = max(needed, 2)
    if len(set(agreed)) < needed:
        raise ActionRefused(
            f"{len(set(agreed))} of {needed} people approved",
            where=f"review {review.id}",
            remedy="Propose it again and have another person agree",
        )
    return agreed


def _ask_again(review_id: str, ports: ReviewPorts) -> str:
    review, now = ports.ledger.get_review(review_id), ports.clock()
    decision = review.decision
    said = (
        f"{review.subject} [{decision.who} answered: {quoted(decision.answer or decision.reason)}]"
        if decision
        else ""
    )
    again = review.model_copy(
        update={
            "id": next_version(review.id),
            "subject": said or review.subject,
            "state": "pending",
            "decision": None,
            "created": now,
            "expires": now + timedelta(seconds=ports.settings.expire_s),
        }
    )
    ports.ledger.open_review(again, approvals_needed=ports.ledger.approvals(review.id)[1], now=now)
    payload: dict[str, JsonValue] = {"review_id": again.id, "incident_id": again.incident_id}
    ports.ledger.enqueue("review", again.id, payload, urgency=1, now=now)
    return f"answered; asked again as {again.id}"


def next_version(review_id: str) -> str:
    """
    >>> next_version("REV-7"), next_version("REV-7.v2")
    ('REV-7.v2', 'REV-7.v3')
    """
    base, mark, number = review_id.rpartition(".v")
    return f"{base}.v{int(number) + 1}" if mark and number.isdigit() else f"{review_id}.v2"
