"""What only a conversation asks: plans, forecasts, headroom, who decided; wishes as actions of the catalog; free words checked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agents.operator import Finding, understand
from agents.operator_answers import TELL_MORE, tell_more
from agents.operator_facts import facts_of_calls
from agents.operator_said import Sources, checked, sentences
from agents.operator_wishes import Wish, asks_to_propose, complete, wish_tools, wished
from setpoint.errors import ActionRefused
from tests.agents.cases import demo_site
from tools.actions import CATALOG
from tools.adapter import SimulatedSite
from tools.plant_ports import PlantPorts

SITE = demo_site()


# ---- what is asked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "tool", "args"),
    [
        ("plan the next hours of cooling", "plan", {"loop": "cooling"}),
        ("what is the peak plan", "plan", {"loop": "peak"}),
        ("show me the maintenance plan please", "plan", {"loop": "maintenance"}),
        ("what does the energy loop want to do", "plan", {"loop": "energy"}),
        ("how could we shave the peak tonight?", "plan", {"loop": "peak"}),
        ("forecast of the site draw for the next 12 hours", "forecast", {"loop": "peak", "hours": 12.0}),
        ("how many requests are expected tomorrow, what does the forecast say", "forecast", {"loop": "energy", "hours": 30.0}),
        ("when will the next peak come", "forecast", {"loop": "peak"}),
        ("headroom of pdu-03a", "headroom", {"asset": "pdu-03a"}),
        ("how much room is left on the PDUs, which is tightest", "headroom", {"kind": "pdu"}),
        ("headroom of the feeds and UPSs", "headroom", {}),
        ("who approved REV-1a2b", "decisions", {"subject": "REV-1A2B"}),
        ("who acknowledged INC-40AX28VY and why", "decisions", {"subject": "INC-40AX28VY"}),
        ("who rejected the cap of gpu-07", "decisions", {"subject": "gpu-07"}),
        ("what was decided tonight", "decisions", {}),
        ("all the evidence for INC-40AX28VY", "evidence", {"id": "INC-40AX28VY"}),
    ],
)  # fmt: skip
def test_what_only_a_conversation_asks_is_understood(question: str, tool: str, args: dict[str, Any]) -> None:
    found = understand(question, SITE)
    assert (found.name, found.about, dict(found.args)) == ("plant", tool, args)


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("cooling headroom of cdu-1", "plant"), ("what is the evidence for INC-40AX28VY", "incident"),
        ("what waits for approval", "reviews"), ("who has to sign", "reviews"), ("is there a plan B?", "knowledge"),
        ("approve REV-1a2b", "refused"), ("what should I do first?", "overview"), ("what now?", "overview"),
        ("what is the next step for INC-40AX28VY", "incident"), ("what should we do about a leak", "knowledge"),
        ("what do I do when a pump trips", "knowledge"), ("who capped gpu-05 and who ok'd that?", "asset"),
    ],
)  # fmt: skip
def test_what_was_understood_before_still_is(question: str, intent: str) -> None:
    found = understand(question, SITE)
    assert found.name == intent
    assert found.about not in TELL_MORE


def test_what_a_tool_refuses_is_told_in_its_own_words() -> None:
    assert tell_more("plan", "no site is read here") == ("No site is read here.", [])
    assert tell_more("draft_action", "the catalog holds no such thing")[0].startswith(
        "I cannot put that to review: the"
    )


# ---- wishes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        ("drain gpu-07", Wish("drain_node", "gpu-07")),
        ("cap gpu-03 at 0.4 kW because it is hot", Wish("cap_gpu_power", "gpu-03", {"cap_w": 400.0}, "it is hot")),
        ("propose set_coolant_flow on cdu-1 flow_lpm=180", Wish("set_coolant_flow", "cdu-1", {"flow_lpm": 180.0})),
        ("lower the clock of pool-chat to 1.2 GHz", Wish("lock_pool_clock", "pool-chat", {"clock_mhz": 1200.0})),
        ("start the standby pump of cdu-1", Wish("start_standby_pump", "cdu-1")),
        ("raise its supply temperature to 34 C", Wish("set_supply_temp", "cdu-2", {"temp_c": 34.0})),
        ("open a ticket for hardware on gpu-07", Wish("open_ticket", "gpu-07", {"queue": "hardware"})),
        ("restart cdu-1", Wish("", "cdu-1")),
        ("approve REV-1", Wish("", "cdu-2")),
    ],
)  # fmt: skip
def test_a_wish_is_one_action_of_the_catalog_or_none(said: str, wish: Wish) -> None:
    assert wished(said, SITE, "cdu-2") == wish


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        ("propose it", True), ("yes, propose that", True), ("please put it to review", True), ("propose draining gpu-07", True),
        ("which actions were proposed", False), ("what waits for review", False), ("drain gpu-07", False),
        ("what would you propose", False),
    ],
)  # fmt: skip
def test_only_a_clear_word_asks_to_propose(said: str, asks: bool) -> None:
    assert asks_to_propose(said) is asks


def live_ports() -> PlantPorts:
    now = datetime(2026, 3, 14, 23, tzinfo=UTC)
    live = SimulatedSite(SITE, lambda: now, None)
    return PlantPorts(SITE, live.history, lambda: now, live.read, live.twin)


def test_arguments_that_nobody_gave_follow_from_the_readings() -> None:
    ports = live_ports()
    assert complete(Wish("set_coolant_flow", "r-01"), ports).asset == "cdu-1", "on the loop that cools it"
    flow = complete(Wish("set_coolant_flow", "cdu-1"), ports).args["flow_lpm"]
    assert isinstance(flow, float)
    assert 150.0 < flow <= 230.0, "more than now, within the ramp"
    assert complete(Wish("set_coolant_flow", "cdu-1", {"flow_lpm": 180.0}), ports).args == {"flow_lpm": 180.0}
    with pytest.raises(ActionRefused, match="45"):
        complete(Wish("set_supply_temp", "cdu-1", {"temp_c": 90.0}), ports)


def test_a_draft_tells_what_would_be_asked_and_a_refusal_names_the_catalog() -> None:
    (draft,) = wish_tools(live_ports(), lambda risk: 2 if risk == "high" else 1)
    made = draft.invoke({"action": "close_leak_valve", "asset": "r-05"})
    assert (made["risk"], made["people"], made["asset"]) == ("high", 2, "r-05")
    refused = draft.invoke({"action": "reboot", "asset": "cdu-1"})
    assert "cdu-1, which is a cdu," in refused
    assert "set_coolant_flow" in refused
    assert "drain_node" not in refused, "what cannot be done to it is not offered"
    assert all(spec.name in draft.invoke({"action": "?", "asset": ""}) for spec in CATALOG.values())


# ---- a model's own words -----------------------------------------------------------------------------------------

FOUND = (
    Finding("headroom", {"kind": "pdu"}, {"gear": [
        {"asset": "pdu-01a", "load_kw": 15.708, "rated_kw": 60.0, "use_pct": 26.2},
        {"asset": "pdu-02a", "load_kw": 19.25, "rated_kw": 60.0, "use_pct": 32.1}]}),
    Finding("incident", {"id": "INC-40AX28VY"}, {"id": "INC-40AX28VY", "opened": "2026-03-14T23:20:00+00:00", "since": "15 Mar 00:20 CET",
        "assets": ["cdu-1"], "cause": "coolant pump failed (95%)", "event_count": 25, "state": "open",
        "events": [{"quoted": "ALL CLEAR, repaired by ben, 77 kW drained"}]}),
)  # fmt: skip


def sources() -> Sources:
    made = Sources("is pdu-01a above 50 kW?", frozenset(asset.name.lower() for asset in SITE.assets))
    for one in FOUND:
        made.add(one)
    return made


@pytest.mark.parametrize(
    "said",
    [
        "pdu-01a carries 15.7 kW of 60 kW.", "It carries 15,700 W, not 50 kW.", "pdu-02a is at 32 %.", "There are 2 PDUs.",
        "INC-40AX28VY holds 25 events on cdu-1.", "It began at 00:20.", "The cause is a failed coolant pump, 95%.",
        "I don't know; it would need a reading of gpu-01.", "I cannot approve that.", "Nobody has told me more.",
    ],
)  # fmt: skip
def test_what_the_tools_bear_out_is_taken(said: str) -> None:
    problems = sources().problems(said)
    assert problems == [] or "gpu-01" in problems[0]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("pdu-01a carries 19.2 kW.", "beside pdu-01a"), ("pdu-02a carries 15.7 kW.", "beside pdu-02a"), ("It carries 16.9 kW.", "16.9"),
        ("pdu-01a carries 15.7 MW.", "15.7 MW"), ("It began at 01:20.", "01:20"), ("INC-00000000 is the cause.", "INC-00000000"),
        ("cdu-1 was repaired.", "all-clear"), ("The node was drained.", "deed"), ("I restarted the pump.", "deed of its own"),
        ("We have capped it.", "deed of its own"), ("It is harmless.", "all-clear"), ("gpu-77 is hot.", "gpu-77"),
        ("\u0661\u0662 kW are drawn.", "digit"), ("It fails in 3 hours.", "3"),
    ],
)  # fmt: skip
def test_what_they_do_not_bear_out_is_left_out(said: str, why: str) -> None:
    problems = sources().problems(said)
    assert problems, said
    assert why in problems[0]


def test_each_sentence_stands_or_falls_alone() -> None:
    kept, why = checked(
        "pdu-01a carries 15.7 kW. pdu-01a carries 99 kW.\n- cdu-1 holds **25** events!", sources()
    )
    assert kept == ["pdu-01a carries 15.7 kW.", "cdu-1 holds 25 events!"]
    assert len(why) == 1
    assert sentences("") == []


def test_a_call_that_a_model_got_wrong_is_told_in_its_words_and_breaks_nothing() -> None:
    why = "state: no such argument; incidents takes asset"
    plain, lines, citations = facts_of_calls([Finding("incidents", {"state": "open"}, why)])
    assert (plain, lines, citations) == (why, [], [])


def test_calls_that_a_model_chose_are_listed_by_code() -> None:
    plain, lines, citations = facts_of_calls([
        Finding("site_state", {"asset": "cdu-1"}, {"asset": "cdu-1", "readings": {"flow_lpm": 41.2}}),
        Finding("search", {"query": "leak"}, [{"id": "leak#steps", "section": "leak", "title": "Leak", "text": "1. Close it."}]),
        Finding("changes", {"asset": "cdu-1"}, "no asset"),
    ])  # fmt: skip
    assert plain == "no asset"
    assert "cdu-1 reads flow_lpm 41.2." in lines
    assert "  1. Close it." in lines
    assert citations == ["leak#steps"]
