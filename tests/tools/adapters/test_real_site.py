"""A real site behind the executor's seam: joined readings, the write switch, keys that survive a kill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from plant.site import Site
from setpoint.contracts import Action
from setpoint.errors import BackendError, ConfigError
from tools.adapters.config import load_adapters
from tools.adapters.ports import Health
from tools.adapters.real_site import RealSite, make_adapters, open_real_site
from tools.readings import Reading

Clock = Callable[[], datetime]
FLOW = Action(name="set_coolant_flow", asset="cdu-1", args={"flow_lpm": 240.0})


class Panel:
    """A device kept in memory: what an adapter of one's own looks like."""

    def __init__(self, name: str, clock: Clock, age_s: float = 0.0, **values: float) -> None:
        self.name, self.values, self.down = name, dict(values), False
        self._clock, self._age = clock, timedelta(seconds=age_s)
        self.written: list[str] = []

    def read(self, asset: str) -> Reading | None:
        if self.down:
            raise BackendError("cannot be reached", where=self.name)
        return Reading(asset, self._clock() - self._age, dict(self.values)) if asset == "cdu-1" else None

    def assets(self) -> Sequence[str]:
        return ("cdu-1",)

    def check(self) -> Health:
        return Health(self.name, not self.down, "")

    def can(self, action: Action) -> bool:
        return action.name == "set_coolant_flow"

    def preview(self, action: Action) -> str:
        return f"flow = {action.args['flow_lpm']}"

    def apply(self, action: Action, key: str) -> None:
        if self.down:
            raise BackendError("cannot be reached", where=self.name)
        self.written.append(key)
        self.values["flow_setpoint_lpm"] = float(action.args["flow_lpm"])

    def close(self) -> None:
        return None


def site_of(demo: Site, clock: Clock, folder: Path, *panels: Panel, write: bool = True) -> RealSite:
    return RealSite(
        demo, panels, write=write, journal=folder / "keys.jsonl", clock=clock, sleep=lambda _s: None
    )


def test_sources_are_joined_the_first_wins_and_the_oldest_part_tells_the_age(
    demo: Site, clock: Clock, tmp_path: Path
) -> None:
    plc = Panel("plc", clock, flow_lpm=200.0)
    store = Panel("store", clock, age_s=50.0, flow_lpm=150.0, return_temp_c=39.0)
    site = site_of(demo, clock, tmp_path, plc, store)
    reading = site.read("cdu-1")
    assert reading is not None
    assert reading.values == {"flow_lpm": 200.0, "return_temp_c": 39.0}
    assert (clock() - reading.time).total_seconds() == 50
    assert site.read("cdu-2") is None


def test_a_source_that_fails_is_named_and_the_rest_is_read(demo: Site, clock: Clock, tmp_path: Path) -> None:
    plc, store = Panel("plc", clock, flow_lpm=200.0), Panel("store", clock, return_temp_c=39.0)
    site = site_of(demo, clock, tmp_path, plc, store)
    plc.down = True
    reading = site.read("cdu-1")
    assert reading is not None
    assert reading.values == {"return_temp_c": 39.0}
    assert site.failed == {"plc": "plc: cannot be reached"}
    plc.down = False
    site.read("cdu-1")
    assert site.failed == {}


def test_nothing_is_written_without_the_switch(demo: Site, clock: Clock, tmp_path: Path) -> None:
    plc = Panel("plc", clock)
    site = site_of(demo, clock, tmp_path, plc, write=False)
    with pytest.raises(
        BackendError, match=r"writing to demo is switched off; it would have been plc: flow = 240\.0"
    ):
        site.apply(FLOW, "k1")
    assert plc.written == []
    assert site.applied("k1") is False


def test_a_key_is_applied_once_and_remembered_by_the_next_process(
    demo: Site, clock: Clock, tmp_path: Path
) -> None:
    plc = Panel("plc", clock)
    site = site_of(demo, clock, tmp_path, plc)
    site.apply(FLOW, "k1")
    site.apply(FLOW, "k1")
    assert plc.written == ["k1"]
    again = site_of(demo, clock, tmp_path, plc)
    assert again.applied("k1") is True
    assert again.applied("k2") is False
    again.apply(FLOW, "k1")
    assert plc.written == ["k1"]


