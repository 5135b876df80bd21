"""Rehearsals around an act: asked before it, kept with it, held against the site after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import pytest
from langchain_core.utils.function_calling import convert_to_openai_tool
from syrupy.assertion import SnapshotAssertion

from plant.diagnosis.quiet import as_estimate
from plant.diagnosis.results import Rehearsal, Verdict
from setpoint.contracts import Action
from setpoint.errors import InputError
from setpoint.settings import ActSettings
from tests.tools.bench import INCIDENT, Bench, action
from tests.tools.plant_cases import ask, ports, refused
from tools.executor import Executor, Rehearse
from tools.guards import refusals
from tools.rehearsal import (
    GIVE_UP_S,
    LONGEST_WINDOW_S,
    action_of,
    compare_due,
    live_estimate,
    nothing_to_rehearse,
    only_costs,
    other_ways,
    rehearsal_tools,
    rehearse_action,
)
from tools.telemetry import Series
from tools.windows import Block

CAP = action("cap_gpu_power", "gpu-20", cap_w=400.0)
EMPTY = action("set_batch_limit", "pool-chat", batch_limit=8)
STANDBY = action("start_standby_pump", "cdu-1-pump-b")


def rehearser(bench: Bench) -> Rehearse:
    return lambda wanted, _incident: rehearse_action(bench.site, as_estimate(bench.adapter.twin()), wanted)


def executor(bench: Bench) -> Executor:
    return bench.executor(rehearse=rehearser(bench))


def test_schema(snapshot: SnapshotAssertion) -> None:
    assert [convert_to_openai_tool(tool) for tool in rehearsal_tools(ports("demo"))] == snapshot


# ---- before ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (action("open_ticket", "gpu-01", queue="hardware"), "tells people"),
        (action("page", "gpu-01", team="facilities"), "tells people"),
        (action("cordon_node", "gpu-01"), "keeps new work away"),
        (CAP, ""),
    ],
)
def test_what_moves_nothing_has_nothing_to_rehearse(bench: Bench, wanted: Action, why: str) -> None:
    assert why in nothing_to_rehearse(wanted)
    assert bool(why) == bool(nothing_to_rehearse(wanted))
    found = rehearse_action(bench.site, as_estimate(bench.plant), wanted)
    assert (found is None) == bool(why)


def test_an_action_that_would_break_a_limit_is_refused_before_it_moves(bench: Bench) -> None:
    outcome = executor(bench).run(bench.order(EMPTY))
    assert outcome.state == "refused"
    assert "rehearsed_safe" in outcome.message
    assert "time to first token over 500 ms" in outcome.message
    assert "Doing nothing is better" in outcome.message
    assert bench.reading("pool-chat", "batch_limit") == 256.0
    assert bench.ledger.list_rehearsals() == []


def test_an_action_that_saves_the_loop_passes_in_the_middle_of_the_trouble(bench: Bench) -> None:
    bench.adapter.inject("coolant_pump_failure", "cdu-1-pump-a")
    bench.clock.forward(10)
    assert executor(bench).run(bench.order(STANDBY)).state == "done"


def test_the_state_of_the_moment_counts_not_that_of_the_proposal(bench: Bench) -> None:
    """Harmless when it was approved; since then the control of the CDU has drifted off its setpoint."""
    asked: list[Action] = []

    def rehearse(wanted: Action, incident: str) -> Rehearsal | None:
        asked.append(wanted)
        return rehearser(bench)(wanted, incident)

    order = bench.order(action("set_supply_temp", "cdu-1", temp_c=33.0))
    assert bench.executor(rehearse=rehearse).check(order).outcome is None
    bench.plant.inject_knob("cdu-1", "supply_offset_k", 12.4)
    bench.clock.forward(600.0)
    outcome = bench.executor(rehearse=rehearse).run(order)
    assert len(asked) == 2
    assert outcome.state == "refused"
    assert "coolant supply over 45 C (cdu-1)" in outcome.message


def test_it_is_rehearsed_only_where_nothing_else_speaks_against_it(bench: Bench) -> None:
    def never(wanted: Action) -> Rehearsal | None:
        raise AssertionError("a second spent for nothing")

    assert refusals(bench.situation(action("reset_gpu", "gpu-20"), rehearse=never))
    assert refusals(bench.situation(action("page", "gpu-20", team="facilities"), rehearse=never)) == ()


def test_without_a_plant_model_the_other_guards_decide(bench: Bench) -> None:
    assert bench.executor(rehearse=lambda wanted, incident: None).run(bench.order(CAP)).state == "done"
    assert bench.ledger.list_rehearsals() == []


def test_the_other_ways_are_whole_actions_of_their_own(bench: Bench) -> None:
    known = as_estimate(bench.plant)
    ways = other_ways(
        bench.site, known, ["cap_gpu_power", "open_ticket", "set_coolant_flow", "drain_node"], "gpu-20"
    )
    assert [way.name for way in ways] == ["cap_gpu_power", "set_coolant_flow", "drain_node"]
    found = rehearse_action(bench.site, known, CAP, others=ways)
    assert found is not None
    labels = {option.label for option in found.options}
    assert {"nothing", "Cap the GPUs of gpu-20 at 400 W each", "Drain gpu-20"} <= labels


def test_missing_arguments_are_chosen_and_given_ones_kept(bench: Bench) -> None:
    known = as_estimate(bench.plant)
    assert 0 < float(action_of(bench.site, known, "set_coolant_flow", "cdu-1", {}).args["flow_lpm"]) < 320
    assert action_of(bench.site, known, "set_coolant_flow", "cdu-1", {"flow_lpm": 90.0}).args == {
        "flow_lpm": 90.0
    }
    with pytest.raises(InputError, match="no argument 'lpm'"):
        action_of(bench.site, known, "set_coolant_flow", "cdu-1", {"flow_lpm": 90.0, "lpm": 1.0})


# ---- after -------------------------------------------------------------------------------------------------------


def test_what_was_foreseen_is_kept_and_held_against_what_came(bench: Bench) -> None:
    assert executor(bench).run(bench.order(CAP)).state == "done"
    (row,) = bench.ledger.list_rehearsals(action=CAP.name)
    assert (row.state, row.incident_id) == ("waiting", INCIDENT)
    assert compare_due(bench.ledger, bench.adapter.history, bench.site, bench.clock()) == 0
    bench.clock.forward(row.rehearsal.horizon_s + 1)
    assert compare_due(bench.ledger, bench.adapter.history, bench.site, bench.clock()) == 1
    assert compare_due(bench.ledger, bench.adapter.history, bench.site, bench.clock()) == 0
    ended = bench.ledger.get_rehearsal(row.key)
    assert ended is not None
    assert ended.compared is not None
    assert ended.compared.came_true, ended.compared.worst


def test_a_site_that_goes_another_way_is_told(bench: Bench) -> None:
    executor(bench).run(bench.order(CAP))
    (row,) = bench.ledger.list_rehearsals()
    bench.plant.inject_knob("gpu-20", "thermal_pu", 4.0)
    bench.clock.forward(row.rehearsal.horizon_s + 1)
    compare_due(bench.ledger, bench.adapter.history, bench.site, bench.clock())
    ended = bench.ledger.get_rehearsal(row.key)
    assert ended is not None
    assert ended.compared is not None
    assert "hottest GPU of gpu-20" in ended.compared.worst


def test_a_dry_run_foresees_and_keeps_nothing(bench: Bench) -> None:
    bench.settings = ActSettings(dry_run=True)
    assert executor(bench).run(bench.order(CAP)).state == "dry_run"
    assert bench.ledger.list_rehearsals() == []


def test_a_run_that_died_before_it_moved_the_site_is_taken_up_with_its_rehearsal(bench: Bench) -> None:
    order = bench.order(CAP)
    assert bench.ledger.begin_action(
        order.key, order.action, incident_id=INCIDENT, review_id="REV-1", dry_run=False, token=order.token,
        now=bench.clock(),
    )  # fmt: skip
    assert executor(bench).run(order).state == "done"
    (row,) = bench.ledger.list_rehearsals()
    assert (row.key, row.acted) == (order.key, True)


def test_it_waits_for_late_readings_and_gives_up_at_last(bench: Bench) -> None:
    executor(bench).run(bench.order(CAP))
    (row,) = bench.ledger.list_rehearsals()
    silent = type(bench.adapter.history)(bench.plant, bench.clock)
    soon, late = row.due + timedelta(seconds=1), row.due + timedelta(seconds=GIVE_UP_S + 1)
    assert compare_due(bench.ledger, silent, bench.site, soon) == 0
    assert compare_due(bench.ledger, silent, bench.site, late) == 1
    ended = bench.ledger.get_rehearsal(row.key)
    assert ended is not None
    assert ended.state == "unseen"


# ---- from telemetry ------------------------------------------------------------------------------------------------


def test_it_starts_from_what_telemetry_shows(bench: Bench) -> None:
    bench.plant.state["cdu-1"]["flow_setpoint_lpm"] = 120.0
    bench.clock.forward(3600)
    known = live_estimate(bench.site, bench.adapter.history, bench.clock())
    assert known is not None
    assert known.plant.number("cdu-1", "flow_lpm") == pytest.approx(120.0, abs=2.0)
    found = rehearse_action(bench.site, known, CAP)
    assert found is not None
    assert found.confidence == pytest.approx(known.note.confidence)


# ---- the tool ----------------------------------------------------------------------------------------------------


def test_the_tool_tells_difference_risks_and_choices() -> None:
    answer = ask(
        "demo", "rehearse_action", action="set_batch_limit", asset="pool-chat", args={"batch_limit": 8}
    )
    assert "time to first token" in answer["refused"]
    assert answer["members"] == 16
    assert answer["risks"][0]["acted"] == 1.0


def test_the_tool_says_what_would_do() -> None:
    assert "Did you mean" in refused("demo", "rehearse_action", action="set_cooling_flow", asset="cdu-1")
    assert "nothing to rehearse" in refused("demo", "rehearse_action", action="page", asset="cdu-1")
    assert "acts on" in refused("demo", "rehearse_action", action="set_coolant_flow", asset="gpu-01")


def test_what_only_costs_is_told_from_what_saves_something(bench: Bench) -> None:
    state = as_estimate(bench.plant)
    drained = rehearse_action(bench.site, state, action("migrate_job", "gpu-29"))
    assert drained is not None
    assert only_costs(drained)
    bench.adapter.inject("coolant_pump_failure", "cdu-1-pump-a")
    bench.clock.forward(10)
    saved = rehearse_action(bench.site, as_estimate(bench.plant), STANDBY)
    assert saved is not None
    assert not only_costs(saved)


class Asked(NamedTuple):
    """The span that readings were asked of."""

    start: datetime
    end: datetime


class Noting:
    """A history that holds nothing and notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def metrics(self, asset: str) -> Sequence[str]:
        return ()

    def series(self, asset: str, metric: str) -> Series | None:
        return None

    def block(self, start: datetime, end: datetime) -> Block:
        self.asked.append(Asked(start, end))
        return Block(np.zeros(0), (), np.zeros((0, 0)))


def test_a_fault_of_a_recording_months_ago_does_not_ask_for_months_of_readings(bench: Bench) -> None:
    history, now = Noting(), bench.clock()
    long_ago = Verdict(
        cause="coolant_pump_failure", asset="cdu-1-pump-a", share=0.9, low=0.5, high=1.0, onset=now - timedelta(days=240)
    )  # fmt: skip
    assert live_estimate(bench.site, history, now, long_ago) is None
    (asked,) = history.asked
    assert asked.end - asked.start < timedelta(seconds=LONGEST_WINDOW_S + 120)
