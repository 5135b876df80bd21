"""The three managers and their books."""

from __future__ import annotations

import numpy as np
import pytest

from plant.control.energy.fleet import Ahead, Books, OffState, Policy, Pool, run
from plant.control.energy.lengths import AnswerPredictor, answer_class
from plant.control.energy.study import reactive
from plant.inference.trace import Trace
from setpoint.errors import UsageError

STEP_S = 600.0


def day(peak_rps: float = 200.0) -> np.ndarray:
    return peak_rps * (0.6 + 0.4 * np.sin(np.arange(144) / 144 * 2 * np.pi))


def seer(rates: np.ndarray, horizon: int = 4) -> Ahead:
    later = np.stack([np.append(rates[h:], np.full(h, rates[-1])) for h in range(horizon)], axis=1)
    return Ahead(later, later, "seer")


def books(pools: list[Pool], policy: Policy, rates: np.ndarray, off: OffState = "off") -> Books:
    return run(pools, policy, rates, STEP_S, 60, off)


def test_the_fewest_instances_keep_the_rate_and_one_less_does_not(pools: dict[str, Pool]) -> None:
    for rate in (1.0, 40.0, 150.0):
        count = pools["all"].fewest(rate)
        assert pools["all"].capacity_rps(count) >= rate
        assert count == 1 or pools["all"].capacity_rps(count - 1) < rate


def test_each_manager_saves_and_all_together_save_most(pools: dict[str, Pool]) -> None:
    rates = day()
    one, two = [pools["all"]], [pools["short"], pools["long"]]
    whole = books(one, Policy("static", None), rates).energy_kwh(STEP_S, 0.05).sum()
    kwh = {
        name: books(those, policy, rates).energy_kwh(STEP_S, 0.05).sum()
        for name, those, policy in (
            ("cluster", one, Policy("c", seer(rates))),
            ("instance", one, Policy("i", None, clocked=True)),
            ("queue", two, Policy("q", None)),
            ("all", two, Policy("a", seer(rates), clocked=True)),
        )
    }
    assert all(found < whole for found in kwh.values()), kwh
    assert kwh["all"] == min(kwh.values())


def test_a_fleet_for_the_highest_rate_is_never_late_and_one_that_does_not_see_a_burst_is(
    pools: dict[str, Pool],
) -> None:
    rates = np.full(40, 60.0)
    rates[20:] = 240.0
    static = books([pools["all"]], Policy("static", None), rates)
    blind = books([pools["all"]], Policy("blind", reactive(rates, 7, 0.9), every_steps=6), rates)
    watchful = books([pools["all"]], Policy("w", reactive(rates, 7, 0.9), emergency=True), rates)
    assert static.late_pu < 0.01
    assert blind.late[20:24].sum() > 3 * 240.0 * STEP_S * 0.9
    assert watchful.late[20] == pytest.approx(240.0 * STEP_S), (
        "it starts instances once it sees the burst, not before"
    )
    assert watchful.late.sum() < blind.late.sum()


def test_a_start_is_charged_and_serves_from_the_next_step(pools: dict[str, Pool]) -> None:
    rates = np.full(12, 50.0)
    rates[6:] = 100.0
    pool = pools["all"]
    found = books([pool], Policy("p", seer(rates), every_steps=1), rates)
    before, after = pool.fewest(pool.share * 50.0), pool.fewest(pool.share * 100.0)
    assert found.serving[5, 0] < after <= found.serving[6, 0]
    extra = found.power_kw[5] - pool.power_kw(50.0, int(found.serving[5, 0]), pool.tables[-1].full)
    assert extra == pytest.approx((found.serving[6, 0] - found.serving[5, 0]) * pool.idle_kw, rel=1e-6)
    assert before < after


def test_a_backlog_keeps_what_comes_behind_it_late(pools: dict[str, Pool]) -> None:
    pool = pools["all"]
    rates = np.full(6, 20.0)
    rates[2] = 300.0
    fixed = Ahead(np.full((6, 4), 20.0), np.full((6, 4), 20.0), "fixed")
    found = books([pool], Policy("p", fixed, every_steps=1), rates)
    assert found.late[2] == pytest.approx(300.0 * STEP_S)
    assert found.late[3] > 0.5 * 20.0 * STEP_S


def test_a_forecast_sees_nothing_of_what_comes() -> None:
    rates = day()
    changed = rates.copy()
    changed[100:] *= 3.0
    one, other = reactive(rates, 7, 0.95), reactive(changed, 7, 0.95)
    assert (one.high[:101] == other.high[:101]).all()
    assert (one.high[101:] != other.high[101:]).any()


def test_rates_in_steps_shorter_than_a_start_are_refused(pools: dict[str, Pool]) -> None:
    with pytest.raises(UsageError, match="to start"):
        run([pools["all"]], Policy("static", None), day(), 60.0, 60, "off")


def test_answers_are_told_better_than_by_the_most_frequent_class_where_prompts_say_something() -> None:
    rng = np.random.default_rng(1)
    prompts = rng.integers(10, 4000, 4000)
    answers = np.where(prompts > 2000, 500, 50) + rng.integers(0, 30, 4000)
    taught = AnswerPredictor.fit(prompts[:2000], answers[:2000])
    usual = np.bincount(answer_class(answers[2000:])).max() / 2000
    assert taught.accuracy(prompts[2000:], answers[2000:]) > usual + 0.2
    with pytest.raises(UsageError):
        AnswerPredictor.fit(prompts[:3], answers[:3])


def test_hours_judged_by_replay_agree_with_the_books(
    pools: dict[str, Pool], served: Trace, kinds: np.ndarray
) -> None:
    from plant.control.energy.judge import judge_hour

    rates = np.full(12, 40.0)
    policy = Policy("p", seer(rates), clocked=True)
    two = [pools["short"], pools["long"]]
    kept = books(two, policy, rates)
    found = judge_hour(two, kept, True, served, kinds, rates, STEP_S, "an hour", 6, (0.5, 0.8, 2.0))
    assert found.requests == pytest.approx(40.0 * 3600.0, rel=0.05)
    assert found.late_pu < 0.01
    assert found.gpu_kw == pytest.approx(found.foretold_kw, rel=0.08)
