"""Mechanisms: every cause has a way to come about, what they name exists, and injecting one really moves the plant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.causes import NO_FAULT, UNKNOWN, load_causes
from plant import load_site
from plant.diagnosis.mechanisms import (
    ANY,
    EVERY,
    Mechanism,
    Move,
    inject,
    load_mechanisms,
    places,
    read_mechanisms,
)
from plant.dynamics.columns import COLUMNS
from plant.dynamics.knobs import FAULT_KNOBS
from plant.faults.place import targets
from plant.faults.sensors import load_sensors
from plant.sim import Plant
from plant.site import Site
from setpoint.errors import ConfigError

SITES = ("demo", "lab-16", "hall-1024", "gb200-row")
BY_EVENTS_ALONE: Mapping[str, str] = {
    NO_FAULT: "nothing is broken, so there is nothing to inject",
    UNKNOWN: "it stands for whatever no mechanism describes",
}
LATENT: Mapping[str, str] = {
    "ups_battery_aged": "shows only once the UPS runs on its battery",
    "ess_cells_unequal": "shows only once the storage charges or discharges",
}
MECHANISMS = load_mechanisms()


@cache
def site_of(name: str) -> Site:
    return load_site(name)


@cache
def steady(name: str) -> Plant:
    return Plant.start(site_of(name), datetime(2026, 3, 14, 21, 0, tzinfo=UTC))


def somewhere(mechanism: Mechanism, move: bool = False) -> tuple[str, str]:
    """A site and asset it can strike; with `move`, one where its quantities are."""
    for name in SITES:
        for asset in places(mechanism, site_of(name)):
            if not move or inject(steady(name).copy(), mechanism, asset, 1.0):
                return name, asset
    raise AssertionError(f"{mechanism.id} can strike nothing")


def test_every_cause_has_a_mechanism_or_a_reason_for_none() -> None:
    covered = {mechanism.cause for mechanism in MECHANISMS.values()}
    assert covered | set(BY_EVENTS_ALONE) == set(load_causes())
    assert covered.isdisjoint(BY_EVENTS_ALONE)


def test_areas_are_those_of_the_cause_catalog() -> None:
    causes = load_causes()
    wrong = {m.id: m.area for m in MECHANISMS.values() if causes[m.cause].area != m.area}
    assert wrong == {}


@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=lambda m: m.id)
def test_expected_readings_exist_and_are_not_of_the_model(mechanism: Mechanism) -> None:
    sensors = load_sensors()
    name, asset = somewhere(mechanism)
    for expected in mechanism.expects:
        if expected.metric in (ANY, EVERY):
            continue
        kinds = {
            site_of(name).by_name[found.lower()].kind for found in targets(site_of(name), asset, expected)
        }
        if not kinds:  # no such neighbour on this site: the word itself names the kind
            kinds = {expected.on.split()[-1]}  # type: ignore[arg-type]  # a kind by its spelling
        for kind in kinds:
            assert not sensors[kind][expected.metric].source, f"the model computes {kind} {expected.metric}"


def moved(mechanism: Mechanism, name: str, asset: str) -> float:
    """Greatest change of what telemetry tells after a quarter of an hour, in hundredths of the reading."""
    sound, struck = steady(name).copy(), steady(name).copy()
    inject(struck, mechanism, asset, 1.0)
    sound.advance(900.0, 15.0)
    struck.advance(900.0, 15.0)
    told = [
        sound.store.offset(kind, row, column.name)
        for kind, row in sound.store.rows.values()
        for column in COLUMNS[kind]
        if column.told
    ]
    before, after = sound.store.values[told], struck.store.values[told]
    assert np.all(np.isfinite(after))
    return float(np.max(np.abs(after - before) / (0.01 * np.abs(before) + 0.01)))


@pytest.mark.parametrize("mechanism", [m for m in MECHANISMS.values() if m.moves], ids=lambda m: m.id)
def test_injecting_it_moves_what_telemetry_tells(mechanism: Mechanism) -> None:
    fitting = [(name, places(mechanism, site_of(name))) for name in SITES]
    ends = [(name, asset) for name, found in fitting if found for asset in (found[0], found[-1])]
    if mechanism.id in LATENT:
        assert all(moved(mechanism, name, asset) < 1.0 for name, asset in ends)
    else:
        assert any(moved(mechanism, name, asset) > 1.0 for name, asset in ends)


@pytest.mark.parametrize(
    "mechanism", [m for m in MECHANISMS.values() if m.begins != "at once" and m.moves], ids=lambda m: m.id
)
def test_what_grows_is_not_complete_at_once(mechanism: Mechanism) -> None:
    name, asset = somewhere(mechanism, move=True)
    slow, quick = steady(name).copy(), steady(name).copy()
    inject(slow, mechanism, asset, 1.0, mechanism.ramps_s[0])
    inject(quick, mechanism, asset, 1.0)
    assert not np.array_equal(slow.store.values, quick.store.values)
    assert slow.ramps
    assert not quick.ramps


def test_switches_never_move_gradually() -> None:
    plant = steady("demo").copy()
    inject(plant, MECHANISMS["rack_hose_leaks"], "r-01", 1.0, ramp_s=600.0)
    assert plant.number("r-01", "leak") == 1.0
    plant.advance(300.0)
    assert 2.0 < plant.number("cdu-1", "leak_lpm") < 30.0


def test_a_single_gpu_can_be_struck() -> None:
    plant = steady("demo").copy()
    inject(plant, MECHANISMS["one_gpu_poorly_cooled"], "gpu-03", 0.5)
    plant.advance(600.0)
    assert (
        plant.gpu_telemetry("gpu-03/gpu0")["gpu_temp_c"]
        > plant.gpu_telemetry("gpu-03/gpu1")["gpu_temp_c"] + 5.0
    )


def test_services_that_are_no_pools_are_passed_over() -> None:
    plant = steady("demo").copy()
    pools = len(site_of("demo").pools)
    assert inject(plant, MECHANISMS["load_rises"], "feed-a", 0.5) == pools


@settings(max_examples=60, deadline=None)
@given(
    mechanism=st.sampled_from([m for m in MECHANISMS.values() if m.moves]),
    severity=st.floats(0.0, 1.0),
    ramp_s=st.sampled_from([0.0, 600.0]),
    pick=st.integers(0, 1000),
)
def test_any_severity_anywhere_stays_within_the_knobs(
    mechanism: Mechanism, severity: float, ramp_s: float, pick: int
) -> None:
    fitting = places(mechanism, site_of("demo"))
    if fitting:
        inject(steady("demo").copy(), mechanism, fitting[pick % len(fitting)], severity, ramp_s)


def test_rates_are_of_the_order_of_the_failure_statistics() -> None:
    """419 interruptions in 54 days on 16,384 GPUs are 173 a year and 1,000 GPUs, all of them together."""
    interrupting = {"gpu", "host", "fabric", "software"}
    total = sum(m.rate for m in MECHANISMS.values() if m.area in interrupting)
    assert 100.0 < total < 500.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cooling: [{id: a, cause: x, title: t, strikes: [pump], begins: at once}]", "moves a quantity"),
        ("cooling: [{id: a, cause: x, title: t, strikes: [pump], begins: at once, moves: [{knob: speed}]}]", "no knob"),
        ("cooling: [{id: a, cause: x, title: t, strikes: [pump], begins: slowly, moves: [{knob: wear_pu, mild: 0.1, severe: 0.5}]}]", "growth times"),
        ("cooling: [{id: a, cause: x, title: t, strikes: [pump], begins: at once, moves: [{knob: wear_pu, severe: 2}]}]", "between"),
        ("sky: [{id: a, cause: x, title: t, strikes: [pump], begins: at once, moves: [{knob: failed}]}]", "area"),
        ("cooling: [&a {id: a, cause: x, title: t, strikes: [pump], begins: at once, moves: [{knob: failed}]}, *a]", "twice"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_the_reason(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "mechanisms.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=says):
        read_mechanisms(file)


def test_relative_moves_are_held_within_the_knob() -> None:
    move = Move(knob="recirculation_pu", relative=True, mild=1.0, severe=100.0)
    mechanism = MECHANISMS["air_recirculates"].model_copy(update={"moves": (move,)})
    plant = steady("demo").copy()
    plant.inject_knob("r-01", "recirculation_pu", 0.1)
    inject(plant, mechanism, "r-01", 1.0)
    assert plant.number("r-01", "recirculation_pu") == FAULT_KNOBS["recirculation_pu"].high
