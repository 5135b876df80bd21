"""Candidates: the true cause is among few, with events and without, and the limits of the choice hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from plant import load_site
from plant.diagnosis.bent import Readings
from plant.diagnosis.candidates import (
    ASSETS_OF_A_CAUSE,
    MOST,
    OF_AN_AREA,
    WAYS,
    Candidate,
    candidates,
)
from plant.diagnosis.estimate import Estimate, estimate
from plant.diagnosis.eventful import Events
from plant.diagnosis.footprint import Footprints, likeness
from plant.diagnosis.mechanisms import load_mechanisms
from plant.diagnosis.observed import Observed, Sign
from plant.diagnosis.shift import peaks, shift, shifts, silent, stuck
from plant.site import Site

ONSET_S = 7800.0
MECHANISMS = load_mechanisms()
Window = Callable[..., Observed]


def sign(asset: str, at_s: float = ONSET_S + 60.0, hints: tuple[str, ...] = (), priority: str = "P1") -> Sign:
    return Sign(f"{asset}-{at_s}", at_s, asset, priority, hints)


def state(site: Site, observed: Observed) -> Estimate:
    return estimate(site, observed, ONSET_S - 300.0)


def chosen(site: Site, observed: Observed, scores: Mapping[str, float] | None = None) -> Sequence[Candidate]:
    return candidates(site, observed, state(site, observed), scores or {})


def pairs(found: Sequence[Candidate]) -> set[tuple[str, str]]:
    return {(one.cause, one.asset) for one in found}


@pytest.fixture(scope="module")
def seen(window: Window) -> Window:
    """`window`, each night composed once."""
    made: dict[tuple[object, ...], Observed] = {}

    def look(
        fault: str = "", asset: str = "", *, after_s: float = 600.0, signs: tuple[Sign, ...] = ()
    ) -> Observed:
        key = (fault, asset, after_s)
        if key not in made:
            made[key] = window(fault, asset, after_s=after_s)
        return replace(made[key], signs=signs)

    return look


# ---- who comes in ---------------------------------------------------------------------------------------


def test_what_the_events_name_comes_in_and_first(site: Site, seen: Window) -> None:
    signs = (
        sign("cdu-1-pump-a", ONSET_S + 5, ("coolant_pump_failure",)),
        sign("cdu-1", ONSET_S + 30, priority="P0"),
    )
    found = chosen(
        site, seen("pump_trip", "cdu-1-pump-a", signs=signs), {"coolant_pump_failure": 5.0, "unknown": 2.5}
    )
    assert (found[0].cause, found[0].asset) == ("coolant_pump_failure", "cdu-1-pump-a")
    assert found[0].from_events > max(one.from_events for one in found if one.cause != "coolant_pump_failure")


@pytest.mark.parametrize(
    ("fault", "asset", "seen_on", "cause"),
    [
        ("pump_trip", "cdu-1-pump-a", "cdu-1", "coolant_pump_failure"),
        ("stuck_valve", "r-02", "gpu-05", "stuck_valve"),
        ("crah_trip", "crah-3", "r-07", "crah_failure"),
        ("breaker_trip", "pdu-03a", "gpu-09", "pdu_breaker_trip"),
        ("thermal_interface", "gpu-14", "gpu-14", "gpu_thermal_throttle"),
        ("nvlink_storm", "gpu-18", "gpu-18", "nvlink_error"),
        ("straggler", "gpu-11", "gpu-11", "straggler"),
        ("silent_data_corruption", "gpu-20", "gpu-20", "silent_data_corruption"),
        ("sensor_drift", "temp-r-05", "temp-r-05", "sensor_drift"),
        ("ib_congestion", "ib-leaf-2", "ib-leaf-2", "fabric_congestion"),
    ],
)
def test_a_fault_that_no_signature_names_comes_in_by_readings_and_topology(
    site: Site, seen: Window, fault: str, asset: str, seen_on: str, cause: str
) -> None:
    found = chosen(site, seen(fault, asset, after_s=1200.0, signs=(sign(seen_on, ONSET_S + 300.0),)))
    assert (cause, asset) in pairs(found)


def test_a_fault_without_any_event_is_found_by_its_readings(site: Site, seen: Window) -> None:
    found = chosen(site, seen("pump_trip", "cdu-2-pump-a"))
    assert (found[0].cause, found[0].asset) == ("coolant_pump_failure", "cdu-2-pump-a")


def test_one_bent_reading_among_calm_ones_is_a_sensor_fault_with_its_metric(site: Site, seen: Window) -> None:
    observed = seen("", signs=(sign("cdu-1"),))
    rows = observed.times_s > ONSET_S
    lying = {
        **observed.series,
        ("cdu-1", "return_temp_c"): observed.series["cdu-1", "return_temp_c"] + 6.0 * rows,
    }
    found = chosen(site, Observed(observed.start, observed.times_s, lying, observed.signs))
    drift = next(one for one in found if one.cause == "sensor_drift")
    assert (drift.asset, drift.metric) == ("cdu-1", "return_temp_c")
    assert found[0] == drift


def test_a_silent_rack_is_a_gap_and_a_silent_sensor_a_lost_one(site: Site, seen: Window) -> None:
    rack = chosen(site, seen("monitoring_gap", "r-07", after_s=900.0, signs=(sign("gpu-25"), sign("gpu-26"))))
    assert (rack[0].cause, rack[0].asset) == ("monitoring_gap", "r-07")
    sensor = chosen(site, seen("sensor_lost", "temp-r-03", after_s=900.0, signs=(sign("temp-r-03"),)))
    assert (sensor[0].cause, sensor[0].asset) == ("sensor_lost", "temp-r-03")


def test_a_fault_that_passed_before_the_look_is_still_found(site: Site, seen: Window) -> None:
    observed = seen("", after_s=1800.0, signs=(sign("gpu-03"),))
    passing = (observed.times_s > ONSET_S) & (observed.times_s < ONSET_S + 600.0)
    series = {
        **observed.series,
        ("gpu-03", "app_faults_per_h"): observed.series["gpu-03", "app_faults_per_h"] + 20.0 * passing,
    }
    found = chosen(site, Observed(observed.start, observed.times_s, series, observed.signs))
    assert ("gpu_application_fault", "gpu-03") in pairs(found[:3])


# ---- limits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", ["host_crash", "power_feed_lost", ""])
def test_the_limits_hold_however_many_assets_report(site: Site, seen: Window, hint: str) -> None:
    signs = tuple(sign(f"gpu-{n:02}", ONSET_S + n, (hint,) if hint else ()) for n in range(1, 33))
    found = chosen(site, seen("feed_lost", "feed-a", signs=signs), {hint: 4.0, "unknown": 2.5})
    assert len(found) <= MOST
    places = pairs(found)
    assert max(Counter(cause for cause, _ in places).values()) <= ASSETS_OF_A_CAUSE
    assert max(Counter((one.cause, one.asset) for one in found).values()) <= WAYS
    area = {one.cause: one.mechanism.area for one in found if one.mechanism}
    assert max(Counter(area[cause] for cause, _ in places).values()) <= OF_AN_AREA
    assert len({(one.mechanism, one.asset) for one in found}) == len(found)


def test_fewer_may_be_asked_for_and_the_best_stay(site: Site, seen: Window) -> None:
    observed = seen("pump_trip", "cdu-1-pump-a", signs=(sign("cdu-1"),))
    known = state(site, observed)
    few = candidates(site, observed, known, {}, most=3)
    assert len(few) == 3
    assert pairs(few) <= pairs(candidates(site, observed, known, {}))


def test_the_choice_is_the_same_each_time(site: Site, seen: Window) -> None:
    observed = seen("crah_trip", "crah-1", signs=(sign("r-01"), sign("r-02")))
    assert chosen(site, observed) == chosen(site, observed)


def test_assets_that_the_site_does_not_know_are_no_obstacle(site: Site, seen: Window) -> None:
    observed = seen("pump_trip", "cdu-1-pump-a", signs=(sign("nobody"), sign("cdu-1")))
    series = {**observed.series, ("ghost", "temp_c"): np.linspace(20.0, 60.0, len(observed.times_s))}
    found = chosen(site, Observed(observed.start, observed.times_s, series, observed.signs))
    assert ("coolant_pump_failure", "cdu-1-pump-a") in pairs(found)


def test_a_small_air_cooled_site_works_too() -> None:
    site = load_site("lab-16")
    rng = np.random.default_rng(1)
    times_s = np.arange(0.0, 9000.0, 30.0)
    load_kw = 14.0 + 0.05 * rng.standard_normal(len(times_s)) - 6.0 * (times_s > ONSET_S)
    observed = Observed(
        datetime(2026, 3, 14, 21, tzinfo=UTC), times_s, {("pdu-a", "load_kw"): load_kw}, (sign("pdu-a"),)
    )
    assert ("pdu_breaker_trip", "pdu-a") in pairs(chosen(site, observed))


# ---- the parts ------------------------------------------------------------------------------------------


def test_shift_is_signed_in_noise_and_nan_where_nothing_is_read(site: Site, seen: Window) -> None:
    observed = seen("pump_trip", "cdu-1-pump-a", after_s=900.0, signs=(sign("cdu-1"),))
    known = state(site, observed)
    assert shift(observed, known, ("cdu-1", "flow_lpm")) < -20.0
    assert abs(shift(observed, known, ("cdu-2", "flow_lpm"))) < 4.0
    assert np.isnan(shift(observed, known, ("cdu-1", "no_such_metric")))
    every = shifts(observed, known)
    assert every["cdu-1", "flow_lpm"] == pytest.approx(shift(observed, known, ("cdu-1", "flow_lpm")))


def test_a_shift_of_a_young_fault_is_not_diluted_by_the_quiet_before(site: Site, seen: Window) -> None:
    observed = seen("pump_trip", "cdu-1-pump-a", after_s=120.0, signs=(sign("cdu-1", ONSET_S + 5.0),))
    assert shift(observed, state(site, observed), ("cdu-1", "flow_lpm")) < -20.0


def test_a_peak_is_no_smaller_than_the_last_shift(site: Site, seen: Window) -> None:
    observed = seen("crah_trip", "crah-3", after_s=1200.0, signs=(sign("r-07"),))
    known = state(site, observed)
    last, most = shifts(observed, known), peaks(observed, known)
    assert set(last) <= set(most)
    assert all(abs(most[key]) >= abs(z) - 1e-9 for key, z in last.items())


def test_quiet_sites_have_few_bent_readings_and_none_stuck_or_silent(site: Site, seen: Window) -> None:
    observed = seen("", after_s=1200.0)
    known = state(site, observed)
    z = np.array(list(shifts(observed, known).values()))
    assert np.mean(np.abs(z) > 4.0) < 0.01
    assert silent(observed, known) == frozenset()
    assert stuck(observed, known) == frozenset()


def test_a_frozen_sensor_is_stuck_even_after_it_moved_again(site: Site, seen: Window) -> None:
    observed = seen("", after_s=1800.0)
    values = observed.series["temp-r-04", "temp_c"].copy()
    rows = (observed.times_s > ONSET_S) & (observed.times_s < ONSET_S + 900.0)
    values[rows] = values[rows][0]
    changed = Observed(observed.start, observed.times_s, {**observed.series, ("temp-r-04", "temp_c"): values})
    assert stuck(changed, state(site, changed)) == {("temp-r-04", "temp_c")}


def test_event_evidence_is_shared_by_where_it_was_seen(site: Site, seen: Window) -> None:
    signs = (sign("cdu-1-pump-a", hints=("coolant_pump_failure",)),)
    events = Events(site, seen("", signs=signs), {"coolant_pump_failure": 4.0})
    on_it, backup, far = (
        events.evidence("coolant_pump_failure", a) for a in ("cdu-1-pump-a", "cdu-1-pump-b", "cdu-2-pump-a")
    )
    assert on_it > backup > far
    assert events.covers("ats-1") == events.covers("cdu-1-pump-a") == 1.0
    assert events.covers("cdu-2") == 0.0


def test_footprints_are_repeatable_and_leave_the_estimate_alone(site: Site, seen: Window) -> None:
    known = state(site, seen(""))
    before = known.plant.store.values.copy()
    prints = Footprints(known)
    trip, weak = MECHANISMS["pump_stopped"], MECHANISMS["crah_fan_weak"]
    first = prints.of(trip, "cdu-1-pump-a").copy()
    prints.of(weak, "crah-1")
    again = Footprints(known).of(trip, "cdu-1-pump-a")
    assert np.array_equal(first, again)
    assert np.array_equal(known.plant.store.values, before)
    assert first[known.keys.index(("cdu-1", "flow_lpm"))] < -5.0
    assert abs(first[known.keys.index(("cdu-2", "flow_lpm"))]) < 0.5


def test_like_mechanisms_share_a_run(site: Site, seen: Window) -> None:
    prints = Footprints(state(site, seen("")))
    prints.of(MECHANISMS["host_stopped"], "gpu-01")
    runs = prints.runs
    prints.of(MECHANISMS["node_gone"], "gpu-01")
    assert prints.runs == runs
    assert likeness(MECHANISMS["cdu_supply_warm"]) != likeness(MECHANISMS["coolant_too_cold"])


def test_the_right_mechanism_matches_best(site: Site, seen: Window) -> None:
    observed = seen("crah_trip", "crah-3", after_s=900.0, signs=(sign("r-07"), sign("r-08")))
    events = Events(site, observed, {})
    readings = Readings(site, observed, state(site, observed), events.near)
    right = readings.match(MECHANISMS["crah_stopped"], "crah-3")
    assert right > 2.0
    assert right > readings.match(MECHANISMS["crah_stopped"], "crah-1")
    assert right > readings.match(MECHANISMS["host_stopped"], "gpu-25")
