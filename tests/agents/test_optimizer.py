"""The optimizer: nothing leaves it that could not be done, and no loop's failure is more than a trouble."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from agents.forecaster import Looked
from agents.optimizer import only_possible, optimise
from plant.sim import Reading
from plant.site import Site, load_site, site_file_of
from setpoint.contracts.loops import Forecast, Foreseen, LoopName, LoopPlan, Move, Observed, Trouble, Watch
from tests.agents.plans import MADE, cooling_plan, peak_plan, watch
from tools.loops.ports import LoopPorts
from tools.telemetry import Kept

STALE = Trouble(kind="stale", what="The grid meter was read 900 s ago", instead="It holds the power set last")


@pytest.fixture(scope="module")
def demo() -> Site:
    return load_site(site_file_of("demo"))


class OneLoop:
    """A loop whose computation is given."""

    name: LoopName = "peak"
    cycle_s, horizon_s = 900.0, 86400.0

    def __init__(self, compute: Callable[[], LoopPlan]) -> None:
        self._compute = compute

    def monitor(self, now: object) -> Watch:
        return watch()

    def predict(self, watch: Watch) -> tuple[Forecast, ...]:
        return ()

    def optimise(self, watch: Watch, forecasts: Sequence[Forecast]) -> LoopPlan:
        return self._compute()

    def foresee(self, plan: LoopPlan) -> tuple[Foreseen, ...]:
        return ()

    def learn(self, observed: Sequence[Observed]) -> None: ...

    def state(self) -> dict[str, object]:
        return {}

    def restore(self, state: Mapping[str, object]) -> None: ...


def ports(site: Site, **readings: dict[str, float]) -> LoopPorts:
    values = {name.replace("_", "-"): one for name, one in readings.items()}
    return LoopPorts(
        site,
        lambda name: Reading(name, MADE, values[name]) if name in values else None,
        Kept({}),
        lambda: MADE,
    )


def test_a_plan_that_can_be_done_passes_whole_with_its_arguments_complete(demo: Site) -> None:
    storage = next(one.name for one in demo.of_kind("ess"))
    bare = Move(
        at=MADE, action="charge_ess", asset=storage.upper(), args={"power_kw": 20, "duration_min": 30}, why=""
    )
    plan = optimise(OneLoop(lambda: peak_plan(moves=(bare,))), watch(), Looked(), ports=ports(demo))
    assert [(one.asset, one.args) for one in plan.moves] == [
        (storage, {"power_kw": 20.0, "duration_min": 30.0})
    ]
    assert plan.troubles == ()


@pytest.mark.parametrize(
    ("move", "says"),
    [
        ({"action": "set_the_world_on_fire", "asset": "cdu-1", "args": {}}, "set_the_world_on_fire"),
        ({"action": "set_coolant_flow", "asset": "cdu-77", "args": {"flow_lpm": 150.0}}, "cdu-77"),
        (
            {"action": "set_coolant_flow", "asset": "cdu-1", "args": {"flow_lpm": 9000.0}},
            "9000 LPM asked, at most",
        ),
        (
            {"action": "set_coolant_flow", "asset": "cdu-1", "args": {"flow_lpm": float("nan")}},
            "not a number",
        ),
        ({"action": "set_coolant_flow", "asset": "cdu-1", "args": {}}, "missing"),
    ],
)
def test_a_move_that_the_catalog_refuses_is_left_out_and_told(
    demo: Site, move: dict[str, object], says: str
) -> None:
    bad = Move.model_validate({"at": MADE, "why": "", **move})
    good = Move(at=MADE, action="set_coolant_flow", asset="cdu-1", args={"flow_lpm": 150.0}, why="")
    plan = only_possible(cooling_plan(moves=(bad, good), troubles=()), demo, lambda _: None)
    assert [one.args["flow_lpm"] for one in plan.moves] == [150.0]
    (trouble,) = plan.troubles
    assert says in trouble.what
    assert trouble.kind == "infeasible"
    assert not trouble.blocks


def test_ramps_count_from_what_is_read_and_from_the_plans_own_earlier_moves(demo: Site) -> None:
    step = demo.limits.get("flow_ramp_lpm", 80.0)

    def flow(lpm: float, minutes: int) -> Move:
        at = MADE + timedelta(minutes=minutes)
        return Move(at=at, action="set_coolant_flow", asset="cdu-1", args={"flow_lpm": lpm}, why="")

    now = 120.0
    wanted = (flow(now + step, 0), flow(now + 2 * step, 10), flow(now, 20))
    reached = ports(demo, cdu_1={"flow_setpoint_lpm": now})
    plan = only_possible(cooling_plan(moves=wanted, troubles=()), demo, reached.read)
    assert [one.args["flow_lpm"] for one in plan.moves] == [now + step, now + 2 * step]
    assert f"at most {step:g} at once" in plan.troubles[0].what


@pytest.mark.parametrize("local", [True, False])
def test_a_blocking_trouble_takes_every_move_away(demo: Site, local: bool) -> None:
    made = peak_plan(local=local, troubles=() if local else (STALE,))
    plan = optimise(OneLoop(lambda: made), watch(), Looked(), ports=ports(demo))
    assert made.moves
    assert plan.moves == ()


def test_troubles_of_watch_forecast_and_plan_come_together_each_once(demo: Site) -> None:
    other = Trouble(kind="uncertain", what="wide", instead="the middle", blocks=False)
    made = peak_plan(troubles=(STALE,))
    plan = optimise(OneLoop(lambda: made), watch(STALE), Looked((), (other,)), ports=ports(demo))
    assert plan.troubles == (STALE, other)


def test_a_loop_that_fails_holds_everything_and_says_why() -> None:
    def fail() -> LoopPlan:
        raise ZeroDivisionError("no load at all")

    plan = optimise(OneLoop(fail), watch(), Looked())
    assert plan.moves == ()
    assert plan.headline.startswith("Nothing is changed: the peak loop failed after")
    assert "ZeroDivisionError, no load at all" in plan.troubles[0].what
    assert plan.troubles[0].blocks


def test_a_loop_that_hangs_is_not_waited_for_and_not_started_twice() -> None:
    release, calls = threading.Event(), []

    def hang() -> LoopPlan:
        calls.append(1)
        release.wait(20)
        return peak_plan()

    loop = OneLoop(hang)
    first = optimise(loop, watch(), Looked(), limit_s=0.05)
    second = optimise(loop, watch(), Looked(), limit_s=0.05)
    release.set()
    assert [one.troubles[0].kind for one in (first, second)] == ["solver_timeout"] * 2
    assert "gave no plan within 0.05 s" in first.troubles[0].what
    assert "still computing" in second.troubles[0].what
    assert len(calls) == 1
    for thread in threading.enumerate():
        if thread.name == f"setpoint-optimise-{id(loop)}":
            thread.join(5)
    assert optimise(loop, watch(), Looked()).moves == peak_plan().moves


def test_a_held_plan_names_the_first_blocking_trouble_and_keeps_the_forecasts(demo: Site) -> None:
    def fail() -> LoopPlan:
        raise ValueError

    grid = peak_plan().forecasts
    plan = optimise(OneLoop(fail), watch(STALE), Looked(grid), ports=replace(ports(demo), horizon_s=60.0))
    assert plan.headline == "Nothing is changed: the grid meter was read 900 s ago."
    assert plan.forecasts == grid
    assert plan.site == demo.name


def test_a_loop_that_could_not_look_ahead_tells_so_once_and_not_at_length() -> None:
    def fail() -> LoopPlan:
        raise ValueError("no model " * 400)

    blind = Trouble(kind="uncertain", what="The peak loop could not look ahead", instead="It holds")
    once = optimise(OneLoop(fail), watch(), Looked((), (blind,)))
    assert once.troubles == (blind,)
    plan = optimise(OneLoop(fail), watch(), Looked())
    assert len(plan.headline) < 300
    assert "..." in plan.troubles[0].what
