"""One turn of a control loop: from the site's readings through the shared queue to the site, and killed at every step."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from graphs.control_loop import build_control_loop, thread_id
from graphs.cycle import clock_trouble
from graphs.threads import config_of
from setpoint.contracts import Decision
from setpoint.contracts.loops import Trouble
from setpoint.errors import ConfigError
from tests.graphs.turning import NAME, Death, SteadyFlow, Turning, turning
from tests.tools.bench import NIGHT

STALE = Trouble(
    kind="stale", asset="cdu-1", metric="flow_lpm", what="The flow of cdu-1 was read 20 min ago.",
    instead="Every setpoint is held.", remedy="Restore the sensor.",
)  # fmt: skip


@pytest.fixture
async def at_work(tmp_path: Path) -> AsyncIterator[Turning]:
    async with turning(tmp_path) as made:
        yield made


def flow(at_work: Turning, cdu: str = "cdu-1") -> float:
    return at_work.bench.reading(cdu, "flow_lpm")


# ---- a turn -----------------------------------------------------------------------------------------------------------


async def test_a_cycle_waits_in_the_shared_queue_and_moves_nothing(at_work: Turning) -> None:
    before = flow(at_work)
    name = await at_work.turn()
    (review,) = at_work.pending()
    assert (review.kind, review.incident_id) == ("action", name)
    assert review.subject == "Set the coolant flow of cdu-1 to 142 LPM?"
    cycle = at_work.ledger.get_cycle(name)
    assert cycle.state == "waiting"
    assert [one.id for one in cycle.proposals] == [review.proposal and review.proposal.id]
    assert "cdu-1" in cycle.advice.advice
    assert flow(at_work) == pytest.approx(before, abs=1.0)


async def test_a_yes_goes_the_one_way_and_ends_the_cycle(at_work: Turning) -> None:
    name = await at_work.turn()
    await at_work.decide("approve")
    cycle = at_work.ledger.get_cycle(name)
    assert cycle.state == "recorded"
    assert [one.state for one in cycle.outcomes] == ["done"]
    assert flow(at_work) == pytest.approx(142.0, abs=1.0)
    assert set(cycle.spent_s) >= {
        "monitor",
        "predict",
        "optimise",
        "advise",
        "rehearse",
        "ask",
        "act",
        "observe",
    }
    (act,) = at_work.ledger.list_actions()
    assert (act.incident_id, act.approvers) == (name, ("ana",))


async def test_a_no_ends_it_and_holds_for_a_while(at_work: Turning) -> None:
    first = await at_work.turn()
    await at_work.decide("reject", reason="the loop is being flushed")
    assert at_work.ledger.get_cycle(first).state == "recorded"
    at_work.bench.clock.forward(900)
    second = at_work.ledger.get_cycle(await at_work.turn())
    (withheld,) = second.withheld
    assert "rejected already" in withheld.why
    assert "the loop is being flushed" in withheld.why
    assert at_work.pending() == []
    at_work.bench.clock.forward(3600)
    await at_work.turn()
    assert len(at_work.pending()) == 1


async def test_nothing_to_move_asks_nobody(at_work: Turning) -> None:
    at_work.loop.wanted = {"cdu-1": flow(at_work)}
    cycle = at_work.ledger.get_cycle(await at_work.turn())
    assert (cycle.state, cycle.proposals, at_work.pending()) == ("recorded", (), [])


async def test_what_is_foreseen_is_held_against_what_came(at_work: Turning) -> None:
    await at_work.turn()
    await at_work.decide("approve")
    at_work.bench.clock.forward(900)
    at_work.loop.wanted["cdu-1"] = 140.0
    second = await at_work.turn()
    await at_work.decide("approve")
    (observed,) = at_work.ledger.get_cycle(second).observed
    assert observed.inside is True
    assert observed.read == pytest.approx(142.0, abs=1.5)
    memory = at_work.ledger.loop_memory(NAME)
    assert memory is not None
    assert memory.learned == {"plans": 2, "seen": [True]}


async def test_what_was_not_done_is_not_foreseen(at_work: Turning) -> None:
    await at_work.turn()
    await at_work.decide("reject")
    assert at_work.ledger.due_foreseen(NAME, NIGHT + timedelta(days=1)) == []


async def test_a_finished_cycle_leaves_no_checkpoints(at_work: Turning) -> None:
    name = await at_work.turn()
    await at_work.decide("approve")
    snapshot = await at_work.loops._graph.aget_state(config_of(thread_id(name)))
    assert snapshot.values == {}
    at_work.loops._enqueue(name)  # and a late job of it begins nothing anew
    await at_work.work()
    assert at_work.loop.plans == 1


# ---- the queue ----------------------------------------------------------------------------------------------------------


async def test_a_newer_plan_takes_back_what_it_no_longer_wants(at_work: Turning) -> None:
    first = await at_work.turn()
    (old,) = at_work.pending()
    at_work.bench.clock.forward(900)
    at_work.loop.wanted["cdu-1"] = 120.0
    second = await at_work.turn()
    (new,) = at_work.pending()
    assert new.incident_id == second
    assert at_work.ledger.get_review(old.id).state == "withdrawn"
    assert at_work.ledger.get_cycle(first).state == "superseded"
    (said,) = [row for row in at_work.ledger.list_audit(subject=old.id) if row.what == "review-withdrawn"]
    assert said.data == {"why": f"replaced by the plan of {second}: Set the coolant flow of cdu-1 to 120 LPM"}


async def test_the_very_same_wish_keeps_its_question(at_work: Turning) -> None:
    first = await at_work.turn()
    (old,) = at_work.pending()
    at_work.bench.clock.forward(900)
    second = at_work.ledger.get_cycle(await at_work.turn())
    assert at_work.pending() == [old]
    assert second.state == "recorded"
    assert (second.withheld[0].review, second.proposals) == (old.id, ())
    await at_work.decide("approve")
    assert at_work.ledger.get_cycle(first).state == "recorded"
    assert flow(at_work) == pytest.approx(142.0, abs=1.0)


async def test_nobody_is_flooded(tmp_path: Path) -> None:
    async with turning(tmp_path, loops={"most_proposals": 1}) as at_work:
        at_work.loop.wanted = {"cdu-1": 142.0, "cdu-2": 142.0}
        cycle = at_work.ledger.get_cycle(await at_work.turn())
        assert len(at_work.pending()) == len(cycle.proposals) == 1
        assert "the most asked at a time" in cycle.withheld[0].why


async def test_an_asset_that_somebody_else_asks_about_is_left_alone(at_work: Turning) -> None:
    await at_work.turn()
    (own,) = at_work.pending()
    assert own.proposal is not None
    at_work.ledger.withdraw_review(own.id, "ana", "for the test")
    await at_work.work()
    theirs = own.proposal.model_copy(update={"incident_id": "INC-0001"})
    at_work.ledger.open_review(
        own.model_copy(update={"id": "REV-theirs", "incident_id": "INC-0001", "proposal": theirs})
    )
    at_work.bench.clock.forward(900)
    cycle = at_work.ledger.get_cycle(await at_work.turn())
    assert cycle.withheld[0].why == "another action on cdu-1 comes first: REV-theirs"
    assert [one.id for one in at_work.pending()] == ["REV-theirs"]


async def test_what_an_interlock_refuses_is_not_asked(at_work: Turning) -> None:
    at_work.bench.stop.engage("ana", "technician in the row")
    cycle = at_work.ledger.get_cycle(await at_work.turn())
    assert "all actions are stopped: " in cycle.withheld[0].why
    assert at_work.pending() == []


async def test_a_kind_at_observe_is_only_recorded(at_work: Turning) -> None:
    settings = at_work.settings.autonomy.model_copy(update={"highest": "observe"})
    object.__setattr__(at_work.gate, "settings", settings)
    cycle = at_work.ledger.get_cycle(await at_work.turn())
    assert (cycle.state, at_work.pending()) == ("recorded", [])
    assert cycle.withheld[0].why.startswith("its kind is at observe, so it is only recorded")


async def test_an_old_plan_is_not_put_to_anybody(at_work: Turning) -> None:
    name = at_work.loops.begin(NAME)
    at_work.bench.clock.forward(7200)  # the machine was down meanwhile
    await at_work.work()
    cycle = at_work.ledger.get_cycle(name)
    assert cycle.withheld[0].why == "the plan is 120 min old; the next cycle plans anew"
    assert at_work.pending() == []


# ---- trouble ------------------------------------------------------------------------------------------------------------


async def test_a_trouble_raises_one_event_and_clears_it(at_work: Turning) -> None:
    at_work.loop.troubles = (STALE,)
    for _ in range(3):
        cycle = at_work.ledger.get_cycle(await at_work.turn())
        assert (cycle.proposals, cycle.state) == ((), "recorded")
        at_work.bench.clock.forward(900)
    (fired,) = at_work.ledger.pending(10)
    assert (fired.asset, fired.source, fired.severity) == ("cdu-1", "setpoint.loop.cooling", "warning")
    assert fired.message.startswith(
        "cooling loop: The flow of cdu-1 was read 20 min ago. Every setpoint is held."
    )
    at_work.loop.troubles = ()
    await at_work.turn()
    _, over = at_work.ledger.pending(10)
    assert (over.status, over.dedup_key) == ("resolved", fired.dedup_key)
    at_work.bench.clock.forward(900)
    at_work.loop.troubles = (STALE,)
    await at_work.turn()
    assert len(at_work.ledger.pending(10)) == 3  # it came back: that is news


async def test_a_loop_that_cannot_read_holds_and_says_so(
    at_work: Turning, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: SteadyFlow, _now: Any) -> Any:
        raise KeyError("flow_lpm")

    monkeypatch.setattr(SteadyFlow, "monitor", broken)
    monkeypatch.setattr(SteadyFlow, "predict", lambda _self, _watch: ())
    cycle = at_work.ledger.get_cycle(await at_work.turn())
    (trouble,) = [one for one in cycle.plan.troubles if one.kind == "adapter"]
    assert "KeyError" in trouble.what
    assert (cycle.state, cycle.proposals) == ("recorded", ())


async def test_what_a_loop_knows_that_is_no_json_does_not_stop_it(
    at_work: Turning, monkeypatch: pytest.MonkeyPatch
) -> None:
    await at_work.turn()
    await at_work.decide("approve")
    monkeypatch.setattr(SteadyFlow, "state", lambda _self: {"error": float("nan")})
    at_work.bench.clock.forward(900)
    cycle = at_work.ledger.get_cycle(await at_work.turn())
    assert cycle.state == "recorded"
    memory = at_work.ledger.loop_memory(NAME)
    assert memory is not None
    assert memory.learned["plans"] == 1  # what it knew before stands


async def test_a_clock_that_goes_back_holds_for_one_cycle(at_work: Turning) -> None:
    at_work.bench.clock.forward(900)
    await at_work.turn()
    at_work.bench.clock.forward(-600)
    held = at_work.ledger.get_cycle(await at_work.turn())
    assert [one.kind for one in held.plan.troubles if one.blocks] == ["clock_jump"]
    assert held.proposals == ()
    at_work.bench.clock.forward(60)
    again = at_work.ledger.get_cycle(await at_work.turn())
    assert not any(one.blocks for one in again.plan.troubles)


def test_a_long_silence_is_said_and_does_not_block() -> None:
    found = clock_trouble(NIGHT, NIGHT + timedelta(hours=3), 900.0)
    assert found is not None
    assert (found.blocks, found.what) == (False, "No cycle for 3.0 h; the loop turns every 15 min.")
    assert clock_trouble(NIGHT, NIGHT + timedelta(minutes=15), 900.0) is None


# ---- autonomy -----------------------------------------------------------------------------------------------------------


async def test_decisions_count_for_the_kind_and_simulated_ones_do_not(at_work: Turning) -> None:
    await at_work.turn()
    await at_work.decide("approve")
    at_work.bench.clock.forward(3600)
    at_work.loop.wanted["cdu-1"] = 120.0
    await at_work.turn()
    (review,) = at_work.pending()
    policy = Decision(type="approve", who="--decide approve", simulated=True)
    at_work.ledger.decide(review.id, review.digest, policy, now=at_work.bench.clock())
    await at_work.work()
    decided = at_work.ledger.decided_actions("set_coolant_flow")
    assert [one.who for one in decided] == ["ana"]
    assert len(at_work.ledger.list_actions()) == 2


# ---- killed -------------------------------------------------------------------------------------------------------------


async def _live(folder: Path, death: Death) -> None:
    """A cycle from its beginning to its end, whatever an earlier life of the process left."""
    async with turning(folder, death) as at_work:
        at_work.ledger.release_jobs()
        if not at_work.ledger.list_jobs(kinds=("loop",)):
            at_work.loops.begin(NAME)
        at_work.loops.go_on()
        await at_work.work()
        await at_work.decide("approve")


def _dies(folder: Path, death: Death) -> bool:
    """The same in a process that dies at that checkpoint. Returns whether it did."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_live(folder, death))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def _check(folder: Path) -> None:
    async def look() -> None:
        async with turning(folder) as at_work:
            ledger = at_work.ledger
            (cycle,) = ledger.list_cycles()
            assert cycle.state == "recorded"
            assert [one.state for one in cycle.outcomes] == ["done"]
            assert len(ledger.list_reviews()) == len(cycle.proposals) == 1
            assert [one.state for one in ledger.list_actions()] == ["done"]
            assert len(at_work.bench.plant.journal) == 1
            assert Counter(row.what for row in ledger.list_audit())["cycle-ended"] == 1
            assert len(ledger.due_foreseen(NAME, NIGHT + timedelta(days=1))) == 1
            memory = ledger.loop_memory(NAME)
            assert memory is not None
            assert memory.learned["plans"] == 1
            assert ledger.verify_chain().ok
            assert flow(at_work) == pytest.approx(142.0, abs=1.0)

    asyncio.run(look())


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which nothing has happened: to make one takes longer than a cycle."""

    async def make(folder: Path) -> None:
        async with turning(folder):
            pass

    folder = tmp_path_factory.mktemp("fresh")
    asyncio.run(make(folder))
    return folder


CHECKPOINTS = 24
"""Of one cycle: twelve of the loop's thread, six of its review's, six of its act's."""
OF_THE_LOOP = (*range(1, 9), *range(21, 25))


