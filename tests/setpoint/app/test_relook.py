"""Which news of an incident is analysed, and which only says what is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.evidence import Case
from setpoint.app.causes import regroup_open
from setpoint.app.relook import already_known, look_again
from setpoint.contracts import Action, Event, Outcome, Triage
from setpoint.ledger import Job, Ledger
from tests.agents.cases import demo_site, told
from tests.agents.test_grouping import diagnosed, named
from tests.setpoint.app.test_causes import commit, diagnosis_of, node

AGAIN_S = (20.0, 60.0)
HOT = ("Slowdown", "GPU throttled", ["gpu_thermal_throttle"])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def hot(minute: float, asset: str = "gpu-01", priority: Any = "P1") -> tuple[Event, Triage]:
    kind, condition, hints = HOT
    return told(asset, f"{kind} {minute}", minute, priority, condition, hints)


def news_of(ledger: Ledger, case: Case, *fresh: tuple[Event, Triage]) -> str:
    """Whether an analysis is needed once these came too."""
    ledger.enqueue("slow", case.incident.id, {"event_ids": [event.id for event, _ in fresh]})
    job = ledger.claim(("slow",), "w")
    assert isinstance(job, Job)
    return already_known(ledger, demo_site(), ledger.get_incident(case.incident.id), job)


def analysed(ledger: Ledger, *rows: tuple[Event, Triage], score: float = 0.95, **changes: Any) -> Case:
    """An incident whose analysis saw the first row; the others came later."""
    first = commit(ledger, named("INC-HOT", rows[0]))
    cause = changes.pop("cause", "gpu_thermal_throttle")
    ledger.record_diagnosis(diagnosed(first, cause, score, asset="gpu-01", tried=True)[1])
    return commit(ledger, named("INC-HOT", *rows))


def test_a_first_analysis_is_always_needed(ledger: Ledger) -> None:
    row = hot(0)
    assert news_of(ledger, commit(ledger, named("INC-HOT", row)), row) == ""


def test_the_same_again_within_half_an_hour_is_known(ledger: Ledger) -> None:
    rows = hot(0), hot(20)
    assert "says again" in news_of(ledger, analysed(ledger, *rows), rows[1])


@pytest.mark.parametrize("other", [hot(45), hot(20, asset="gpu-02"), hot(20, priority="P0")])
def test_later_elsewhere_or_graver_is_news(ledger: Ledger, other: tuple[Event, Triage]) -> None:
    assert news_of(ledger, analysed(ledger, hot(0), other), other) == ""


def test_an_open_cause_is_looked_at_with_all_that_comes(ledger: Ledger) -> None:
    rows = hot(0), hot(20)
    assert news_of(ledger, analysed(ledger, *rows, cause="unknown"), rows[1]) == ""


def test_after_an_act_it_is_seen_whether_it_helped(ledger: Ledger) -> None:
    rows = hot(0), hot(20)
    case = analysed(ledger, *rows)
    cap = Action(name="cap_gpu_power", asset="gpu-01", args={"cap_w": 350.0})
    ledger.begin_action("key", cap, incident_id="INC-HOT", dry_run=False)
    ledger.finish_action("key", Outcome(action_id="ACT-1", state="done", message="", dry_run=False))
    assert news_of(ledger, case, rows[1]) == ""


@pytest.fixture
def pump(ledger: Ledger) -> Case:
    case = named(
        "INC-PUMP",
        told("cdu-1-pump-a", "Pump tripped", 0, "P1", "coolant pump failed", ["coolant_pump_failure"]),
        told("cdu-1", "Flow low", 0.2, "P0", "coolant flow lost", ["coolant_pump_failure"]),
    )
    commit(ledger, case)
    ledger.record_diagnosis(diagnosis_of(case))
    return case


def test_what_a_graver_incident_explains_needs_no_analysis_of_its_own(ledger: Ledger, pump: Case) -> None:
    below = commit(ledger, node("INC-A", "gpu-02", 1.5))
    assert "INC-PUMP" in news_of(ledger, below, (below.events[0], below.triages[below.events[0].id]))
    assert ledger.explained_by()["INC-A"].root_id == "INC-PUMP"


def test_a_p0_is_looked_at_by_itself(ledger: Ledger, pump: Case) -> None:
    below = commit(ledger, node("INC-A", "gpu-02", 1.5, priority="P0"))
    assert news_of(ledger, below, (below.events[0], below.triages[below.events[0].id])) == ""


def test_long_after_the_last_trouble_of_the_cause_it_is_looked_at(ledger: Ledger, pump: Case) -> None:
    below = commit(ledger, node("INC-A", "gpu-02", 50))
    assert news_of(ledger, below, (below.events[0], below.triages[below.events[0].id])) == ""


def test_what_is_let_go_without_an_analysis_gets_one(ledger: Ledger, pump: Case) -> None:
    commit(ledger, node("INC-A", "gpu-02", 1.5))
    regroup_open(ledger, demo_site())
    assert "INC-A" in ledger.explained_by()
    ledger.record_diagnosis(diagnosed(pump, "unknown", 0.9)[1])
    regroup_open(ledger, demo_site())
    assert "INC-A" not in ledger.explained_by()
    assert [job.key for job in ledger.list_jobs(kinds=("slow",), states=("queued",))] == ["INC-A"]


# ---- readings that the first look lacked ---------------------------------------------------------------------------


def look(ledger: Ledger, case: Case, score: float, looks: int = 0) -> Any:
    """Whether the cause, that sure, is looked at again."""
    ledger.enqueue("slow", case.incident.id, {"looks": looks} if looks else {})
    job = ledger.claim(("slow",), "w")
    assert isinstance(job, Job)
    found = diagnosed(case, "gpu_thermal_throttle", score, asset="gpu-01", tried=True)[1]
    again = look_again(ledger.get_incident(case.incident.id), found, job, AGAIN_S)
    ledger.finish(job)
    return again


def test_an_open_cause_of_something_grave_is_looked_at_again_a_few_times(ledger: Ledger) -> None:
    case = commit(ledger, named("INC-HOT", hot(0)))
    waits = []
    for looks in range(len(AGAIN_S) + 1):
        again = look(ledger, case, 0.4, looks)
        waits.append(again.quiet_s if again else None)
    assert waits == [*AGAIN_S, None]
    first = look(ledger, case, 0.4)
    assert (first.kind, first.key, first.payload["looks"]) == ("slow", case.incident.id, 1)


def test_a_clear_cause_and_a_small_trouble_are_not(ledger: Ledger) -> None:
    assert look(ledger, commit(ledger, named("INC-HOT", hot(0))), 0.97) is None
    assert look(ledger, commit(ledger, named("INC-WARM", hot(0, "gpu-02", "P2"))), 0.4) is None
