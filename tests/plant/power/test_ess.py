"""The battery: energy closes, limits hold, runtime, ageing against published laws and NREL-PySAM, rainflow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plant.power import ess
from plant.power.ess import Ess, Health, ess_coefficients, ess_step, health_at_age, rainflow, runtime_s
from plant.specs import EssSpec
from setpoint.errors import UsageError

SPEC = EssSpec()
BATTERY = ess_coefficients(SPEC)

PYSAM_PROFILE_KW = (2.5, -3.0, 1.5, -1.0, 2.0, -2.5, 2.0, -1.75)
PYSAM_SOC_PCT = (27.432, 54.457, 41.013, 49.989, 31.936, 54.415, 36.437, 52.159)
PYSAM_CALENDAR_PCT = {1.0: 96.312, 5.0: 91.701, 10.0: 88.092}
PYSAM_CYCLE_PCT = {1000: 93.731, 3000: 89.034}
"""NREL-PySAM 7.1.1, BatteryStateful, its own LFP bank of 10 kWh: printed by dev/pysam_reference.py."""


def test_examples_in_the_docstrings_hold(examples) -> None:
    failed, attempted = examples.failures(ess)
    assert failed == 0
    assert attempted >= 10


@settings(deadline=None)
@given(
    soc=st.floats(10.0, 90.0), setpoint=st.floats(-300.0, 300.0), seconds=st.floats(0.01, 36_000.0),
    soh=st.floats(0.5, 1.0),
)  # fmt: skip
def test_energy_closes_and_limits_hold(soc, setpoint, seconds, soh) -> None:
    p = ess_coefficients(SPEC, soh_pu=soh)
    after, power, loss = ess_step(soc, setpoint, seconds, p)
    stored = p[0] * (after - soc) / 100.0
    assert stored == pytest.approx(-(power + loss) * seconds / 3600.0, abs=1e-9 * p[0])
    assert loss >= -1e-9
    assert abs(power) <= p[1]
    assert power * setpoint >= 0.0
    assert abs(power) <= abs(setpoint)
    leak = 100.0 * -math.expm1(-p[8] * seconds)
    assert SPEC.soc_min_pct - leak - 1e-9 <= after <= SPEC.soc_max_pct + 1e-9


def test_a_rated_round_trip_keeps_what_the_spec_says() -> None:
    filled, taken, _ = ess_step(50.0, -100.0, 1800.0, BATTERY)
    assert taken == -100.0
    assert 2.0 * (filled - 50.0) / 50.0 == pytest.approx(0.949, abs=1e-3)
    after, given, _ = ess_step(80.0, 100.0, 1800.0, BATTERY)
    assert given == 100.0
    assert 50.0 / (2.0 * (80.0 - after)) == pytest.approx(0.949, abs=3e-3)


def test_one_long_discharge_ends_at_the_windows_edge() -> None:
    after, power, _ = ess_step(60.0, 100.0, 7200.0, BATTERY)
    assert after == pytest.approx(10.0, abs=1e-9)
    assert 0.0 < power < 100.0


def test_steps_of_any_length_agree() -> None:
    once, _, _ = ess_step(60.0, 70.0, 1800.0, BATTERY)
    soc = 60.0
    for _ in range(1800):
        soc, _, _ = ess_step(soc, 70.0, 1.0, BATTERY)
    assert soc == pytest.approx(once, abs=1e-3)


def test_a_pcs_that_tripped_neither_gives_nor_takes() -> None:
    tripped = ess_coefficients(SPEC, pcs_ready=False)
    for setpoint in (-50.0, 50.0):
        after, power, loss = ess_step(50.0, setpoint, 3600.0, tripped)
        assert power == 0.0
        assert after < 50.0
        assert loss > 0.0
    assert runtime_s(90.0, 10.0, tripped) == 0.0


def test_a_charge_too_small_for_the_pcs_is_not_started() -> None:
    _, power, _ = ess_step(50.0, -0.3, 60.0, BATTERY)
    assert power == 0.0


@settings(deadline=None)
@given(load=st.floats(10.0, 100.0), soc=st.floats(15.0, 90.0))
def test_runtime_is_the_time_until_the_window_is_empty(load, soc) -> None:
    seconds = runtime_s(soc, load, BATTERY)
    after, power, _ = ess_step(soc, load, 0.99 * seconds, BATTERY)
    assert power == pytest.approx(load, rel=1e-3)
    assert after == pytest.approx(10.0 + 0.01 * (soc - 10.0), abs=0.05)


def test_cells_apart_narrow_the_window() -> None:
    even, apart = (
        runtime_s(80.0, 50.0, BATTERY),
        runtime_s(80.0, 50.0, ess_coefficients(SPEC, cell_spread_pct=20.0)),
    )
    assert apart / even == pytest.approx(60.0 / 70.0)
    with pytest.raises(UsageError, match="Balance them below 80%"):
        ess_coefficients(SPEC, cell_spread_pct=80.0)


def test_a_pcs_overload_is_borne_for_a_minute_at_most() -> None:
    times = [ess.pcs_trip_s(kw, 100.0) for kw in (-110.0, 120.0, 140.0, 150.0)]
    assert times == sorted(times, reverse=True)
    assert times[1] == pytest.approx(60.0)
    assert times[-1] == 0.0


def test_rainflow_counts_the_standards_example() -> None:
    """ASTM E1049-85, figure 6: -2, 1, -3, 5, -1, 3, -4, 4, -2 counts ranges 3, 4, 6, 8, 9 as 0.5, 1.5, 0.5, 1, 0.5."""
    counts: dict[float, float] = {}
    for cycle in rainflow([-2, 1, -3, 5, -1, 3, -4, 4, -2]):
        counts[cycle.depth_pct] = counts.get(cycle.depth_pct, 0.0) + cycle.weight
    assert counts == {3.0: 0.5, 4.0: 1.5, 6.0: 0.5, 8.0: 1.0, 9.0: 0.5}


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 100.0), min_size=2, max_size=60))
def test_rainflow_counts_every_percent_that_was_moved(series) -> None:
    moved = float(np.abs(np.diff(series)).sum())
    assert sum(2.0 * c.weight * c.depth_pct for c in rainflow(series)) == pytest.approx(moved, abs=1e-6)


def test_calendar_law_keeps_its_root_through_changing_steps() -> None:
    once = ess.calendar_loss_pu(0.0, 1e8, 25.0, 50.0)
    twice = ess.calendar_loss_pu(ess.calendar_loss_pu(0.0, 4e7, 25.0, 50.0), 6e7, 25.0, 50.0)
    assert twice == pytest.approx(once, rel=1e-12)
    assert ess.calendar_loss_pu(0.0, 1e8, 45.0, 50.0) > once < ess.calendar_loss_pu(0.0, 1e8, 25.0, 90.0)


def test_cycle_law_is_wangs() -> None:
    """J. Power Sources 196 (2011) 3942: at C/2, 333 K and 2,000 Ah of a 2 Ah cell, 31630 exp(-31514.85/RT) Ah^0.55."""
    wanted = 0.01 * 31630 * math.exp(-31514.85 / (8.314 * 333.15)) * 2000**0.55
    assert ess.cycle_loss_pu(0.0, 1000.0, 0.5, 60.0) == pytest.approx(wanted, rel=1e-9)
    half = ess.cycle_loss_pu(0.0, 400.0, 0.5, 60.0)
    assert ess.cycle_loss_pu(half, 600.0, 0.5, 60.0) == pytest.approx(wanted, rel=1e-9)


def test_wang_is_near_another_lfp_law() -> None:
    """Naumann et al. 2020 (Sony LFP): 0.01 (0.0630 C + 0.0971) (4.0253 (d - 0.6)^3 + 1.0923) sqrt(full cycles)."""
    naumann = 0.01 * (0.063 * 0.5 + 0.0971) * (4.0253 * 0.4**3 + 1.0923) * math.sqrt(3000.0)
    assert ess.cycle_loss_pu(0.0, 3000.0, 0.5, 25.0) == pytest.approx(naumann, rel=0.25)


def test_a_series_ages_by_its_cycles_and_its_time() -> None:
    day = np.concatenate([np.linspace(90, 10, 25), np.linspace(10, 90, 25)[1:]])
    series = np.concatenate([day, *[day[1:]] * 99])
    aged = Health().aged(series, 900.0, 25.0)
    assert aged.cycle_pu == pytest.approx(ess.cycle_loss_pu(0.0, 80.0, 0.5, 25.0), rel=0.02)
    assert aged.calendar_pu == pytest.approx(ess.calendar_loss_pu(0.0, 900.0 * 4800, 25.0, 50.0), rel=1e-3)
    assert aged.aged(series, 900.0, 25.0).soh_pu < aged.soh_pu < 1.0


@pytest.mark.parametrize(("years", "left_pct"), PYSAM_CALENDAR_PCT.items())
def test_calendar_fade_is_near_pysams(years, left_pct) -> None:
    """Another cell and another law (Kokam form): within two points."""
    assert 100.0 * health_at_age(years, 25.0, cycles_per_day=0.0).soh_pu == pytest.approx(left_pct, abs=2.0)


@pytest.mark.parametrize(("cycles", "left_pct"), PYSAM_CYCLE_PCT.items())
def test_cycle_fade_is_near_pysams(cycles, left_pct) -> None:
    """Cycles of 80%: PySAM by its table, ours by throughput: within a point and a half."""
    lost = ess.cycle_loss_pu(0.0, 0.8 * cycles, 0.5, 25.0)
    assert 100.0 * (1.0 - lost) == pytest.approx(left_pct, abs=1.5)


def test_charge_follows_pysams_through_a_profile() -> None:
    """DC to DC: no PCS, no cell loss (PySAM's round trip at these powers is above 99.9%). PySAM counts charge at a
    voltage that sags with it, we count energy; the capacity is set by the first leg alone, the others must follow."""
    p = ess_coefficients(
        EssSpec(capacity_kwh=2.5 / 0.22568, power_kw=10.0, soc_min_pct=5.0, soc_max_pct=95.0)
    )
    p[2], p[3:6], p[8] = 1.0, 0.0, 0.0
    soc, found = 50.0, []
    for power_kw in PYSAM_PROFILE_KW:
        soc, _, _ = ess_step(soc, power_kw, 3600.0, p)
        found.append(soc)
    assert found == pytest.approx(PYSAM_SOC_PCT, abs=1.0)


def test_bad_states_are_refused() -> None:
    battery = Ess(SPEC)
    for soc, setpoint in ((-1.0, 0.0), (101.0, 0.0), (50.0, math.nan)):
        with pytest.raises(UsageError, match="cannot be stepped"):
            battery.step(soc, setpoint, 1.0)
    with pytest.raises(UsageError, match="state of health"):
        ess_coefficients(SPEC, soh_pu=0.0)
    with pytest.raises(UsageError, match="state of charge series"):
        Health().aged([50.0, math.nan], 60.0, 25.0)
