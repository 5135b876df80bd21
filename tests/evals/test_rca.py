"""The suite `rca`: cases keep their truth to themselves, answers are judged by code, and a figure can fall."""

from __future__ import annotations

import gc
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.explainer import Worded
from evals.exam.cases import Mix, catalog_of, exam_case
from evals.exam.effects import Trouble
from evals.exam.site import CONSTANTS, SETTLE_S, CaseSite
from evals.figures import Figure
from evals.registry import Ask
from evals.running.contenders import baseline
from evals.running.runner import leaked, run_suite
from evals.suites import rca
from evals.suites.rca.figures import figures
from evals.suites.rca.judging import is_hop, joined, judge
from evals.suites.rca.nights import (
    DEV_SEEDS,
    DOUBLE,
    FIRST_HELD_OUT,
    HERRING,
    LATE,
    NIGHTS,
    SENSORS,
    SHUFFLED,
    TWISTS,
    RcaFault,
    RcaNight,
    case_text,
    compose_night,
    night_of,
    nights,
    seeds_of,
    twist_of,
)  # fmt: skip
from evals.suites.rca.systems import SlowPath, answering, loudest
from knowledge.causes import load_causes
from plant import load_site
from plant.faults.catalog import load_catalog
from plant.sim import Plant
from prompts import Prompt
from setpoint.contracts import FactSheet
from setpoint.errors import ModelFailed

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)
TWISTED = tuple(range(1, 1 + len(TWISTS)))
"""Seeds of one night of each twist."""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def made() -> dict[str, RcaNight]:
    return {twist_of(seed)[0]: night_of(seed) for seed in TWISTED}


def noticed(night: RcaNight, sort: str = "known") -> RcaFault:
    return next(f for f in night.faults if f.seat and night.case.sorts[f.story] == sort)


# ---- the cases ------------------------------------------------------------------------------------------------------


def test_every_difficulty_really_occurs_where_it_is_meant_to(made: Mapping[str, RcaNight]) -> None:
    tags = {twist: {tag for fault in night.faults for tag in fault.tags} for twist, night in made.items()}
    assert not tags["plain"] & {DOUBLE, HERRING, SENSORS}
    assert tags["two at once"] >= {DOUBLE}
    assert tags["unrelated changes"] >= {HERRING}
    assert tags["failing sensors"] >= {SENSORS, "silent sensor", "stale sensor", "lying sensor"}
    assert tags["late lines"] >= {LATE, SHUFFLED}


def test_a_failing_sensor_is_silent_stands_still_or_goes_off_when_it_is_needed() -> None:
    seed = next(seed for seed in TWISTED if twist_of(seed)[0] == "failing sensors")
    site, (_, mix) = load_site("demo"), twist_of(seed)
    failing = exam_case(site, seed, mix)
    sound = exam_case(site, seed, Mix(**{**vars(mix), "blinded": False}))
    beside = [trouble for trouble in failing.troubles if trouble not in sound.troubles]
    assert {trouble.kind for trouble in beside} == {"silent", "stale", "lying"}
    for trouble in beside:
        _is_failing(trouble, failing.night.telemetry, sound.night.telemetry)


def _is_failing(trouble: Trouble, shown: Any, sound: Any) -> None:
    after = shown.times_s >= trouble.from_s
    values, usual = (one.values(trouble.asset, trouble.metric) for one in (shown, sound))
    assert np.array_equal(values[~after], usual[~after], equal_nan=True)
    if trouble.kind == "silent":
        assert np.isnan(values[after]).all()
    elif trouble.kind == "stale":
        assert len(set(values[after])) == 1
    else:
        off = np.abs(values - usual)[after]
        assert off[-1] > 3 * off[1]


def test_the_same_seed_gives_the_same_case_and_dev_never_meets_held_out() -> None:
    seed = TWISTED[0]
    one, other = night_of(seed), compose_night(seed)
    assert [case_text(one, f) for f in one.faults] == [case_text(other, f) for f in other.faults]
    for number in range(1, 30):
        assert max(seeds_of("dev", number)) <= DEV_SEEDS < FIRST_HELD_OUT <= min(seeds_of("held-out", number))
        assert len(set(seeds_of("dev", number))) == NIGHTS


