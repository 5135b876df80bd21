"""The site of the exam differs from its file as much as it says, and is sound."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.exam.effects import lagging
from evals.exam.site import CONSTANTS, FURTHEST, CaseSite, overloaded, vary, with_fields
from plant import load_site
from plant.faults.night import compose
from plant.sim import Plant

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def test_every_constant_stands_still_while_the_plant_runs() -> None:
    plant = Plant.start(load_site("demo"), NOON)
    before = {
        (k, c): getattr(plant.store.tables, k)[c].copy() for k, names in CONSTANTS.items() for c in names
    }
    plant.inject_knob("cdu-1-pump-a", "failed", 1.0)
    plant.advance(1800)
    for (kind, column), values in before.items():
        assert np.array_equal(getattr(plant.store.tables, kind)[column], values), (kind, column)


def test_constants_are_off_by_a_tenth_to_a_fifth_and_never_far_off() -> None:
    site, off = load_site("demo"), []
    usual = Plant.start(site, NOON)
    for seed in range(20):
        plant = Plant.start(site, NOON)
        vary(plant, np.random.default_rng(seed))
        for kind, columns in CONSTANTS.items():
            for column in columns:
                was, now = (getattr(one.store.tables, kind)[column] for one in (usual, plant))
                off.append(np.log(now[was > 0] / was[was > 0]))
    spread = np.concatenate(off)
    assert 0.10 < np.std(spread) < 0.20
    assert np.max(np.abs(spread)) <= np.log(FURTHEST) + 1e-9


@pytest.mark.parametrize("name", ["demo", "lab-16"])
def test_it_keeps_its_limits_and_nothing_alarms_on_a_quiet_day(name: str) -> None:
    site = load_site(name)
    for seed in (1, 2, 3):
        ground = CaseSite(site, seed)
        assert not overloaded(ground.plant(ground.site(site), NOON))
        assert compose(site, seed, hours=1.0, faults=0, ground=ground).crossed == ()


def test_the_model_of_the_file_does_not_reproduce_it() -> None:
    site = load_site("demo")
    as_written = compose(site, 5, hours=1.0, faults=0).telemetry.series
    real = compose(site, 5, hours=1.0, faults=0, ground=CaseSite(site, 5)).telemetry.series
    apart = [
        abs(np.nanmedian(real[key]) / np.nanmedian(as_written[key]) - 1)
        for key in as_written
        if key[1] in ("power_kw", "gpu_temp_c", "heat_kw", "load_kw") and np.nanmedian(as_written[key]) > 1
    ]
    assert 0.01 < float(np.median(apart)) < 0.3


def test_names_and_kinds_stay_and_some_things_stand_elsewhere() -> None:
    site = load_site("demo")
    for seed in range(12):
        ground = CaseSite(site, seed)
        real = ground.site(site)
        assert [(a.name, a.kind) for a in real.assets] == [(a.name, a.kind) for a in site.assets]
        moved = [a.name for a, b in zip(real.assets, site.assets, strict=True) if a.on != b.on]
        assert 1 <= len(moved) <= 8
        assert 2 <= len(ground.differs) <= 4
        assert all(any(name in text for text in ground.differs) for name in moved)


def test_a_changed_site_forgets_what_was_worked_out_for_the_old_one() -> None:
    site = load_site("demo")
    assert "gpu-01" in site.downstream("r-01")
    bare = tuple(a.model_copy(update={"on": ()}) if a.name == "gpu-01" else a for a in site.assets)
    assert "gpu-01" not in with_fields(site, assets=bare).downstream("r-01")


def test_the_same_seed_gives_the_same_night() -> None:
    site = load_site("demo")
    one, other = (compose(site, 9, hours=0.5, faults=1, ground=CaseSite(site, 9)) for _ in range(2))
    assert one.events == other.events
    assert all(
        np.array_equal(v, other.telemetry.series[k], equal_nan=True) for k, v in one.telemetry.series.items()
    )


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40), st.floats(1.0, 300.0))
def test_a_slow_sensor_stays_within_what_it_has_felt(values: list[float], lag_s: float) -> None:
    shown = lagging(np.array(values), np.arange(len(values)) * 30.0, lag_s)
    for number, value in enumerate(shown):
        assert min(values[: number + 1]) - 1e-6 <= value <= max(values[: number + 1]) + 1e-6


def test_a_slow_sensor_arrives_in_the_end() -> None:
    assert lagging(np.array([0.0] + [1.0] * 60), np.arange(61) * 30.0, 60.0)[-1] == pytest.approx(
        1.0, abs=1e-6
    )
