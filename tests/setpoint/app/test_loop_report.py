"""The report of a run of control loops: honest about what got worse, every fate and refusal told, fourteen days readable."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from setpoint.app.loop_figures import came, days_of, fates_of, figures, headline, reasons, worst_day
from setpoint.app.loop_report import render_loop_report, write_loop_report
from setpoint.app.loops_run import LoopRun
from setpoint.errors import BackendError
from tests.agents.plans import MADE
from tests.setpoint.app.loop_sample import sample_run
from tests.setpoint.app.pages import words_of


@pytest.fixture(scope="module")
def run() -> LoopRun:
    return sample_run()


@pytest.fixture(scope="module")
def text(run: LoopRun) -> str:
    return words_of(render_loop_report(run))


def test_what_became_less_and_what_became_worse_stand_first(run: LoopRun, text: str) -> None:
    first, second, third = headline(run)
    assert first == (
        "Against the same days without: grid energy 318,000 kWh (-0.9 %), bill 41,200 EUR (-6.2 %) and "
        "billed peak 1,131 kW (-5.8 %)."
    )
    assert second == "Worse than without: requests beyond their SLO 0.4 % instead of 0.3 %."
    assert third.startswith("336 cycles put 327 proposals to review: ")
    assert text.index(first) < text.index(second) < text.rindex("Day by day")


def test_a_run_that_saved_nothing_says_so() -> None:
    same = sample_run(1)
    assert headline(replace(same, meters=dict(same.without)))[:2] == [
        "Against the same days without, neither energy nor bill nor peak became less.", "No meter became worse.",
    ]  # fmt: skip


def test_energy_left_in_storage_or_taken_from_it_is_told() -> None:
    same = sample_run(1)
    fuller = replace(
        same, meters=same.meters | {"stored_kwh": 1800.0}, without=same.without | {"stored_kwh": 1000.0}
    )
    emptier = replace(
        same, meters=same.meters | {"stored_kwh": 200.0}, without=same.without | {"stored_kwh": 1000.0}
    )
    assert "Storage holds 800 kWh more at the end" in headline(fuller)[2]
    assert "Storage holds 800 kWh less at the end" in headline(emptier)[2]
    assert not any("Storage" in line for line in headline(same))


def test_without_a_baseline_nothing_is_claimed() -> None:
    alone = replace(sample_run(1), without={})
    assert len(headline(alone)) == 1
    page = words_of(render_loop_report(alone))
    assert "not run without" in page
    assert "better" not in page.split()


def test_every_meter_is_judged_by_its_sense() -> None:
    pairs = {
        "requests": (90.0, 100.0),
        "jobs_late": (1.0, 0.0),
        "carbon_kg": (90.0, 100.0),
        "ess_in_kwh": (9.0, 1.0),
    }
    run = replace(
        sample_run(1), meters={k: v[0] for k, v in pairs.items()}, without={k: v[1] for k, v in pairs.items()}
    )
    told = {one.name: (one.verdict, one.change) for one in figures(run)}
    assert told == {
        "requests": ("worse", "-10.0 %"), "jobs_late": ("worse", "+1"), "carbon_kg": ("better", "-10.0 %"),
        "ess_in_kwh": ("", "+800.0 %"),
    }  # fmt: skip


def test_fourteen_days_are_a_row_each_and_the_worst_whole_day_is_marked(run: LoopRun, text: str) -> None:
    days = days_of(run)
    assert [one.day for one in days] == [date(2026, 3, 14) + timedelta(days=k) for k in range(15)]
    worst = worst_day(days)
    assert worst is not None
    assert worst.day == date(2026, 3, 17)
    assert worst.saved_kwh < 0
    assert "Tue 17 Mar least saved" in text
    assert "Tue 17 Mar, the day on which least was saved" in text
    assert sum(len(one.asked) for one in days) == len(run.asked)


def test_energy_of_the_days_adds_up_to_that_of_the_course(run: LoopRun) -> None:
    course = run.series["site.grid_kw"].without
    total = sum(one.energy_kwh[1] or 0.0 for one in days_of(run))
    assert total == pytest.approx(sum(course) * 0.25, rel=1e-9)


def test_every_fate_is_counted_and_every_proposal_has_its_rehearsal_and_decision(
    run: LoopRun, text: str
) -> None:
    assert sum(fates_of(run.asked).values()) == len(run.asked)
    assert {"done", "refused", "rejected", "withdrawn", "waiting"} == set(fates_of(run.asked))
    for said in (
        "not rehearsed",
        "The grid draw peaks at 1,130 kW with it",
        "a newer plan wants 40 kW",
        "too little worth",
    ):
        assert said in text


def test_refusals_alike_but_for_numbers_are_told_once_with_their_count(run: LoopRun, text: str) -> None:
    told = {one.why.split(",")[0].split(" from ")[0]: one for one in reasons(run)}
    step = told["flow_lpm"]
    assert step.count == sum(1 for cycle in run.cycles for one in cycle.withheld if "flow_lpm" in one.why)
    assert step.first < step.last
    assert any("the storage is at 88 % of 90 %" in one.why for one in told.values())
    assert "What was wanted and not done" in text
    assert (
        sum(one.count for one in reasons(run) if one.why.startswith("rejected"))
        == fates_of(run.asked)["rejected"]
    )


def test_what_was_foreseen_is_held_against_what_came(run: LoopRun, text: str) -> None:
    (one,) = came(run.cycles)
    missing = sum(1 for row in one.rows if row.read is None)
    assert one.read == len(one.rows) - missing
    assert missing > 0
    expected = sum(
        row.foreseen.low <= row.read <= row.foreseen.high for row in one.rows if row.read is not None
    )
    assert one.inside == expected
    assert f"{one.inside} of {one.read} inside" in text


def test_a_trouble_is_told_with_its_span_and_what_was_done_instead(text: str) -> None:
    assert (
        "feed-a load_kw was read 900 s ago, 120 s allowed. The storage holds 0 kW. Check the meter's path."
        in text
    )
    assert "the end" in text


def test_a_run_of_some_hours_without_anything_asked_makes_a_page() -> None:
    bare = sample_run(
        1, cycles=(), asked=(), series={}, skill=(), troubles=(), meters={}, without={}, spent_s={}
    )
    page = words_of(render_loop_report(bare))
    assert "Nothing was put to review." in page
    assert "Day by day" not in page or "14 Mar" in page


def test_no_number_of_the_page_is_a_hole(text: str) -> None:
    assert not {"nan", "None", "inf"} & set(text.split())


def test_holes_in_a_course_do_not_hide_a_day(run: LoopRun) -> None:
    holed = run.series["site.grid_kw"]
    values = [math.nan] * 200 + [*holed.with_loop[200:]]
    days = days_of(replace(run, series={"site.grid_kw": replace(holed, with_loop=tuple(values))}))
    assert math.isnan(days[0].energy_kwh[0])
    assert days[4].energy_kwh[0] > 0


def test_a_report_that_cannot_be_written_says_where(run: LoopRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="cannot write the report"):
        write_loop_report(tmp_path / "file" / "run.html", run)


def test_days_are_those_of_the_sites_zone() -> None:
    late = sample_run(1, start=MADE, end=MADE + timedelta(days=1), zone="Pacific/Auckland")
    assert days_of(late)[0].day == date(2026, 3, 15)
