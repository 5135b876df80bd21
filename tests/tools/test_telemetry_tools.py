"""Tools over the readings of the past, and where those come from: a simulated plant's ring, or events of the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from syrupy.assertion import SnapshotAssertion

from setpoint.contracts import Event
from tests.tools.bench import NIGHT, Bench
from tests.tools.plant_cases import site
from tools.recorded import EventHistory
from tools.telemetry import Kept, quality
from tools.telemetry_tools import telemetry_tools


@pytest.fixture
def tools(bench: Bench) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in telemetry_tools(bench.site, bench.adapter.history, bench.clock)}


def flow(bench: Bench) -> tuple[float, ...]:
    series = bench.adapter.history.series("cdu-1", "flow_lpm")
    assert series is not None
    return series.values


def test_schemas(tools: dict[str, BaseTool], snapshot: SnapshotAssertion) -> None:
    assert [convert_to_openai_tool(tool) for tool in tools.values()] == snapshot


def test_readings_are_kept_each_ten_seconds_as_time_passes(bench: Bench) -> None:
    for _ in range(100):
        bench.clock.forward(3)
        bench.adapter.read("cdu-1")
    series = bench.adapter.history.series("CDU-1", "flow_lpm")
    assert series is not None
    assert [(t - NIGHT).total_seconds() for t in series.times] == [10.0 * k for k in range(31)]
    assert set(series.values) == {150.0}
    assert bench.adapter.history.series("cdu-1", "humidity") is None
    assert bench.adapter.history.series("bmc-01", "flow_lpm") is None


def test_a_fault_shows_in_the_past(bench: Bench, tools: dict[str, BaseTool]) -> None:
    bench.clock.forward(600)
    bench.adapter.inject("coolant_pump_failure", "cdu-1-pump-a")
    bench.clock.forward(600)
    found = tools["telemetry_history"].invoke({"asset": "cdu-1", "metric": "flow_lpm", "minutes": 30})
    assert (found["greatest"], found["readings"]) == (150.0, 121)
    assert found["last"] < 1
    assert len(found["points"]) <= 60
    assert list(found["points"][0]) == ["2026-03-14T21:00:00+00:00", 150.0]


def test_two_hours_are_kept_and_no_more(bench: Bench) -> None:
    for _ in range(6):
        bench.clock.forward(1800)
        bench.adapter.read("cdu-1")
    series = bench.adapter.history.series("cdu-1", "flow_lpm")
    assert series is not None
    assert len(series.values) == 720
    assert bench.clock() - series.times[0] <= timedelta(hours=2)


def test_after_a_long_sleep_the_last_hour_is_there(bench: Bench) -> None:
    bench.clock.forward(5 * 86400)
    bench.adapter.read("cdu-1")
    series = bench.adapter.history.series("cdu-1", "flow_lpm")
    assert series is not None
    found = quality(series, bench.clock() - timedelta(hours=1), bench.clock())
    assert (found.readings, found.coverage_pu) == (361, 1.0)


def test_a_lost_sensor_leaves_a_gap_and_a_lying_one_is_recorded_as_it_says(bench: Bench) -> None:
    bench.adapter.inject("sensor_lost", "cdu-1")
    bench.adapter.inject("sensor_offset.flow_lpm", "cdu-2", value=-20.0)
    bench.clock.forward(300)
    assert len(flow(bench)) == 1, "only that of before"
    lying = bench.adapter.history.series("cdu-2", "flow_lpm")
    assert lying is not None
    assert lying.values[-1] == 130.0


def test_what_settling_ran_ahead_is_not_told_before_its_time(bench: Bench) -> None:
    bench.adapter.settle(300)
    assert len(flow(bench)) == 1
    bench.clock.forward(300)
    assert len(flow(bench)) == 31


def test_a_twin_is_the_plant_of_now_and_moves_alone(bench: Bench) -> None:
    bench.clock.forward(60)
    twin = bench.adapter.twin()
    assert twin.now == bench.clock()
    before = bench.plant.to_dict()
    twin.inject("coolant_pump_failure", "cdu-1-pump-a")
    twin.advance(60)
    assert bench.plant.to_dict() == before


def test_quality_says_what_the_readings_can_carry(bench: Bench, tools: dict[str, BaseTool]) -> None:
    bench.clock.forward(3600)
    good = tools["telemetry_quality"].invoke({"asset": "cdu-1", "purpose": "peak_shaving"})
    assert good["fit"]
    assert {one["step_s"] for one in good["metrics"]} == {10.0}
    spikes = tools["telemetry_quality"].invoke({"asset": "cdu-1", "purpose": "power_spikes"})
    assert not spikes["fit"]
    assert "needs one in 0.5 s or less" in spikes["metrics"][0]["why"]
    none = tools["telemetry_quality"].invoke({"asset": "bmc-01"})
    assert (none["fit"], none["metrics"]) == (False, [])
    assert "nothing to rest on" in none["note"]


@pytest.mark.parametrize(
    ("tool", "args", "words"),
    [
        ("telemetry_history", {"asset": "cdu-9"}, "no asset 'cdu-9'"),
        ("telemetry_history", {"asset": "cdu-1", "metric": "heat"}, "there are flow_"),
        ("telemetry_history", {"asset": "cdu-1", "minutes": 0}, "greater than or equal to 1"),
        ("telemetry_quality", {"asset": "cdu-9"}, "no asset 'cdu-9'"),
        ("telemetry_quality", {"asset": "cdu-1", "purpose": "fun"}, "purpose"),
    ],
)
def test_what_the_caller_can_mend_is_said(
    tools: dict[str, BaseTool], tool: str, args: dict[str, Any], words: str
) -> None:
    answer = tools[tool].invoke(args)
    assert isinstance(answer, str)
    assert words in answer


def test_without_a_metric_those_there_are_are_listed(tools: dict[str, BaseTool]) -> None:
    assert "flow_lpm" in tools["telemetry_history"].invoke({"asset": "cdu-1"})["metrics"]
    gone = telemetry_tools(site("demo"), Kept({}), lambda: NIGHT)[0]
    assert gone.invoke({"asset": "cdu-1"})["metrics"] == []


# ---- events ------------------------------------------------------------------------------------------------------


def event(
    number: int, asset: str, minutes_ago: float, value: float | None, metric: str | None = "temp_c"
) -> Event:
    time = NIGHT - timedelta(minutes=minutes_ago)
    return Event(id=f"ev-{number}", time=time, received=time, asset=asset, source="bms", kind="", message="read",
                 metric=metric, value=value)  # fmt: skip


def test_numeric_events_make_a_history(bench: Bench) -> None:
    bench.ledger.accept(
        [event(n, "gpu-03.dc1:9400" if n % 2 else "gpu-03", 30 - n, 60.0 + n) for n in range(30)]
    )
    bench.ledger.accept([event(100, "gpu-03", 5, None), event(101, "gpu-03", 5, 1.0, None)])
    bench.ledger.accept([event(102, "gpu-03", 20 * 1440, 99.0)])
    history = EventHistory(bench.ledger, bench.site, bench.clock)
    assert history.metrics("GPU-03") == ["temp_c"]
    series = history.series("gpu-03", "temp_c")
    assert series is not None
    assert series.values == tuple(60.0 + n for n in range(30))
    assert history.series("gpu-04", "temp_c") is None


def test_new_events_are_seen_after_a_while(bench: Bench) -> None:
    history = EventHistory(bench.ledger, bench.site, bench.clock)
    assert history.metrics("gpu-03") == []
    bench.ledger.accept([event(1, "gpu-03", 1, 70.0)])
    bench.clock.forward(60)
    assert history.metrics("gpu-03") == ["temp_c"]
