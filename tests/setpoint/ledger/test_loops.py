"""Cycles of control loops: written twice, ended once, remembered, and dropped when they are old."""

from __future__ import annotations

from typing import Any

import pytest

from setpoint.contracts.dispatch import JobRequest
from setpoint.contracts.loops import Cycle, Foreseen, LoopPlan, Trouble
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from setpoint.ledger.records import OpenTrouble
from setpoint.settings import StoreSettings
from tests.setpoint.ledger.builders import at, review

DAY = 86_400.0


def cycle(seconds: float = 0.0, **changes: Any) -> Cycle:
    plan = LoopPlan(
        loop="peak", site="demo", made=at(seconds), horizon_s=3600.0, headline="The battery waits."
    )
    values = {"id": f"LOOP-peak-{seconds:g}", "loop": "peak", "at": at(seconds), "plan": plan}
    return Cycle(**(values | changes))


def foreseen(due_s: float, name: str = "site.grid_kw") -> Foreseen:
    return Foreseen(
        loop="peak", at=at(0), due=at(due_s), name=name, expected=300.0, low=280.0, high=320.0, unit="kW"
    )


def recorded(one: Cycle) -> Cycle:
    return one.model_copy(update={"state": "recorded"})


def test_a_cycle_is_noted_and_ended_once(ledger: Ledger) -> None:
    one = cycle()
    ledger.note_cycle(one, now=at(1))
    assert ledger.get_cycle(one.id) == one
    assert ledger.record_cycle(recorded(one), learned={"error": 0.1}, noted=[foreseen(900)], now=at(2))
    late = recorded(one).model_copy(update={"withheld": ()})
    assert not ledger.record_cycle(late, learned={"error": 9.9}, noted=[foreseen(1800)], now=at(3))
    assert ledger.note_cycle(one, asked=[review("REV-1")], now=at(4)) == ()
    assert ledger.list_reviews() == []
    memory = ledger.loop_memory("peak")
    assert memory is not None
    assert memory.learned == {"error": 0.1}
    assert [row.what for row in ledger.list_audit(subject=one.id)] == ["cycle-planned", "cycle-ended"]


def test_reviews_and_their_jobs_come_with_it_once(ledger: Ledger) -> None:
    one, asked = cycle(), review("REV-1")
    orders = [JobRequest(kind="review", key=asked.id, payload={"review_id": asked.id})]
    assert ledger.note_cycle(one, asked=[asked], orders=orders, approvals_needed={asked.id: 2}) == (asked.id,)
    job = ledger.claim(("review",), "w")
    assert job is not None
    ledger.finish(job)
    assert ledger.note_cycle(one, asked=[asked], orders=orders) == ()  # after a crash
    assert ledger.claim(("review",), "w") is None
    assert ledger.approvals(asked.id)[1] == 2


def test_withdrawn_questions_keep_the_reason(ledger: Ledger) -> None:
    old = review("REV-1")
    ledger.note_cycle(cycle(), asked=[old])
    ledger.note_cycle(cycle(900), withdrawn={old.id: "the plan no longer wants it"})
    assert ledger.get_review(old.id).state == "withdrawn"
    (row,) = [one for one in ledger.list_audit(subject=old.id) if one.what == "review-withdrawn"]
    assert row.data == {"why": "the plan no longer wants it"}


def test_the_latest_come_last(ledger: Ledger) -> None:
    for seconds in (1800.0, 0.0, 900.0):
        ledger.note_cycle(cycle(seconds))
    ledger.record_cycle(recorded(cycle(0)), learned={})
    assert [one.at for one in ledger.list_cycles(limit=2)] == [at(900), at(1800)]
    assert [one.at for one in ledger.list_cycles(states=("recorded",))] == [at(0)]
    assert ledger.list_cycles(loop="energy") == []
    assert ledger.find_cycle("LOOP-none") is None
    with pytest.raises(UsageError, match="setpoint loop list"):
        ledger.get_cycle("LOOP-none")


def test_what_was_foreseen_is_due_until_it_was_seen(ledger: Ledger) -> None:
    ledger.record_cycle(recorded(cycle()), learned={}, noted=[foreseen(900), foreseen(1800)])
    assert ledger.due_foreseen("peak", at(899)) == []
    (first,) = ledger.due_foreseen("peak", at(1000))
    ledger.record_cycle(recorded(cycle(1000)), learned={}, seen=[first])
    assert ledger.due_foreseen("peak", at(2000)) == [foreseen(1800)]
    assert ledger.due_foreseen("cooling", at(2000)) == []


def test_planning_sets_the_moment_and_a_late_end_does_not_put_it_back(ledger: Ledger) -> None:
    trouble = Trouble(kind="stale", what="old", instead="holds")
    lasting = {"stale//": OpenTrouble(event_id="loop-1", since=at(0), trouble=trouble)}
    ledger.note_cycle(cycle(0), troubles=lasting, learned={"turns": 1})
    ledger.note_cycle(cycle(900), troubles=lasting, learned={"turns": 2})
    ledger.record_cycle(recorded(cycle(0)), learned={"turns": 3})
    memory = ledger.loop_memory("peak")
    assert memory is not None
    assert (memory.at, memory.learned, memory.troubles) == (at(900), {"turns": 3}, lasting)
    ledger.record_cycle(recorded(cycle(900)), learned={})
    again = ledger.loop_memory("peak")
    assert again is not None
    assert again.learned == {"turns": 3}  # nothing learned: what was known stands
    assert ledger.loop_memory("energy") is None


def test_questions_of_a_loop_are_found_by_their_cycle(ledger: Ledger) -> None:
    first, second, other = review("REV-1"), review("REV-2"), review("REV-3")
    for one, name in ((first, "LOOP-peak-1"), (second, "LOOP-peak-2"), (other, "LOOP-peaky-1")):
        ledger.open_review(one.model_copy(update={"incident_id": name, "created": at(0)}))
    ledger.withdraw_review(second.id, "ana", "over")
    assert {one.id for one in ledger.loop_reviews("LOOP-peak-", at(-1))} == {first.id, second.id}
    assert [one.id for one in ledger.loop_reviews("LOOP-peak-", at(1))] == [first.id]


def test_old_ended_cycles_go_with_what_they_foresaw(ledger: Ledger) -> None:
    ledger.record_cycle(recorded(cycle(0)), learned={}, noted=[foreseen(900)])
    ledger.note_cycle(cycle(100))
    ledger.record_cycle(recorded(cycle(95 * DAY)), learned={}, noted=[foreseen(96 * DAY)])
    pruned = ledger.prune(StoreSettings(), now=at(100 * DAY))
    assert pruned.cycles == 1
    assert [one.id for one in ledger.list_cycles()] == [cycle(100).id, cycle(95 * DAY).id]  # one still waits
    assert [one.due for one in ledger.due_foreseen("peak", at(97 * DAY))] == [at(96 * DAY)]
