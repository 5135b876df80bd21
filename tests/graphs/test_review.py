"""The final gatekeeper, against every known way of LangGraph to approve what nobody approved."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from langgraph.errors import UnknownInterruptError
from langgraph.types import Command, Interrupt
from syrupy.assertion import SnapshotAssertion

import graphs.review
from graphs.review import build_review_graph, check_edit, open_review, thread_id
from graphs.threads import answer, config_of, pending_interrupt
from setpoint.errors import ActionRefused, BackendError, ConfigError, InputError, NotDecidable
from tests.graphs.desk import CAP, Desk, open_desk
from tests.tools.bench import action
from tools.executor import Order

RESET = action("reset_gpu", "gpu-20")


async def waiting(desk: Desk, id: str = "REV-1") -> Interrupt:
    found = await pending_interrupt(desk.review_graph, thread_id(id))
    assert found is not None
    return found


# ---- what is asked ------------------------------------------------------------------------------------------


async def test_the_question_has_hitl_shape_and_our_keys(desk: Desk) -> None:
    asked = await desk.ask()
    (request,), (config,) = asked["action_requests"], asked["review_configs"]
    assert request["name"] == config["action_name"] == "cap_gpu_power"
    assert request["args"] == {"asset": "gpu-20", "cap_w": 400.0}
    assert request["description"].startswith("Cap the GPUs of gpu-20 at 400 W each. Why: GPU hot. Risk: low.")
    assert config["allowed_decisions"] == ["approve", "edit", "reject", "respond"]
    assert asked["digest"] == desk.ledger.get_review("REV-1").digest
    assert asked["evidence"] == ["E1"]
    assert {"incident_id", "action_id", "expires_at"} <= set(asked)


async def test_a_doubtful_input_cannot_be_edited(desk: Desk) -> None:
    asked = await desk.ask(
        kind="doubtful_input", proposal=None, digest="d1", subject="Is gpu-07 really on fire?"
    )
    assert asked["review_configs"][0]["allowed_decisions"] == ["approve", "reject", "respond"]


async def test_opening_twice_asks_once(desk: Desk) -> None:
    await desk.ask()
    first = await waiting(desk)
    await open_review(desk.review_graph, desk.ports, "REV-1")
    assert (await waiting(desk)).id == first.id


def test_the_graph(desk: Desk, snapshot: SnapshotAssertion) -> None:
    assert desk.review_graph.get_graph().draw_mermaid() == snapshot


# ---- the four decisions ---------------------------------------------------------------------------------------


async def test_approve_queues_exactly_what_was_approved(desk: Desk) -> None:
    await desk.ask()
    assert desk.decide("approve")
    assert await desk.resume() == "sent to act: Cap the GPUs of gpu-20 at 400 W each"
    (job,) = desk.acts()
    order = Order.model_validate({k: v for k, v in job.payload.items() if k in Order.model_fields})
    assert order.action == desk.ledger.get_review("REV-1").proposal.action  # type: ignore[union-attr]
    grant = desk.bench.signer.verify(
        order.token, order.action, "INC-0001", desk.bench.site, desk.bench.clock()
    )
    assert (grant.approvers, grant.review_id) == (("alice",), "REV-1")


async def test_edit_makes_a_new_digest_and_only_that_is_signed(desk: Desk) -> None:
    asked = await desk.ask()
    edited = CAP.model_copy(update={"args": {"cap_w": 300.0}})
    desk.decide("edit", edited=edited)
    assert await desk.resume() == "sent to act: Cap the GPUs of gpu-20 at 300 W each"
    (job,) = desk.acts()
    order = Order.model_validate({k: v for k, v in job.payload.items() if k in Order.model_fields})
    assert order.action.digest("INC-0001") != asked["digest"]
    with pytest.raises(ActionRefused, match="changed after the approval"):
        desk.bench.signer.verify(order.token, CAP, "INC-0001", desk.bench.site, desk.bench.clock())


async def test_reject_closes_and_nothing_is_queued(desk: Desk) -> None:
    await desk.ask()
    desk.decide("reject", reason="the pump is being mended")
    assert (await desk.resume(), desk.acts()) == ("rejected", [])


async def test_respond_is_no_yes_and_no_no_the_question_comes_again(desk: Desk) -> None:
    await desk.ask(needed=1)
    desk.decide("respond", answer="which rack is it in?")
    assert await desk.resume() == "answered; asked again as REV-1.v2"
    assert desk.acts() == []
    again = desk.ledger.get_review("REV-1.v2")
    assert again.state == "pending"
    assert again.subject == 'Cap the GPUs of gpu-20? [alice answered: "which rack is it in?"]'
    (job,) = desk.ledger.list_jobs(kinds=["review"])
    assert job.payload["review_id"] == "REV-1.v2"
    await open_review(desk.review_graph, desk.ports, "REV-1.v2")
    desk.decide("approve", id="REV-1.v2")
    assert (await desk.resume("REV-1.v2")).startswith("sent to act")


async def test_nobody_in_time_closes_it(desk: Desk) -> None:
    await desk.ask()
    desk.bench.clock.forward(3601)
    desk.ledger.expire_reviews(now=desk.bench.clock())
    assert (await desk.resume(), desk.acts()) == ("nobody decided in time", [])


async def test_withdrawn(desk: Desk) -> None:
    await desk.ask()
    desk.ledger.withdraw_review("REV-1", "alice", "incident closed", now=desk.bench.clock())
    assert (await desk.resume(), desk.acts()) == ("withdrawn", [])


async def test_approving_a_doubtful_input_moves_nothing(desk: Desk) -> None:
    await desk.ask(kind="doubtful_input", proposal=None, digest="d1", subject="Is it real?")
    desk.decide("approve")
    assert (await desk.resume(), desk.acts()) == ("approved", [])


# ---- people -----------------------------------------------------------------------------------------------------


async def test_high_risk_needs_two_people_even_if_the_row_asks_for_one(desk: Desk) -> None:
    await desk.ask(RESET, needed=1)
    desk.decide("approve", who="alice")
    assert (await desk.resume()).startswith("refused: review REV-1: 1 of 2 people approved")
    assert desk.acts() == []


async def test_two_different_people(desk: Desk) -> None:
    await desk.ask(RESET, needed=2)
    assert not desk.decide("approve", who="alice")
    with pytest.raises(NotDecidable):
        await desk.resume()
    with pytest.raises(NotDecidable):
        desk.decide("approve", who="alice")
    assert desk.decide("approve", who="bob")
    assert (await desk.resume()).startswith("sent to act")


async def test_two_reviewers_at_once_one_decision(desk: Desk) -> None:
    await desk.ask()
    results = await asyncio.gather(
        *(
            asyncio.to_thread(desk.decide, verdict, who)
            for verdict, who in (("approve", "alice"), ("reject", "bob"))
        ),
        return_exceptions=True,
    )
    assert sorted(type(result) for result in results if result is not True) == [NotDecidable]
    both = await asyncio.gather(desk.resume(), desk.resume(), return_exceptions=True)
    assert all(isinstance(one, str | BackendError) for one in both), both
    await desk.resume()
    decided = desk.ledger.get_review("REV-1").decision
    assert decided is not None
    assert len(desk.acts()) == (1 if decided.type == "approve" else 0)


async def test_a_policys_decision_is_marked_in_its_token(desk: Desk) -> None:
    await desk.ask(RESET)
    desk.decide("approve", who="policy", simulated=True)
    await desk.resume()
    (job,) = desk.acts()
    order = Order.model_validate({k: v for k, v in job.payload.items() if k in Order.model_fields})
    real = desk.bench.site.model_copy(update={"simulated": False})
    with pytest.raises(ActionRefused, match="simulated site only"):
        desk.bench.signer.verify(order.token, order.action, "INC-0001", real, desk.bench.clock())


# ---- edits --------------------------------------------------------------------------------------------------------


def test_edits_are_checked_at_the_door(desk: Desk) -> None:
    review, site = desk.put(), desk.bench.site
    assert check_edit(review, action("cap_gpu_power", "GPU-21", cap_w=300), site).asset == "gpu-21"
    with pytest.raises(ActionRefused, match="at most 700 W"):
        check_edit(review, action("cap_gpu_power", "gpu-20", cap_w=900.0), site)
    with pytest.raises(InputError):
        check_edit(review, action("cap_gpu_power", "gpu-99", cap_w=300.0), site)
    with pytest.raises(ActionRefused, match="turns cap_gpu_power into reset_gpu"):
        check_edit(review, RESET, site)


@pytest.mark.parametrize(
    "edited",
    [
        action("cap_gpu_power", "gpu-20", cap_w=9000.0),
        action("reset_gpu", "gpu-20"),
        action("cap_gpu_power", "GPU-20", cap_w=300.0),
    ],
)
async def test_an_edit_that_slipped_past_the_door_is_refused_and_audited(desk: Desk, edited: Any) -> None:
    await desk.ask()
    desk.decide("edit", edited=edited)
    assert (await desk.resume()).startswith("refused: ")
    assert desk.acts() == []
    assert [row.what for row in desk.ledger.list_audit(subject="REV-1")][-1] == "approval-refused"


# ---- traps of interrupts --------------------------------------------------------------------------------------------


async def test_double_click_sends_once(desk: Desk) -> None:
    await desk.ask()
    desk.decide("approve")
    with pytest.raises(NotDecidable, match="already decided"):
        desk.decide("approve", who="bob")
    assert await desk.resume() == await desk.resume()
    assert len(desk.acts()) == 1


async def test_a_stale_answer_does_not_reach_the_next_question(desk: Desk) -> None:
    """Without strict resume the second delivery of one answer is taken for the next interrupt's."""
    await desk.ask()
    old = await waiting(desk)
    desk.decide("respond", answer="which rack?")
    await desk.resume()
    await open_review(desk.review_graph, desk.ports, "REV-1.v2")
    for thread in ("REV-1", "REV-1.v2"):
        with pytest.raises(UnknownInterruptError):
            await answer(desk.review_graph, thread_id(thread), old, {"decision": "approve"}, desk.ports)
    assert await pending_interrupt(desk.review_graph, thread_id("REV-1.v2")) is not None
    assert desk.acts() == []


