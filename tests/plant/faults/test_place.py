"""Faults written on a command line fall where they fit, and say what would fit where they do not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from plant.faults.catalog import Target, load_catalog
from plant.faults.place import fitting, parse_fault, reach, targets
from plant.site import Site, load_site
from setpoint.errors import UsageError

SITES = Path(__file__).parents[3] / "plant" / "sites"
START = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)  # 22:00 in Berlin


@pytest.fixture(scope="module")
def demo() -> Site:
    return load_site(SITES / "demo.yaml")


@pytest.mark.parametrize(
    ("spec", "asset", "at_s"),
    [
        ("pump_trip@cdu-1-pump-a@600s", "cdu-1-pump-a", 600),
        ("pump_trip:cdu-2-pump-a@10m", "cdu-2-pump-a", 600),
        ("pump_trip@90", "cdu-1-pump-a", 90),
        ("gpu_off_bus:GPU-19@1h30m", "gpu-19", 5400),
        ("feed_lost:feed-b@23:15", "feed-b", 4500),
        ("feed_lost:feed-b@01:00", "feed-b", 10800),
    ],
)
def test_a_written_fault_becomes_a_plan(demo: Site, spec: str, asset: str, at_s: float) -> None:
    plan = parse_fault(spec, demo, START)
    assert (plan.asset, plan.at_s, plan.end_s) == (asset, at_s, None)
    low, high = plan.fault.severity
    assert low <= plan.severity <= high


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("pump_tripp@10m", "pump_trip"),
        ("pump_trip:cdu-1@10m", "cdu-1-pump-a"),
        ("pump_trip:cdu-9-pump-a@10m", "none of that name"),
        ("pump_trip", "pump_trip@10m"),
        ("pump_trip@-5", "before the run"),
        ("pump_trip@10C", "temperature"),
        ("pump_trip@nan", "HH:MM"),
        ("pump_trip@25:10", "no time of this run"),
        ("", "no fault to inject"),
    ],
)
def test_a_wrong_one_says_what_would_fit(demo: Site, spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_fault(spec, demo, START)


def test_a_clock_time_needs_a_start(demo: Site) -> None:
    with pytest.raises(UsageError):
        parse_fault("pump_trip@23:15", demo)


def test_a_fault_without_a_place_on_the_site_says_so() -> None:
    with pytest.raises(UsageError, match="has no pump"):
        parse_fault("pump_trip@10m", load_site(SITES / "lab-16.yaml"))


def test_targets_follow_the_topology(demo: Site) -> None:
    assert targets(demo, "cdu-1-pump-a", Target(on="down cdu")) == ["cdu-1"]
    assert targets(demo, "gpu-07", Target(on="down bmc|self")) == ["bmc-07"]
    assert targets(demo, "r-07", Target(on="up cdu|self")) == ["r-07"]
    assert targets(demo, "feed-b", Target(on="down pdu", most=3)) == ["pdu-01b", "pdu-02b", "pdu-03b"]
    assert targets(demo, "gpu-01", Target(on="scheduler")) == ["sched-1"]
    assert targets(demo, "gpu-01", Target(on="down pump")) == []
    assert targets(demo, "pdu-05a", Target(on="child rack > child gpu_node")) == [
        f"gpu-{n}" for n in range(17, 21)
    ]
    assert targets(demo, "ib-spine-1", Target(on="child gpu_node")) == []
    assert targets(demo, "ib-spine-1", Target(on="child link"))[0] == "ib-link-l1-s1"


def test_air_cooled_racks_have_no_valve_to_stick(demo: Site) -> None:
    assert fitting(load_catalog()["stuck_valve"], demo) == [f"r-0{number}" for number in range(1, 7)]


def test_a_pump_that_stands_by_cannot_trip(demo: Site) -> None:
    assert fitting(load_catalog()["pump_trip"], demo) == ["cdu-1-pump-a", "cdu-2-pump-a"]


def test_a_pump_reaches_its_loop_and_no_other(demo: Site) -> None:
    found = reach(parse_fault("pump_trip:cdu-1-pump-a@0", demo), demo)
    assert {"cdu-1-pump-a", "cdu-1", "r-01", "gpu-12"} <= found
    assert not found & {"cdu-2", "gpu-13", "feed-a"}