def test_a_night_comes_whole_from_another_process() -> None:
    night = night_of(TWISTED[0])
    sent = pickle.loads(pickle.dumps(night))
    assert [case_text(sent, f) for f in sent.faults] == [case_text(night, f) for f in night.faults]
    seats = [(f.seat, g.seat) for f, g in zip(night.faults, sent.faults, strict=True) if f.seat and g.seat]
    assert seats
    for one, other in seats:
        assert loudest(one)["ranked"] == loudest(other)["ranked"]
        assert one.history.series("cdu-1", "flow_lpm") == other.history.series("cdu-1", "flow_lpm")


def test_no_more_nights_are_composed_than_the_cases_need() -> None:
    asked = [len(night_of(seed).asked) for seed in seeds_of("dev", 1)[:2]]
    assert len(list(nights("dev", 1, asked[0]))) == 1
    assert len(list(nights("dev", 1, asked[0] + 1))) == 2


def test_the_case_plant_has_other_constants_than_the_one_diagnosis_rehearses_on(
    made: Mapping[str, RcaNight],
) -> None:
    """Both run the same equations; no number that stands still in a run is shared."""
    site = load_site("demo")
    for night in made.values():
        ground = CaseSite(site, night.seed)
        start = night.case.night.start
        real, rehearsed = ground.plant(ground.site(site), start), Plant.start(night.case.site, start)
        rehearsed.advance(SETTLE_S)
        for kind, columns in CONSTANTS.items():
            for column in columns:
                ours, theirs = (getattr(one.store.tables, kind)[column] for one in (rehearsed, real))
                used = ours > 0
                assert not np.any(ours[used] == theirs[used]), (night.seed, kind, column)
        assert night.case.real.assets != night.case.site.assets


def test_no_name_of_the_generator_or_the_catalogs_stands_in_what_is_seen(
    made: Mapping[str, RcaNight],
) -> None:
    faults = [*load_catalog(), *catalog_of("strange"), *catalog_of("harmless")]
    names = [name for name in {*faults, *load_causes()} if "_" in name]
    pattern = re.compile("|".join(rf"\b{name}\b" for name in names))
    assert pattern.search("x coolant_leak@cdu-1")
    for night in made.values():
        assert not [asset.name for asset in night.case.site.assets if pattern.search(asset.name)]
        for line in night.case.night.events:
            assert not pattern.search(line.text), line.text
        for fault in night.asked:
            assert not pattern.search(case_text(night, fault))
            if fault.seat:
                assert not [e for e in fault.seat.told.events if pattern.search(e.model_dump_json())]


def test_a_case_shows_what_was_known_then_and_its_answer_does_not_leak(
    made: Mapping[str, RcaNight],
) -> None:
    prepared = rca.prepare(Ask(baseline("rules"), limit=6))
    for sample in prepared.task.dataset:
        assert not leaked(sample, prepared)
    night = made["unrelated changes"]
    fault = noticed(night)
    text = case_text(night, fault)
    assert fault.seat is not None
    assert fault.seat.told.events[0].message[:60] in text
    assert night.case.herrings[fault.story].what in text
    assert "Readings: 1240 sensors" in text


# ---- the answers ----------------------------------------------------------------------------------------------------


def test_rules_name_no_plant_verdict_and_the_plant_shows_a_path(made: Mapping[str, RcaNight]) -> None:
    night = made["plain"]
    fault = noticed(night)
    assert fault.seat is not None
    by_rules, by_plant = (answering(baseline(name))(fault.seat) for name in ("rules", "plant"))
    assert by_rules["path"] is None
    assert by_plant["path"]["root"]
    assert by_rules["asset"]
    for said in (by_rules, by_plant):
        assert sum(share for _, share in said["ranked"]) == pytest.approx(1.0, abs=1e-3)
        assert {event for piece in said["pieces"] for event in piece} <= {
            e.id for e in fault.seat.told.events
        }