def test_a_whole_cycle_is_so_many_checkpoints(fresh: Path, tmp_path: Path) -> None:
    folder, alive = shutil.copytree(fresh, tmp_path / "store"), Death()
    asyncio.run(_live(folder, alive))
    _check(folder)
    assert alive.written == CHECKPOINTS


@pytest.mark.parametrize("step", OF_THE_LOOP[2::3])
def test_killed_within_a_node_it_ends_once(step: int, fresh: Path, tmp_path: Path) -> None:
    _survives(fresh, tmp_path, Death(step))


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", range(1, CHECKPOINTS + 1))
def test_killed_at_any_checkpoint_it_ends_once(step: int, after: bool, fresh: Path, tmp_path: Path) -> None:
    """kill -9 before and after each checkpoint of the loop's, the review's and the act's threads: nothing is asked, done
    or learned twice, and nothing is lost."""
    _survives(fresh, tmp_path, Death(step, after))


def _survives(fresh: Path, tmp_path: Path, death: Death) -> None:
    folder = shutil.copytree(fresh, tmp_path / "store")
    assert _dies(folder, death)
    asyncio.run(_live(folder, Death()))
    _check(folder)


# ---- the graph ----------------------------------------------------------------------------------------------------------


def test_the_graph(at_work: Turning, snapshot: SnapshotAssertion) -> None:
    assert at_work.loops._graph.get_graph().draw_mermaid() == snapshot


def test_it_needs_a_checkpointer() -> None:
    with pytest.raises(ConfigError, match="control loop graph needs a checkpointer"):
        build_control_loop(None)
