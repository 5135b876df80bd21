"""What an engineer reads of tested causes and rehearsed actions, on the page and at the terminal."""

from __future__ import annotations

import doctest
import re
from datetime import UTC, datetime
from io import StringIO
from types import ModuleType
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from plant.diagnosis.results import Band, Compared, Curve, Verdict
from setpoint.app import report, small_charts, trial_pictures, trial_words, views
from setpoint.app.desk import DESK
from setpoint.app.dossier import read_dossier
from setpoint.app.opening import make_desk
from setpoint.app.report import render_report
from setpoint.app.trial_pictures import band_plot, curve_plot, interval_bar, sparkline
from setpoint.contracts import Diagnosis
from setpoint.contracts.action import Withheld
from setpoint.settings import Settings
from tests.setpoint.app.diagnosis_fixture import curves, rehearsal
from tests.setpoint.app.sample import BEGAN, Sample, build, incident_id
from tests.setpoint.app.test_report import Page, parsed

PUMP, POOL = incident_id("pump_under_surge"), incident_id("vip_kv_pressure")
ONSET = datetime(2026, 3, 14, 22, 40, tzinfo=UTC)


@pytest.fixture(scope="module")
def page(played: Sample) -> Page:
    return parsed(
        render_report(read_dossier(played.ledger, played.site, stories=True), title="t", run=played.run)
    )


@pytest.fixture(scope="module")
def diagnosis(played: Sample) -> Diagnosis:
    found = played.ledger.get_diagnosis(PUMP)
    assert found is not None
    return found


def said(page: Page, incident: str = PUMP) -> str:
    return " ".join(page.by_id[f"i-{incident}"].split())


# ---- the page -----------------------------------------------------------------------------------------------------


def test_every_candidate_stands_with_its_share_and_interval(page: Page, diagnosis: Diagnosis) -> None:
    text = said(page)
    assert "coolant pump failed at cdu-1-pump-a 78 % 61 to 90 %" in text
    assert "coolant flow restricted at cdu-1 13 % 5 to 24 %" in text
    assert "cause unknown 6 % 2 to 14 %" in text
    assert "No fault: under 1 %." in text
    for one in diagnosis.hypotheses:
        assert one.tested is not None
        for reason in (*one.tested.supports, *one.tested.against):
            assert reason in text


def test_a_cause_that_no_model_can_run_says_so(page: Page) -> None:
    assert "The plant model cannot run it: judged by events alone." in said(page)


def test_every_signal_of_a_tried_cause_is_drawn(page: Page, diagnosis: Diagnosis) -> None:
    drawn = [a["aria-label"] for tag, a in page.elements if tag == "svg" and a.get("class") == "small-plot"]
    for one in diagnosis.hypotheses:
        for curve in one.tested.curves if one.tested else ():
            assert any(trial_pictures.curve_words(curve) in label for label in drawn)


def test_how_well_the_model_knows_the_site_stands_beside_the_causes(page: Page, diagnosis: Diagnosis) -> None:
    text = said(page)
    assert diagnosis.state is not None
    assert "from 412 readings; it reproduces 94 % of them" in text
    assert all(problem.text in text for problem in diagnosis.state.problems)
    assert diagnosis.disagreement in text


def test_the_reading_order_leads_from_alarm_to_decision(page: Page) -> None:
    text = said(page)
    parts = ("Alarm", "Root cause", "From the cause to what was seen", "Recovery guide", "What happens if", "digest",
             "approve, agreed")  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_a_proposal_tells_the_difference_first_and_a_refusal_its_reason(page: Page) -> None:
    text = said(page)
    assert text.index("Without it gpu-03 reaches") < text.index("GPUs over 87 C gpu-03 96 % 2 % 0 to 17 %")
    assert "coolant flow under 60 L/min cdu-1 100 % 0 % 0 to 17 %" in text
    assert "GPUs shut down 24 0 -24 to -16" in text
    assert "Refused by the interlock: the chance that a GPU passes 87 C is 31 % with it" in text
    assert "3 options compared" in text
    assert "in all of them this goes on: coolant pump failed at cdu-1-pump-a" in text


def test_a_grouped_incident_is_marked_and_listed_under_its_cause(page: Page) -> None:
    text = " ".join(page.text.split())
    assert f"explained by {PUMP}" in text
    assert "explains 1 other" in text
    assert f"Incidents it explains P1 {POOL} pool-vip: KV cache pressure" in said(page)
    assert f"Its events are explained by the cause of {PUMP}" in said(page, POOL)


