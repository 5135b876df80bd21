"""A follow-up is completed from what was spoken of; what stands alone is not bent by it."""

from __future__ import annotations

from typing import Any

import pytest

from agents.follow_up import Memory, completed, remember
from agents.operator import Finding, Intent
from tests.agents.cases import demo_site

LISTED = [
    {"id": "INC-AAAAAAA1", "priority": "P0", "state": "open", "assets": ["cdu-1"], "opened": "2026-03-14T22:00:00Z"},
    {"id": "INC-AAAAAAA2", "priority": "P1", "state": "open", "assets": ["gpu-19"], "opened": "2026-03-14T21:00:00Z"},
    {"id": "INC-AAAAAAA3", "priority": "P3", "state": "open", "assets": ["gpu-02"], "opened": "2026-03-14T20:00:00Z"},
]  # fmt: skip


def talk(*said: str) -> list[Intent]:
    """The intents of a conversation over a ledger with two incidents that matter."""
    memory, found = Memory(), []
    for question in said:
        intent = completed(question, demo_site(), memory)
        results: dict[str, Any] = {
            "incident": {"assets": ["cdu-1", "gpu-01"]},
            "overview": LISTED,
            "incidents": LISTED,
        }
        tool = "incidents" if intent.name in ("overview", "incidents", "asset") else intent.name
        findings = [Finding(tool, {}, results.get(intent.name, LISTED if intent.name == "asset" else {}))]
        memory = Memory.of(remember(question, demo_site(), memory, intent, findings).as_json())
        found.append(intent)
    return found


def last(*said: str) -> tuple[str, str, dict[str, Any]]:
    intent = talk(*said)[-1]
    return intent.name, intent.about, dict(intent.args)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (("what is going on", "show the second one"), ("incident", "INC-AAAAAAA2", {})),
        (("what is going on", "the oldest one"), ("incident", "INC-AAAAAAA2", {})),
        (("what is going on", "the worst one", "why?"), ("incident", "INC-AAAAAAA1", {})),
        (("what about INC-AAAAAAA1", "since when?"), ("incident", "INC-AAAAAAA1", {})),
        (("what about INC-AAAAAAA1", "what should we do about it"), ("incident", "INC-AAAAAAA1", {})),
        (("is cdu-1 fine?", "and its pump?"), ("asset", "cdu-1-pump-a", {})),
        (("is cdu-1 fine?", "the other one?"), ("asset", "cdu-2", {})),
        (("state of gpu-15 please", "sorry, I meant gpu-16"), ("asset", "gpu-16", {})),
        (("what happens if cdu-1-pump-a fails", "and both?"),
         ("plant", "asset_lost", {"asset": "cdu-1-pump-a", "also": ["cdu-1-pump-b"]})),
        (("cooling headroom of cdu-1", "same for cdu-2"), ("plant", "cooling", {"asset": "cdu-2"})),
        (("flow of cdu-1 over the last hour", "6h not 1"),
         ("plant", "telemetry_history", {"asset": "cdu-1", "metric": "flow_lpm", "minutes": 360})),
        (("flow of cdu-1 over the last hour", "and the supply temp?"),
         ("plant", "telemetry_history", {"asset": "cdu-1", "metric": "supply_temp_c", "minutes": 60})),
        (("what if cdu-1 supply goes to 28", "and flow down at 60 on top"),
         ("plant", "what_if", {"changes": "cdu-1.supply_temp=28C cdu-1.flow=60LPM"})),
        (("what if cdu-1 supply goes to 28", "same for the other cdu"), ("plant", "what_if", {"changes": "cdu-2.supply_temp=28C"})),
        (("how long does the battery last at 80 kW", "and at 40 kW?"), ("plant", "ess_runtime", {"load_kw": "40kW"})),
        (("what feeds r-03", "whats hanging on that"), ("plant", "topology", {"asset": "r-03"})),
        (("drain gpu-11", "what would it do"), ("plant", "rehearse_action", {"action": "drain_node", "asset": "gpu-11", "args": {}})),
        (("is cdu-1 fine?", "then approve it"), ("refused", "", {})),
        (("is cdu-1 fine?", "restart it"), ("refused", "", {})),
    ],
)  # fmt: skip
def test_a_follow_up_means_what_was_spoken_of(
    said: tuple[str, ...], meant: tuple[str, str, dict[str, Any]]
) -> None:
    assert last(*said) == meant


@pytest.mark.parametrize(
    "question",
    ["how do I bleed a loop", "what is going on", "is gpu-03 fine?", "which actions are pending?", "trends"],
)
def test_what_stands_alone_is_understood_as_without_a_conversation(question: str) -> None:
    assert last("is cdu-1 fine?", question) == last(question)


def test_without_a_conversation_a_follow_up_finds_nothing_to_lean_on() -> None:
    assert talk("why?")[0].name == "knowledge"


def test_sizing_is_asked_again_with_what_was_changed() -> None:
    asked = talk(
        "size llama-3.1-8b on H100 for 5 rps ttft=500ms tpot=50ms", "make it 20 rps", "and on h200s?"
    )
    assert asked[-1].args == {**asked[0].args, "rate_rps": 20.0, "gpu": "H200"}


def test_another_question_with_a_figure_is_not_taken_for_a_change_of_the_last_one() -> None:
    assert last("cooling headroom of cdu-1", "how long does the battery last at 80 kW") == (
        "plant", "ess_runtime", {"load_kw": "80kW"},
    )  # fmt: skip
    both = ("what happens if cdu-1-pump-a fails", "and both?", "and for 5 minutes?")
    assert last(*both)[2] == {"asset": "cdu-1-pump-a", "also": ["cdu-1-pump-b"], "minutes": 5.0}


def test_a_procedure_for_what_was_spoken_of_is_searched_by_its_name() -> None:
    assert last("is cdu-1 fine?", "how do I bleed it") == ("knowledge", "how do I bleed cdu-1", {})