@pytest.mark.parametrize(
    "forged", [{"decision": "approve"}, True, "yes", {"decisions": [{"type": "approve"}]}]
)
async def test_an_answer_to_the_interrupt_is_not_a_decision(desk: Desk, forged: object) -> None:
    """Whoever can reach the graph still cannot approve: the ledger's row decides."""
    await desk.ask()
    with pytest.raises(NotDecidable, match="nobody has decided"):
        await answer(desk.review_graph, thread_id("REV-1"), await waiting(desk), forged, desk.ports)
    assert desk.acts() == []
    desk.decide("reject")
    assert await desk.resume() == "rejected"


async def test_invoke_none_after_a_crash_does_not_approve(desk: Desk) -> None:
    """Killed between claim and resume, then taken up blindly: it must go on waiting."""
    await desk.ask()
    for _ in range(3):
        await desk.review_graph.ainvoke(
            None, config_of(thread_id("REV-1")), context=desk.ports, durability="sync"
        )
    assert await pending_interrupt(desk.review_graph, thread_id("REV-1")) is not None
    with pytest.raises(NotDecidable):
        await desk.resume()
    assert desk.acts() == []


async def test_invoke_none_after_the_decision_was_written_does_not_skip_the_ledger(desk: Desk) -> None:
    await desk.ask()
    desk.decide("reject")
    await desk.review_graph.ainvoke(
        None, config_of(thread_id("REV-1")), context=desk.ports, durability="sync"
    )
    assert (await desk.resume(), desk.acts()) == ("rejected", [])


