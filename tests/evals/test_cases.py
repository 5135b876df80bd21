"""Cases of the exam: three sorts of faults, honest catalogs, and what comes on top."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from evals.exam.cases import FIRST_DAY, Mix, catalog_of, exam_case, sort_of
from knowledge.causes import load_causes
from plant import load_site
from plant.faults.catalog import Fault, load_catalog
from plant.faults.night import compose
from plant.faults.place import FaultPlan, fitting
from plant.faults.sensors import load_sensors
from plant.faults.telling import said_by

STRANGE, HARMLESS = list(catalog_of("strange").values()), list(catalog_of("harmless").values())
SITE = load_site("demo")


def _named(fault: Fault) -> str:
    return fault.id


def test_there_are_enough_of_each_and_their_truth_is_what_they_are_for() -> None:
    assert len(STRANGE) >= 8
    assert len(HARMLESS) >= 10
    assert {fault.cause for fault in STRANGE} == {"unknown"}
    assert {fault.cause for fault in HARMLESS} == {"no_fault"}
    assert not {fault.id for fault in (*STRANGE, *HARMLESS)} & set(load_catalog())
    assert sort_of(STRANGE[0]) == "strange"
    assert sort_of(next(iter(load_catalog().values()))) == "known"


@pytest.mark.parametrize("fault", [*STRANGE, *HARMLESS], ids=_named)
def test_it_bends_sensors_that_exist_and_its_lines_name_no_cause(fault: Fault) -> None:
    known = {metric for sensors in load_sensors().values() for metric in sensors} | {"*"}
    assert {signal.metric for signal in fault.signals} <= known
    for said in said_by(fault):
        assert not any(cause in said.say for cause in load_causes() if "_" in cause)


@pytest.mark.parametrize("fault", [*STRANGE, *HARMLESS], ids=_named)
def test_somebody_hears_of_it(fault: Fault) -> None:
    plan = FaultPlan(fault, fitting(fault, SITE)[0], 1800.0, 1.0)
    night = compose(SITE, 3, hours=1.5, faults=[plan], noise=0)
    told = [line for line in night.events if line.story == plan.story]
    assert told
    assert any(line.priority < "P3" for line in told) or fault.cause == "no_fault"


@pytest.mark.parametrize("fault", HARMLESS, ids=_named)
def test_nothing_is_broken_once_a_harmless_story_is_over(fault: Fault) -> None:
    assert fault.lasts_s is not None
    plan = FaultPlan(fault, fitting(fault, SITE)[0], 1200.0, 1.0, 1200.0 + fault.lasts_s[0])
    story, calm = (compose(SITE, 3, hours=1.6, faults=list(plans), noise=0) for plans in ([plan], []))
    for key, values in story.telemetry.series.items():
        scale = abs(float(calm.telemetry.series[key][-1])) + 1.0
        assert abs(float(values[-1]) - float(calm.telemetry.series[key][-1])) < 0.05 * scale, key


@pytest.mark.parametrize("fault", HARMLESS, ids=_named)
def test_a_harmless_story_costs_nothing(fault: Fault) -> None:
    """No GPU gets hot, and no node is lost that nobody took down on purpose."""
    plan = FaultPlan(fault, fitting(fault, SITE)[0], 1200.0, 1.0)
    series = compose(SITE, 3, hours=1.0, faults=[plan], noise=0).telemetry.series
    nodes = [asset.name for asset in SITE.of_kind("gpu_node")]
    assert max(float(np.nanmax(series[node, "gpu_temp_c"])) for node in nodes) < SITE.limits["gpu_temp_max_c"]
    down = {node for node in nodes if float(np.nanmin(series[node, "up"])) < 0.5}
    assert down <= ({plan.asset} if fault.id == "planned_reboot" else set())


def test_a_case_is_the_same_for_the_same_seed_and_begins_after_the_demo_sites_maintenance() -> None:
    one, other = exam_case(SITE, 3), exam_case(SITE, 3)
    assert one.night.events == other.night.events
    assert one.notes == other.notes
    assert one.night.start >= FIRST_DAY
    assert not any(SITE.in_maintenance(asset.name, one.night.start) for asset in SITE.assets)


def test_over_many_cases_every_sort_every_double_and_every_change_comes_about() -> None:
    cases = [exam_case(SITE, seed, Mix(hours=2.0, double=0.4, herring=0.5)) for seed in range(1, 11)]
    sorts = Counter(sort for case in cases for sort in case.sorts.values())
    assert set(sorts) == {"known", "strange", "harmless"}
    assert sorts["known"] > sorts["strange"] + sorts["harmless"]
    assert sum(bool(case.doubles) for case in cases) >= 1
    assert any(len(case.site.changes) > len(SITE.changes) for case in cases)
    assert all(len(case.night.plans) >= 2 for case in cases)
    for case in cases:
        ids = [plan.fault.id for plan in case.night.plans]
        assert len(set(ids)) == len(ids)


def test_two_at_once_are_two_causes_within_minutes() -> None:
    case = exam_case(SITE, 4, Mix(faults=2, strange=0, harmless=0, double=1.0))
    pair = [plan for plan in case.night.plans if plan.story in case.doubles]
    assert len({plan.fault.cause for plan in pair}) == len({plan.asset for plan in pair}) == 2
    assert abs(pair[0].at_s - pair[1].at_s) <= 600


def test_a_change_that_means_nothing_is_on_record_and_in_the_log_before_a_fault() -> None:
    case = exam_case(SITE, 6, Mix(herring=1.0))
    change = case.site.changes[-1]
    assert any(line.story == "herring" and change.what in line.text for line in case.night.events)
    at_s = (change.time - case.night.start).total_seconds()
    assert any(0 <= plan.at_s - at_s <= 2401 for plan in case.night.plans)


def test_the_control_is_a_site_as_written() -> None:
    assert all(" really " not in note for note in exam_case(SITE, 2, Mix(as_written=True)).notes)
