"""What was predicted is held against the same quantities read from the site."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plant.diagnosis.compared import compare, observe, quantities_of
from plant.diagnosis.quiet import as_estimate
from plant.diagnosis.rehearse import rehearse
from plant.diagnosis.results import Band, Rehearsal
from plant.sim import Plant
from plant.site import load_site, site_file_of

NIGHT = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)
DEMO = load_site(site_file_of("demo"))


def predicted(*rows: tuple[str, str, tuple[float, float, float]]) -> Rehearsal:
    bands = tuple(
        Band(asset=asset, metric=metric, times_s=(0.0, 600.0), without=(end, end), acted=(end, end))
        for asset, metric, end in rows
    )
    return Rehearsal(action="set_coolant_flow", asset="cdu-1", args={"flow_lpm": 180.0}, as_of=NIGHT, horizon_s=600.0,
                     members=16, confidence=1.0, bands=bands)  # fmt: skip


FLOW = ("cdu-1", "flow_lpm", (170.0, 180.0, 190.0))
HEAT = ("cdu-1", "hottest_gpu_c", (50.0, 52.0, 54.0))


def test_inside_is_true_and_outside_is_named() -> None:
    rehearsal = predicted(FLOW, HEAT)
    good = compare(rehearsal, {FLOW[:2]: 181.0, HEAT[:2]: 53.9})
    assert (good.quantities, good.inside, good.came_true, good.worst) == (2, 2, True, "")
    bad = compare(rehearsal, {FLOW[:2]: 60.0, HEAT[:2]: 53.9})
    assert (bad.inside, bad.came_true) == (1, False)
    assert bad.worst == "coolant flow of cdu-1: 60 L/min, predicted 170 to 190"
    assert bad.rows[0] == ("cdu-1.flow_lpm", 170.0, 180.0, 190.0, 60.0)


def test_what_was_not_read_is_not_counted_and_nothing_read_is_nothing_true() -> None:
    assert compare(predicted(FLOW, HEAT), {FLOW[:2]: 181.0}).quantities == 1
    assert compare(predicted(FLOW), {}).came_true is False


def test_quantities_are_folded_from_readings_as_from_the_model() -> None:
    plant = Plant.start(DEMO, NIGHT)
    rehearsal = rehearse(DEMO, as_estimate(plant), "set_coolant_flow", "cdu-1", {"flow_lpm": 90.0}, members=4)
    assert {(q.asset, q.metric) for q in quantities_of(DEMO, rehearsal)} == {
        (b.asset, b.metric) for b in rehearsal.bands
    }
    seen = observe(DEMO, rehearsal, plant.number)
    hottest = max(plant.number(node, "gpu_temp_c") for node in plant.nodes_of("cdu-1"))
    assert seen["cdu-1", "hottest_gpu_c"] == pytest.approx(hottest)


def test_a_tenth_of_the_parts_may_be_silent() -> None:
    plant = Plant.start(DEMO, NIGHT)
    rehearsal = predicted(HEAT)

    def but(*silent: str) -> dict[tuple[str, str], float]:
        return observe(DEMO, rehearsal, lambda a, m: None if a in silent else plant.number(a, m))

    assert but("gpu-01")
    assert not but("gpu-01", "gpu-02", "gpu-03")


def test_the_model_itself_comes_true() -> None:
    """The unvaried plant lies within the ensemble around it."""
    plant = Plant.start(DEMO, NIGHT)
    rehearsal = rehearse(DEMO, as_estimate(plant), "set_coolant_flow", "cdu-1", {"flow_lpm": 90.0})
    site = plant.copy()
    site.apply("set_coolant_flow", "cdu-1", {"flow_lpm": 90.0})
    site.advance(rehearsal.horizon_s)
    assert compare(rehearsal, observe(DEMO, rehearsal, site.number)).came_true
