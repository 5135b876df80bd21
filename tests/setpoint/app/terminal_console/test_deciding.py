"""Every decision by its key, over a real ledger."""

from __future__ import annotations

import pytest

from setpoint.app.terminal.decide import bounds_words, difference
from setpoint.contracts import Decision
from setpoint.ledger import Ledger
from setpoint.settings import Settings
from tests.setpoint.app.terminal_console.conftest import HIGH, LOW, TWO, console


async def test_a_low_risk_is_read_in_full_and_approved_by_one_key(settings: Settings, ledger: Ledger) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", LOW)
        await screen.press("f2")
        await screen.sees(
            "Approve? Cap the GPUs of gpu-01 at 500 W each?", "rollback", "low risk", "expires in "
        )
        await screen.press("y")
        await screen.until(lambda: ledger.get_review(LOW).state == "decided")
        await screen.sees("REV-low approved: Cap the GPUs")
        await screen.until(lambda: screen.app.picture.review(LOW) is None)
    decision = ledger.get_review(LOW).decision
    assert decision is not None
    assert (decision.type, decision.who) == ("approve", "ana")


async def test_the_reason_is_kept_with_the_decision(settings: Settings, ledger: Ledger) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", LOW)
        await screen.press("f2")
        await screen.sees("Approve?")
        await screen.press("tab")
        await screen.write("seen on the camera")
        await screen.press("enter")
        await screen.until(lambda: ledger.get_review(LOW).state == "decided")
    decision = ledger.get_review(LOW).decision
    assert decision is not None
    assert decision.reason == "seen on the camera"


async def test_high_risk_asks_for_the_name_and_a_second_person(settings: Settings, ledger: Ledger) -> None:
    async with console(settings, "ana") as screen:
        screen.choose("reviews", HIGH)
        await screen.press("f2")
        await screen.sees("High risk", "2 people have to agree", "Agreed so far: nobody yet", "type r-05")
        await screen.press("enter", "enter")
        await screen.sees("type the asset's name, r-05, to say yes")
        await screen.write("r-06")
        await screen.press("enter", "enter")
        assert ledger.get_review(HIGH).state == "pending"
        assert screen.field("asset").value == "r-06"
        screen.field("asset").value = "r-05"
        await screen.press("enter", "enter")
        await screen.sees("1 of 2 have agreed; another person has to agree")
        assert ledger.approvals(HIGH) == (("ana",), 2)
        await screen.sees("1 of 2 have agreed")
    async with console(settings, "ben") as screen:
        screen.choose("reviews", HIGH)
        await screen.press("f2")
        await screen.sees("Agreed so far: ana")
        await screen.write("r-05")
        await screen.press("enter", "enter")
        await screen.until(lambda: ledger.get_review(HIGH).state == "decided")


async def test_the_same_person_cannot_be_the_second(settings: Settings, ledger: Ledger) -> None:
    ledger.decide(HIGH, ledger.get_review(HIGH).digest, Decision(type="approve", who="ana", asset="r-05"))
    async with console(settings, "ana") as screen:
        screen.choose("reviews", HIGH)
        await screen.press("f2")
        await screen.sees("Agreed so far: ana")
        await screen.write("r-05")
        await screen.press("tab")
        await screen.write("again")
        await screen.press("enter")
        await screen.sees("already")
        assert screen.field("reason").value == "again"
    assert ledger.get_review(HIGH).state == "pending"


async def test_an_edit_shows_bounds_and_difference(settings: Settings, ledger: Ledger) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", LOW)
        await screen.press("f3")
        await screen.sees("Limit of each GPU: 200 to 700 W", "nothing is changed yet")
        screen.field("arg-cap_w").value = "900"
        await screen.sees("cap_w is out of bounds")
        await screen.press("enter", "enter")
        assert ledger.get_review(LOW).state == "pending"
        assert screen.field("arg-cap_w").value == "900"
        screen.field("arg-cap_w").value = "450"
        await screen.sees("changes cap_w 500 -> 450 W")
        await screen.press("tab", "enter")
        await screen.until(lambda: ledger.get_review(LOW).state == "decided")
    decision = ledger.get_review(LOW).decision
    assert decision is not None
    assert decision.edited is not None
    assert decision.edited.args["cap_w"] == 450.0


async def test_an_edit_that_changes_nothing_is_no_edit(settings: Settings, ledger: Ledger) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", LOW)
        await screen.press("f3")
        await screen.sees("nothing is changed yet")
        await screen.press("tab", "enter")
        await screen.sees("Change a value, or go back and approve it as it is")
    assert ledger.get_review(LOW).state == "pending"


