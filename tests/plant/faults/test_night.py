"""Composed nights: the same bytes for the same seed, every line readable, nothing of the truth in a line."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from plant.faults.catalog import load_catalog
from plant.faults.night import Night, compose
from plant.faults.place import parse_fault, reach
from plant.faults.telling import SETTLE_S
from plant.site import Site, load_site
from setpoint.contracts import Event
from setpoint.errors import UsageError
from setpoint.intake import read

SITES = Path(__file__).parents[3] / "plant" / "sites"


@cache
def site(name: str) -> Site:
    return load_site(SITES / f"{name}.yaml")


@cache
def night(name: str = "demo", seed: int = 3, hours: float = 5.0, faults: int = 10) -> Night:
    return compose(site(name), seed, hours, faults)


def written(folder: Path, seed: int) -> dict[str, bytes]:
    paths = compose(site("lab-16"), seed, 2.0, 5).write(folder)
    return {path.name: path.read_bytes() for path in paths}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (written(tmp_path / str(n), seed) for n, seed in enumerate((4, 4, 5)))
    assert first == again
    assert all(first[name] != other[name] for name in first)


@pytest.mark.parametrize("name", ["demo", "lab-16"])
def test_intake_reads_every_line_but_the_damaged(name: str) -> None:
    one = night(name)
    for line in one.events:
        items = list(read(line.text.encode() + b"\n", origin="night", zone=one.site.zone, received=line.time))
        good = len(items) == 1 and isinstance(items[0], Event)
        assert good == (line.story != "damaged"), line.text
        if isinstance(items[0], Event):
            assert not {"unknown-unit", "contradiction", "unknown-severity"} & set(items[0].flags), line.text
            assert "nan" not in items[0].message.lower().split()


def test_no_truth_in_a_line() -> None:
    names = [name for f in load_catalog().values() for name in (f.id, f.cause) if "_" in name]
    for line in night().events:
        assert not re.search(r"story|simulat|inject|gold|truth|severity_pu", line.text)
        assert not [name for name in names if re.search(rf"\b{name}\b", line.text)], line.text


def test_a_fault_night_measures_what_a_quiet_night_measures() -> None:
    """Which sensors there are must not tell which night it is."""
    quiet = compose(site("lab-16"), 9, 1.0, 0, noise=5)
    assert set(quiet.telemetry.series) == set(night("lab-16").telemetry.series)
    assert {line.story for line in quiet.events} <= {"noise", "damaged"}


def test_every_fault_is_told_and_its_truth_is_known() -> None:
    one = night()
    told = Counter(line.story for line in one.events)
    assert len(one.plans) == 10
    for plan, truth in zip(one.plans, one.truth()["faults"], strict=True):
        assert told[plan.story] == truth["lines"] > 0
        assert truth["cause"] == plan.fault.cause
    assert {line.priority for line in one.events if line.story != "damaged"} == {"P0", "P1", "P2", "P3"}
    assert not {line.story for line in one.events} - {plan.story for plan in one.plans} - {"noise", "damaged"}


def test_no_two_faults_mask_each_other() -> None:
    plans = night().plans
    for number, one in enumerate(plans):
        for other in plans[number + 1 :]:
            later = other.at_s - other.fault.lead_s
            if one.end_s is None or later <= one.end_s + SETTLE_S:
                assert reach(one, site("demo")).isdisjoint(reach(other, site("demo"))), (
                    one.story,
                    other.story,
                )


def test_lines_arrive_late_twice_and_broken() -> None:
    one = compose(site("lab-16"), 2, 8.0, 4, noise=900)
    texts = Counter(line.text for line in one.events)
    assert sum(count > 1 for count in texts.values()) >= 4
    assert any(line.story == "damaged" for line in one.events)
    stamps = [
        m[1]
        for line in one.events
        if (m := re.match(r"<\d+>1 (\S+) ", line.text)) and line.story != "damaged"
    ]
    assert stamps != sorted(stamps)
    assert [line.time for line in one.events] == sorted(line.time for line in one.events)


def test_readings_in_lines_are_readings_of_the_telemetry() -> None:
    """A BMS line's value is what the sensor's series holds within a sample of it."""
    one, checked = night(), 0
    for line in one.events:
        if line.text.startswith("{") and line.story not in ("noise", "damaged"):
            said = json.loads(line.text)
            if "metric" in said:
                values = one.telemetry.values(said["host"], said["metric"])
                at = (line.time - one.start) / timedelta(seconds=1)
                near = np.abs(one.telemetry.times_s - at) <= 130
                assert np.isclose(values[near], said["value"]).any(), line.text
                checked += 1
    assert checked >= 5


def test_a_named_fault_on_a_named_asset_at_a_named_time() -> None:
    plan = parse_fault("pump_trip:cdu-1-pump-a@20m", site("demo"))
    one = compose(site("demo"), 1, 1.0, [plan], noise=0)
    flow = one.telemetry.values("cdu-1", "flow_lpm")
    times = one.telemetry.times_s
    assert flow[times < 1200].min() > 100
    assert flow[times > 1260].max() < 10
    crossed = set(one.rules_of(plan))
    assert {"cdu-flow-low", "gpu-hot"} <= crossed
    hot = [line for line in one.events if "GpuTemperatureHigh" in line.text and '"firing"' in line.text]
    nodes = {json.loads(line.text)["alerts"][0]["labels"]["instance"] for line in hot}
    assert nodes
    assert nodes <= {f"gpu-{number:02d}" for number in range(1, 13)}
    assert all((line.time - one.start).total_seconds() > 1200 for line in hot)


def test_a_node_that_is_down_reports_nothing() -> None:
    plan = parse_fault("host_crash:gpu-1@10m", site("lab-16"))
    one = compose(site("lab-16"), 1, 0.5, [plan], noise=0)
    dead = one.telemetry.times_s > 700
    assert np.isnan(one.telemetry.values("gpu-1", "gpu_temp_c")[dead]).all()
    assert (one.telemetry.values("gpu-1", "up")[dead] == 0).all()


def test_a_clock_that_runs_away_shows_in_its_own_lines() -> None:
    fault = load_catalog()["clock_skew"].model_copy(update={"ramp_s": 60.0})
    plan = parse_fault("clock_skew:gpu-1@10m", site("lab-16"))
    plan = type(plan)(fault, plan.asset, plan.at_s, 1.0)
    one = compose(site("lab-16"), 1, 1.2, [plan], noise=0)
    own = next(line for line in one.events if "not adjusted" in line.text)
    stamp = re.match(r"<\d+>1 (\S+) ", own.text)
    assert stamp
    assert stamp[1] > own.time.strftime("%Y-%m-%dT%H:%M:%S.%f")


def test_the_written_table_reads_back(tmp_path: Path) -> None:
    one = night("lab-16")
    one.write(tmp_path)
    with (tmp_path / "telemetry.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    temps = [
        float(r["value"]) for r in rows if (r["asset"], r["metric"]) == ("r-1", "inlet_temp_c") and r["value"]
    ]
    assert 15 < min(temps) <= max(temps) < 45
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert len(truth["lines"]) == len((tmp_path / "events.log").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"faults": ["pump_trip"]}, "fits nothing"),
        ({"faults": ["no_such"]}, "fits nothing"),
        ({"hours": 0}, "0 h"),
        ({"hours": float("nan")}, "nan h"),
        ({"sample_s": 0}, "every 0"),
        ({"hours": 0.3, "faults": ["host_crash"]}, "no room"),
    ],
)
def test_wrong_arguments_say_what_fits(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        compose(site("lab-16"), 1, **arguments)  # type: ignore[arg-type]