def test_what_came_of_a_rehearsed_action_is_held_against_it(tmp_path: Any) -> None:
    made = build(tmp_path)
    (record,) = made.ledger.list_actions(incident_id=PUMP)
    done = rehearsal(record.action.name, record.action.asset, record.action.args)
    made.ledger.note_rehearsal(record.key, done, incident_id=PUMP, now=BEGAN)
    came = Compared(action=record.action.name, asset=record.action.asset, quantities=3, inside=2, came_true=False,
                    worst="flow of cdu-1, 171 L/min where 140 to 160 was expected",
                    rows=(("cdu-1.flow_lpm", 140.0, 150.0, 160.0, 171.0),))  # fmt: skip
    made.ledger.finish_rehearsal(record.key, came, now=BEGAN)
    text = said(
        parsed(render_report(read_dossier(made.ledger, made.site, stories=True), title="t", run=made.run))
    )
    made.ledger.close()
    assert "It did not come as rehearsed: 2 of 3 quantities" in text
    assert "cdu-1.flow_lpm 150 140 to 160 171" in text


def test_an_incident_without_a_test_keeps_its_list_of_causes(page: Page) -> None:
    assert "Candidate Share" in said(page)
    other = said(page, incident_id("gpu_off_bus"))
    assert "Candidate Share" not in other
    assert "GPU fell off the PCIe bus" in other


# ---- the terminal -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(played: Sample) -> Any:
    """What a desk call prints."""
    no_model = {"models": {"light": {"kind": "none"}, "heavy": {"kind": "none"}}}
    desk = make_desk(Settings.model_validate(no_model), played.site, played.ledger)

    def show(view: str, name: str, **arguments: Any) -> str:
        into = StringIO()
        screen = views.Screen(Console(file=into, width=160, highlight=False), ZoneInfo("Europe/Berlin"))
        views.VIEWS[view](screen, DESK[name](desk, **arguments))
        return into.getvalue()

    return show


def test_the_terminal_tells_shares_reasons_and_curves(shown: Any) -> None:
    text = shown("incident", "incidents_show", id=PUMP)
    assert "78 % coolant pump failed at cdu-1-pump-a  61 to 90 %" in text
    assert "+  cdu-1 flow went from 150 to 0 L/min" in text
    assert "-  pool-chat TTFT rose 4 min later" in text
    assert "no fault: under 1 %" in text
    assert "By the events alone it would be coolant flow restricted" in text
    row = next(line for line in text.splitlines() if line.strip().startswith("cdu-1 flow L/min"))
    assert row.count("\u2588") > 10
    assert row.count("\u2581") > 10  # it fell, and the model with it


def test_a_review_tells_what_happens_if(shown: Any, played: Sample) -> None:
    ids = [
        one.id
        for one in played.ledger.list_reviews(incident_id=PUMP)
        if one.proposal and one.proposal.rehearsal
    ]
    first, second = (shown("review", "review_show", id=name) for name in ids)
    assert "GPUs over 87 C (gpu-03): 96 % without it, 2 % with it (0 to 17 %)" in first
    assert first.index("what if") < first.index("chance of") < first.index("effect")
    assert "the chance that a GPU passes 87 C is 31 % with it" in second


def test_the_queue_says_a_line_of_each_rehearsal_that_waits(
    shown: Any, played: Sample, tmp_path: Any
) -> None:
    assert "refused by the interlock: the chance that a GPU passes" in shown(
        "incident", "incidents_show", id=PUMP
    )
    (waiting,) = [one for one in played.ledger.list_reviews(incident_id=PUMP) if one.state == "pending"]
    proposal = waiting.proposal
    assert proposal is not None
    done = rehearsal(proposal.action.name, proposal.action.asset, proposal.action.args)
    row = waiting.model_copy(update={"proposal": proposal.model_copy(update={"rehearsal": done})}).model_dump(
        mode="json"
    )
    into = StringIO()
    views.reviews(
        views.Screen(Console(file=into, width=160), ZoneInfo("UTC")),
        [row | {"approvals": [], "needed": 1, "priority": "P0"}],
    )
    assert done.said in into.getvalue()


# ---- pictures and words -------------------------------------------------------------------------------------------


def test_a_curve_shows_what_was_read_what_was_sound_and_what_the_cause_gives() -> None:
    picture = ElementTree.fromstring(curve_plot(curves("coolant_pump_failure")[0]))
    kinds = {part.get("class") for part in picture.iter()}
    assert {"small-dot", "small-sound", "small-cause", "small-zero"} <= kinds


