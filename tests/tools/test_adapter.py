"""The simulated site keeps its state on disk and its readings in our time."""

from __future__ import annotations

from pathlib import Path

import pytest

from setpoint.errors import BackendError
from tests.tools.bench import Bench, action
from tools.actions import validate
from tools.adapter import SimulatedSite


def test_it_follows_the_clock(bench: Bench) -> None:
    bench.adapter.inject("coolant_pump_failure", "cdu-1-pump-a")
    bench.clock.forward(20)
    assert bench.reading("cdu-1", "flow_lpm") < 1


def test_readings_are_fresh_after_settling_ahead_of_the_clock(bench: Bench) -> None:
    bench.adapter.settle(300)
    reading = bench.adapter.read("cdu-1")
    assert reading is not None
    assert reading.time == bench.clock()


def test_a_lost_sensor_grows_old(bench: Bench) -> None:
    bench.adapter.inject("sensor_lost", "cdu-1")
    bench.clock.forward(50)
    reading = bench.adapter.read("cdu-1")
    assert reading is not None
    assert (bench.clock() - reading.time).total_seconds() == pytest.approx(50)


def test_it_survives_a_restart(bench: Bench, tmp_path: Path) -> None:
    cap = validate(action("cap_gpu_power", "gpu-20", cap_w=400.0), bench.site)
    bench.adapter.apply(cap, "k1")
    again = SimulatedSite(bench.site, bench.clock, tmp_path / "plant.json")
    assert again.applied("k1") is True
    assert again.applied("k2") is False
    found = again.read("gpu-20")
    assert found is not None
    assert found.values["power_cap_w"] == 400.0


def test_unknown_assets_and_assets_without_sensors_have_no_reading(bench: Bench) -> None:
    assert bench.adapter.read("nowhere") is None
    assert bench.adapter.read("bmc-01") is None


def test_a_damaged_file_says_what_to_do(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(BackendError, match="Remove the file"):
        SimulatedSite(bench.site, bench.clock, tmp_path / "broken.json")
