"""Machine outputs, read back by the readers of their formats."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from setpoint.app.outputs import FORMATS, render
from setpoint.contracts import PRIORITIES
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.setpoint.app.sample import Sample, build, facts, incident_id

COMMAND = re.compile(r"^::(error|warning|notice) title=([^:,\n]*)::(.*)$")
HOSTILE = "x\r\n::error::owned, 100%: ]]> <b>&\x1b\x00\u202e\ufffe"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """A night whose most urgent incident has a title that attacks every format."""
    made = build(tmp_path_factory.mktemp("hostile"))
    made.ledger.correct(incident_id("leak"), "wording", HOSTILE, "jon", "a test")
    return made


def said(format: str, sample: Sample) -> str:
    text = render(format, sample.ledger, sample.site, sample.run)
    assert text.endswith("\n")
    return text


# ---- json, jsonl ----------------------------------------------------------------------------------------------


def test_json_is_one_document_that_agrees_with_the_ledger(played: Sample) -> None:
    document, stats = json.loads(said("json", played)), played.ledger.stats()
    assert document["summary"]["events_by_priority"] == stats.events_by_priority
    assert len(document["incidents"]) == sum(stats.incidents_by_priority.values())
    assert document["summary"]["audit"]["ok"] is True
    assert len(document["reviews"]) == sum(stats.reviews_by_state.values())
    assert {item["reason"] for item in document["quarantined"]} == {
        held.item.reason for held in played.ledger.list_quarantine()
    }


def test_json_incidents_come_most_urgent_first_and_carry_their_analysis(played: Sample) -> None:
    found = json.loads(said("json", played))["incidents"]
    ranks = [PRIORITIES.index(item["priority"]) for item in found]
    assert ranks == sorted(ranks)
    pump = next(item for item in found if item["id"] == incident_id("pump_under_surge"))
    assert pump["diagnosis"]["hypotheses"][0]["cause"] == "coolant_pump_failure"
    assert [notice["written_by"] for notice in pump["notices"]] == ["template", "setpoint-small"]
    assert pump["notices"][0]["sinks"] == {"console": "sent"}
    assert pump["actions"][0]["after"]["flow_lpm"] == 171.0
    assert (
        next(i for i in found if i["id"] == incident_id("after_firmware"))["corrected_cause"]
        == "firmware_regression"
    )


def test_jsonl_has_a_line_an_incident_and_a_summary_last(played: Sample) -> None:
    lines = [json.loads(line) for line in said("jsonl", played).splitlines()]
    assert [line["type"] for line in lines] == ["incident"] * (len(lines) - 1) + ["summary"]
    assert len(lines) - 1 == sum(lines[-1]["incidents_by_priority"].values())


def test_jsonl_keeps_one_line_whatever_is_in_it(hostile: Sample) -> None:
    lines = said("jsonl", hostile).split("\n")[:-1]
    titles = [json.loads(line).get("title", "") for line in lines]
    assert sum(HOSTILE.split("\r")[0] in title and "owned" in title for title in titles) == 1


# ---- junit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["played", "hostile"])
def test_junit_has_the_usual_structure(which: str, request: pytest.FixtureRequest) -> None:
    root = ET.fromstring(said("junit", request.getfixturevalue(which)))
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    assert {"name", "tests", "failures", "errors", "time", "timestamp"} <= set(suite.attrib)
    order = [child.tag for child in suite]
    assert order == ["properties"] + ["testcase"] * (len(order) - 1)
    for case in suite.findall("testcase"):
        assert {"name", "classname", "time"} == set(case.attrib)
        assert {child.tag for child in case} <= {"failure", "error", "system-out"}
    for holder in (root, suite):
        assert int(holder.attrib["tests"]) == len(suite.findall("testcase"))
        assert int(holder.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(holder.attrib["errors"]) == len(suite.findall("testcase/error"))


def test_junit_fails_p0_and_p1_with_the_notice_and_errs_on_the_unreadable(played: Sample) -> None:
    root = ET.fromstring(said("junit", played))
    failed = {
        case.attrib["name"].split()[0]: case
        for case in root.iter("testcase")
        if case.find("failure") is not None
    }
    urgent = played.ledger.list_incidents(priorities=("P0", "P1"))
    assert set(failed) == {incident.id for incident in urgent}
    last = played.ledger.last_notice(incident_id("smoke"))
    assert last is not None
    assert last.text in (failed[incident_id("smoke")].findtext("failure") or "")
    held = played.ledger.list_quarantine()
    assert sorted(error.text or "" for error in root.iter("error")) == sorted(
        item.item.remedy for item in held
    )


# ---- github ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["played", "hostile"])
def test_github_lines_are_commands_and_nothing_else(which: str, request: pytest.FixtureRequest) -> None:
    lines = said("github", request.getfixturevalue(which)).split("\n")[:-1]
    assert all(COMMAND.match(line) for line in lines)
    assert not any("\r" in line or "\x1b" in line for line in lines)


def test_github_levels_follow_the_priorities(played: Sample) -> None:
    commands = [COMMAND.match(line) for line in said("github", played).splitlines()]
    levels = [(m[1], m[2].split()[0]) for m in commands if m]
    expected = {"P0": "error", "P1": "warning", "P2": "notice"}
    assert [rank for _, rank in levels if rank in expected] == sorted(
        rank for _, rank in levels if rank in expected
    )
    assert all(expected[rank] == level for level, rank in levels if rank in expected)
    assert {rank for _, rank in levels if rank in expected} == set(expected)


def test_github_escapes_come_back_as_they_were(hostile: Sample) -> None:
    line = next(line for line in said("github", hostile).splitlines() if "owned" in line)
    match = COMMAND.match(line)
    assert match is not None
    title = match[2]
    for code, char in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        title = title.replace(code, char)
    assert "x ::error::owned, 100%: ]]> <b>&\\x1b" in title


# ---- text -----------------------------------------------------------------------------------------------------


def test_text_is_plain_and_names_each_incident_of_note(played: Sample) -> None:
    text = said("text", played)
    assert "\x1b" not in text
    for incident in played.ledger.list_incidents(priorities=("P0", "P1", "P2")):
        assert incident.id in text
    diagnosis = played.ledger.get_diagnosis(incident_id("pump_under_surge"))
    assert diagnosis is not None
    assert f"{diagnosis.top.title} {diagnosis.top.score:.0%}" in " ".join(text.split())
    assert "Audit chain verified" in text
    assert all(len(line) <= 118 for line in text.splitlines())


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_ledger_is_no_special_case(format: str, empty: Ledger, played: Sample) -> None:
    text = render(format, empty, played.site, facts())
    assert "0" in text


def test_an_unknown_format_is_named(played: Sample) -> None:
    with pytest.raises(UsageError, match="yaml"):
        render("yaml", played.ledger, played.site, played.run)


def test_a_new_ledger_can_be_opened_beside(tmp_path: Path) -> None:
    """The sample builds anywhere and the same each time."""
    made = build(tmp_path)
    assert json.loads(said("json", made))["summary"]["events"] == 323
    made.ledger.close()