def test_a_limit_far_from_every_value_does_not_flatten_the_plot() -> None:
    rows = tuple((50.0 + k, 51.0 + k, 52.0 + k) for k in range(3))
    near, far = (
        Band(
            asset="gpu-01",
            metric="gpu_temp_c",
            times_s=(60.0, 120.0, 180.0),
            without=rows,
            acted=rows,
            limit=limit,
        )
        for limit in (55.0, 900.0)
    )
    assert "limit 55" in band_plot(near)
    assert "limit" not in band_plot(far)


finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(st.tuples(st.one_of(st.none(), finite), finite, finite), min_size=1, max_size=40))
def test_any_curve_is_drawn_inside_its_frame(rows: list[tuple[float | None, float, float]]) -> None:
    read, sound, cause = zip(*rows, strict=True)
    times = tuple(30.0 * k - 60.0 for k in range(len(rows)))
    curve = Curve(
        asset="a <b>",
        metric="flow_lpm",
        times_s=times,
        observed=read,
        healthy=sound,
        simulated=cause,
        evidence=0.0,
    )
    picture = ElementTree.fromstring(curve_plot(curve))
    for part in picture.iter("circle"):
        assert 0.0 <= float(part.get("cy") or -1) <= small_charts.SMALL_HEIGHT
        assert 0.0 <= float(part.get("cx") or -1) <= small_charts.SMALL_WIDTH + 0.1


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_bar_stays_within_its_whole(share: float, low: float, high: float) -> None:
    for part in ElementTree.fromstring(interval_bar(share, min(low, high), max(low, high))):
        assert 0.0 <= float(part.get("x") or 0.0) <= 100.0
        assert 0.0 <= float(part.get("width") or -1.0) <= 100.0


@given(st.lists(st.one_of(st.none(), finite), max_size=60), st.integers(1, 40))
def test_a_sparkline_is_as_long_as_asked(values: list[float | None], width: int) -> None:
    known = [value for value in values if value is not None] or [0.0]
    assert len(sparkline(values, min(known), max(known), width)) == min(width, len(values))


def test_since_when_and_how_badly_is_said() -> None:
    verdict = Verdict(
        cause="coolant_pump_failure", asset="cdu-1-pump-a", share=0.4, low=0.2, high=0.6, onset=ONSET, ramp_s=600.0,
        severity=0.5, tried=True,
    )  # fmt: skip
    words = trial_words.cause_facts(verdict, ZoneInfo("UTC"))
    assert words.startswith(
        "Since 22:40:00, growing over 10 min, moderate, 50 % of its range. Run on the plant model"
    )


def test_a_double_fault_names_its_second_cause(played: Sample, diagnosis: Diagnosis) -> None:
    first = diagnosis.hypotheses[0]
    assert first.tested is not None
    double = first.tested.model_copy(update={"also": "sensor_drift@temp-r-01"})
    hypotheses = (first.model_copy(update={"tested": double}), *diagnosis.hypotheses[1:])
    dossier = read_dossier(played.ledger, played.site, stories=True)
    file = next(one for one in dossier.files if one.incident.id == PUMP)
    file.diagnoses.append(diagnosis.model_copy(update={"hypotheses": hypotheses}))
    assert "at cdu-1-pump-a, with sensor drifting at temp-r-01 78 %" in said(
        parsed(render_report(dossier, title="t", run=played.run))
    )


@pytest.mark.parametrize("module", [trial_pictures, trial_words])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_policy_covers_the_small_plots_too() -> None:
    style = "".join((report.TEMPLATES / name).read_text("utf-8") for name in report.STYLES)
    assert ".small-cause" in style


def test_what_was_not_tried_and_what_is_not_proposed_stand_on_the_page_with_the_reason(
    played: Sample,
) -> None:
    dossier = read_dossier(played.ledger, played.site)
    file = next(one for one in dossier.files if one.incident.id == PUMP)
    no = Withheld(subject="Drain gpu-01", why="it was rejected already: REV-1 of INC-1", review="REV-1")
    file.diagnoses[-1] = file.diagnoses[-1].model_copy(
        update={"untested": "no sensor was read", "withheld": (no,)}
    )
    text = said(parsed(render_report(dossier, title="t", run=played.run)))
    assert "Not tried on the plant model: no sensor was read." in text
    assert "Called for and not proposed Drain gpu-01: it was rejected already" in text


def test_what_is_open_stands_by_cause_with_the_rate_of_alarms(page: Page) -> None:
    text = " ".join(page.by_id["causes"].split())
    assert "Open at the end, by cause" in text
    assert "coolant pump failed" in text
    assert re.search(r"at most \d+ new incidents? in ten minutes|Alarms came as a flood|Alarm flood", text)
