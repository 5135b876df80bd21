"""A person's own proposal: into the queue, through every check, and never past a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents import proposer
from setpoint.app.desk import DESK
from setpoint.app.wiring import Runtime, build_runtime
from setpoint.autonomy.granting import standing_of
from setpoint.contracts import Decision
from setpoint.errors import ActionRefused, InputError, NotDecidable, UsageError
from setpoint.settings import load_settings
from tests.setpoint.app.terminal import DEMO
from tools.actions import kind_of

CAP: dict[str, Any] = {
    "who": "Ada",
    "action": "cap_gpu_power",
    "asset": "gpu-03",
    "args": {"cap_w": 400},
    "why": "it runs hot",
}


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    flags = {
        "site.file": DEMO, "store.dir": tmp_path / "store", "act.dry_run": False, "models.light.kind": "none",
        "models.heavy.kind": "none", "alerts.sinks": ["console"],
    }  # fmt: skip
    made = build_runtime(load_settings(flags, env={}, files=()).settings)
    await made.start()
    yield made
    await made.close()


def put(runtime: Runtime, **changes: Any) -> Any:
    return DESK["review_propose"](runtime.desk, **(CAP | changes))


async def test_it_waits_is_rehearsed_and_is_done_after_a_yes(runtime: Runtime) -> None:
    found = put(runtime, via="mcp planner")
    await runtime.engine.drain()
    (review,) = runtime.ledger.list_reviews(states=("pending",))
    assert found["fresh"]
    assert review.id == found["review"]["id"]
    assert review.proposal is not None
    assert (review.proposal.proposed_by, review.proposal.proposed_via) == ("Ada", "mcp planner")
    assert review.proposal.rehearsal is not None, "the simulated site has readings, so it can be rehearsed"
    assert proposer.is_ask(review.incident_id)
    assert not runtime.ledger.list_actions(), "nothing moves before a yes"
    asked = [row for row in runtime.ledger.list_audit(subject=review.id) if row.what == "action-proposed"]
    assert [row.who for row in asked] == ["Ada"]

    runtime.ledger.decide(review.id, review.digest, Decision(type="approve", who="Grace"))
    runtime.engine.wake()
    await runtime.engine.drain()
    (act,) = runtime.ledger.list_actions()
    assert (act.state, act.action.args, act.incident_id) == ("done", {"cap_w": 400.0}, review.incident_id)
    reading = runtime.adapter.read("gpu-03") if runtime.adapter else None
    assert reading is not None
    assert reading.values["power_cap_w"] == 400.0


async def test_what_waits_is_not_asked_twice_and_a_decided_one_may_be_asked_again(runtime: Runtime) -> None:
    first = put(runtime)["review"]["id"]
    again = put(runtime, who="Grace", args={"cap_w": 405.0})
    assert (again["fresh"], again["review"]["id"]) == (False, first)
    review = runtime.ledger.get_review(first)
    runtime.ledger.decide(first, review.digest, Decision(type="reject", who="Grace", reason="no"))
    later = put(runtime)
    assert later["fresh"]
    assert later["review"]["id"] != first


async def test_a_persons_own_idea_never_counts_for_autonomy(runtime: Runtime) -> None:
    review = runtime.ledger.get_review(put(runtime)["review"]["id"])
    runtime.ledger.decide(review.id, review.digest, Decision(type="approve", who="Grace"))
    await runtime.engine.drain()
    assert runtime.ledger.decided_actions("cap_gpu_power") == []
    standing = standing_of(
        kind_of("cap_gpu_power"), runtime.ledger, runtime.settings.autonomy, review.created
    )
    assert (standing.decisions.good, standing.decisions.bad) == (0, 0)


async def test_high_risk_asks_for_two_people(runtime: Runtime) -> None:
    risky = put(runtime, action="reset_gpu", asset="gpu-03", args={})["review"]
    assert runtime.ledger.approvals(risky["id"])[1] == 2
    assert "Drain gpu-03 first" in risky["proposal"]["why"], "what people must prepare is said"


REFUSED: tuple[tuple[dict[str, Any], type[Exception], str], ...] = (
    ({"action": "approve"}, InputError, "no action 'approve' in the catalog"),
    ({"asset": "gpu-99"}, InputError, "no asset 'gpu-99'"),
    ({"asset": "cdu-1"}, ActionRefused, "acts on GPU node only"),
    ({"args": {"cap_w": 4000}}, ActionRefused, "at most 700 W allowed"),
    ({"args": {"cap_w": float("nan")}}, InputError, "is not a number"),
    ({"args": {"cap_w": [400]}}, UsageError, "not an action"),
    ({"args": {"watts": 400}}, InputError, "no argument 'watts'"),
    ({"why": "  \n"}, UsageError, "needs a reason"),
    ({"why": "x" * 501}, UsageError, "at most 500"),
    ({"who": "setpoint (autonomy)"}, UsageError, "no person's name"),
    ({"who": "executor"}, UsageError, "no person's name"),
    ({"who": ""}, UsageError, "no person's name"),
    ({"action": "set_coolant_flow", "asset": "cdu-1", "args": {"flow_lpm": 60}}, ActionRefused, "interlock"),
)


async def test_what_is_refused_leaves_nothing_behind(runtime: Runtime) -> None:
    for changes, error, says in REFUSED:
        with pytest.raises(error, match=says):
            put(runtime, **changes)
    assert runtime.ledger.list_reviews() == []


async def test_one_person_cannot_bury_the_queue(runtime: Runtime) -> None:
    for number in range(proposer.MOST_WAITING):
        put(runtime, asset=f"gpu-0{number + 1}", who=" ADA " if number % 2 else "Ada")
    with pytest.raises(ActionRefused, match="wait for a decision already"):
        put(runtime, asset="gpu-09")
    assert put(runtime, asset="gpu-09", who="Grace")["fresh"], "others still may"


async def test_nothing_is_proposed_where_reviews_are_off(tmp_path: Path) -> None:
    flags = {"site.file": DEMO, "store.dir": tmp_path / "store", "review.actions": "off",
             "models.light.kind": "none", "models.heavy.kind": "none"}  # fmt: skip
    made = build_runtime(load_settings(flags, env={}, files=()).settings)
    await made.start()
    try:
        with pytest.raises(UsageError, match="nothing is proposed"):
            put(made)
    finally:
        await made.close()


async def test_autonomy_cannot_say_yes_to_it_alone(runtime: Runtime) -> None:
    """Whatever the kind has earned: the gate is not asked about what a person proposes."""
    review = put(runtime)["review"]
    await runtime.engine.drain()
    assert runtime.ledger.get_review(review["id"]).state == "pending"
    with pytest.raises(NotDecidable):
        runtime.ledger.decide(review["id"], review["digest"], Decision(type="approve", who="setpoint"))
