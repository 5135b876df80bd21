"""The layers from schedule to temperature, against the plant they stand for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from plant.control.cooling import layers
from plant.control.cooling.controller import least_flow_lpm
from plant.control.cooling.layout import Layout, layout_of
from plant.jobs.schedule import ScheduledJob
from plant.sim import Plant
from plant.site import load_site, site_file_of

NOW = datetime(2026, 4, 14, 10, tzinfo=UTC)


def _job(
    nodes: tuple[str, ...], start: datetime, end: datetime, load_pu: float = 0.9, paused: bool = False
) -> ScheduledJob:
    return ScheduledJob("job", nodes, start, end, load_pu, flexible=False, paused=paused)


@pytest.fixture(scope="module")
def plant() -> Plant:
    return Plant.start(load_site(site_file_of("hall-1024")), NOW)


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(load_site(site_file_of("hall-1024")))


def _minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def _loads(layout: Layout, jobs: list[ScheduledJob], **running: float) -> layers.ScheduleLayer:
    at_now = np.zeros(len(layout.nodes.names))
    for name, load in running.items():
        at_now[layout.nodes.names.index(name.replace("_", "-"))] = load
    return layers.schedule_layer(layout.nodes, jobs, NOW, at_now, 30, 60.0)


def test_a_job_brings_its_load_when_it_is_planned(layout: Layout) -> None:
    found = _loads(layout, [_job(("gpu-040", "gpu-041"), _minutes(10), _minutes(20))])
    column = found.load_pu[:, layout.nodes.names.index("gpu-040")]
    assert column[:9].max() == 0.0
    assert column[9:19].tolist() == [0.9] * 10
    assert column[19:].max() == 0.0


def test_what_runs_unannounced_goes_on_and_what_runs_as_planned_ends(layout: Layout) -> None:
    found = _loads(layout, [_job(("gpu-041",), _minutes(-60), _minutes(5))], gpu_040=0.7, gpu_041=0.6)
    unannounced = found.load_pu[:, layout.nodes.names.index("gpu-040")]
    planned = found.load_pu[:, layout.nodes.names.index("gpu-041")]
    assert set(unannounced) == {0.7}
    assert planned[:4].tolist() == [0.6] * 4, "at the load it has, not the one it was announced with"
    assert planned[5:].max() == 0.0


def test_a_late_job_is_still_expected_and_a_paused_one_is_not(layout: Layout) -> None:
    late = _loads(layout, [_job(("gpu-040",), _minutes(-5), _minutes(60))])
    paused = _loads(layout, [_job(("gpu-040",), _minutes(-5), _minutes(60), paused=True)])
    assert set(late.load_pu[:, layout.nodes.names.index("gpu-040")]) == {0.9}
    assert paused.load_pu[:, layout.nodes.names.index("gpu-040")].max() == 0.0


def test_heat_and_temperature_agree_with_the_plant(plant: Plant, layout: Layout) -> None:
    t = plant.store.tables
    use = layers.utilisation_layer(layout, t.gpu_node["load_pu"][None, :])
    heat = layers.heat_layer(layout, use)
    trained = slice(2, 6)  # loops whose nodes all train; serving draws less at the same load
    assert heat.liquid_kw[0, trained] == pytest.approx(t.cdu["heat_kw"][trained], rel=0.04)
    coolant = layers.coolant_layer(layout.loops, t.cdu["heat_kw"], t.cdu["flow_lpm"], t.cdu["supply_temp_c"])
    assert coolant.return_c == pytest.approx(t.cdu["return_temp_c"], abs=0.1)
    dies = [t.gpu_node["gpu_temp_c"][layout.nodes.loop == i].max() for i in range(6)]
    assert layers.gpu_c(layout, coolant, heat.gpu_w[0])[trained] == pytest.approx(dies[trained], abs=3.0)
    assert layers.pump_kw(layout.loops, t.cdu["flow_lpm"]) == pytest.approx(t.cdu["pump_kw"], rel=0.01)


def test_air_above_raised_water_agrees_with_the_plant(plant: Plant, layout: Layout) -> None:
    warm = plant.copy()
    warm.store.tables.chiller["water_setpoint_c"] = 22.5
    warm.advance(3600.0)
    t = warm.store.tables
    air = np.array([t.crah["heat_kw"][t.crah["hall"] == i].sum() for i in range(2)])
    found = layers.inlet_c(layout.halls, air, t.water["temp_c"], 1.0 / layout.halls.kw_per_k)
    assert found == pytest.approx(t.hall["temp_c"], abs=0.05)


def test_the_exchanger_holds_supply_up_to_the_water_it_names(plant: Plant, layout: Layout) -> None:
    t = plant.store.tables
    limit = layers.warmest_water_c(
        layout.loops, t.cdu["heat_kw"], t.cdu["flow_lpm"], t.cdu["supply_setpoint_c"]
    )
    for above, holds in ((-0.3, True), (0.5, False)):
        warm = plant.copy()
        warm.store.tables.chiller["water_setpoint_c"] = float(limit.min()) + above
        warm.advance(2 * 3600.0)
        worst = (warm.store.tables.cdu["supply_temp_c"] - warm.store.tables.cdu["supply_setpoint_c"]).max()
        assert bool(worst < 0.05) is holds


def test_least_flow_is_where_the_die_stands_at_its_limit(layout: Layout) -> None:
    heat, watts = np.full(6, 120.0), np.full(6, 640.0)
    flow = least_flow_lpm(layout, heat, watts, np.full(6, 45.0), 20.0)
    coolant = layers.coolant_layer(layout.loops, heat, flow, np.full(6, 32.0))
    assert layers.gpu_c(layout, coolant, watts) == pytest.approx(np.full(6, 77.0), abs=0.01)
    assert np.isinf(least_flow_lpm(layout, heat, watts, np.full(6, 5.0), 20.0)).all()
    assert (least_flow_lpm(layout, heat, watts, np.full(6, 400.0), 20.0) == 20.0).all()


@pytest.mark.parametrize("name", ["demo", "lab-16", "gb200-row"])
def test_every_site_has_a_layout(name: str) -> None:
    found = layout_of(load_site(site_file_of(name)))
    assert len(found.halls.names) >= 1
    assert (found.waters.most_c >= found.waters.design_c).all()
    assert np.isfinite(found.loops.k_per_w).all()
