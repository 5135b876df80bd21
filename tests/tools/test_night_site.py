"""A night behind the adapter: its readings are the night's own until somebody acts, and the plant's afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import pytest

from plant import load_site
from plant.faults.night import Night, compose
from plant.faults.place import parse_fault
from setpoint.contracts import Action
from tools.actions import validate
from tools.night_site import NightSite

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@lru_cache(maxsize=1)
def night() -> Night:
    site = load_site("demo")
    specs = ("pump_trip:cdu-1-pump-a@40m", "sensor_lost:temp-r-05@10m", "clogged_filter:cdu-2@5m")
    return compose(site, 5, hours=1.5, faults=[parse_fault(spec, site) for spec in specs], noise=0)


def at(minutes: float) -> NightSite:
    made = NightSite(night(), lambda: NOW)
    made.pass_to(night().start + timedelta(minutes=minutes))
    return made


def test_untouched_it_reads_what_the_night_read() -> None:
    made = at(60)
    end = 121  # two samples a minute, the first at once
    for key in (
        ("cdu-1", "flow_lpm"),
        ("gpu-03", "gpu_temp_c"),
        ("cdu-2", "filter_dp_kpa"),
        ("pool-chat", "ttft_ms"),
    ):
        series = made.history.series(*key)
        assert series is not None
        own = night().telemetry.values(*key)[:end]
        assert series.values == pytest.approx(own[np.isfinite(own)].tolist(), abs=1e-4)
    live = made.read("gpu-20")
    assert live is not None  # the plant itself went the way of the night's
    assert live.values["power_kw"] == pytest.approx(
        night().telemetry.values("gpu-20", "power_kw")[end - 1], abs=0.2
    )


def test_history_ends_where_the_night_stands() -> None:
    made = at(20)
    series = made.history.series("CDU-1", "flow_lpm")
    assert series is not None
    assert series.times[-1] == night().start + timedelta(minutes=20) == made.now
    assert "filter_dp_kpa" in made.history.metrics("cdu-2")
    assert made.history.series("cdu-1", "nonsense") is None


def test_readings_are_stamped_when_they_are_read() -> None:
    reading = at(41).read("cdu-1")
    assert reading is not None
    assert reading.time == NOW
    assert reading.values["flow_lpm"] < 60
    assert "conductivity_us_cm" in reading.values  # a sensor of what the plant does not compute


def test_what_a_fault_bends_is_read_bent_and_what_is_lost_is_not_read() -> None:
    made = at(35)
    filtered = made.read("cdu-2")
    assert filtered is not None
    assert filtered.values["filter_dp_kpa"] == pytest.approx(
        night().telemetry.values("cdu-2", "filter_dp_kpa")[70]
    )
    assert made.read("temp-r-05") is None
    assert at(5).read("temp-r-05") is not None
    assert made.read("nowhere") is None


def test_an_action_moves_the_plant_and_its_history() -> None:
    made = at(40.5)
    act = validate(Action(name="start_standby_pump", asset="cdu-1-pump-b", args={}), made.site)
    assert made.applied("k") is False
    made.apply(act, "k")
    assert made.applied("k") is True
    assert made.acts == ((night().start + timedelta(minutes=40.5), act),)
    made.settle(60)
    made.pass_to(night().start + timedelta(minutes=45))
    cooled = made.history.series("gpu-03", "gpu_power_w")
    other = made.history.series("gpu-29", "gpu_power_w")
    assert cooled is not None
    assert other is not None
    # Without the act it shut itself down, hot without flow.
    assert np.isnan(night().telemetry.values("gpu-03", "gpu_power_w")[90])
    assert cooled.times[-1] == made.now
    assert cooled.values[-1] > 300
    assert made.twin().number("cdu-1", "flow_lpm") > 100 > night().telemetry.values("cdu-1", "flow_lpm")[90]
    assert other.values == pytest.approx(
        night().telemetry.values("gpu-29", "gpu_power_w")[:91].tolist(), abs=1e-4
    )


def test_a_span_comes_as_one_block_that_ends_now() -> None:
    made = at(20)
    block = made.history.block(night().start + timedelta(minutes=15), night().start + timedelta(minutes=30))
    assert block.values.shape == (len(block.times), len(block.keys)) == (11, len(night().telemetry.series))
    place = block.keys.index(("cdu-1", "flow_lpm"))
    assert block.values[:, place].tolist() == night().telemetry.values("cdu-1", "flow_lpm")[30:41].tolist()


def test_time_does_not_go_back() -> None:
    made = at(30)
    made.pass_to(night().start)
    assert made.now == night().start + timedelta(minutes=30)
    twin = made.twin()
    twin.advance(600)
    assert made.plant.now == made.now


# ---- what its sources write ------------------------------------------------------------------------------------------


def test_untouched_its_lines_are_the_nights_each_once() -> None:
    made = at(39)
    first = made.told()
    made.pass_to(night().start + timedelta(minutes=50))
    second = made.told()
    upto = [line for line in night().events if night().start < line.time <= made.now]
    assert sorted((*first, *second), key=lambda line: line.time) == sorted(upto, key=lambda line: line.time)
    assert made.told() == []


def test_after_an_act_nobody_writes_of_what_it_spared() -> None:
    """Without the pump of reserve GPUs get hot and nodes go down; with it the sources say that the flow is back."""
    made = at(42)
    made.told()
    made.apply(validate(Action(name="start_standby_pump", asset="cdu-1-pump-b", args={}), made.site), "k")
    made.pass_to(night().start + timedelta(minutes=50))
    spared = made.told()
    alone = at(42)
    alone.told()
    alone.pass_to(night().start + timedelta(minutes=50))
    lost = alone.told()
    assert sum("NodeDown" in line.text for line in lost) >= 12
    assert not any("NodeDown" in line.text for line in spared)
    assert any("Coolant flow within its band" in line.text for line in spared)
