"""Plant answers end to end: a question in words, the real tool on the demo site, and only its numbers in the answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.tools import BaseTool

from agents.explainer import Budget
from agents.operator import answer, look, understand
from agents.operator_answers import TELL_MORE
from agents.plant_answers import PLANT_TOOLS, n
from tests.tools.plant_cases import site, tools

QUESTIONS = (
    "how full is the KV cache of pool-chat at 40 rps", "which batch limit for pool-chat at 40 rps",
    "where does the time of a request to pool-chat go", "which clock for pool-chat at 20 rps with ttft=2s tpot=60ms",
    "what is the state of charge of the battery", "how long does the battery last at 80 kW", "when should the battery charge",
    "cooling headroom of cdu-1", "what cooling headroom is there", "what happens if cdu-1-pump-a fails",
    "what if chiller-1 and chiller-2 trip for 30 minutes", "what if batch=64 clock=1200MHz for 1 minute",
    "size llama-3.1-8b on H100 for 20 rps ttft=500ms tpot=50ms", "which parallelism for deepseek-v3 on 8 H200",
    "which parallelism to train deepseek-v3 on 512 H200", "site summary", "host paths", "host paths of gpu-01 for llama-3.1-70b",
    "which jobs run", "what would pausing finetune free", "what can go wrong with cdu-1", "what faults pump_trip", "trends",
    "is the telemetry of cdu-1 good enough for peak shaving", "rehearse set_coolant_flow on cdu-1 flow_lpm=90",
)  # fmt: skip


def _plain(tool: BaseTool) -> Callable[..., Any]:
    return lambda **args: tool.invoke(args)


def asked(question: str) -> tuple[str, Any, str, tuple[str, ...]]:
    named = {name: _plain(tool) for name, tool in tools("demo").items()}
    intent = understand(question, site("demo"))
    assert intent.name == "plant"
    (finding,) = look(intent, named)
    said = answer(intent, [finding], None, Budget(0, 0, 0.0))
    return intent.about, finding.result, said.lead.text, said.lines


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_kind_of_question_is_answered_in_one_sentence_with_facts(question: str) -> None:
    tool, result, lead, lines = asked(question)
    assert tool in PLANT_TOOLS
    assert isinstance(result, dict), result
    assert lead.endswith(".")
    assert len(lead) < 400
    assert "None" not in lead + " ".join(lines)
    assert lines or tool == "telemetry_quality"


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_number_of_the_sentence_comes_from_the_result(question: str) -> None:
    """Numbers are those of the result rounded as they are shown, shares in percent, or counts of its lists."""
    _, result, lead, _ = asked(question)
    shown = {number for value in _values(result) for number in _shown(value)}
    names = " ".join(str(value) for value in _texts(result))
    for number in re.findall(r"(?<![\w.\-])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*-)", lead):
        assert number in shown or number in names or number in ("99", "1,000"), f"{number} in {lead!r}"


def _shown(value: float) -> set[str]:
    return {n(value), n(abs(value)), f"{100 * value:.3g}", f"{value:g}"}


def _values(result: Any) -> list[float]:
    if isinstance(result, bool) or result is None or isinstance(result, str):
        return []
    if isinstance(result, (int, float)):
        return [float(result)]
    inner = list(result.values()) if isinstance(result, dict) else list(result)
    counts = [
        float(len(inner)),
        float(sum(isinstance(one, dict) and not one.get("service", False) for one in inner)),
    ]
    fit = [float(sum(bool(one.get("fit")) for one in inner if isinstance(one, dict)))]
    return [*counts, *fit, *(value for one in inner for value in _values(one))]


def _texts(result: Any) -> list[str]:
    if isinstance(result, str):
        return [result]
    if isinstance(result, dict):
        return [*map(str, result), *(text for one in result.values() for text in _texts(one))]
    return [text for one in result for text in _texts(one)] if isinstance(result, list | tuple) else []


def test_all_tools_of_the_plant_have_words() -> None:
    assert set(tools("demo")) <= {*PLANT_TOOLS, *TELL_MORE}
    assert set(PLANT_TOOLS) <= set(tools("demo"))
