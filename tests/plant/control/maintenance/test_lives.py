"""Simulated lives: the laws they follow and what a record shows of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plant.control.maintenance.lives import SHIFTED, USUAL, fleet, wear_path
from plant.control.maintenance.parts import DAYS_A_YEAR, PARTS

FROM_NEW = replace(USUAL, oldest_days=0.0, by_calendar=0.0, record_days=1e9)


@pytest.mark.parametrize("name", list(PARTS))
def test_a_record_is_of_units_alive_when_it_begins(name: str) -> None:
    kind = PARTS[name]
    lives = fleet(kind, 15, 3)
    assert len(lives) == 15
    for life in lives:
        assert life.from_days < life.ended_days <= life.fails_days
        assert life.ended_days <= life.from_days + USUAL.record_days
        assert (life.days >= life.from_days).all()
        assert (life.days < life.ended_days).all()
        assert life.failed == (life.ended_days == life.fails_days)
        for metric, values in life.readings.items():
            told = values[np.isfinite(values)]
            assert (told >= kind.by_metric[metric].least).all()
            assert (told <= kind.by_metric[metric].most).all()


def test_the_same_seed_gives_the_same_lives() -> None:
    first, again = (fleet(PARTS["pump_bearing"], 5, 9) for _ in range(2))
    other = fleet(PARTS["pump_bearing"], 5, 10)
    assert [life.fails_days for life in first] == [life.fails_days for life in again]
    assert [life.fails_days for life in first] != [life.fails_days for life in other]


def test_wear_that_feeds_on_itself_shows_late_and_clogging_from_the_first_day() -> None:
    rng = np.random.default_rng(1)
    _, damage = wear_path(PARTS["pump_bearing"], 0.0, rng)
    assert damage[len(damage) // 2] < 0.1
    assert damage[-1] >= 1.0
    _, clogged = wear_path(PARTS["air_filter"], 0.0, rng)
    assert 0.2 < clogged[len(clogged) // 2] < 0.6
    assert (np.diff(clogged) > 0).all()


def test_stress_and_pace_shorten_lives() -> None:
    kind = PARTS["pump_bearing"]
    calm, stressed, hard = (
        np.median([life.fails_days for life in fleet(kind, 120, 4, setting)])
        for setting in (FROM_NEW, replace(FROM_NEW, stress_mean=0.5), replace(SHIFTED, oldest_days=0.0, by_calendar=0.0, record_days=1e9))
    )  # fmt: skip
    assert stressed < 0.75 * calm
    assert hard < calm


def test_gpus_fail_about_as_often_as_the_source_says() -> None:
    """9.1 % of GPUs a year (Llama 3, 16,384 H100)."""
    lives = fleet(PARTS["gpu_memory"], 1000, 5, replace(USUAL, by_calendar=0.0, record_days=DAYS_A_YEAR))
    share = np.mean([life.failed for life in lives])
    assert share == pytest.approx(0.091, abs=0.03)


def test_battery_cells_fade_as_the_plants_battery_does() -> None:
    from plant.power.ess import health_at_age

    rng = np.random.default_rng(2)
    ages, damage = zip(*(wear_path(PARTS["ess_cells"], 0.0, rng) for _ in range(60)), strict=True)
    at_four = [float(np.interp(4 * DAYS_A_YEAR, a, d)) for a, d in zip(ages, damage, strict=True)]
    expected = (1.0 - health_at_age(4.0, 26.0, soc_pct=55.0, cycles_per_day=0.8).soh_pu) / 0.20
    assert np.median(at_four) == pytest.approx(expected, rel=0.12)
