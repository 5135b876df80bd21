"""Knowledge, feedback, autonomy, evals, audit and quarantine in the browser."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from setpoint.app.console import record_rows
from setpoint.app.formatting import visible
from setpoint.contracts import Decision, Quarantined
from tests.setpoint.app.console.shift import PUMP, Shift, on_shift
from tests.setpoint.app.console.words import Page
from tests.setpoint.app.sample import incident_id
from tests.setpoint.app.served import serving

MOVED = incident_id("batch_stall")
"""An incident whose priority a person corrected."""


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    with on_shift(tmp_path_factory.mktemp("shift")) as made:
        yield made


# ---- knowledge ------------------------------------------------------------------------------------------------------


async def test_a_question_finds_passages_and_says_where_they_come_from(shift: Shift) -> None:
    vera = await shift.browser("vera", "viewer")
    page = await vera.open("/knowledge?q=coolant+flow+lost+and+the+pump+has+stopped")
    assert "Setpoint's runbooks" in page.words
    passages = [link for link in page.links if link.startswith("/knowledge/passage/")]
    one = await vera.open(passages[0])
    assert "Setpoint's runbooks" in one.words
    assert "{action" not in one.words
    gone = await vera.open("/knowledge/passage/none%23here", status=404)
    assert "No such passage" in gone.words


async def test_what_nothing_answers_is_said(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open("/knowledge?q=zzxqv+<script>alert(1)</script>")
    assert "Nothing in the runbooks or manuals answers" in page.words


async def test_causes_of_the_catalog_are_listed(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open("/knowledge")
    assert "coolant_pump_failure" in page.words


# ---- feedback -------------------------------------------------------------------------------------------------------


async def test_a_correction_tells_what_it_became(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open(f"/feedback?subject={MOVED}")
    assert "jon" in page.words
    assert "checkpoints of three tenants wait on it" in page.words
    assert f"setpoint eval add {MOVED}" in page.words
    assert "training data: a preferred answer, an example to follow" in page.words
    assert f"/incidents/{MOVED}" in page.links


async def test_a_simulated_decision_teaches_nothing_and_is_marked(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open("/feedback")
    assert "nothing: it was simulated" in page.words


async def test_a_decision_of_a_person_counts_in_the_record(shift: Shift) -> None:
    review = shift.ask()
    anna = await shift.browser("anna", "approver")
    shift.ledger.decide(review.id, review.digest, Decision(type="reject", who="anna", reason="not now"))
    page = await anna.open(f"/feedback?subject={review.id}")
    assert "rejected" in page.words
    assert "counts in the record of its kind of action" in page.words
    assert "training data: a yes or a no" in page.words


async def test_pages_of_feedback_follow_each_other(shift: Shift) -> None:
    vera, runtime = await shift.browser("vera"), shift.served.runtime
    total = len(runtime.ledger.list_feedback(simulated=True))
    first, second = (record_rows.lessons(runtime, "", skip, 3)["lessons"] for skip in (0, 3))
    assert first[0].when >= first[-1].when >= second[0].when
    page = await vera.open(f"/feedback?skip={total}")
    assert "Newer" in page.words
    assert "Older" not in page.words


# ---- autonomy -------------------------------------------------------------------------------------------------------


async def test_a_level_is_set_by_an_approver_with_a_reason(shift: Shift) -> None:
    anna = await shift.browser("anna", "approver")
    answer = await anna.fetch(
        "/autonomy/open_ticket/level", level="observe", why="the ticket system moves house"
    )
    page = Page(answer.text)
    assert "open_ticket is at observe." in page.words
    told = shift.ledger.level_changes("open_ticket")
    assert [(one.who, one.level, one.why) for one in told] == [
        ("anna", "observe", "the ticket system moves house")
    ]
    shown = await anna.open("/autonomy/open_ticket")
    assert "the ticket system moves house" in shown.words


async def test_what_the_record_does_not_carry_is_refused_in_words(shift: Shift) -> None:
    anna = await shift.browser("anna", "approver")
    answer = await anna.fetch(
        "/autonomy/cap_gpu_power/level", status=422, level="advise", why="it looks good"
    )
    assert 'role="alert"' in answer.text
    assert shift.ledger.level_changes("cap_gpu_power") == []
    answer = await anna.fetch(
        "/autonomy/cap_gpu_power/sign", status=422, per_hour="2", per_day="4", why="it looks good"
    )
    assert 'role="alert"' in answer.text
    await anna.open("/autonomy/no_such_kind", status=404)


async def test_only_an_approver_is_offered_the_switch(shift: Shift) -> None:
    olga = await shift.browser("olga", "operator")
    assert "/level" not in (await olga.open("/autonomy")).text
    await olga.fetch("/autonomy/open_ticket/level", status=403, level="assist", why="no")


async def test_everything_goes_back_to_assist_at_one_word(shift: Shift) -> None:
    anna = await shift.browser("anna", "approver")
    answer = await anna.send("/autonomy/revoke-all", why="a new plant manager")
    assert answer.headers["location"] == "/autonomy"


async def test_whoever_is_on_shift_takes_autonomy_back(shift: Shift) -> None:
    olga, vera = await shift.browser("olga", "operator"), await shift.browser("vera", "viewer")
    await vera.send("/autonomy/open_ticket/revoke", status=403, why="no")
    answer = await olga.fetch("/autonomy/open_ticket/revoke", why="it opened the wrong one")
    assert "open_ticket is back to assist" in answer.text
    last = shift.ledger.level_changes("open_ticket")[-1]
    assert (last.who, last.what, last.why) == ("olga", "revoked", "it opened the wrong one")
    await vera.send("/autonomy/revoke-all", status=403, why="no")
    await olga.send("/autonomy/revoke-all", why="a new plant manager")


# ---- evals ----------------------------------------------------------------------------------------------------------


async def test_results_stand_with_interval_count_and_date(
    shift: Shift, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # no run of this machine
    page = await (await shift.browser("vera")).open("/evals")
    (run, _), others = record_rows.measured()
    line = next(line for line in run.lines if line.cells[0])
    assert line.cells[0] is not None
    assert f"{line.cells[0].value} ({line.cells[0].low} to {line.cells[0].high})" in page.words
    assert run.about in page.words
    assert "held-out" in page.words
    assert {table.name for table in others} == {"diagnosis", "autonomy", "service rca"}


# ---- audit ----------------------------------------------------------------------------------------------------------


async def test_the_chain_is_verified_and_rows_lead_to_their_subjects(shift: Shift) -> None:
    page = await (await shift.browser("vera")).open("/audit")
    assert "rows holds, verified" in page.words
    page = await (await shift.browser("vera")).open(f"/audit?subject={PUMP}")
    assert set(re.findall(r'<td class="id inline">(?:<a href="[^"]*">)?([^<]*)', page.text)) == {PUMP}


async def test_pages_of_the_audit_hold_every_row_once(shift: Shift) -> None:
    runtime, seen, before = shift.served.runtime, list[int](), 0
    last = runtime.ledger.last_audit()
    while True:
        found = record_rows.audited(runtime, "", before, 7)
        seen += [one["row"].number for one in found["rows"]]
        before = found["older"]
        if not before:
            break
    assert seen == list(range(last, 0, -1))


async def test_a_row_that_was_changed_is_named(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for number in range(5):
            served.runtime.ledger.audit("test", "desk-tried", f"S-{number}", {"n": number})
        with sqlite3.connect(tmp_path / "ledger.db") as file:
            file.execute("UPDATE audit SET who = 'somebody else' WHERE number = 3")
        async with served.client() as client:
            page = Page((await client.get("/audit")).text)
    assert "The chain breaks at row 3: its content was changed" in page.words


@pytest.mark.parametrize(
    "query", ["before=-1", "before=x", "before=99999999999999999999", "subject=" + "x" * 500]
)
async def test_a_query_that_is_none_is_refused(shift: Shift, query: str) -> None:
    vera = await shift.browser("vera")
    assert (await vera.client.get(f"/audit?{query}")).status_code == 422


# ---- quarantine -----------------------------------------------------------------------------------------------------


def held(shift: Shift, name: str, raw: bytes) -> None:
    item = Quarantined(
        id=name, received=datetime.now(UTC), origin="test <b>", reason="no JSON </textarea><script>alert(1)</script>", remedy="mend it", raw=raw
    )  # fmt: skip
    shift.ledger.accept([], [item], "test")


async def test_an_item_is_mended_and_read_again(shift: Shift) -> None:
    held(shift, "Q-mend", b'{"time": "2026-11-01T10:00:00Z", "host": "gpu-03", "message": "fan 3 failed"')
    olga = await shift.browser("olga", "operator")
    page = await olga.open("/quarantine")
    assert "no JSON </textarea><script>alert(1)</script>" in page.words
    refused = await olga.fetch("/quarantine/Q-mend/replay", status=422, text='{"time": "half')
    assert "still cannot be read" in refused.text
    assert "{&#34;time&#34;: &#34;half" in refused.text, "what was typed is kept"
    text = '{"time": "2026-11-01T10:00:00Z", "host": "gpu-03", "message": "fan 3 failed"}\r\n'
    answer = await olga.fetch("/quarantine/Q-mend/replay", text=text)
    assert "Q-mend could be read now" in answer.text
    assert shift.ledger.get_quarantined("Q-mend").state == "replayed"


async def test_bytes_that_a_page_cannot_show_are_read_as_they_came(shift: Shift) -> None:
    held(shift, "Q-raw", b"\x1b[31mred\xff\r\ntwo\r\n")
    shown = record_rows.quarantined(shift.served.runtime, 50)["held"][-1]
    sent = visible(shown["raw"]).replace("\n", "\r\n")  # as a browser sends a text area
    assert record_rows.mended(shift.served.runtime, "Q-raw", sent) == ""
    assert record_rows.mended(shift.served.runtime, "Q-raw", "something else\r\n") == "something else\n"


async def test_an_item_is_removed(shift: Shift) -> None:
    held(shift, "Q-gone", b"nothing")
    olga = await shift.browser("olga", "operator")
    await olga.send("/quarantine/Q-gone/remove")
    assert shift.ledger.get_quarantined("Q-gone").state == "removed"
    again = await olga.fetch("/quarantine/Q-gone/remove", status=422)
    assert "no longer in quarantine" in again.text
