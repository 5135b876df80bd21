"""The shared queue in the browser: what a decider sees, every decision, two people, and everything that comes too late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from setpoint.contracts import Decision, Outcome, Review
from tests.agents.plans import MADE
from tests.setpoint.app.console.shift import PUMP, Browser, Shift, on_shift, proposed, value_of
from tests.setpoint.app.loop_sample import FATES, cycle_at
from tests.setpoint.app.sample import incident_id


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    with on_shift(tmp_path_factory.mktemp("shift")) as made:
        yield made


async def seen(browser: Browser, review: Review) -> dict[str, Any]:
    """What the form of the page that this person looks at sends along."""
    page = await browser.open(f"/approvals/{review.id}")
    return {"digest": value_of(page.text, "digest")}


# ---- reading ------------------------------------------------------------------------------------------------


async def test_everything_needed_to_decide_stands_on_the_page(shift: Shift) -> None:
    rehearsed = next(
        one
        for one in shift.ledger.list_reviews()
        if one.proposal and one.proposal.rehearsal and one.proposal.action.args
    )
    asked = shift.put(rehearsed.proposal)
    page = await (await shift.browser("ada")).open(f"/approvals/{asked.id}")
    assert page.text.count("small-act-band") > 1, "with and without as plots"
    for words in (
        "What happens if",
        "Without it",
        "90 % interval",
        "options compared",
        "way back",
        "risk class",
        "allowed",
        "evidence",
    ):
        assert words in page.words, words
    assert proposed(asked).why in page.words
    assert proposed(asked).rollback in page.words
    assert rehearsed.proposal.rehearsal.said in page.words
    assert f"/incidents/{asked.incident_id}" in page.links
    assert "time data-left" in page.text, "its expiry counts down"


async def test_the_queue_has_the_most_urgent_incident_first_and_in_it_the_oldest_question(
    shift: Shift,
) -> None:
    older = shift.ask(asset="cdu-2", flow_lpm=140.0)
    newer = shift.ask(asset="cdu-2", flow_lpm=150.0)
    page = await (await shift.browser("ada")).open("/approvals")
    order = [link.rpartition("/")[2] for link in page.links if link.startswith("/approvals/REV")]
    assert order.index(older.id) < order.index(newer.id)
    assert order[-1] == "REV-doubt1" or "P3" not in page.words


async def test_the_asset_of_another_screen_is_the_part_alone(shift: Shift) -> None:
    browser, asked = await shift.browser("ada"), shift.ask()
    queue = (await browser.client.get(f"/approvals/queue?at={asked.id}")).text
    assert asked.id in queue
    assert "<html" not in queue
    part = (await browser.client.get(f"/approvals/{asked.id}/review")).text
    assert part.startswith("<article")
    assert "<html" not in part


# ---- deciding -----------------------------------------------------------------------------------------------


async def test_approve(shift: Shift) -> None:
    ada, asked = await shift.browser("ada"), shift.ask(flow_lpm=111.0)
    await ada.send(
        f"/approvals/{asked.id}", type="approve", reason="the loop needs it", **await seen(ada, asked)
    )
    made = shift.ledger.get_review(asked.id).decision
    assert (made.type, made.who, made.reason, made.simulated) == (
        "approve",
        "ada",
        "the loop needs it",
        False,
    )
    page = await ada.open(f"/approvals/{asked.id}")
    assert "Already decided by ada at" in page.words
    assert ": approved." in page.words
    assert "Not executed yet" in page.words
    assert 'name="digest"' not in page.text


async def test_a_no_needs_a_reason_and_keeps_it(shift: Shift) -> None:
    ada, asked = await shift.browser("ada"), shift.ask(flow_lpm=112.0)
    look = await seen(ada, asked)
    answer = await ada.send(f"/approvals/{asked.id}", status=422, type="reject", reason=" ", **look)
    assert "A no needs a reason" in answer.text
    await ada.send(f"/approvals/{asked.id}", type="reject", reason="not tonight", **look)
    assert shift.ledger.get_review(asked.id).decision.reason == "not tonight"


async def test_an_answer_is_no_yes_and_no_no(shift: Shift) -> None:
    ada, asked = await shift.browser("ada"), shift.ask(flow_lpm=113.0)
    answer = await ada.fetch(
        f"/approvals/{asked.id}", type="respond", answer="Is the valve open?", **await seen(ada, asked)
    )
    assert "the question is put again with it" in answer.text
    assert shift.ledger.get_review(asked.id).decision.answer == "Is the valve open?"


async def test_an_edit_shows_its_difference_before_it_is_sent(shift: Shift) -> None:
    ada, asked = await shift.browser("ada"), shift.ask(flow_lpm=114.0)
    look = await seen(ada, asked) | {"arg.flow_lpm": "120", "reason": "the filter is old", "type": "edit"}
    shown = await ada.send(f"/approvals/{asked.id}/change", status=200, **look)
    assert "<del>114 LPM</del>" in shown.text
    assert "<ins>120 LPM</ins>" in shown.text
    assert "the filter is old" in shown.text, "what was typed is kept"
    assert shift.ledger.get_review(asked.id).state == "pending", "looking at the difference decides nothing"
    unseen = await ada.send(f"/approvals/{asked.id}", status=422, **(look | {"arg.flow_lpm": "125"}))
    assert "not yet looked at as a difference" in unseen.text
    await ada.send(f"/approvals/{asked.id}", shown=value_of(shown.text, "shown"), **look)
    after = shift.ledger.get_review(asked.id)
    assert (after.decision.type, after.proposal.action.args) == ("edit", {"flow_lpm": 120.0})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("114", "Nothing is changed"),
        ("plenty", "is not a number"),
        ("nan", "is not a number"),
        ("1e9", "allowed"),
        ("-5", "allowed"),
        ("<script>alert(1)</script>", "is not a number"),
    ],
)
async def test_an_edit_that_cannot_be_is_told_with_its_bounds_and_kept(
    shift: Shift, value: str, words: str
) -> None:
    ada, asked = await shift.browser("ada"), shift.ask(flow_lpm=114.0)
    look = await seen(ada, asked) | {"arg.flow_lpm": value, "reason": "see below", "type": "edit"}
    for path in (f"/approvals/{asked.id}/change", f"/approvals/{asked.id}"):
        answer = await ada.send(path, status=422, **look)
        assert words in answer.text
        assert "see below" in answer.text
        assert "<script>alert" not in answer.text
        told = await ada.fetch(path, status=409 if words == "allowed" else 422, **look)
        assert words.lower() in told.text.lower()
        assert told.headers["content-type"] == "application/json"
    shift.ledger.withdraw_review(asked.id, "test", "over")


async def test_an_edit_can_be_rehearsed_first_and_says_where_it_cannot(shift: Shift) -> None:
    ada, asked = await shift.browser("ada"), shift.ask(flow_lpm=124.0, incident=incident_id("batch_stall"))
    look = await seen(ada, asked) | {"arg.flow_lpm": "130", "type": "edit"}
    tried = await ada.send(f"/approvals/{asked.id}/rehearse", status=200, **look)
    assert "with it 130 L/min" in tried.text, "the plant as it is now, with the edited value"
    assert "<ins>130 LPM</ins>" in tried.text
    assert shift.ledger.get_review(asked.id).state == "pending"

    ticket = shift.ask("open_ticket", "cdu-1", queue="hardware")
    look = await seen(ada, ticket) | {"arg.queue": "network", "type": "edit"}
    tried = await ada.send(f"/approvals/{ticket.id}/rehearse", status=200, **look)
    assert "It cannot be rehearsed" in tried.text
    assert "<ins>network </ins>" in tried.text


async def test_nobody_says_yes_to_what_he_asked_for_himself(shift: Shift) -> None:
    mine = proposed(shift.ask(flow_lpm=126.0)).model_copy(
        update={"proposed_by": "ada", "proposed_via": "chat"}
    )
    asked = shift.put(mine.model_copy(update={"incident_id": "ASK-1"}))
    ada, bea = await shift.browser("ada"), await shift.browser("bea")
    page = await ada.open(f"/approvals/{asked.id}")
    assert "as you asked for it, somebody else has to say yes" in page.words
    assert "Asked for by ada" in page.words
    refused = await ada.send(f"/approvals/{asked.id}", status=409, type="approve", **await seen(ada, asked))
    assert "somebody else has to say yes" in refused.text
    await bea.send(f"/approvals/{asked.id}", type="approve", **await seen(bea, asked))
    assert "ada (chat)" in (await bea.open(f"/approvals/{asked.id}")).words


# ---- high risk ------------------------------------------------------------------------------------------------


async def test_high_risk_needs_the_assets_name_and_two_people(shift: Shift) -> None:
    asked = shift.ask("close_leak_valve", "r-05", needed=2, incident=incident_id("leak"))
    asset = proposed(asked).action.asset
    ada, bea = await shift.browser("ada"), await shift.browser("bea")
    look = await seen(ada, asked) | {"type": "approve"}
    missing = await ada.send(f"/approvals/{asked.id}", status=422, reason="it drips", **look)
    assert "name is missing" in missing.text.replace("&#39;", "'")
    assert "it drips" in missing.text
    wrong = await ada.send(f"/approvals/{asked.id}", status=422, asset_typed="r-06", **look)
    assert f"is not the asset. This is of high risk: type {asset}" in wrong.text
    assert shift.ledger.approvals(asked.id) == ((), 2), "nothing was recorded"

    first = await ada.fetch(f"/approvals/{asked.id}", asset_typed=asset.upper(), **look)
    assert "1 of 2: another person has to agree" in first.text
    again = await ada.send(f"/approvals/{asked.id}", status=409, asset_typed=asset, **look)
    assert "ada agreed already; it needs 2 different people" in again.text.lower().replace("Ada", "ada")
    assert shift.ledger.get_review(asked.id).state == "pending"

    page = await bea.open(f"/approvals/{asked.id}")
    assert "Agreed so far: ada" in page.words
    await bea.send(f"/approvals/{asked.id}", asset_typed=asset, **look)
    assert shift.ledger.get_review(asked.id).state == "decided"
    assert shift.ledger.approvals(asked.id)[0] == ("ada", "bea")


# ---- too late -------------------------------------------------------------------------------------------------


async def test_the_second_reviewer_is_told_who_was_quicker_and_gets_no_error_page(shift: Shift) -> None:
    asked = shift.ask(flow_lpm=115.0)
    ada, bea = await shift.browser("ada"), await shift.browser("bea")
    look = await seen(bea, asked)
    await ada.send(f"/approvals/{asked.id}", type="approve", **look)
    for send in (bea.send, bea.fetch):
        late = await send(f"/approvals/{asked.id}", status=409, type="reject", reason="no", **look)
        assert late.headers["content-type"].startswith("text/html")
        assert "Already decided by ada at" in late.text
        assert ": approved; your answer was not recorded." in late.text
    assert shift.ledger.get_review(asked.id).decision.type == "approve"


async def test_two_at_once_are_one_decision(shift: Shift) -> None:
    asked = shift.ask(flow_lpm=116.0)
    people = [await shift.browser(name) for name in ("ada", "bea", "cyn", "dora")]
    look = await seen(people[0], asked)

    async def decide(browser: Browser, kind: str) -> int:
        answer = await browser.client.post(
            f"/approvals/{asked.id}", data={"csrf": browser.token, "type": kind, "reason": "so", **look}
        )
        return answer.status_code

    statuses = await asyncio.gather(
        *(decide(one, kind) for one, kind in zip(people, ("approve", "reject") * 2, strict=True))
    )
    assert sorted(statuses) == [303, 409, 409, 409]
    assert (
        len([row for row in shift.ledger.list_audit(subject=asked.id) if row.what == "review-decided"]) == 1
    )


async def test_what_was_edited_meanwhile_is_not_approved_unseen(shift: Shift) -> None:
    asked = shift.ask("close_leak_valve", "r-04", needed=2, incident=incident_id("leak"))
    asked = shift.ask("set_supply_temp", "cdu-1", needed=2, temp_c=25.0)
    ada, bea = await shift.browser("ada"), await shift.browser("bea")
    look = await seen(bea, asked)
    edit: dict[str, Any] = {"type": "edit", "arg.temp_c": "24", "asset_typed": "cdu-1", "reason": "gently"}
    edit |= await seen(ada, asked)
    difference = await ada.send(f"/approvals/{asked.id}/change", status=200, **edit)
    await ada.send(f"/approvals/{asked.id}", shown=value_of(difference.text, "shown"), **edit)
    late = await bea.send(
        f"/approvals/{asked.id}", status=409, type="approve", asset_typed="cdu-1", reason="fine by me", **look
    )
    assert "It is not the version you saw: it has been edited since." in late.text
    assert "fine by me" in late.text, "typed text is kept"
    assert "Edited since it was proposed" in late.text
    assert "<ins>24 C</ins>" in late.text
    await bea.send(f"/approvals/{asked.id}", type="approve", asset_typed="cdu-1", **await seen(bea, asked))
    assert shift.ledger.get_review(asked.id).proposal.action.args == {"temp_c": 24.0}


async def test_expired_says_so_before_and_after_the_clock_has_closed_it(shift: Shift) -> None:
    asked = shift.ask(flow_lpm=117.0, expires_s=-1.0)
    ada = await shift.browser("ada")
    for _ in range(2):
        page = await ada.open(f"/approvals/{asked.id}")
        assert "nobody decided it in time" in page.words
        assert 'name="digest"' not in page.text
        late = await ada.send(f"/approvals/{asked.id}", status=409, type="approve", digest=asked.digest)
        assert "your answer was not recorded" in late.text
        shift.ledger.expire_reviews()


# ---- bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"type": "approve", "reason": "x" * 2001},
            "The reason has 2,001 characters, at most 2,000 are kept",
        ),
        ({"type": "respond", "answer": "x" * 2001}, "The answer has 2,001 characters"),
        ({"type": "respond", "answer": ""}, "The answer is empty"),
        ({"type": "perhaps"}, "'perhaps' is no decision"),
        ({}, "'' is no decision"),
    ],
)
async def test_bad_input_is_told_and_kept(shift: Shift, fields: dict[str, Any], words: str) -> None:
    ada, asked = await shift.browser("ada"), shift.ask(flow_lpm=118.0)
    answer = await ada.send(f"/approvals/{asked.id}", status=422, **(await seen(ada, asked) | fields))
    assert words in answer.text.replace("&#39;", "'")
    assert all(len(value) < 100 or value in answer.text for value in fields.values()), "typed text is kept"
    shift.ledger.withdraw_review(asked.id, "test", "over")


async def test_a_digest_that_was_not_seen_decides_nothing(shift: Shift) -> None:
    ada, asked = await shift.browser("ada"), shift.ask(flow_lpm=119.0)
    for digest in ("", "0" * 64):
        await ada.send(f"/approvals/{asked.id}", status=409, type="approve", digest=digest)
    assert shift.ledger.get_review(asked.id).state == "pending"


async def test_an_unknown_review_is_told_in_words(shift: Shift) -> None:
    ada = await shift.browser("ada")
    assert "Back to the list" in (await ada.open("/approvals/REV-nothing", status=404)).words
    await ada.send("/approvals/REV-nothing", status=404, type="approve")


async def test_only_approvers_decide(shift: Shift) -> None:
    asked = shift.ask(flow_lpm=121.0)
    for role in ("viewer", "operator", "admin"):
        browser = await shift.browser(f"only-{role}", role)
        page = await browser.open(f"/approvals/{asked.id}")
        assert "you need the role approver" in page.words
        assert 'name="digest"' not in page.text
        await browser.send(f"/approvals/{asked.id}", status=403, type="approve", digest=asked.digest)
    forged = await (await shift.browser("ada")).client.post(
        f"/approvals/{asked.id}", data={"type": "approve", "digest": asked.digest}
    )
    assert forged.status_code == 403, "without the page's token"
    assert shift.ledger.get_review(asked.id).state == "pending"


# ---- other kinds, what became of it, history ---------------------------------------------------------------------


async def test_rule_changes_show_what_changes(shift: Shift) -> None:
    ledger, now = shift.ledger, datetime.now(UTC)
    ledger.propose_rules("site", "rules: one\nkeep: yes\n", who="ops", shipped=True)
    asked = Review(
        id="REV-rules",
        kind="rule_change",
        incident_id="",
        subject="Rules of the site changed. Let them count?",
        created=now,
    )
    ledger.propose_rules("site", "rules: <b>two</b>\nkeep: yes\n", who="ops", why="more", review=asked)
    ada = await shift.browser("ada")
    page = await ada.open("/approvals/REV-rules")
    assert "-rules: one" in page.words
    assert "+rules: <b>two</b>" in page.words
    assert "<b>two" not in page.text
    assert "Approve: the rules count from now on" in page.words
    await ada.send("/approvals/REV-rules", type="approve", **await seen(ada, asked))
    assert ledger.accepted_rules("site").content.startswith("rules: <b>two")


async def test_doubtful_input_shows_what_came_in(shift: Shift) -> None:
    ada = await shift.browser("ada")
    page = await ada.open("/approvals/REV-doubt1")
    assert "Approve: the rank stands" in page.words
    assert "Reject: it was no real trouble" in page.words
    assert "temp-r-03" in page.words
    assert 'id="do-edit"' not in page.text


async def test_a_loops_proposal_leads_to_its_cycle(shift: Shift) -> None:
    pairs = (cycle_at(MADE, number) for number in range(5, 400, len(FATES)))
    cycle, question = next((cycle, asked) for cycle, asked in pairs if asked)
    asked = question.review.model_copy(update={"digest": proposed(question.review).action.digest(cycle.id)})
    shift.ledger.record_cycle(cycle, learned={})
    shift.ledger.open_review(asked)
    ada = await shift.browser("ada")
    page = await ada.open(f"/approvals/{asked.id}")
    assert f"/incidents/{cycle.id}" in page.links
    assert "the peak loop" in page.words
    page = await ada.open(f"/incidents/{cycle.id}")
    page.links_within()
    assert cycle.plan.headline in page.words
    assert f"/approvals/{asked.id}" in page.links
    await ada.send(f"/approvals/{asked.id}", type="reject", reason="not tonight", **await seen(ada, asked))
    assert "rejected by ada" in (await ada.open(f"/incidents/{cycle.id}")).words


async def test_what_became_of_it_and_the_history(shift: Shift) -> None:
    ada, ledger = await shift.browser("ada"), shift.ledger
    done, refused = shift.ask(flow_lpm=122.0), shift.ask(flow_lpm=123.0)
    for asked in (done, refused):
        ledger.decide(asked.id, asked.digest, Decision(type="approve", who="ada", reason="so"))
    ledger.begin_action("key-1", proposed(done).action, incident_id=PUMP, review_id=done.id, dry_run=False)
    ledger.finish_action(
        "key-1", Outcome(action_id="key-1", state="refused", message="the telemetry is 40 s old")
    )
    ledger.audit("setpoint", "approval-refused", refused.id, {"why": "1 of 2 people approved"})
    assert "refused : the telemetry is 40 s old" in (await ada.open(f"/approvals/{done.id}")).words
    assert "Not executed: 1 of 2 people approved" in (await ada.open(f"/approvals/{refused.id}")).words
    page = await ada.open("/approvals/past")
    assert "approved by ada" in page.words
    assert "the telemetry is 40 s old" in page.words
    order = [link.rpartition("/")[2] for link in page.links if link.startswith("/approvals/REV")]
    assert order.index(refused.id) < order.index(done.id), "the last first"


async def test_the_recommended_ones_are_approved_together(shift: Shift) -> None:
    asked = [
        shift.ask(asset="cdu-2", flow_lpm=value, incident=incident_id("batch_stall"))
        for value in (131.0, 132.0)
    ]
    named = [
        one.model_copy(update={"id": f"{one.id}r", "recommended": "it has always helped"}) for one in asked
    ]
    for one in named:
        shift.ledger.open_review(one)
    ada = await shift.browser("ada")
    assert "Approve the 2 recommended together" in (await ada.open("/approvals")).words
    answer = await ada.fetch("/approvals/recommended", incident=incident_id("batch_stall"), reason="both")
    assert all(f"{one.id}: approved." in answer.text for one in named)
    assert [shift.ledger.get_review(one.id).state for one in (*named, *asked)] == ["decided"] * 2 + [
        "pending"
    ] * 2