async def test_what_has_no_values_cannot_be_edited(settings: Settings) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", HIGH)
        await screen.press("f3")
        await screen.sees("no value that could be changed")


async def test_a_no_needs_a_reason(settings: Settings, ledger: Ledger) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", LOW)
        await screen.press("f4")
        await screen.sees("Reject? Cap the GPUs")
        await screen.press("enter")
        await screen.sees("a reason for the no is needed")
        await screen.write("the load is low")
        await screen.press("enter")
        await screen.until(lambda: ledger.get_review(LOW).state == "decided")
    decision = ledger.get_review(LOW).decision
    assert decision is not None
    assert (decision.type, decision.reason) == ("reject", "the load is low")


async def test_an_answer_is_neither_yes_nor_no(settings: Settings, ledger: Ledger) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", LOW)
        await screen.press("f5")
        await screen.sees("Send the answer: Cap the GPUs")
        await screen.write("wait for the filter")
        await screen.press("enter")
        await screen.until(lambda: ledger.get_review(LOW).state != "pending")
    decision = ledger.get_review(LOW).decision
    assert decision is not None
    assert (decision.type, decision.answer) == ("respond", "wait for the filter")


async def test_a_decision_of_another_person_is_said_and_the_reason_stays(
    settings: Settings, ledger: Ledger
) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", LOW)
        await screen.press("f4")
        await screen.sees("Reject?")
        await screen.write("not now")
        ledger.decide(
            LOW, ledger.get_review(LOW).digest, Decision(type="approve", who="mira", reason="agreed")
        )
        await screen.sees("already decided: approved by mira: agreed")
        await screen.press("enter")
        await screen.until(lambda: "is not waiting" in screen.text or "decided" in screen.text)
        assert screen.field("reason").value == "not now"
        await screen.press("escape")
        await screen.until(lambda: screen.app.picture.review(LOW) is None)
    decision = ledger.get_review(LOW).decision
    assert decision is not None
    assert decision.who == "mira"


async def test_a_first_yes_while_the_sheet_is_open_is_said(settings: Settings, ledger: Ledger) -> None:
    async with console(settings) as screen:
        screen.choose("reviews", HIGH)
        await screen.press("f2")
        await screen.sees("Agreed so far: nobody yet")
        ledger.decide(
            HIGH, ledger.get_review(HIGH).digest, Decision(type="approve", who="mira", asset="r-05")
        )
        await screen.sees("agreed meanwhile: mira", "Agreed so far: mira")
        await screen.write("r-05")
        await screen.press("enter", "enter")
        await screen.until(lambda: ledger.get_review(HIGH).state == "decided")


async def test_an_edit_of_another_person_is_shown_before_a_yes_counts(
    settings: Settings, ledger: Ledger
) -> None:
    seen = ledger.get_review(TWO)
    assert seen.proposal is not None
    edited = seen.proposal.action.model_copy(update={"args": {"cap_w": 410.0}})
    async with console(settings) as screen:
        screen.choose("reviews", TWO)
        await screen.press("f2")
        await screen.sees("Approve? Cap the GPUs of gpu-03 at 500 W each?")
        ledger.decide(TWO, seen.digest, Decision(type="edit", who="mira", edited=edited))
        await screen.sees("somebody changed it meanwhile", "cap_w 410", "cap_w 500 -> 410")
        await screen.press("y")
        await screen.until(lambda: ledger.get_review(TWO).state == "decided")
    assert ledger.approvals(TWO)[0] == ("mira", "ana")


async def test_escape_decides_nothing(settings: Settings, ledger: Ledger) -> None:
    async with console(settings) as screen:
        for key in ("f2", "f3", "f4", "f5"):
            screen.choose("reviews", LOW)
            await screen.press(key)
            await screen.sees("expires in", "Back")
            await screen.press("escape")
            await screen.until(lambda: len(screen.app.screen_stack) == 1)
    assert ledger.get_review(LOW).state == "pending"


@pytest.mark.parametrize(
    ("typed", "said"),
    [("500", ""), ("450", "cap_w 500 -> 450 W"), ("1e9", "cap_w is out of bounds. Limit: 200 to 700 W"), ("nan", "cap_w has to be a number"),
     ("", "cap_w has to be a number"), ("lots", "cap_w has to be a number")],
)  # fmt: skip
def test_a_difference_in_words(typed: str, said: str) -> None:
    arg = {
        "name": "cap_w",
        "type": "number",
        "unit": "W",
        "doc": "Limit",
        "value": 500.0,
        "choices": [],
        "least": 200.0,
        "most": 700.0,
    }
    assert difference([arg], {"arg-cap_w": typed}) == said
    assert bounds_words({**arg, "least": None, "most": None}) == "Limit: any W"