class Decides:
    """A model that names one cause and has no words."""

    name, terse = "decides", True

    def __init__(self, cause: str) -> None:
        self._cause = cause

    def structured(self, system: str, user: str, schema: dict[str, Any]) -> tuple[dict[str, Any], int]:
        if not self._cause:
            raise ModelFailed("no order")
        return {"causes": [{"cause": self._cause, "supports": [], "contradicts": []}]}, 9

    def words(self, prompt: Prompt, sheet: FactSheet, *, attempt: int = 0) -> Worded:
        raise ModelFailed("it only decides")


def test_a_model_that_decides_is_heard_and_the_trial_still_orders(made: Mapping[str, RcaNight]) -> None:
    night = made["plain"]
    fault = noticed(night)
    assert fault.seat is not None
    tested = answering(baseline("plant"))(fault.seat)
    last = tested["ranked"][-1][0]
    said = SlowPath(Decides(last), "assisted", with_plant=True)(fault.seat)
    assert said["model_first"] == [last]
    assert said["ranked"] == tested["ranked"]
    row = judge(night, fault, said)
    assert (row["model_usable"], row["model_right"], row["top1"]) == (True, False, True)
    invents = SlowPath(Decides("gremlins"), "assisted", with_plant=False)(fault.seat)
    row = judge(night, fault, invents)
    assert (row["model_usable"], row["model_right"]) == (False, False)
    silent = SlowPath(Decides(""), "assisted", with_plant=False)(fault.seat)
    assert judge(night, fault, silent)["model_usable"] is False


def test_the_loudest_event_is_read_and_nothing_else(made: Mapping[str, RcaNight]) -> None:
    night = made["plain"]
    fault = noticed(night)
    assert fault.seat is not None
    said = loudest(fault.seat)
    (read,) = said["cited"]
    event = next(event for event in fault.seat.told.events if event.id == read[0])
    assert event.status == "firing"
    assert event.message in said["text"]
    assert said["asset"] == event.asset


# ---- the judge ------------------------------------------------------------------------------------------------------


def answer(night: RcaNight, fault: RcaFault, **changes: Any) -> dict[str, Any]:
    """A perfect answer, or one that is wrong in one thing."""
    assert fault.seat is not None
    own = [e.id for e in fault.seat.told.events if night.story_of(e) == fault.story]
    path = {"root": fault.plan.asset, "links": [], "explained": own, "unexplained": []}
    return {
        "ranked": [[fault.plan.fault.cause, 0.95], ["unknown", 0.05]], "asset": fault.plan.asset, "also": "",
        "path": path, "cited": [[event] for event in own], "pieces": [[event] for event in own], "seconds": 0.1,
    } | changes  # fmt: skip


def test_a_perfect_answer_has_every_point_and_each_mistake_costs_its_own(
    made: Mapping[str, RcaNight],
) -> None:
    night = made["plain"]
    fault = noticed(night)
    right = judge(night, fault, answer(night, fault))
    points = ("top1", "top3", "exact", "asset_right", "path_root", "path_real", "path_found", "path_own",
              "evidence_own", "evidence_cited")  # fmt: skip
    assert [right[point] for point in points] == [True] * len(points)
    assert right["problems"] == []
    wrong = judge(night, fault, answer(night, fault, ranked=[["chiller_failure", 0.9], ["unknown", 0.1]]))
    assert (wrong["top1"], wrong["top3"], wrong["exact"]) == (False, False, False)
    assert wrong["brier"] > 1.5
    elsewhere = judge(night, fault, answer(night, fault, asset="gpu-99"))
    assert elsewhere["asset_right"] is False
    assert "put it at gpu-99" in elsewhere["problems"]
    other = next(e.id for e in night.played.events if night.story_of(e) != fault.story)
    cites = judge(night, fault, answer(night, fault, cited=[[other]]))
    assert (cites["evidence_own"], cites["evidence_cited"]) == (0.0, 0.0)
    invents = judge(night, fault, answer(night, fault, also="chiller_failure@ch-1"))
    assert (invents["top1"], invents["exact"]) == (True, False)
    pathless = judge(night, fault, answer(night, fault, path=None))
    assert (pathless["path_shown"], pathless["path_found"]) == (False, 0.0)


