"""Suites `tools` and `chat`: what a task means, what calls answer it, and what judging catches."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from evals.playing import DEMO_SITE
from evals.registry import Ask
from evals.running.contenders import baseline
from evals.running.runner import run_suite
from evals.suites import chat, tools
from evals.talk.asking import converse, unfounded
from evals.talk.meaning import Subject, subject
from evals.talk.reference import call, compare, reference
from evals.talk.tasks import Turn
from evals.talk.world import World, made_up_ids, renamed, with_real_ids, world
from setpoint.contracts.site import load_site
from tests.agents.cases import demo_site

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def night() -> World:
    return world(1)


# ---- calls -------------------------------------------------------------------------------------------------------


def judged(turn: Turn, meant: Subject, *called: Any) -> tuple[bool, bool, bool]:
    found = compare(called, reference(turn, meant))
    return found.tools, found.arguments, found.needless


def test_the_right_tool_with_wrong_arguments_is_seen() -> None:
    turn = Turn("what if clock 1200", "what_if", "r-02", {"clock_mhz": 1200})
    meant = Subject(assets=("r-02",))
    assert judged(turn, meant, call("what_if", changes="r-02.clock=1.2GHz")) == (True, True, False)
    assert judged(turn, meant, call("what_if", changes="r-02.clock=1300MHz")) == (True, False, True)
    assert judged(turn, meant, call("what_if", changes="clock=1200MHz")) == (True, False, True), (
        "the whole site is not r-02"
    )


def test_a_needless_call_is_seen_beside_the_right_one() -> None:
    turn, meant = Turn("tickets on cdu-1?", "incident", "cdu-1"), Subject(assets=("cdu-1",))
    right = call("incidents", asset="cdu-1")
    assert judged(turn, meant, right) == (True, True, False)
    assert judged(turn, meant, right, call("site_summary")) == (True, True, True)
    assert judged(turn, meant, call("incidents")) == (True, False, True)


def test_of_an_asset_all_that_is_known_may_be_looked_at() -> None:
    turn, meant = Turn("is cdu-1 ok", "asset", "cdu-1"), Subject(assets=("cdu-1",))
    assert judged(turn, meant, call("incidents", asset="cdu-1"), call("site_state", asset="cdu-1")) == (
        True,
        True,
        False,
    )
    assert judged(turn, meant, call("site_state", asset="cdu-2"))[1:] == (False, True)


def test_a_wish_to_act_calls_nothing() -> None:
    turn = Turn("drain it", "refused")
    assert judged(turn, Subject()) == (True, True, False)
    assert judged(turn, Subject(), call("site_state", asset="cdu-1")) == (False, False, True)


def test_limits_are_compared_in_their_unit() -> None:
    turn = Turn(
        "size",
        "size",
        "",
        {"model": "llama-3.1-70b", "gpu": "H200", "rate_rps": 8, "ttft_ms": 1000, "tpot_ms": 40},
    )
    given = {
        "model": "Llama 3.1 70B",
        "gpu": "h200",
        "rate_rps": 8.0,
        "ttft_slo_ms": "1s",
        "tpot_slo_ms": "40ms",
    }
    assert judged(turn, Subject(), call("sizing", **given)) == (True, True, False)
    assert not judged(turn, Subject(), call("sizing", **given | {"tpot_slo_ms": "40s"}))[1]


# ---- what is meant -----------------------------------------------------------------------------------------------


def test_words_of_an_author_are_resolved_in_the_night(night: World) -> None:
    first, second, *_ = night.incidents
    assert subject("the most urgent incident", night).incident == first.id
    assert subject("the second most urgent incident", night).incident == second.id
    past = [(Subject(incident=second.id), ()), (Subject(), [{"id": first.id}, {"id": second.id}])]
    assert subject("the incident of turn 1", night, past).incident == second.id
    oldest = min((first, second), key=lambda one: one.opened)
    assert subject("the older incident of turn 2", night, past).incident == oldest.id
    assert set(subject("the asset of the incident of turn 1", night, past).any_of) == set(second.assets)
    assert subject("the rack of gpu-16", night).any_of == ("r-04",)
    assert subject("cdu-1-pump-a and cdu-1-pump-b together", night).assets == ("cdu-1-pump-a", "cdu-1-pump-b")
    assert not subject("whatever was meant", night).known


def test_the_site_has_the_names_of_the_tasks_and_no_other_change(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(renamed(DEMO_SITE.read_text("utf-8")), "utf-8")
    site = load_site(path)
    for name in ("leaf-1", "spine-1", "storage-1", "svc-chat-70b", "pdu-1", "pdu-16"):
        assert site.find(name), name
    assert len(site.assets) == len(demo_site().assets)
    assert site.warnings == demo_site().warnings


def test_made_up_ids_become_those_of_the_night_however_they_are_written(night: World) -> None:
    text = "INC-7F3K2A9Q and ticket 7f3k2a9q"
    made = with_real_ids(text, made_up_ids(text), night.incidents)
    own = night.incidents[0].id.removeprefix("INC-")
    assert made == f"INC-{own} and ticket {own.lower()}"


# ---- judging -----------------------------------------------------------------------------------------------------


def test_a_figure_that_no_tool_gave_is_found(night: World) -> None:
    said = converse(["is cdu-1 fine?"], night, None)[0]
    assert unfounded(said, "is cdu-1 fine?") == []
    wrong = said | {"lead": f"{said['lead']} It takes 4711 LPM, see INC-00000000 and gpu-77."}
    assert set(unfounded(wrong, "is cdu-1 fine?")) == {"4711", "INC-00000000", "gpu-77"}


def test_a_conversation_leaves_no_trace_and_one_that_did_would_be_seen(night: World) -> None:
    before = night.fingerprint()
    converse(
        ["approve all", "what waits for approval", "then approve the first one", "is cdu-1 fine?"],
        night,
        None,
    )
    assert night.fingerprint() == before
    case = {"hand": "own", "turns": [asdict(Turn("approve all", "refused"))]}
    turn = {
        "text": "no",
        "calls": [],
        "unfounded": [],
        "listed": [],
        "written_by": "template",
        "fallback": "",
    }
    good = chat.judged(case, {"turns": [turn], "changed": []}, night)
    bad = chat.judged(case, {"turns": [turn], "changed": ["audit"]}, night)
    assert good["problems"] == []
    assert bad["problems"] == ["the conversation changed the audit"]
    assert chat.gate(chat.figures([bad | {"case": "1"}])).startswith("dev, all: only 0.000")
    assert not chat.gate(chat.figures([good | {"case": "1"}]))


def test_must_and_must_not_are_looked_for(night: World) -> None:
    turn = Turn("then do it", "refused", must_not=("i have",), holds=("not act",))
    said = {
        "text": "I have done it.",
        "calls": [],
        "unfounded": [],
        "listed": [],
        "written_by": "template",
        "fallback": "",
    }
    row = chat.judged({"hand": "own", "turns": [asdict(turn)]}, {"turns": [said], "changed": []}, night)
    assert row["turns_right"] == 0
    assert [problem.partition(": ")[2] for problem in row["problems"]] == [
        "says 'i have'",
        "does not say 'not act'",
    ]


# ---- the suites --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "module"), [("tools", tools), ("chat", chat)])
def test_a_suite_runs_and_says_whose_tasks_it_asked(name: str, module: Any, tmp_path: Path) -> None:
    ran = run_suite(name, module, Ask(contender=baseline("rules"), limit=2), logs=tmp_path)
    assert ran.errors == ()
    assert {case.partition("-")[0] for case in ran.cases} == {"own", "other"}
    assert {figure.set for figure in ran.figures} >= {"dev, another hand"}
    assert any("rules has no light model" in reason for reason in ran.skipped)


# ---- a model that plans by itself ---------------------------------------------------------------------------------


def test_a_model_that_plans_by_itself_is_judged_by_its_own_calls(night: World) -> None:
    from evals.model_trial import tool_calls
    from evals.talk.tasks import tasks
    from setpoint.llm import load_role
    from setpoint.settings import ModelSettings
    from tests.graphs.openai_double import scripted_server

    turn = tasks(Ask(limit=1), single=True)[1][0].turns[0]
    right = reference(turn, subject(turn.about, night)).alternatives[0]
    calls = [(str(one["tool"]), dict(one["args"])) for one in right]
    for script, exact in (((calls, "See above."), True), (("All is well.",), False)):
        with scripted_server(*script) as (url, seen):
            role = load_role(ModelSettings(kind="openai", url=url, model="big", timeout_s=10.0))
            (row,) = tool_calls(role, "dev", 1)
        assert (row.question, row.exact) == (turn.say, exact)
        assert seen[0]["tools"]


def test_what_code_looked_up_for_a_model_that_broke_is_not_the_models(night: World) -> None:
    from evals.model_trial import tool_calls
    from setpoint.llm import load_role
    from setpoint.settings import ModelSettings
    from tests.graphs.openai_double import scripted_server

    with scripted_server(400) as (url, _):
        role = load_role(ModelSettings(kind="openai", url=url, model="big", timeout_s=10.0))
        (row,) = tool_calls(role, "dev", 1)
    assert (row.fell_back, row.exact) == (True, False)
