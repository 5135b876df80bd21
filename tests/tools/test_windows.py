from datetime import UTC, datetime, timedelta

import numpy as np

from plant import load_site
from plant.sim import Plant
from tools.recorded import PlantHistory
from tools.telemetry import Kept
from tools.windows import Gridded, last_read, readings

START = datetime(2026, 3, 14, 21, tzinfo=UTC)
SITE = load_site("demo")
FLOW, TEMP = ("cdu-1", "flow_lpm"), ("cdu-1", "return_temp_c")


def gridded(until=None):
    times_s = np.arange(0.0, 601.0, 30.0)
    flow = np.linspace(100.0, 200.0, len(times_s))
    temp = np.full(len(times_s), 40.0)
    temp[10:] = np.nan
    return Gridded(START, times_s, {FLOW: flow, TEMP: temp}, until)


def test_a_grid_holds_the_last_reading_while_it_is_fresh():
    times_s, series = readings(gridded(), SITE, START, START + timedelta(seconds=600), 10.0)
    assert len(times_s) == 61
    assert series[FLOW][5] == series[FLOW][3] == 105.0
    assert np.isfinite(series[TEMP][30])
    assert np.isnan(series[TEMP][40])


def test_all_kinds_of_history_give_the_same_grid():
    block = gridded()
    kept = Kept.of(
        (asset, metric, time, value)
        for asset, metric in (FLOW, TEMP)
        for time, value in zip(
            block.series(asset, metric).times, block.series(asset, metric).values, strict=True
        )
    )
    end = START + timedelta(seconds=600)
    _, one = readings(block, SITE, START, end, 30.0)
    _, other = readings(kept, SITE, START, end, 30.0)
    assert set(one) == set(other)
    assert all(np.array_equal(one[key], other[key], equal_nan=True) for key in one)


def test_nothing_later_than_its_moment_is_told():
    moment = START + timedelta(seconds=300)
    past = gridded().upto(moment)
    _, series = readings(past, SITE, START, START + timedelta(seconds=600), 30.0)
    assert np.nanmax(series[FLOW]) == 150.0
    assert past.series(*FLOW).times[-1] == moment
    assert last_read(past, SITE, START + timedelta(seconds=600)) == moment


def test_a_plant_tells_its_readings_in_one_block():
    plant = Plant.start(SITE, START)
    history = PlantHistory(plant, lambda: plant.now)
    for _ in range(12):
        history.take(plant)
        plant.advance(10.0)
    _, series = readings(history, SITE, START, plant.now, 10.0)
    own = history.series(*FLOW)
    assert len(series) > 500
    assert series[FLOW][5] == own.values[5]


def test_an_empty_history_gives_nothing():
    _, series = readings(Kept({}), SITE, START, START + timedelta(seconds=60), 30.0)
    assert series == {}
    assert last_read(Kept({}), SITE, START) == START
