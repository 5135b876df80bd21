"""Incidents in the browser: the list and its filters, the whole story of one, and what people do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from setpoint.ledger.browsing import Wanted
from tests.setpoint.app.console.shift import LEAK, PUMP, Shift, on_shift
from tests.setpoint.app.sample import incident_id
from tests.setpoint.app.served import serving


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    with on_shift(tmp_path_factory.mktemp("shift")) as made:
        yield made


# ---- the list -------------------------------------------------------------------------------------------------


async def test_the_list_shows_the_most_urgent_first_with_cause_and_holder(shift: Shift) -> None:
    page = await (await shift.browser("vera", "viewer")).open("/incidents")
    ranks = re.findall(r'class="badge (p\d)"', page.text)
    assert ranks == sorted(ranks)
    assert {"p0", "p1", "p2", "p3"} == set(ranks)
    assert "mira" in page.words, "who acknowledged it"
    assert "nobody" in page.words, "a P0 that nobody has says so"
    assert "explains 1 other" in page.words
    assert f"explained by {PUMP}" in page.words
    page.links_within()


@pytest.mark.parametrize(
    ("query", "holds", "lacks"),
    [
        ("?q=LEAK-r-05", LEAK, PUMP),
        ("?asset=cdu-1", PUMP, LEAK),
        ("?priority=P1&priority=P2", incident_id("batch_stall"), PUMP),
        ("?state=acknowledged", PUMP, LEAK),
        (f"?state=all&q={PUMP}", PUMP, LEAK),
    ],
)
async def test_filters(shift: Shift, query: str, holds: str, lacks: str) -> None:
    page = await (await shift.browser("vera")).open(f"/incidents{query}")
    found = re.findall(r'<th scope="row"><a href="/incidents/([^"]+)"', page.text)
    assert holds in found
    assert lacks not in found


async def test_text_that_would_be_a_pattern_is_text(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open("/incidents?q=%25_%25&state=all")
    assert "No incident matches" in page.words


@pytest.mark.parametrize(
    "query", ["?state=molten", "?priority=P9", "?page=0", "?page=-1", "?page=x", "?page=²"]
)
async def test_a_filter_that_is_none_is_told_in_words(shift: Shift, query: str) -> None:
    page = await (await shift.browser("vera")).open(f"/incidents{query}", status=422)
    assert 'role="alert"' in page.text


async def test_a_page_beyond_the_last_says_so(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open("/incidents?page=99")
    assert "There is no page 99" in page.words


def test_the_database_cuts_the_list(shift: Shift) -> None:
    whole, total = shift.ledger.browse_incidents(Wanted(), 1000)
    assert len(whole) == total
    parts = [
        row for place in range(0, total, 3) for row in shift.ledger.browse_incidents(Wanted(), 3, place)[0]
    ]
    assert parts == whole
    assert [row.incident.priority for row in whole] == sorted(row.incident.priority for row in whole)


# ---- one incident ---------------------------------------------------------------------------------------------


async def test_every_claim_leads_to_its_evidence_and_every_step_to_its_runbook(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open(f"/incidents/{PUMP}")
    page.links_within()
    diagnosis = shift.ledger.get_diagnosis(PUMP)
    for step in diagnosis.steps:
        assert step.text in page.words
        assert all(f"#i-{PUMP}.{key}" in page.links for key in step.evidence)
    for step in diagnosis.guide.steps:
        assert f"#p-{step.citation.passage_id.partition('/')[0].replace('#', '.')}" in page.links


async def test_the_whole_story_is_on_one_page(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open(f"/incidents/{PUMP}")
    for heading in (
        "Alarm", "Root cause", "Reasoning", "Evidence", "Recovery guide", "Proposed and decided", "Notices", "Everything that happened",
        "Quoted runbooks", "From the cause to what was seen",
    ):  # fmt: skip
        assert heading in page.words, heading
    assert "mira has it since" in page.words
    assert "What happens if" in page.words, "the rehearsal stands beside what it is of"
    assert "Before After flow_lpm 41 171" in page.words, "readings around the action"
    assert all(
        f"/approvals/{review.id}" in page.links for review in shift.ledger.list_reviews(incident_id=PUMP)
    )


async def test_every_incident_of_the_night_has_a_page(shift: Shift) -> None:
    browser = await shift.browser("vera")
    for row in shift.ledger.browse_incidents(Wanted(), 1000)[0]:
        (await browser.open(f"/incidents/{row.incident.id}")).links_within()


async def test_what_a_log_line_says_stays_text(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open(f"/incidents/{PUMP}")
    assert "<script>alert(1)</script>" in page.words, "it is shown"
    assert "{{ 7*7 }}" in page.words
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    "name", ["INC-nothing", "LOOP-cooling-20990101T000000Z", "%3Cscript%3E", "..%5C..", "a" * 3000]
)
async def test_what_does_not_exist_is_told_in_words(shift: Shift, name: str) -> None:
    page = await (await shift.browser("vera")).open(f"/incidents/{name}", status=404)
    assert "Back to the list" in page.words


# ---- what people do -------------------------------------------------------------------------------------------


async def test_acknowledge_with_and_without_scripts(shift: Shift) -> None:
    browser = await shift.browser("olga", "operator")
    name = incident_id("smoke")
    await browser.send(f"/incidents/{name}/ack", why="walking over")
    page = await browser.open(f"/incidents/{name}?done=ack")
    assert "olga has it since" in page.words
    assert "You have it now" in page.words
    answer = await browser.fetch(f"/incidents/{incident_id('leak')}/ack", why="")
    assert answer.text.startswith('<div id="incident"'), "the part alone, to take its place"
    assert "olga" in answer.text


async def test_who_did_it_is_who_signed_in_and_no_field(shift: Shift) -> None:
    browser = await shift.browser("olga", "operator")
    name = incident_id("gpu_off_bus")
    await browser.send(f"/incidents/{name}/ack", who="mira", why="mine")
    assert shift.ledger.holder_of(name)[0] == "olga"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"field": "priority", "priority": "P2"}, ("priority", "P2")),
        ({"field": "cause", "cause": "coolant_leak"}, ("cause", "coolant_leak")),
        (
            {"field": "wording", "wording": "A <b>better</b> \u202etitle"},
            ("wording", "A <b>better</b> \u202etitle"),
        ),
        (
            {"field": "guide-step", "step": "1", "guide_step": "Look first"},
            ("guide_step", {"step": 1, "text": "Look first"}),
        ),
    ],
)
async def test_corrections(shift: Shift, fields: dict[str, Any], said: tuple[str, object]) -> None:
    browser, name = await shift.browser("olga", "operator"), incident_id("vip_kv_pressure")
    await browser.send(f"/incidents/{name}/correct", why="I was there", **fields)
    made = shift.ledger.list_feedback(subject=name)[-1]
    assert (made.field, made.decided, made.who, made.why) == (*said, "olga", "I was there")
    page = await browser.open(f"/incidents/{name}?done=correct")
    assert "I was there" in page.words
    assert "<b>better</b>" not in page.text
    assert "\u202e" not in page.text, "what reorders text is shown as an escape"


@pytest.mark.parametrize(
    ("deed", "fields", "words"),
    [
        ("correct", {"field": "priority", "priority": "P1", "why": ""}, "A correction needs a reason"),
        ("correct", {"field": "weather", "why": "so"}, "Cannot correct 'weather'"),
        (
            "correct",
            {"field": "cause", "cause": "gremlins", "why": "so"},
            "No root cause 'gremlins' in the catalog",
        ),
        ("correct", {"field": "guide-step", "step": "99", "guide_step": "x", "why": "so"}, "has no step 99"),
        ("correct", {"field": "wording", "wording": " ", "why": "so"}, "The better title is empty"),
        ("close", {"why": "x" * 2001}, "The reason has 2,001 characters, at most 2,000 are kept"),
        ("silence", {"asset": "gpu-*", "minutes": "soon", "why": "so"}, "'soon' is no number of minutes"),
        ("silence", {"asset": "*", "kind": "*", "minutes": "60", "why": "so"}, "silence"),
        ("ungroup", {"why": "it does not"}, "is not grouped under another incident"),
        ("melt", {"why": "it is typed"}, "There is no 'melt' to be done"),
    ],
)
async def test_a_refusal_is_told_beside_its_form_and_keeps_what_was_typed(
    shift: Shift, deed: str, fields: dict[str, Any], words: str
) -> None:
    browser, name = await shift.browser("olga", "operator"), incident_id("intrusion")
    answer = await browser.send(f"/incidents/{name}/{deed}", status=422, **fields)
    assert words in answer.text.replace("&#39;", "'")
    if deed not in ("melt", "ungroup"):  # no such form stands on this incident's page
        assert f'id="do-{deed}" open' in answer.text
        assert fields["why"] in answer.text, "typed text is kept"
    told = await browser.fetch(f"/incidents/{name}/{deed}", status=422, **fields)
    if deed != "melt":
        assert told.json()["error"]
        assert told.headers["content-type"] == "application/json"


async def test_closing_withdraws_what_waits_and_a_closed_one_cannot_be_acknowledged(shift: Shift) -> None:
    browser, name = await shift.browser("olga", "operator"), incident_id("feed_lost")
    waiting = [one for one in shift.ledger.list_reviews(incident_id=name) if one.state == "pending"]
    await browser.send(f"/incidents/{name}/close", why="the feed is back")
    assert waiting
    assert all(shift.ledger.get_review(one.id).state == "withdrawn" for one in waiting)
    answer = await browser.send(f"/incidents/{name}/ack", status=422, why="late")
    assert "is closed: there is nothing to acknowledge" in answer.text


async def test_an_incident_is_taken_out_from_under_its_cause(shift: Shift) -> None:
    browser, name = await shift.browser("olga", "operator"), incident_id("vip_kv_pressure")
    assert PUMP in (await browser.open(f"/incidents/{name}")).words
    await browser.send(f"/incidents/{name}/ungroup", why="the pool was slow before")
    assert name in shift.ledger.kept_apart()


async def test_a_silence_and_an_escalation(shift: Shift) -> None:
    browser, name = await shift.browser("olga", "operator"), incident_id("flapping_link")
    await browser.send(
        f"/incidents/{name}/silence", asset="ib-link-*", kind="", minutes="90", why="recabling"
    )
    made = shift.ledger.list_silences()[-1]
    assert (made.asset, made.kind, made.who, made.why) == ("ib-link-*", "*", "olga", "recabling")
    answer = await browser.fetch(f"/incidents/{name}/escalate", why="I need a second pair of hands")
    assert "It was escalated to console, level 1." in answer.text


async def test_a_viewer_reads_and_finds_no_forms(shift: Shift) -> None:
    browser = await shift.browser("vera", "viewer")
    page = await browser.open(f"/incidents/{PUMP}")
    assert "you need the role operator" in page.words
    assert f"/incidents/{PUMP}/ack" not in page.text
    await browser.send(f"/incidents/{PUMP}/close", status=403, why="so")
    assert shift.ledger.get_incident(PUMP).state != "closed"


# ---- nothing there ----------------------------------------------------------------------------------------------


async def test_pages_of_an_empty_store(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for path, words in (
            ("/incidents", "Nothing is open"), ("/incidents?state=all", "No incident matches"), ("/approvals", "Nothing waits for a decision"),
            ("/approvals/past", "Nothing was decided yet"),
        ):  # fmt: skip
            answer = await served.client().get(path)
            assert answer.status_code == 200
            assert words in answer.text