def test_of_two_at_once_either_is_right_and_naming_both_is_exact() -> None:
    night, (one, other) = next(
        (night, pair)
        for night in (night_of(seed) for seed in seeds_of("dev", 1) if twist_of(seed)[0] == "two at once")
        if len(pair := [fault for fault in night.faults if DOUBLE in fault.tags]) == 2
    )
    row = judge(night, one, answer(night, one, ranked=[[other.plan.fault.cause, 1.0]]))
    assert row["top1"] is True
    both = f"{other.plan.fault.cause}@{other.plan.asset}"
    assert judge(night, one, answer(night, one, also=both))["exact"] is True


def test_hops_are_held_against_what_really_stands_on_what() -> None:
    site = load_site("demo")
    assert joined(site, "r-01", "gpu-01")
    assert not joined(site, "r-02", "gpu-01")
    links = [
        {"source": "cdu-1", "target": "r-01, r-02", "assets": ["r-01", "r-02"]},
        {"source": "r-01, r-02", "target": "gpu-01", "assets": ["gpu-01"]},
    ]
    assert all(is_hop(site, link, links, "cdu-1") for link in links)
    assert not is_hop(site, {"source": "cdu-1", "target": "gpu-01", "assets": ["gpu-01"]}, links, "cdu-1")


def test_an_unnoticed_fault_counts_as_unnoticed_and_nothing_else(made: Mapping[str, RcaNight]) -> None:
    night = made["plain"]
    fault = noticed(night)
    unseen = RcaFault(fault.plan, None, (), due=True)
    row = judge(night, unseen, {"text": "nothing"})
    assert (row["noticed"], "top1" in row) == (False, False)
    seen = judge(night, fault, answer(night, fault))
    found = named(figures([row, seen]))
    assert found["noticed: incident above P3 for a fault"].value == 0.5
    assert found["all: top-1"].n == 1


# ---- the figures ----------------------------------------------------------------------------------------------------


def named(found: list[Figure]) -> dict[str, Figure]:
    assert len({figure.key for figure in found}) == len(found)
    return {figure.key: figure for figure in found}


def test_being_sure_and_wrong_shows(made: Mapping[str, RcaNight]) -> None:
    night = made["plain"]
    fault = noticed(night)
    right = judge(night, fault, answer(night, fault)) | {"case": "a"}
    wrong = judge(night, fault, answer(night, fault, ranked=[["chiller_failure", 1.0]])) | {"case": "b"}
    honest, boastful = named(figures([right])), named(figures([right, wrong]))
    assert honest["all: wrong where over 90% sure"].value == 0.0
    assert boastful["all: wrong where over 90% sure"].value == 0.5
    assert boastful["all: share given to a wrong first cause"].value == 1.0
    assert boastful["all: Brier, all causes"].value > honest["all: Brier, all causes"].value
    assert all(figure.low <= figure.value <= figure.high for figure in boastful.values())


def test_the_suite_runs_and_the_plant_beats_the_loudest_event(tmp_path: Path) -> None:
    found = {
        name: run_suite("rca", rca, Ask(baseline(name), limit=3), logs=tmp_path)
        for name in ("severity", "plant")
    }
    for ran in found.values():
        assert ran.errors == ()
    top1 = {name: named(list(ran.figures))["all: top-1"] for name, ran in found.items()}
    assert top1["plant"].value > top1["severity"].value
    assert top1["plant"].note.startswith("dev, nights 1 to ")
    assert set(top1["plant"].cases) == set(top1["severity"].cases)
