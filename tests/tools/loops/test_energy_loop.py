"""The energy loop on simulated days: what it proposes, what comes of it, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from plant.site import Site, load_site, site_file_of
from setpoint.contracts import Action
from setpoint.contracts.loops import LoopPlan, Observed
from tools.actions import validate
from tools.loops.days_site import DaysSite
from tools.loops.energy_loop import CYCLE_S, MOST_MOVES, EnergyLoop, make
from tools.loops.ports import LoopPorts
from tools.readings import Reading

START = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo() -> Site:
    return load_site(site_file_of("demo"))


@pytest.fixture(scope="module")
def kept(demo: Site) -> DaysSite:
    """Stands at its start; nobody acts on it."""
    return DaysSite(demo, START, warm_days=2.0)


def ports_of(days: DaysSite, read: Callable[[str], Reading | None] | None = None) -> LoopPorts:
    return LoopPorts(
        days.site,
        read or days.read,
        days.history,
        lambda: days.now,
        days.jobs,
        days.twin,
        horizon_s=6 * 3600.0,
    )


def turn(loop: EnergyLoop, now: datetime) -> LoopPlan:
    watch = loop.monitor(now)
    return loop.optimise(watch, loop.predict(watch))


def due(plan: LoopPlan) -> list[Action]:
    return [Action(name=m.action, asset=m.asset, args=dict(m.args)) for m in plan.moves if m.at <= plan.made]


def test_at_night_it_parks_nodes_and_lowers_clocks_by_catalog_actions(kept: DaysSite) -> None:
    plan = turn(make(ports_of(kept)), kept.now)
    actions = due(plan)
    assert 1 <= len(actions) <= MOST_MOVES
    assert {a.name for a in actions} <= {"scale_pool", "lock_pool_clock"}
    for action in actions:
        validate(action, kept.site)
    energy = plan.savings[0]
    assert energy.saved > 0
    assert energy.low is not None
    assert energy.high is not None
    assert energy.low <= energy.saved <= energy.high
    assert {c.name for c in plan.curves} >= {"pool-chat.nodes", "pool-chat.clock_mhz", "pool-chat.power_kw"}
    assert all(risk.chance is not None and risk.chance < 0.1 for risk in plan.risks)


def test_every_number_of_a_reason_is_a_fact_of_the_plan(kept: DaysSite) -> None:
    import re

    plan = turn(make(ports_of(kept)), kept.now)
    facts = " ".join(plan.facts.values())
    numbers = set(re.findall(r"\d+(?:\.\d+)?", facts))
    for move in plan.moves:
        if move.at <= plan.made:
            said = re.findall(r"\d+(?:\.\d+)?", f"{move.why} {move.saves}")
            assert set(said) <= numbers, (move.why, facts)


def test_what_it_saves_is_saved_and_nobody_waits(demo: Site) -> None:
    acting, idle = (DaysSite(demo, START, warm_days=2.0) for _ in range(2))
    loop = make(ports_of(acting))
    for _ in range(8):
        for number, action in enumerate(due(turn(loop, acting.now))):
            acting.apply(action, f"{acting.now.isoformat()}-{number}")
        acting.pass_to(acting.now + timedelta(seconds=CYCLE_S))
    idle.pass_to(acting.now)
    mine, theirs = acting.meters(), idle.meters()
    assert mine["it_kwh"] < 0.99 * theirs["it_kwh"]
    assert mine["slo_late_share"] <= theirs["slo_late_share"] + 0.005


def test_once_done_it_asks_for_nothing_more(demo: Site) -> None:
    days = DaysSite(demo, START, warm_days=2.0)
    loop = make(ports_of(days))
    asked = []
    for _ in range(4):
        actions = due(turn(loop, days.now))
        asked.append(len(actions))
        for number, action in enumerate(actions):
            days.apply(action, f"{days.now.isoformat()}-{number}")
        days.pass_to(days.now + timedelta(seconds=300))
    assert asked[0] > 0
    assert asked[-1] == 0, asked


def broken(days: DaysSite, change: Callable[[Reading], Reading | None], only: str = "") -> LoopPorts:
    def read(asset: str) -> Reading | None:
        found = days.read(asset)
        if found is None or not asset.startswith("pool-") or (only and asset != only):
            return found
        return change(found)

    return ports_of(days, read)


def without(metric: str) -> Callable[[Reading], Reading]:
    return lambda r: Reading(r.asset, r.time, {k: v for k, v in r.values.items() if k != metric})


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda r: None, "missing"),
        (without("arrival_rps"), "missing"),
        (lambda r: Reading(r.asset, r.time - timedelta(hours=2), r.values), "stale"),
        (lambda r: Reading(r.asset, r.time + timedelta(hours=2), r.values), "clock_jump"),
        (lambda r: Reading(r.asset, r.time, {**r.values, "arrival_rps": -5.0}), "impossible"),
        (lambda r: Reading(r.asset, r.time, {**r.values, "arrival_rps": float("nan")}), "impossible"),
    ],
)
def test_pools_that_cannot_be_read_are_left_as_they_are(
    kept: DaysSite, change: Callable[[Reading], Reading | None], kind: str
) -> None:
    loop = make(broken(kept, change))
    watch = loop.monitor(kept.now)
    assert kind in {t.kind for t in watch.troubles}
    assert any(t.blocks for t in watch.troubles)
    plan = loop.optimise(watch, loop.predict(watch))
    assert plan.moves == ()
    assert plan.headline.startswith("Nothing is changed")


def test_one_pool_that_cannot_be_read_does_not_keep_the_others_from_saving(kept: DaysSite) -> None:
    loop = make(broken(kept, without("healthy_nodes"), only="pool-chat"))
    watch = loop.monitor(kept.now)
    plan = loop.optimise(watch, loop.predict(watch))
    assert not any(t.blocks for t in watch.troubles)
    assert {m.asset for m in plan.moves}.isdisjoint({"pool-chat"})
    assert plan.savings[0].saved > 0


def test_a_pool_that_does_not_tell_its_rate_is_planned_by_its_engine(kept: DaysSite) -> None:
    plan = turn(make(broken(kept, without("rate_rps"))), kept.now)
    assert plan.facts["pool-chat nodes now"] == "8"


def test_more_than_all_nodes_carry_is_said_and_all_serve(kept: DaysSite) -> None:
    def rush(r: Reading) -> Reading:
        return Reading(r.asset, r.time, {**r.values, "rate_rps": 0.2 * r.values["rate_rps"]})

    plan = turn(make(broken(kept, rush, only="pool-chat")), kept.now)
    assert any(t.kind == "infeasible" and t.asset == "pool-chat" for t in plan.troubles)
    assert not any(m.asset == "pool-chat" and m.at <= plan.made for m in plan.moves)


def test_a_site_over_its_contract_takes_a_smaller_model_and_says_what_that_costs(kept: DaysSite) -> None:
    feeds = [kept.read(f"feed-{side}") for side in "ab"]
    now_kw = sum(feed.values["load_kw"] for feed in feeds if feed is not None)
    tight = kept.site.model_copy(update={"limits": {**kept.site.limits, "site_power_max_kw": now_kw - 15.0}})
    ports = ports_of(kept)
    plan = turn(
        make(LoopPorts(tight, ports.read, ports.history, ports.clock, ports.jobs, ports.twin, 6 * 3600.0)),
        kept.now,
    )
    assert "over contracted power" in plan.facts or not any(
        m.action == "switch_to_smaller_model" for m in plan.moves
    )
    switched = [m for m in plan.moves if m.action == "switch_to_smaller_model"]
    assert all("quality" in m.why for m in switched)


def test_it_learns_from_what_came_and_goes_on_after_a_restart(kept: DaysSite) -> None:
    loop = make(ports_of(kept))
    foreseen = loop.foresee(turn(loop, kept.now))
    assert {f.name for f in foreseen} == {f"{p.name}.arrival_rps" for p in kept.site.pools}
    assert all(f.due == kept.now + timedelta(seconds=CYCLE_S) for f in foreseen)
    before = {f.name: f for f in loop.predict(loop.monitor(kept.now))}
    loop.learn([Observed(foreseen=f, read=2 * f.high) for f in foreseen] * 3)
    after = {f.name: f for f in loop.predict(loop.monitor(kept.now))}
    assert all(after[name].high[3] > before[name].high[3] for name in before)
    again = make(ports_of(kept))
    again.restore(loop.state())
    assert again.predict(again.monitor(kept.now)) == loop.predict(loop.monitor(kept.now))
    again.restore({"spread": 3, "held": [1]})


def test_the_same_moment_gives_the_same_plan(kept: DaysSite) -> None:
    one, other = (turn(make(ports_of(kept)), kept.now) for _ in range(2))
    assert one.model_copy(update={"solver": None}) == other.model_copy(update={"solver": None})
