"""The report, read as a browser would read it."""

from __future__ import annotations

import base64
import doctest
import hashlib
import sqlite3
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

from plant.nights import START, Line
from setpoint.app import dossier as dossier_module
from setpoint.app import formatting, pictures, report
from setpoint.app.dossier import Dossier, IncidentFile, read_dossier
from setpoint.app.report import render_report, write_report
from setpoint.contracts import Event
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.setpoint.app.sample import BEGAN, Sample, build, facts, hostile_line, incident_id

VOID = {"meta", "br", "img", "link", "input"}
INLINE = {"a", "b", "code", "mark", "script", "style"}


@dataclass
class Page(HTMLParser):
    """Elements with their attributes, and the text of each id."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    inside: dict[str, str] = field(default_factory=dict)
    """Element name to the text within the last one of it."""
    by_id: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        if tag not in INLINE:
            self.handle_data(" ")
        self.elements.append((tag, values))
        if tag not in VOID:
            self._open.append((tag, values.get("id", "")))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1][0] == tag, f"</{tag}> closes <{self._open[-1][0]}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for tag, identifier in self._open:
            if tag in ("script", "style", "mark"):
                self.inside[tag] = self.inside.get(tag, "") + data
            if identifier:
                self.by_id[identifier] = self.by_id.get(identifier, "") + data
        if not any(tag in ("script", "style") for tag, _ in self._open):
            self.text += data

    def close(self) -> None:
        super().close()
        assert not self._open, f"left open: {self._open}"

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page


@pytest.fixture(scope="module")
def dossier(played: Sample) -> Dossier:
    return read_dossier(played.ledger, played.site, stories=True)


@pytest.fixture(scope="module")
def html(played: Sample, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "night" / "report.html"
    write_report(played.ledger, played.site, path, title="A recorded night", run=played.run)
    assert [item.name for item in path.parent.iterdir()] == ["report.html"]
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return parsed(html)


# ---- strict ---------------------------------------------------------------------------------------------------


def test_nothing_is_fetched_and_nothing_runs_but_the_one_script(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert tags.count("style") == 1
    assert not {"img", "link", "iframe", "object", "form", "base", "video", "image", "use"}.intersection(tags)
    assert not page.values("src")
    assert all(href.startswith("#") for href in page.values("href"))


def test_no_inline_handler_and_no_inline_style(page: Page) -> None:
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert "style" not in names


def test_policy_admits_exactly_the_style_and_the_script_that_are_there(page: Page) -> None:
    policies = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    directives = dict(part.strip().split(" ", 1) for part in policies[0].split(";"))
    assert directives["default-src"] == "'none'"
    for name, tag in (("style-src", "style"), ("script-src", "script")):
        digest = base64.b64encode(hashlib.sha256(page.inside[tag].encode()).digest()).decode()
        assert directives[name] == f"'sha256-{digest}'"


def test_hostile_words_are_words(page: Page, html: str) -> None:
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert html.count("<script") == 1


def test_characters_that_turn_the_text_around_are_shown(tmp_path: Path) -> None:
    made = build(tmp_path)
    made.ledger.correct(incident_id("leak"), "wording", "leak \u202ereversed\x1b[2J <b>", "jon", "clearer")
    text = render_report(read_dossier(made.ledger, made.site, stories=True), title="t", run=made.run)
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "leak \\u202ereversed\\x1b[2J <b>" in parsed(text).text


def test_every_link_leads_somewhere_and_no_anchor_is_twice(page: Page) -> None:
    anchors = page.values("id")
    assert len(anchors) == len(set(anchors))
    assert {href[1:] for href in page.values("href")} <= set(anchors)


# ---- content --------------------------------------------------------------------------------------------------


def incident_text(page: Page, story: str) -> str:
    return " ".join(page.by_id[pictures.anchor("i", incident_id(story))].split())


def test_tiles_count_what_the_ledger_counts(page: Page, played: Sample, dossier: Dossier) -> None:
    stats = played.ledger.stats()
    text = " ".join(page.text.split())
    assert f"Events {stats.events} P0 {stats.events_by_priority['P0']}" in text
    firsts = [n for n in dossier.notices if n.notice.stage == "first"]
    assert dossier.pages == len(firsts) < len(dossier.notices)
    assert f"Pages {len(firsts)}" in text
    assert f"First notice, median {formatting.span(stats.first_notice.p50_s)}" in text


def test_an_incident_says_why_its_rank_and_why_one(page: Page, played: Sample) -> None:
    text = incident_text(page, "pump_under_surge")
    triages = played.ledger.triage_of(incident_id("pump_under_surge"))
    first = next(t for t in triages if t.priority == "P0")
    assert f"urgency high {first.urgency.reason}" in text
    assert first.decided_by[0] in text
    assert played.ledger.get_incident(incident_id("pump_under_surge")).grouped_by in text


def test_an_incident_shows_analysis_guide_and_actions(page: Page, played: Sample) -> None:
    identifier = incident_id("pump_under_surge")
    text, diagnosis = incident_text(page, "pump_under_surge"), played.ledger.get_diagnosis(identifier)
    assert diagnosis is not None
    for piece in diagnosis.evidence:
        assert piece.source in page.by_id[f"{pictures.anchor('i', identifier)}.{piece.id}"]
    assert diagnosis.summary in text
    for step in diagnosis.guide.steps:
        assert step.citation.passage_id in text
    reviews = played.ledger.list_reviews(incident_id=identifier)
    assert {review.state for review in reviews} == {"decided", "pending"}
    for review in reviews:
        assert review.proposal is not None
        assert review.digest[:32] in text
        assert review.proposal.rollback in text
    assert "flow_lpm 41 171" in text
    assert "return_temp_c 57.3 44.8" in text


def test_a_proposal_of_an_earlier_analysis_keeps_its_own_evidence(dossier: Dossier) -> None:
    file = next(f for f in dossier.files if f.incident.id == incident_id("pump_under_surge"))
    first = file.diagnoses[-1]
    pieces = [p.model_copy(update={"id": f"E{n + 1}"}) for n, p in enumerate(first.evidence[1:])]
    later = first.model_copy(update={"evidence": tuple(pieces), "proposals": ()})
    moved = IncidentFile(file.incident, diagnoses=[first, later])
    shown = report.proof(moved, ("E1", "E2"), first.proposals[0])
    assert [(one.said_as, one.text, one.present) for one in shown] == [
        ("E1", first.evidence[0].text, False),
        ("E2", first.evidence[1].text, True),
    ]
    assert shown[1].id == "E1"  # where the same sentence stands now
    assert [one.present for one in report.proof(moved, ("E1", "E77"))] == [True, False]


def test_citations_lead_to_the_quoted_words(page: Page, played: Sample) -> None:
    diagnosis = played.ledger.get_diagnosis(incident_id("pump_under_surge"))
    assert diagnosis is not None
    marked = page.inside["mark"].replace("`", "")
    for step in diagnosis.guide.steps:
        passage = page.by_id[pictures.anchor("p", step.citation.passage_id.partition("/")[0])]
        first = report.bullets(step.citation.quote)[0].replace("`", "")
        assert first in passage
        assert first in marked


def test_what_an_edit_changed_is_said(page: Page) -> None:
    assert "approved with changes" in incident_text(page, "vip_kv_pressure")
    assert "changed " in incident_text(page, "vip_kv_pressure")


def test_an_approval_that_led_to_nothing_says_why(tmp_path: Path) -> None:
    made = build(tmp_path)
    made.ledger.audit("setpoint", "approval-refused", "REV-doubt1", {"why": "not in the catalog's form"})
    dossier = read_dossier(made.ledger, made.site, stories=True)
    file = next(f for f in dossier.files if f.incident.id == incident_id("smoke"))
    review = next(r for r in file.reviews if r.decision and r.decision.type == "approve")
    file.actions.clear()
    assert "Not executed yet." in parsed(render_report(dossier, title="t", run=made.run)).text
    assert dossier.refusals == {"REV-doubt1": "not in the catalog's form"}
    dossier.refusals[review.id] = "the token had run out"
    assert (
        "Not executed: the token had run out" in parsed(render_report(dossier, title="t", run=made.run)).text
    )


def test_corrections_name_the_person_and_the_reason(page: Page) -> None:
    assert "Set to P1 by jon: checkpoints of three tenants wait on it" in incident_text(page, "batch_stall")
    assert "Set by lee: firmware_regression. the vendor confirmed it" in incident_text(page, "after_firmware")


def test_unreadable_items_silences_and_the_audit_chain_are_there(page: Page, played: Sample) -> None:
    for held in played.ledger.list_quarantine():
        assert held.item.reason in page.text
        assert held.item.remedy in page.text
    assert "cabling work until noon" in page.text
    assert f"Verified: {played.ledger.verify_chain().rows} rows" in page.text


def test_says_whose_words_stand_and_what_fell_back(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "First notices template 7" in text
    assert "Later notices setpoint-small 5" in text
    assert f"{incident_id('leak')} step 1: the text used a number word" in text


def test_a_broken_chain_is_said(tmp_path: Path) -> None:
    made = build(tmp_path)
    made.ledger.close()
    with sqlite3.connect(tmp_path / "ledger.db") as raw:
        raw.execute("drop trigger if exists audit_no_update")
        raw.execute("update audit set who = 'nobody' where number = 5")
    raw.close()
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        text = render_report(read_dossier(ledger, made.site, stories=True), title="t", run=made.run)
    assert "Broken at row 5" in " ".join(parsed(text).text.split())


def test_an_empty_ledger_makes_a_report(empty: Ledger, played: Sample) -> None:
    text = parsed(render_report(read_dossier(empty, played.site, stories=True), title="t", run=facts())).text
    assert "Nothing but routine" in text
    assert "No event with a sure time" in text


def test_less_urgent_incidents_past_the_limit_are_counted(
    played: Sample, dossier: Dossier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FULL_FILES", 3)
    monkeypatch.setattr(report, "MAX_ROUTINE", 2)
    text = " ".join(parsed(render_report(dossier, title="t", run=played.run)).text.split())
    notable = sum(not file.is_routine for file in dossier.files)
    assert f"{notable - 3} less urgent incidents" in text
    assert f"The first 2 of {len(dossier.files) - notable}" in text


def test_a_report_that_cannot_be_written_names_the_place(played: Sample, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the report"):
        write_report(played.ledger, played.site, tmp_path / "file" / "report.html", title="t", run=played.run)


# ---- clock and pictures ---------------------------------------------------------------------------------------


def test_marks_of_a_replay_stand_on_the_clock_of_the_events(dossier: Dossier) -> None:
    assert dossier.replayed
    file = next(f for f in dossier.files if f.incident.id == incident_id("pump_under_surge"))
    first = next(s.event for s in file.sightings if s.priority == "P0")
    marks = {mark.kind: mark.time for mark in reversed(pictures.marks_of(file, dossier))}
    assert timedelta(0) < marks["alert"] - first.time < timedelta(seconds=0.2)
    assert marks["alert"] < marks["analysis"] < marks["decision"] < marks["action"]
    assert marks["action"] - file.incident.updated < timedelta(minutes=1)


def test_one_clock_that_stands_at_1970_does_not_stretch_the_picture(tmp_path: Path, dossier: Dossier) -> None:
    stray = "<3>1 1970-01-01T00:00:07.000Z gpu-05 kernel - - - booted without a clock"
    made = build(tmp_path, extra=[Line(START, stray, "noise", "P3", "no_fault")])
    assert min(event.time for event in made.ledger.iter_events()).year == 1970
    assert dossier.first_event is not None
    first = read_dossier(made.ledger, made.site).first_event
    assert first is not None
    assert abs(first - dossier.first_event) < timedelta(minutes=10)


def test_rows_of_a_story_tell_the_real_time_since_the_rank_was_set(dossier: Dossier) -> None:
    file = next(f for f in dossier.files if f.incident.id == incident_id("pump_under_surge"))
    rows = report.story(file)
    assert [row.time for row in rows] == sorted(row.time for row in rows)
    after = {row.item.kind: row.after_s for row in reversed(rows)}
    assert after["event"] is None
    assert after["notice"] == pytest.approx(0.021, abs=0.02)
    assert after["diagnosis"] == pytest.approx(4.2, abs=0.02)


def test_every_lane_and_every_event_is_in_the_timeline(dossier: Dossier) -> None:
    picture = pictures.timeline(dossier)
    assert picture is not None
    page = parsed(str(picture))
    lanes = [f for f in dossier.files if not f.is_routine]
    assert page.values("href") == [f"#{pictures.anchor('i', f.incident.id)}" for f in lanes]
    x = [float(a["cx"]) for tag, a in page.elements if tag == "circle" and a["class"].startswith("dot-")]
    assert min(x) >= pictures.LEFT
    assert max(x) <= pictures.WIDTH


@pytest.mark.parametrize(("length_s", "labels"), [
    (20, ["22:00:02", "22:00:04"]),
    (8 * 3600, ["23:00", "15 Mar", "01:00"]),
    (40 * 86400, ["2026-03-19", "2026-03-26"]),
])  # fmt: skip
def test_ticks_are_round_times_of_the_zone(length_s: int, labels: list[str]) -> None:
    first = 1773522000.0  # 2026-03-14 22:00:00 in Berlin
    axis = pictures.Axis(first, first + length_s, 0.0, 1000.0)
    ticks = list(axis.ticks(ZoneInfo("Europe/Berlin"), 10))
    assert [label for _, label in ticks][: len(labels)] == labels
    assert len(ticks) <= 11


def test_readings_are_drawn_against_their_limit(dossier: Dossier) -> None:
    file = next(f for f in dossier.files if f.incident.id == incident_id("pump_under_surge"))
    drawn, singles = pictures.readings(file, dossier)
    flow = next(parsed(str(one)) for one in drawn if "flow_lpm" in one)
    limit = next(float(a["y1"]) for _, a in flow.elements if a.get("class") == "plot-limit")
    low = next(float(a["cy"]) for _, a in flow.elements if a.get("class") == "dot-p0")
    back = next(float(a["cy"]) for _, a in flow.elements if a.get("class") == "dot-p3")
    assert back < limit < low  # downwards is larger: 41 lpm is under its limit of 60, 171 above
    vibration = next(one for one in singles if one.event.metric == "vibration_mm_s")
    assert vibration.beyond == "2.9 above"


def test_one_value_without_a_limit_can_be_drawn() -> None:
    event = Event(
        id="e",
        time=BEGAN,
        received=BEGAN,
        asset="a",
        source="s",
        kind="",
        message="m",
        metric="soc",
        value=0.0,
    )
    assert "polyline" in pictures.plot([event, event], {}, ZoneInfo("UTC"))


@pytest.mark.parametrize("module", [dossier_module, formatting, pictures, report])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_sample_holds_what_these_tests_are_about(played: Sample) -> None:
    assert any("alert(1)" in event.message for event in played.ledger.iter_events())
    assert "alert(1)" in hostile_line().text