def test_what_may_have_moved_something_is_unknown_and_never_repeated(
    demo: Site, clock: Clock, tmp_path: Path
) -> None:
    plc = Panel("plc", clock)
    plc.down = True
    site = site_of(demo, clock, tmp_path, plc)
    with pytest.raises(BackendError):
        site.apply(FLOW, "k1")
    plc.down = False
    journal = tmp_path / "keys.jsonl"
    journal.write_text(journal.read_text("utf-8") + '{"key": "torn', encoding="utf-8")
    again = site_of(demo, clock, tmp_path, plc)
    assert again.applied("k1") is None
    again.apply(FLOW, "k1")
    assert plc.written == []


def test_readings_that_pass_by_are_a_history(demo: Site, clock: Clock, tmp_path: Path) -> None:
    now = clock()
    moving = [now]
    plc = Panel("plc", lambda: moving[0], flow_lpm=200.0)
    site = site_of(demo, clock, tmp_path, plc)
    for minute in range(5):
        moving[0] = now + timedelta(minutes=minute)
        plc.values["flow_lpm"] = 200.0 + minute
        site.read("cdu-1")
        site.read("cdu-1")
    series = site.series("cdu-1", "flow_lpm")
    assert series is not None
    assert series.values == (200.0, 201.0, 202.0, 203.0, 204.0)
    assert site.metrics("cdu-1") == ["flow_lpm"]


# ---- the adapter file ------------------------------------------------------------------------------------------------

GOOD = """
site: demo
adapters:
  - kind: modbus
    host: 10.0.0.5
    readings:
      - {asset: cdu-1, metric: flow_lpm, address: 10, type: float32}
    writes:
      - {action: set_coolant_flow, asset: cdu-1, arg: flow_lpm, address: 30, scale: 0.1}
  - kind: prometheus
    url: http://prometheus:9090
    readings:
      - {query: DCGM_FI_DEV_GPU_TEMP, metric: gpu_temp_c, by: Hostname}
  - {kind: nvml, asset: gpu-01}
"""


def test_a_file_of_this_site_is_read_and_writes_nothing_by_default(
    demo: Site, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "adapters.yaml"
    path.write_text(GOOD, encoding="utf-8")
    found = load_adapters(path, demo)
    assert not found.write
    assert [one.kind for one in found.adapters] == ["modbus", "prometheus", "nvml"]
    adapters = make_adapters(found, clock)
    assert [one.name for one in adapters] == [
        "modbus 10.0.0.5:502/1",
        "prometheus http://prometheus:9090",
        "nvml gpu-01",
    ]
    for one in adapters:
        one.close()
    open_real_site(demo, path, tmp_path, clock).close()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("site: demo", "site: hall-1024", "it is for the site 'hall-1024', this one is 'demo'"),
        ("asset: cdu-1, metric", "asset: cdu-9, metric", "maps cdu-9, which is not on the site"),
        ("action: set_coolant_flow", "action: set_flow", "no action 'set_flow' in the catalog"),
        ("arg: flow_lpm", "arg: lpm", "set_coolant_flow has no argument 'lpm'; it has: flow_lpm"),
        ("type: float32", "type: real", "adapters.0.modbus.readings.0.type"),
        ("address: 10", "address: 10, adress: 11", "Extra inputs are not permitted"),
        ("scale: 0.1", "scale: 0", "a scale of 0 tells nothing"),
        (", by: Hostname", "", "give either `asset` or `by`"),
        ("kind: nvml", "kind: dcgm", "does not match any of the expected tags"),
        ("site: demo", "site: [demo", "not YAML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(old: str, new: str, says: str, demo: Site, tmp_path: Path) -> None:
    path = tmp_path / "adapters.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_adapters(path, demo)
    assert says in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_is_named(demo: Site, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_adapters(tmp_path / "none.yaml", demo)
