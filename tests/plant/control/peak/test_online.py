"""Shaving run online: it sees nothing of what is to come, never makes a peak, and beats the rules it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plant.control.peak.battery import Storage, storage_of
from plant.control.peak.bench import interval, main, servegen
from plant.control.peak.levers import FlexibleJob, Pause
from plant.control.peak.loads import KINDS, TARIFFS, case_of, cases, jobs_of
from plant.control.peak.online import Case, Ran, Receding, Standing, for_flex, run
from plant.control.peak.rules import Threshold, none, perfect, time_of_use
from setpoint.errors import InputError


@pytest.fixture(scope="module")
def short() -> Case:
    """Two days of a made-up site after six days of history."""
    return case_of(KINDS[1], "EUR evening", *TARIFFS["EUR evening"], seed=11, days=2, before_days=6)


@pytest.fixture(scope="module")
def store(short: Case) -> Storage:
    return storage_of(short.ess)


@pytest.fixture(scope="module")
def ours(short: Case, store: Storage) -> Ran:
    return run(short, Receding(short, store), "ours", store, 3600.0, store.wear)


def test_the_future_changes_nothing_that_was_done_before(short: Case, store: Storage, ours: Ran) -> None:
    """The second half of the load is another; what was done in the first half is the same to the last bit."""
    half = short.load_kw.size // 2
    other = replace(
        short, load_kw=np.concatenate([short.load_kw[:half], 1.3 * short.load_kw[half:]]), known=None
    )
    same = replace(short, known=None)
    first, second = (run(one, Receding(one, store), "", store, 3600.0, store.wear) for one in (same, other))
    assert (first.power_kw[:half] == second.power_kw[:half]).all()
    assert (first.power_kw[half:] != second.power_kw[half:]).any()


def test_no_peak_is_made_that_would_not_have_been(short: Case, ours: Ran) -> None:
    assert ours.bill.peak_kw <= none(short).bill.peak_kw + 1e-6


def test_orders_that_stand_make_no_peak_and_are_few(short: Case, store: Storage) -> None:
    standing = Standing(Receding(short, store), 900.0)
    ran = run(short, standing, "standing", store, 900.0, store.wear)
    assert ran.solves == 0
    assert 2 <= standing.asked <= 40
    assert standing.asked < len(standing.policy.seconds) / 4
    assert ran.bill.peak_kw <= none(short).bill.peak_kw + 1e-6


def test_the_battery_keeps_its_window(short: Case, ours: Ran) -> None:
    assert ours.soc_pct.min() >= short.ess.spec.soc_min_pct - 0.01
    assert ours.soc_pct.max() <= short.ess.spec.soc_max_pct + 0.01


def test_the_bill_is_that_of_the_meter(short: Case, ours: Ran) -> None:
    quarters = (short.load_kw - ours.power_kw).reshape(-1, 15).mean(axis=1)
    assert ours.bill.peak_kw == pytest.approx(quarters.max())
    assert ours.solves == 48


def test_nobody_beats_perfect_foresight_here(short: Case, store: Storage, ours: Ran) -> None:
    best = perfect(short, store.wear)
    rule = run(short, Threshold(short, store), "rule", store, 3600.0, store.wear)
    for other in (ours, rule, time_of_use(short, store.wear), none(short)):
        assert best.total <= other.total + 1e-6


def test_a_programme_that_finds_nothing_leaves_the_battery_at_rest(short: Case, store: Storage) -> None:
    policy = Receding(short, store)
    policy.tuning = replace(policy.tuning, time_limit_s=1e-9, plan_paths=60)
    order = policy.order(0, store.kwh(50.0), np.zeros(0))
    assert policy.last is not None
    assert policy.last.plan.status == "time limit"
    assert order.base_kw == 0.0


def test_a_job_that_waits_runs_longer_and_leaves_the_case_alone() -> None:
    case = case_of(KINDS[2], "KEPCO summer", *TARIFFS["KEPCO summer"], seed=12, days=2, before_days=5)
    own, before = for_flex(case), case.load_kw.copy()
    store = storage_of(case.ess)
    policy = Receding(own, store, flex=True)
    first, last = next(span for span in own.flexible if span[0] > 0 and span[1] + 120 < case.load_kw.size)
    number = own.flexible.index((first, last))
    job = FlexibleJob(str(number), "", own.job_kw, 0, 0, 0.3)
    policy._pause(first, Pause(job, 0, 4, 0.0, 0.0, 0.0))
    assert own.load_kw.sum() == pytest.approx(case.load_kw.sum())
    assert own.load_kw[first] == pytest.approx(case.load_kw[first] - own.job_kw)
    assert (case.load_kw == before).all()
    assert policy.waited_h == 1.0


def test_cases_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    first, again, other = (cases(seed, days=1) for seed in (1, 1, 2))
    assert len(first) == 12
    assert all((a.load_kw == b.load_kw).all() for a, b in zip(first, again, strict=True))
    assert any((a.load_kw != b.load_kw).any() for a, b in zip(first, other, strict=True))
    assert sum(case.before_kw.size == 0 for case in first) == 4
    assert {job.flexible for job in jobs_of(KINDS[2], 20, 1)} == {True, False}


def test_the_public_rates_say_where_they_should_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no public request rates"):
        servegen(tmp_path)


def test_an_interval_holds_the_mean() -> None:
    low, high = interval([0.7, 0.8, 0.9, 1.0])
    assert low < 0.85 < high


def test_the_bench_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    arguments: Sequence[str] = [
        "--cases",
        "0",
        "--days",
        "1",
        "--no-public",
        "--workers",
        "1",
        "--every",
        "240",
    ]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "perfect foresight" in told
    assert "bursty chat, KEPCO winter and no history" in told
