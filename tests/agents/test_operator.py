"""The ops agent: understands by words, only reads, refuses to act, answers from what it found."""

from __future__ import annotations

from typing import Any

import pytest

from agents.explainer import Budget
from agents.operator import Answer, Finding, answer, look, understand
from setpoint.testing import scripted_role
from tests.agents.cases import demo_site

INCIDENT = {
    "id": "INC-40AX28VY", "priority": "P0", "title": "Coolant flow lost on cdu-1", "state": "open", "event_count": 25,
    "opened": "2026-03-14T23:20:00Z", "assets": ["cdu-1", "gpu-01"], "cause": "coolant pump failed (95%)", "condition": "coolant flow lost",
    "evidence": [("E1", "flow 41 lpm")], "guide": [("Start the standby pump.", "pump-failure#steps/2")],
}  # fmt: skip


def tools(**results: Any) -> tuple[dict[str, Any], list[str]]:
    """Reading tools with given results, and what was called."""
    called: list[str] = []

    def make(name: str, result: Any) -> Any:
        def call(**_: Any) -> Any:
            called.append(name)
            return result

        return call

    given = {
        "incident": INCIDENT, "incidents": [INCIDENT], "site_state": {"readings": {"flow_lpm": 41.0}}, "reviews": [],
        "recent_events": {"events": []}, "changes": {"changes": []}, "search": [],
    }  # fmt: skip
    return {name: make(name, result) for name, result in (given | results).items()}, called


def ask(question: str, *words: str, **results: Any) -> Answer:
    intent = understand(question, demo_site())
    made, _ = tools(**results)
    return answer(intent, look(intent, made), scripted_role(*words) if words else None, Budget(1000, 4, 60.0))


@pytest.mark.parametrize(
    ("question", "intent", "about"),
    [
        ("why is cdu-1 hot?", "asset", "cdu-1"),
        ("what about INC-40ax28vy", "incident", "INC-40AX28VY"),
        ("what is going on", "overview", ""),
        ("which actions are pending?", "reviews", ""),
        ("how do I bleed a loop", "knowledge", "how do I bleed a loop"),
        ("drain gpu-07", "refused", ""),
        ("set clock to 1200", "refused", ""),
        ("could you set clock=1200MHz", "refused", ""),
        ("how do I handle KV thrash", "knowledge", "how do I handle KV thrash"),
        ("why is the cooling headroom of cdu-1 so small", "asset", "cdu-1"),
        ("what does gpu-03 read", "asset", "gpu-03"),
        ("Please approve REV-1", "refused", ""),
    ],
)
def test_a_question_is_understood_by_its_words(question: str, intent: str, about: str) -> None:
    found = understand(question, demo_site())
    assert (found.name, found.about) == (intent, about)


def test_it_never_acts_and_calls_no_tool_for_it() -> None:
    intent = understand("reset gpu-07", demo_site())
    made, called = tools()
    assert look(intent, made) == []
    assert called == []
    assert "not act" in ask("reset gpu-07").lead.text


def test_an_incident_is_told_with_cause_evidence_and_citation() -> None:
    said = ask("what about INC-40AX28VY")
    whole = "\n".join((said.lead.text, *said.lines))
    assert "INC-40AX28VY" in said.lead.text
    for told in (
        "coolant pump failed (95%)",
        "E1: flow 41 lpm",
        "Start the standby pump. [pump-failure#steps/2]",
    ):
        assert told in whole
    assert said.citations == ("pump-failure#steps/2",)


def test_verified_words_of_a_model_lead_and_wrong_ones_do_not() -> None:
    good = ask("what about INC-40AX28VY", "Coolant flow lost on {asset}, {count} so far.")
    assert good.lead.written_by == "scripted"
    assert good.lead.text == (
        "INC-40AX28VY: Coolant flow lost on cdu-1, gpu-01, 25 events so far. The cause: coolant pump failed (95%)."
    ), "incident and cause are code's, around the model's sentence"
    bad = ask("what about INC-40AX28VY", "There are 9 incidents.", "There are 9 incidents.")
    assert bad.lead.written_by == "template"
    assert bad.lead.problem


def test_an_asset_is_told_with_its_readings() -> None:
    assert any("readings now" in line and "41" in line for line in ask("is cdu-1 fine?").lines)


@pytest.mark.parametrize(
    ("question", "results", "said"),
    [
        ("anything open?", {"incidents": []}, "No incident is open"),
        ("what waits for approval", {"reviews": []}, "Nothing waits for a decision"),
        ("what about INC-0", {"incident": "no incident INC-0"}, "is known"),
        ("how do I bleed a loop", {"search": []}, "say nothing about this"),
        ("why does rack R-99 smell", {"search": []}, "the site file names no rack R-99, and"),
    ],
)
def test_nothing_found_is_said_plainly(question: str, results: dict[str, Any], said: str) -> None:
    assert said in ask(question, **results).lead.text


def test_a_tool_that_failed_is_a_finding() -> None:
    intent = understand("is cdu-1 fine?", demo_site())
    made, _ = tools(site_state="the site cannot be read")
    findings = look(intent, made)
    assert Finding("site_state", {"asset": "cdu-1"}, "the site cannot be read") in findings
    assert answer(intent, findings, None, Budget(0, 0, 0)).lines