async def test_resuming_with_none_is_never_sent(desk: Desk) -> None:
    """`Command(resume=None)` crashes in LangGraph 1.2.22; our signal is always a filled dict."""
    await desk.ask()
    with pytest.raises((UnboundLocalError, UnknownInterruptError, NotDecidable)):
        await desk.review_graph.ainvoke(
            Command(resume=None), config_of(thread_id("REV-1")), context=desk.ports, durability="sync"
        )
    assert desk.acts() == []
    desk.decide("approve")
    assert (await desk.resume()).startswith("sent to act")
    state = await desk.review_graph.aget_state(config_of(thread_id("REV-1")))
    assert state.values["signal"]["review_id"] == "REV-1"


def test_one_interrupt_alone_in_its_node_and_no_broad_except() -> None:
    """A second interrupt, a side effect or an `except Exception` beside it would open the gate."""
    tree = ast.parse(inspect.getsource(graphs.review))
    calls = [
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "interrupt"
    ]
    assert len(calls) == 1
    (node,) = [n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef) and n.name == "ask"]
    assert [type(statement) for statement in node.body] == [ast.Return]
    assert calls[0] in ast.walk(node)
    caught = [h.type for h in ast.walk(tree) if isinstance(h, ast.ExceptHandler)]
    names = {getattr(e, "id", None) for t in caught for e in (t.elts if isinstance(t, ast.Tuple) else [t])}
    assert names <= {"ActionRefused", "InputError"}


