"""Parts that age through a site's days: drawn by seed, shown by sensors, failing and renewed when they should."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from plant.control.days_wear import MARKS, REPAIR_H, DaysWear, WearPart, WornPart
from plant.control.maintenance.parts import PARTS
from plant.sim import Plant
from plant.site import Site, load_site, site_file_of

BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(site_file_of("demo"))


def part(asset: str, kind: str, count: int = 1, age_days: float | None = None) -> WearPart:
    return WearPart(asset, PARTS[kind], count, age_days)


def wear(site: Site, seed: int, *parts: WearPart) -> DaysWear:
    return DaysWear(site, parts, BEGIN, seed)


def dying(site: Site, asset: str, kind: str, least: float = 12.0, most: float = 40.0) -> tuple[int, WornPart]:
    """A seed with which readings announce the part's end so many days after the begin."""
    for seed in range(3000):
        one = wear(site, seed, part(asset, kind)).truth()[0]
        if one.announced and least < (one.fails_at - BEGIN) / DAY < most:
            return seed, one
    raise AssertionError(f"no seed lets the {kind} of {asset} fail")


def test_the_same_seed_is_the_same_site_and_another_is_not(site: Site) -> None:
    parts = [part(pump.name, "pump_bearing") for pump in site.of_kind("pump")]
    assert wear(site, 3, *parts).truth() == wear(site, 3, *parts).truth()
    assert wear(site, 3, *parts).truth() != wear(site, 4, *parts).truth()
    assert wear(site, 3, parts[1]).truth()[0] == wear(site, 3, *parts).truth()[1], "drawn for each part alone"


def test_most_parts_are_sound_and_a_few_of_a_hundred_end_within_two_months(site: Site) -> None:
    pump = site.of_kind("pump")[0].name
    ends = np.array([
        (wear(site, seed, part(pump, "pump_bearing")).truth()[0].fails_at - BEGIN) / DAY for seed in range(1500)
    ])  # fmt: skip
    assert (ends > 0.0).all()
    assert 0.005 < float((ends < 60.0).mean()) < 0.05
    assert float(np.median(ends)) > 365.0


def test_a_part_of_known_age_is_drawn_at_that_age(site: Site) -> None:
    cdu = site.of_kind("cdu")[0].name
    ends = [
        np.median([
            (wear(site, seed, part(cdu, "coolant_filter", age_days=age)).truth()[0].fails_at - BEGIN) / DAY
            for seed in range(80)
        ])
        for age in (10.0, 350.0)
    ]  # fmt: skip
    assert ends[0] > ends[1] + 100.0


def test_wear_moves_the_plant_and_the_end_stops_it_until_it_is_repaired(site: Site) -> None:
    pump = site.of_kind("pump")[0].name
    seed, one = dying(site, pump, "pump_bearing")
    days, plant = wear(site, seed, part(pump, "pump_bearing")), Plant.start(site, BEGIN)
    days.pass_to(one.fails_at - 5 * DAY, plant)
    early = plant.number(pump, "wear_pu")
    days.pass_to(one.fails_at - timedelta(hours=1), plant)
    assert 0.0 < early < plant.number(pump, "wear_pu") <= 0.45
    assert plant.number(pump, "failed") == 0.0
    assert days.shown(one.fails_at - timedelta(hours=1))[0] > 5.0, "vibration, mm/s"
    days.pass_to(one.fails_at, plant)
    assert plant.number(pump, "failed") == 1.0
    assert np.isnan(days.shown(one.fails_at)).all(), "a part that stands tells nothing"
    days.pass_to(one.fails_at + timedelta(hours=REPAIR_H), plant)
    assert (plant.number(pump, "failed"), plant.number(pump, "wear_pu")) == (0.0, 0.0)
    gone, fresh = days.truth()
    assert gone.failed
    assert gone.renewed_at == one.fails_at + timedelta(hours=REPAIR_H)
    assert fresh.since == gone.renewed_at
    assert fresh.fails_at > fresh.since + 30 * DAY


def test_a_ticket_has_the_part_renewed_in_the_night_after_its_spare_came(site: Site) -> None:
    pump = site.of_kind("pump")[0].name
    seed, one = dying(site, pump, "pump_bearing", least=15.0)
    days, plant = wear(site, seed, part(pump, "pump_bearing")), Plant.start(site, BEGIN)
    days.ticket(pump, "network", BEGIN)  # another crew's queue
    days.ticket(pump, "facilities", BEGIN + DAY)
    days.ticket(pump, "facilities", BEGIN + 2 * DAY)  # it is on order
    days.pass_to(one.fails_at + DAY, plant)
    gone, fresh = days.truth()
    assert not gone.failed
    assert gone.fails_at == one.fails_at
    assert gone.renewed_at
    lead = PARTS["pump_bearing"].work.lead_days
    assert gone.renewed_at < one.fails_at
    assert timedelta(days=lead + 1) <= gone.renewed_at - BEGIN <= timedelta(days=lead + 2, hours=4)
    assert fresh.ticket_at is None


def test_one_gpu_of_eight_falls_off_the_bus_and_its_node_shows_the_worst(site: Site) -> None:
    node = site.of_kind("gpu_node")[0].name
    seed = next(
        seed for seed in range(400)
        if any(one.announced and DAY < one.fails_at - BEGIN < 60 * DAY
               for one in wear(site, seed, part(node, "gpu_memory", 8)).truth())
    )  # fmt: skip
    days, plant = wear(site, seed, part(node, "gpu_memory", 8)), Plant.start(site, BEGIN)
    first = min(days.truth(), key=lambda one: one.fails_at)
    days.pass_to(first.fails_at, plant)
    assert plant.number(node, "gpus_ok") in (7.0, 8.0), "told with the next step"
    plant.advance(10.0)
    assert plant.number(node, "gpus_ok") == 7.0
    days.pass_to(first.fails_at + DAY, plant)
    plant.advance(10.0)
    assert plant.number(node, "gpus_ok") == 8.0


def test_what_no_reading_shows_does_not_wear(site: Site) -> None:
    crah, storage = site.of_kind("crah")[0].name, site.of_kind("storage")[0].name
    assert wear(site, 1, part(crah, "air_filter"), part(storage, "disk")).truth() == ()
    assert {title for title in PARTS if title not in MARKS} == {"air_filter", "disk"}


def test_worn_values_are_the_limits_that_forecasts_read() -> None:
    for name, mark in MARKS.items():
        signal = PARTS[name].by_metric.get(mark.column)
        if signal is not None:
            assert (mark.sound, mark.worn) == (signal.usual, signal.limit), name