# ---- the plant ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "tool", "args"),
    [
        ("what if batch=64 clock=1200MHz for 5 minutes?", "what_if", {"changes": "batch=64 clock=1200MHz", "minutes": 5.0}),
        ("what if we set the clock to 1200 MHz", "what_if", {"changes": "clock=1200MHz"}),
        ("what if the power cap of gpu-01 was lowered to 500 W", "what_if", {"changes": "gpu-01.power_cap=500W"}),
        ("what if it rains", "what_if", {"changes": "it rains"}),
        ("what happens if cdu-1-pump-a fails", "asset_lost", {"asset": "cdu-1-pump-a"}),
        ("what if we lose feed-a for 2 hours", "asset_lost", {"asset": "feed-a", "minutes": 60}),
        ("what if chiller-1 and chiller-2 trip", "asset_lost", {"asset": "chiller-1", "also": ["chiller-2"]}),
        ("size llama-3.1-70b on H200 for 20 rps ttft=500ms tpot=50ms", "sizing",
         {"model": "llama-3.1-70b", "gpu": "H200", "rate_rps": 20.0, "ttft_slo_ms": "500ms", "tpot_slo_ms": "50ms"}),
        ("how full is the KV cache of pool-chat", "kv_cache", {"pool": "pool-chat"}),
        ("swap or recompute for 8k tokens on pool-vip", "kv_cache", {"pool": "pool-vip", "preempted_tokens": 8000}),
        ("which clock for pool-chat with TTFT under 2 s and TPOT below 60 ms", "dvfs",
         {"pool": "pool-chat", "ttft_slo_ms": "2s", "tpot_slo_ms": "60ms"}),
        ("what power cap for pool-chat at 20 rps", "dvfs", {"pool": "pool-chat", "rate_rps": 20.0, "by": "power_cap"}),
        ("which batch limit for pool-chat", "batching", {"pool": "pool-chat"}),
        ("where does the time of a request to pool-chat go", "request_way", {"pool": "pool-chat"}),
        ("how long does the battery last at 80 kW", "ess_runtime", {"load_kw": "80kW"}),
        ("when should ess-1 charge", "ess_dispatch", {"asset": "ess-1"}),
        ("what is the state of charge of the battery", "ess_state", {}),
        ("cooling headroom of cdu-1", "cooling", {"asset": "cdu-1"}),
        ("how much flow does cdu-1 need for 140 kW", "cooling", {"asset": "cdu-1", "load_kw": "140kW"}),
        ("host paths", "host_paths", {}),
        ("host paths of gpu-01 for llama-3.1-70b", "host_paths", {"node": "gpu-01", "model": "llama-3.1-70b"}),
        ("trends", "trends", {}),
        ("is the telemetry of cdu-1 good enough for peak shaving", "telemetry_quality",
         {"asset": "cdu-1", "purpose": "peak_shaving"}),
        ("history of flow_lpm of cdu-1 in the last 2 hours", "telemetry_history",
         {"asset": "cdu-1", "metric": "flow_lpm", "minutes": 120}),
        ("which parallelism for deepseek-v3 on 16 H200", "parallelism", {"model": "deepseek-v3", "gpu": "H200", "gpus": 16}),
        ("which parallelism to train mixtral-8x7b on 64 H100", "parallelism",
         {"model": "mixtral-8x7b", "gpu": "H100", "gpus": 64, "purpose": "train"}),
        ("which jobs run", "jobs", {}),
        ("what would pausing finetune free", "jobs", {"pause": "finetune"}),
        ("what can go wrong with cdu-1", "faults", {"asset": "cdu-1"}),
        ("site summary", "site_summary", {}),
    ],
)  # fmt: skip
def test_a_question_about_the_plant_finds_its_tool(question: str, tool: str, args: dict[str, Any]) -> None:
    found = understand(question, demo_site())
    assert (found.name, found.about, dict(found.args)) == ("plant", tool, args)


@pytest.mark.parametrize(
    "question",
    [
        "what is going on", "which actions are pending?", "is cdu-1 fine?", "why is cdu-1 hot?", "anything open?",
        "what about INC-40AX28VY", "why does leak-r-05 matter?", "what waits for approval", "summary of the shift",
        "how do I bleed a loop", "how do I handle XID 79?", "is migrating northwind-portal safe",
    ],
)  # fmt: skip
def test_other_questions_are_left_as_they_were(question: str) -> None:
    assert understand(question, demo_site()).name != "plant"


RUNTIME = {
    "asset": "ess-1", "load_kw": 80.0, "soc_pct": 60.0, "keep_pct": 10.0, "carries_it": True, "minutes": 71.3, "most_kw": 100.0,
    "minutes_at_most": 57.0, "energy_kwh": 95.1, "note": "from a copy of the plant as it is now",
}  # fmt: skip


def test_the_figures_of_a_plant_answer_are_those_of_the_tool_and_no_model_words_them() -> None:
    said = ask("how long does the battery last at 80 kW", "It lasts 9 hours.", ess_runtime=RUNTIME)
    assert said.lead.written_by == "template"
    assert said.lead.text == "ess-1 carries 80 kW for 71.3 min from 60 %."
    assert said.lines == ("gives 95.1 kWh down to 10 %", "note: from a copy of the plant as it is now")


def test_what_a_tool_refuses_is_passed_on_with_how_to_ask() -> None:
    said = ask("size llama-3.1-70b on H200", sizing="rate_rps: Field required")
    assert said.lead.text == "The question lacks rate_rps."
    assert "size llama-3.1-70b on H200 for 20 rps" in said.lines[0]


def test_plant_words_follow_the_result() -> None:
    """Another result gives another sentence: nothing is worded beforehand."""
    short = ask(
        "how long does the battery last", ess_runtime=RUNTIME | {"carries_it": False, "load_kw": 366.0}
    )
    assert (
        short.lead.text == "ess-1 cannot carry 366 kW alone; at its most, 100 kW, it lasts 57 min from 60 %."
    )