def test_no_checkpointer_is_an_error_at_build() -> None:
    with pytest.raises(ConfigError, match="needs a checkpointer"):
        build_review_graph(None)


# ---- crashes --------------------------------------------------------------------------------------------------------


async def test_resume_works_where_the_thread_was_never_opened(desk: Desk) -> None:
    desk.put()
    desk.decide("approve")
    assert (await desk.resume()).startswith("sent to act")
    assert len(desk.acts()) == 1


async def test_opening_after_it_was_decided_and_closed_asks_nothing(desk: Desk) -> None:
    desk.put()
    desk.decide("reject")
    await desk.resume()
    assert await open_review(desk.review_graph, desk.ports, "REV-1") is None


async def test_died_after_queueing_the_act_job_before_the_checkpoint(desk: Desk) -> None:
    """The queued job is found again by its key; the later token replaces the earlier."""
    await desk.ask()
    desk.decide("approve")

    class Dying:
        def __getattr__(self, name: str) -> Any:
            return getattr(desk.ledger, name)

        def enqueue(self, *args: Any, **values: Any) -> int:
            desk.ledger.enqueue(*args, **values)
            raise OSError("killed here")

    ports = desk.ports.__class__(
        Dying(), *[getattr(desk.ports, f) for f in ("site", "signer", "settings", "clock")]
    )  # type: ignore[arg-type]
    with pytest.raises(OSError, match="killed here"):
        await graphs.review.resume_review(desk.review_graph, ports, "REV-1")
    assert (await desk.resume()).startswith("sent to act")
    assert len(desk.acts()) == 1


async def test_killed_before_the_first_step_next_is_empty_and_it_still_runs(
    desk: Desk, tmp_path: Path
) -> None:
    """Only the input checkpoint is left: `next` says finished though nothing ran."""
    await desk.ask()
    desk.decide("approve")
    with sqlite3.connect(tmp_path / "checkpoints.db") as database:
        first = "SELECT min(checkpoint_id) FROM checkpoints WHERE thread_id = ?"
        database.execute(
            f"DELETE FROM checkpoints WHERE thread_id = ? AND checkpoint_id > ({first})",
            [thread_id("REV-1")] * 2,
        )
        database.execute("DELETE FROM writes WHERE thread_id = ?", [thread_id("REV-1")])
    assert (await desk.resume()).startswith("sent to act")
    assert len(desk.acts()) == 1


async def test_another_process_takes_it_up(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as before:
        await before.ask()
        before.decide("approve")
    async with open_desk(tmp_path) as after:
        assert (await after.resume()).startswith("sent to act")
        assert len(after.acts()) == 1


async def test_two_workers_resume_one_review_the_site_moves_once(desk: Desk) -> None:
    await desk.ask(action("page", "gpu-20", team="hardware"))
    desk.decide("approve")
    await asyncio.gather(*(desk.resume() for _ in range(3)), return_exceptions=True)
    while job := desk.job("act"):
        await desk.act(job)
        desk.ledger.finish(job, now=desk.bench.clock())
    assert desk.bench.reading("gpu-20", "pages") == 1


async def test_checkpoints_hold_plain_values_only(desk: Desk) -> None:
    """They must be readable without our classes, by a later version and under strict msgpack."""
    await desk.ask()
    desk.decide("approve")
    await desk.resume()
    state = await desk.review_graph.aget_state(config_of(thread_id("REV-1")))
    assert json.loads(json.dumps(state.values)) == state.values
