"""Tools that only a conversation has, over a played night and the simulated site."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.operator import Tool
from agents.operator_answers import tell_more
from agents.operator_plans import Planner, loop_tools
from agents.operator_tools import Stores, operator_tools
from agents.site_answers import tell_site
from setpoint.contracts.loops import Cycle
from setpoint.ledger import Ledger
from tests.agents.plans import cooling_plan
from tests.setpoint.app.sample import Sample, incident_id
from tools.adapter import SimulatedSite
from tools.headroom_tools import LOAD_METRIC
from tools.loops.days_site import DaysSite
from tools.readings import Reading

NOW = datetime(2026, 3, 14, 23, tzinfo=UTC)
PUMP = incident_id("pump_under_surge")


def no_index() -> Any:
    raise AssertionError("nothing is searched here")


@pytest.fixture(scope="module")
def live(played: Sample) -> SimulatedSite:
    return SimulatedSite(played.site, lambda: NOW, None)


@pytest.fixture
def tools(played: Sample, live: SimulatedSite) -> dict[str, Tool]:
    return operator_tools(Stores(played.site, played.ledger, no_index, live, lambda: NOW))


def told(tool: str, result: Any) -> str:
    plain, lines = tell_more(tool, result)
    return "\n".join((plain, *lines))


# ---- who decided -------------------------------------------------------------------------------------------------


def test_who_decided_what_and_what_came_of_it(tools: dict[str, Tool]) -> None:
    said = told("decisions", tools["decisions"](subject="cdu-1"))
    assert (
        'Start standby pump cdu-1-pump-b (asked by Setpoint): approved by mira, because: "agreed"; done: '
        in said
    )
    assert "rejected by mira" in said
    assert "done: Done; the readings moved as expected." in said
    assert "mira: acknowledged" in said


def test_one_review_and_the_latest_of_all(tools: dict[str, Tool], played: Sample) -> None:
    decided = [one for one in played.ledger.list_reviews(limit=1000) if one.decision]
    (row,) = tools["decisions"](subject=decided[0].id.lower())["judgements"]
    assert (row["review"], row["decided_by"]) == (
        decided[0].id,
        decided[0].decision.who if decided[0].decision else "",
    )
    assert {one["review"] for one in tools["decisions"]()["judgements"]} <= {one.id for one in decided}


@pytest.mark.parametrize(
    ("subject", "said"), [("REV-nothing", "no review"), ("unheard-of", "is no incident, review or asset")]
)
def test_what_is_not_there_is_said(tools: dict[str, Tool], subject: str, said: str) -> None:
    assert said in tools["decisions"](subject=subject)


# ---- evidence ----------------------------------------------------------------------------------------------------


def test_all_evidence_of_an_incident(tools: dict[str, Tool], played: Sample) -> None:
    found = played.ledger.get_diagnosis(PUMP)
    assert found is not None
    result = tools["evidence"](id=PUMP)
    assert [one["cause"] for one in result["causes"]] == [one.cause for one in found.hypotheses]
    assert {one["id"] for one in result["evidence"]} == {one.id for one in found.evidence[:16]}
    assert found.top.title in told("evidence", result)
    assert "no incident" in tools["evidence"](id="INC-0")


# ---- headroom ----------------------------------------------------------------------------------------------------


def test_headroom_is_what_is_read_against_the_rating(tools: dict[str, Tool], live: SimulatedSite) -> None:
    read = live.read("pdu-01a")
    assert read is not None
    (one,) = tools["headroom"](asset="pdu-01a")["gear"]
    assert one["load_kw"] == pytest.approx(read.values["load_kw"], rel=1e-3)
    assert one["headroom_kw"] == pytest.approx(one["rated_kw"] - one["load_kw"], abs=0.02)
    assert one["use_pct"] == pytest.approx(read.values["load_pct"], rel=0.01), "the plant's own figure"
    feeds = tools["headroom"](kind="feed")
    assert feeds["site_kw"] == pytest.approx(sum(row["load_kw"] for row in feeds["gear"]), rel=1e-3)
    every = tools["headroom"]()["gear"]
    assert every == sorted(every, key=lambda row: -row["use_pct"])
    assert len({row["kind"] for row in every}) >= 4, "power and cooling side by side"
    assert len(every) + tools["headroom"]()["left_out"] == sum(
        len(tools["headroom"](kind=kind)["gear"]) for kind in LOAD_METRIC
    )


def test_gear_that_is_not_read_is_named_and_no_figure_made_up(played: Sample) -> None:
    def unread(asset: str) -> Reading | None:
        return None

    silent: Any = type("Silent", (), {"read": staticmethod(unread)})()
    result = operator_tools(Stores(played.site, played.ledger, no_index, silent, lambda: NOW))["headroom"](
        kind="feed"
    )
    assert (result["gear"], result["not_read"], result["site_kw"]) == ([], ["feed-a", "feed-b"], None)
    assert told("headroom", result) == "No load of that gear is read.\nnot read: feed-a, feed-b"
    assert "no gear of kind 'door'" in operator_tools(Stores(played.site, played.ledger, no_index, silent, lambda: NOW))["headroom"](kind="door")  # fmt: skip


# ---- plans -------------------------------------------------------------------------------------------------------


def planner(played: Sample, ledger: Ledger, **reach: Any) -> dict[str, Any]:
    return {tool.name: tool for tool in loop_tools(Planner(played.site, ledger, lambda: NOW, **reach))}


def test_the_plan_in_force_is_told_where_a_loop_turns(played: Sample, empty: Ledger) -> None:
    plan, at = cooling_plan(), NOW - timedelta(minutes=20)
    empty.record_cycle(
        Cycle(id="LOOP-cooling-20260314T224000Z", loop="cooling", at=at, plan=plan, state="recorded"),
        learned={},
    )
    result = planner(played, empty)["plan"].invoke({"loop": "cooling"})
    assert result["note"] == "the plan in force: cycle LOOP-cooling-20260314T224000Z"
    assert result["headline"] == plan.headline
    assert [move["why"] for move in result["moves"]] == [move.why for move in plan.moves[:8]]
    said = told("plan", result)
    assert said.startswith(plan.headline)
    assert "worth: " in said


def test_a_plan_is_made_from_the_readings_where_none_is_in_force(played: Sample, empty: Ledger) -> None:
    days = DaysSite(played.site, NOW, seed=7, warm_days=2.0)
    tools = planner(played, empty, reach=days.ports)
    plan = tools["plan"].invoke({"loop": "cooling"})
    assert plan["note"] == "made now from the site's own readings"
    assert plan["moves"] or plan["nothing"] == ""
    course = tools["forecast"].invoke({"loop": "cooling", "hours": 0.4})["courses"][0]
    assert all(point["low"] <= point["expected"] <= point["high"] for point in course["points"])
    assert course["highest"] >= max(point["expected"] for point in course["points"]) - 0.1
    assert "intervals hold 90 %" in told("forecast", tools["forecast"].invoke({"loop": "cooling"}))


def test_without_a_site_it_says_what_it_would_need(played: Sample, empty: Ledger) -> None:
    assert "no site is read here" in planner(played, empty)["plan"].invoke({"loop": "peak"})
    assert "'energy', 'peak', 'cooling' or 'maintenance'" in planner(played, empty)["plan"].invoke(
        {"loop": "weather"}
    )


def test_other_tools_are_told_as_before() -> None:
    assert tell_site("gpus", "no telemetry") == ("no telemetry.", [])
