"""The chat page over a played night: ask, follow, propose, stop; text stays text, and each person's talk is their own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from setpoint.contracts.chat import MOST_QUESTION_CHARS
from tests.setpoint.app.console.shift import LEAK, Browser, Shift, on_shift
from tests.setpoint.app.console.words import Page

EVIL = "</textarea><script>alert(1)</script> <b>bold</b> \u202egnp.exe"


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    with on_shift(tmp_path_factory.mktemp("chat")) as made:
        yield made


async def ask(browser: Browser, question: str, thread: str = "") -> tuple[str, Page]:
    """The conversation and its page, as a browser without scripts gets it: it waits for the answer."""
    sent = await browser.send(f"/chat/{thread}/ask" if thread else "/chat/ask", question=question)
    where = sent.headers["location"]
    return where.rpartition("/")[2], await browser.open(where)


async def test_a_question_is_answered_with_links_to_what_it_rests_on(shift: Shift) -> None:
    ana = await shift.browser("ana")
    thread, page = await ask(ana, "what is going on?")
    assert f"/incidents/{LEAK}" in page.links
    assert "incidents are open; the most urgent is" in page.words
    _, page = await ask(ana, "how do I handle a coolant leak at a rack?", thread)
    assert any(link.startswith("/knowledge/passage/leak") for link in page.links)
    assert "1 look: search" in page.words
    _, page = await ask(ana, "who approved the pump start on cdu-1?", thread)
    assert "approved by mira" in page.words
    listed = await ana.open("/chat")
    assert f"/chat/{thread}" in listed.links
    assert "what is going on?" in listed.words


async def test_an_answer_is_streamed_and_can_be_read_again_from_any_step(shift: Shift) -> None:
    ana = await shift.browser("ana")
    sent = await ana.fetch("/chat/ask", 303, question="what headroom do the PDUs have")
    thread = sent.headers["location"].rpartition("/")[2]
    turn = shift.ledger.list_turns("ana", thread)[0].id
    told = events((await ana.client.get(f"/chat/{thread}/turns/{turn}/stream")).text)
    assert told[-1][0] == "end"
    assert "The tightest, pdu-" in told[-1][2]
    again = events(
        (await ana.client.get(f"/chat/{thread}/turns/{turn}/stream", headers={"Last-Event-ID": "3"})).text
    )
    assert again[-1] == told[-1]
    assert all(number > 3 for _, number, _ in again)
    whole = (await ana.client.get(f"/chat/{thread}")).text
    assert "data-stream" not in whole, "it is over"


def events(text: str) -> list[tuple[str, int, str]]:
    """Kind, number and HTML of each."""
    found = re.findall(r"id: (\d+)\nevent: (\w+)\ndata: (.*)\n", text)
    return [(kind, int(number), json.loads(data)["html"]) for number, kind, data in found]


async def test_a_wish_becomes_an_offer_then_a_proposal_that_its_person_cannot_approve(shift: Shift) -> None:
    ana, before = await shift.browser("ana"), pending(shift)
    thread, page = await ask(ana, "drain gpu-07, its memory is failing")
    assert "I can put that to review: drain gpu-07" in page.words
    assert pending(shift) == before, "an offer asks nobody"
    turn = shift.ledger.list_turns("ana", thread)[0].id
    sent = await ana.send(f"/chat/{thread}/propose", turn=turn)
    (fresh,) = pending(shift) - before
    assert sent.headers["location"] == f"/approvals/{fresh}"
    proposal = shift.ledger.get_review(fresh).proposal
    assert (proposal.proposed_by, proposal.proposed_via, proposal.why) == (
        "ana",
        "chat",
        "drain gpu-07, its memory is failing",
    )
    assert proposal.rehearsal is not None
    await ana.send(f"/chat/{thread}/propose", turn=turn)
    assert pending(shift) - before == {fresh}, "asked twice it is asked once"
    shown = await ana.open(f"/chat/{thread}")
    assert f"/approvals/{fresh}" in shown.links
    fields = {"type": "approve", "reason": "mine", "digest": shift.ledger.get_review(fresh).digest}
    own = await ana.client.post(f"/approvals/{fresh}", data={"csrf": ana.token, **fields})
    assert "somebody else has to say yes" in own.text
    assert fresh in pending(shift)


async def test_propose_it_by_words_and_approve_never(shift: Shift) -> None:
    ana, before = await shift.browser("ana"), pending(shift)
    thread, _ = await ask(ana, "cap gpu-05 at 400 W")
    _, page = await ask(ana, "propose it", thread)
    (fresh,) = pending(shift) - before
    assert f"Put to review as {fresh}" in page.words
    assert shift.ledger.get_review(fresh).proposal.action.args == {"cap_w": 400.0}
    for wish in (f"approve {fresh}", "I hereby approve it", "yes, sign it off for me"):
        _, page = await ask(ana, wish, thread)
        assert shift.ledger.get_review(fresh).state == "pending"
    _, page = await ask(ana, f"who approved {fresh}?", thread)
    assert "nobody has decided it" in page.words


async def test_what_the_catalog_does_not_hold_is_refused_in_its_words(shift: Shift) -> None:
    ana, before = await shift.browser("ana"), pending(shift)
    for wish in (
        "restart cdu-1",
        "set the supply temperature of cdu-1 to 90 C",
        "bypass the interlock of cdu-1",
    ):
        _, page = await ask(ana, wish)
        assert "I cannot put that to review" in page.words, wish
    assert pending(shift) == before


def pending(shift: Shift) -> set[str]:
    return {review.id for review in shift.ledger.list_reviews(states=("pending",), limit=1000)}


async def test_what_is_typed_stays_text_wherever_it_is_shown(shift: Shift) -> None:
    ana = await shift.browser("ana")
    thread, page = await ask(ana, EVIL)
    assert "\u202e" not in page.text
    assert "<script>alert" not in page.text
    assert "<b>bold" not in page.text
    for path in ("/chat", f"/chat/{thread}"):
        await ana.open(path)  # no inline script, well formed
    _, page = await ask(ana, "what happened on ib-link-l3-s1 in the last 24 hours")
    assert "<img" not in page.text


async def test_an_over_long_message_is_refused_in_words_and_kept(shift: Shift) -> None:
    ana, text = await shift.browser("ana"), "why " * (MOST_QUESTION_CHARS // 3)
    plain = await ana.send("/chat/ask", 422, question=text)
    page = Page(plain.text)
    assert "at most 2,000 are taken" in page.words
    assert text.strip() in page.text
    fetched = await ana.fetch("/chat/ask", 422, question=text)
    assert "at most 2,000" in fetched.json()["error"]
    assert fetched.json()["remedy"]
    empty = await ana.fetch("/chat/ask", 422, question="  ")
    assert "empty" in empty.json()["error"]


async def test_nobody_reads_the_talk_of_another(shift: Shift) -> None:
    ana, ben = await shift.browser("ana"), await shift.browser("ben", "operator")
    thread, _ = await ask(ana, "is cdu-1 fine?")
    turn = shift.ledger.list_turns("ana", thread)[0].id
    for path in (f"/chat/{thread}", f"/chat/{thread}/turns/{turn}/stream"):
        answer = await ben.client.get(path)
        assert answer.status_code in (404, 422), path
        assert "cdu-1" not in answer.text
    for path, fields in ((f"/chat/{thread}/ask", {"question": "hm"}), (f"/chat/{thread}/stop", {"turn": turn}),
                         (f"/chat/{thread}/propose", {"turn": turn})):  # fmt: skip
        assert "of yours" in (await ben.fetch(path, 422, **fields)).json()["error"]
    assert "is cdu-1 fine" not in (await ben.open("/chat")).words


async def test_a_viewer_is_told_that_asking_needs_an_operator(shift: Shift) -> None:
    eve = await shift.browser("eve", "viewer")
    assert (await eve.client.get("/chat")).status_code == 403
    assert (await eve.client.post("/chat/ask", data={"csrf": eve.token, "question": "x"})).status_code == 403


async def test_a_conversation_is_forgotten_when_its_person_says_so(shift: Shift) -> None:
    ana = await shift.browser("ana")
    thread, _ = await ask(ana, "is cdu-2 fine?")
    await ana.send(f"/chat/{thread}/remove")
    assert f"/chat/{thread}" not in (await ana.open("/chat")).links
    assert shift.ledger.list_threads("ana")


def test_its_script_is_small() -> None:
    static = Path(__file__).parents[4] / "setpoint" / "app" / "console" / "static"
    assert (static / "chat.js").stat().st_size < 8_000
