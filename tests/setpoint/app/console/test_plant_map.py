"""The plant at a glance: what uses how much of its limit, what is out, and what is not read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from setpoint.app.console.plant_map import UNREAD, Cell, Group, draw_map
from setpoint.contracts import Incident, Priority
from setpoint.contracts.site import Site, load_site
from tools.adapter import SimulatedSite

SITES = Path(__file__).parents[4] / "plant" / "sites"
DEMO = load_site(SITES / "demo.yaml")
NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


def cells(
    values: Mapping[str, Mapping[str, float]], site: Site = DEMO, incidents: Any = ()
) -> dict[str, Cell]:
    """By name, nodes of racks too."""
    found = [cell for group in draw_map(site, values, incidents) for cell in group.cells]
    return {cell.name: cell for outer in found for cell in (outer, *outer.inside)}


def read_all(site: Site) -> dict[str, Mapping[str, float]]:
    adapter = SimulatedSite(site, lambda: NOW)
    return {asset.name: reading.values for asset in site.assets if (reading := adapter.read(asset.name))}


@pytest.mark.parametrize("name", ["demo", "hall-1024", "gb200-row", "lab-16"])
def test_every_site_has_a_cell_for_what_can_fail_and_a_healthy_one_is_not_red(name: str) -> None:
    site = load_site(SITES / f"{name}.yaml")
    found = cells(read_all(site), site)
    shown = site.of_kind(
        "rack",
        "gpu_node",
        "cdu",
        "chiller",
        "crah",
        "feed",
        "ups",
        "pdu",
        "ats",
        "ess",
        "service",
        "switch",
        "storage",
    )
    assert {asset.name for asset in shown} == set(found)
    assert [cell for cell in found.values() if 4 <= cell.level < UNREAD] == []
    assert [cell.name for cell in found.values() if cell.level == UNREAD] == []


def test_without_readings_everything_is_grey_and_says_so() -> None:
    found = cells({})
    assert {cell.level for cell in found.values()} == {UNREAD}
    assert {cell.brief for cell in found.values()} == {"not read"}


@pytest.mark.parametrize(
    ("asset", "values", "level", "brief"),
    [
        ("feed-a", {"load_kw": 100.0, "available": 1.0}, 0, "load 23%"),
        ("feed-a", {"load_kw": 430.0, "available": 1.0}, 4, "load 100%"),
        ("feed-a", {"load_kw": 0.0, "available": 0.0}, 4, "lost"),
        ("ups-1", {"load_kw": 100.0, "on_battery": 1.0, "battery_pct": 80.0}, 4, "on battery"),
        ("ups-1", {"load_kw": 100.0, "on_battery": 0.0, "battery_pct": 80.0}, 3, "battery 80 %"),
        ("r-01", {"power_kw": 10.0, "inlet_temp_c": 27.5, "fed": 1.0}, 4, "inlet 27.5 C"),
        ("r-01", {"power_kw": 10.0, "inlet_temp_c": 20.0, "fed": 1.0, "leak": 1.0}, 4, "leak"),
        ("gpu-01", {"gpu_temp_c": 85.0, "power_kw": 9.9, "up": 1.0, "gpus_ok": 8.0}, 3, "GPU 85.0 C"),
        ("gpu-01", {"gpu_temp_c": 60.0, "up": 1.0, "gpus_ok": 7.0}, 3, "7 of 8 GPUs"),
        ("ess-1", {"soc_pct": 60.0, "available": 1.0}, 0, "60% stored"),
        ("ess-1", {"soc_pct": 20.0, "available": 1.0}, 3, "20% stored, below its reserve of 30%"),
        ("ess-1", {"soc_pct": 10.0, "available": 1.0}, 4, "empty"),
        ("pool-vip", {"ttft_ms": 900.0, "up": 1.0}, 4, None),
        ("cdu-1", {"flow_lpm": 150.0, "pumps_running": 0.0}, 4, "no pump runs"),
    ],
)  # fmt: skip
def test_a_cell_is_coloured_by_its_worst_and_says_it(
    asset: str, values: dict[str, float], level: int, brief: str | None
) -> None:
    cell = cells({asset: values})[asset]
    assert cell.level == level, cell.words
    assert brief is None or cell.brief == brief


def test_a_failed_pump_shows_on_its_cdu() -> None:
    cell = cells({"cdu-1": {"flow_lpm": 100.0}, "cdu-1-pump-a": {"failed": 1.0}})["cdu-1"]
    assert (cell.level, cell.brief) == (3, "cdu-1-pump-a failed")


def test_an_incident_stands_on_the_cell_of_what_it_is_about_or_stands_in() -> None:
    found = cells(
        {}, incidents=[an("P1", "leak-r-05"), an("P0", "gpu-01"), an("P3", "cdu-1"), an("P2", "of no site")]
    )
    rack = next(asset.name for asset in DEMO.above("gpu-01", "rack"))
    assert (found["r-05"].worst, found["gpu-01"].worst, found[rack].worst, found["cdu-1"].worst) == (
        "P1",
        "P0",
        "P0",
        None,
    )


def an(priority: str, asset: str) -> Incident:
    return Incident.model_validate({
        "id": f"INC-{asset}", "group_key": asset, "title": asset, "priority": priority, "state": "open", "opened": NOW, "updated": NOW,
        "assets": (asset,), "event_count": 1, "path": "slow", "grouped_by": "the same asset",
    })  # fmt: skip


@pytest.mark.parametrize(
    ("name", "worst", "small", "wide"),
    [("r-01", "P0", False, False), ("northwind-portal", None, False, True), ("store-1", None, True, False),
     ("store-1", "P2", True, True), ("ib-spine-1", None, True, True)],
)  # fmt: skip
def test_cells_are_as_wide_as_their_names_with_a_badge(
    name: str, worst: Priority | None, small: bool, wide: bool
) -> None:
    cells = (Cell("a", 0, "runs", "runs"), Cell(name, 0, "runs", "runs", worst))
    assert Group("Gear", cells, small).roomy == wide
