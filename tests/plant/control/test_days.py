"""Requests and weather of a site's days: the same for a seed, whoever asks first, and like the rates they were fitted to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from plant.control.days import MOST_PU, Days, FloatArray, Requests, bent
from plant.site import Site, load_site, site_file_of
from setpoint.errors import InputError

DAY = date(2026, 3, 9)


@pytest.fixture(scope="module")
def hall() -> Site:
    return load_site(site_file_of("hall-1024"))


def fortnight(requests: Requests, pool: str) -> FloatArray:
    """Ten-minute means of fourteen days."""
    days = [requests.day_pu(pool, DAY + timedelta(days=k)) for k in range(14)]
    return np.asarray(np.concatenate(days).reshape(-1, 10).mean(axis=1))


def test_any_day_may_be_asked_for_first(hall: Site) -> None:
    forward, backward = Requests(hall, 3), Requests(hall, 3)
    days = [DAY + timedelta(days=k) for k in range(4)]
    one = {day: forward.day_pu("pool-chat", day) for day in days}
    other = {day: backward.day_pu("pool-chat", day) for day in reversed(days)}
    assert all(np.array_equal(one[day], other[day]) for day in days)
    assert not np.array_equal(one[DAY], Requests(hall, 4).day_pu("pool-chat", DAY))
    assert not np.array_equal(one[DAY], forward.day_pu("pool-small", DAY))


def test_no_midnight_jumps(hall: Site) -> None:
    """The step over midnight is no larger than steps within days."""
    requests = Requests(hall, 3)
    days = [requests.day_pu("pool-chat", DAY + timedelta(days=k)) for k in range(40)]
    over = [abs(np.log(b[:10].mean() / a[-10:].mean())) for a, b in pairwise(days)]
    tens = np.log(np.stack(days).reshape(40, -1, 10).mean(axis=2))
    assert np.median(over) < 2 * np.median(np.abs(np.diff(tens, axis=1)))


def test_they_swing_as_the_rates_they_were_fitted_to(hall: Site) -> None:
    """Bands hold the figures of ServeGen's first week and of its fortnight (`plant.control.days_bench`): peak 2.8 to 3.0
    means, ten-minute steps of 0.08 to 0.11, hours of 0.15 to 0.19, days of 0.29 to 0.38, all of the mean."""
    found = []
    for seed in range(8):
        rps = fortnight(Requests(hall, seed), "pool-chat")
        gaps = [np.abs(rps[lag:] - rps[:-lag]).mean() for lag in (1, 6, 144)]
        found.append(np.array([rps.max(), *gaps]) / rps.mean())
    peak, ten_min, hour, day = np.mean(found, axis=0)
    assert 2.2 < peak < 3.2
    assert 0.065 < ten_min < 0.11
    assert 0.13 < hour < 0.20
    assert 0.23 < day < 0.40


def test_the_pool_carries_its_highest_minute(hall: Site) -> None:
    for seed in range(6):
        assert fortnight(Requests(hall, seed), "pool-chat").max() < MOST_PU
    shares = np.array([0.1, 0.75, 0.8, 5.0])
    assert bent(shares)[:2].tolist() == [0.1, 0.75]
    assert 0.75 < bent(shares)[2] < 0.8
    assert bent(shares)[3] == pytest.approx(MOST_PU)


def test_weekends_are_quieter(hall: Site) -> None:
    means: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(10):
        requests = Requests(hall, seed)
        for k in range(14):
            day = DAY + timedelta(days=k)
            means[day.weekday() >= 5].append(requests.day_pu("pool-chat", day).mean())
    assert np.mean(means[True]) < np.mean(means[False])


def test_a_file_of_rates_is_played_in_its_own_shape(hall: Site, tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("t_s,rps\n0,1\n3600,3\n")
    requests = Requests(hall, 3, path)
    day = requests.day_pu("pool-chat", DAY)
    assert day.max() / day.min() == pytest.approx(3.0)
    assert day.mean() == pytest.approx(0.29, rel=0.01)
    path.write_text("t_s,rps\n0,1\n3600,-3\n")
    with pytest.raises(InputError, match="rps"):
        Requests(hall, 3, path)


# ---- weather -----------------------------------------------------------------------------------------------------


def test_july_is_warmer_than_january_and_the_year_has_the_files_mean(hall: Site) -> None:
    days = Days(hall, 5)
    year = [days.air(datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=k)) for k in range(365)]
    dry = np.array([air.dry_mean_c for air in year])
    assert dry[181:212].mean() - dry[:31].mean() == pytest.approx(18.0, abs=4.0)
    assert dry.mean() == pytest.approx(hall.weather.dry_bulb_c, abs=0.8)
    assert all(air.wet_mean_c < air.dry_mean_c for air in year)
    assert {round(air.swing_k, 1) for air in year} > {round(year[0].swing_k, 1)}


def test_weather_does_not_jump(hall: Site) -> None:
    days, at = Days(hall, 5), datetime(2026, 5, 1, tzinfo=UTC)
    dry = [days.air(at + timedelta(minutes=10 * k)).dry_mean_c for k in range(1000)]
    assert np.abs(np.diff(dry)).max() < 0.2
    assert np.ptp(dry) > 3.0
