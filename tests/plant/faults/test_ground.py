"""The real site under a night may differ from its file in every way a ground can."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from plant import load_site
from plant.faults.effects import Hand
from plant.faults.ground import Ground
from plant.faults.night import Night, compose
from plant.faults.place import FaultPlan
from plant.faults.sensors import Series
from plant.sim import Plant
from plant.site import Site


class Odd(Ground):
    """Warm, noiseless, late, and one sensor is mute."""

    late_pu, late_s = 1.0, (100.0, 200.0)

    def plant(self, site: Site, start: datetime) -> Plant:
        plant = super().plant(site, start)
        plant.store.tables.cdu["supply_setpoint_c"] += 3.0
        plant.advance(3600)
        plant.skip_to(start)
        return plant

    def drift(self, hand: Hand, at_s: float) -> None:
        hand.set_usual("pool-chat", "arrival_rps", 1.0 + at_s / 3600)

    def felt(self, series: Series, times_s: Any) -> None:
        series["cdu-1", "flow_lpm"] = series["cdu-1", "flow_lpm"] + 40.0

    def noise_pu(self, asset: str, metric: str) -> float:
        return 0.0

    def read(self, series: Series, times_s: Any, plans: Sequence[FaultPlan]) -> None:
        series["temp-r-01", "temp_c"] = np.full(len(times_s), np.nan)
        series["temp-r-01", "temp_c"][0] = 24.0


def _quiet(ground: Ground | None = None) -> Night:
    return compose(load_site("demo"), 4, hours=0.5, faults=0, noise=20, ground=ground)


def test_without_a_ground_the_site_is_as_written() -> None:
    plain, same = _quiet(), _quiet(Ground())
    assert [line.text for line in plain.events] == [line.text for line in same.events]
    assert all(
        np.array_equal(plain.telemetry.series[key], values) for key, values in same.telemetry.series.items()
    )


def test_each_difference_shows_where_it_should() -> None:
    plain, odd = _quiet().telemetry.series, _quiet(Odd()).telemetry.series
    assert np.mean(odd["cdu-1", "supply_temp_c"] - plain["cdu-1", "supply_temp_c"]) > 2.5
    assert np.mean(odd["cdu-1", "flow_lpm"] - plain["cdu-1", "flow_lpm"]) > 35
    assert abs(np.mean(odd["cdu-2", "flow_lpm"] - plain["cdu-2", "flow_lpm"])) < 5
    assert np.all(np.diff(odd["pool-chat", "arrival_rps"]) >= 0)
    assert np.std(odd["feed-a", "voltage_v"]) < np.std(plain["feed-a", "voltage_v"])


def test_monitoring_sees_what_arrives_and_lines_come_as_late_as_the_ground_has_them() -> None:
    odd = _quiet(Odd())
    assert any("No reading from temp-r-01" in line.text for line in odd.events)
    plain = {line.text: line.time for line in _quiet().events if line.story == "noise"}
    late = [(line.time - plain[line.text]).total_seconds() for line in odd.events if line.text in plain]
    assert late
    assert all(99 <= seconds <= 246 for seconds in late)  # a doubled line comes up to 45 s after the late one
