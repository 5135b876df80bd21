"""A model is tried over real HTTP: one that does as it is asked passes, one that chatters does not."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from evals import model_verdicts
from evals.model_trial import Listener, orders, word_cases, words
from evals.model_verdicts import Extent, try_model
from evals.modes import for_chat
from setpoint.errors import ModelMissing
from setpoint.llm import RoleModel, load_role
from setpoint.settings import ModelSettings
from tests.evals.model_doubles import Capable, Chatter
from tests.graphs.openai_double import scripted_server

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_verdicts.SUITES, "smoke", Extent(3, 3, 0))


def at(url: str) -> RoleModel:
    return load_role(ModelSettings(kind="openai", url=url, model="big", timeout_s=10.0), "heavy")


def test_a_capable_model_is_good_enough_for_words_and_too_little_tried_for_more() -> None:
    told: list[tuple[str, int, int]] = []
    with scripted_server(kind=Capable) as (url, seen):
        trial = try_model(at(url), tell=lambda *one: told.append(one))
    assert [trial.of(role).good for role in ("light", "heavy", "heavy, assisted", "chat, free")] == [
        True,
        True,
        False,
        False,
    ]
    assert "too few" in trial.of("heavy, assisted").why
    assert trial.of("chat, free").why == "tools were not tried"
    assert trial.refused == {}
    assert told[-1] == ("causes", 3, 3)
    assert any("response_format" in body for body in seen)


def test_a_model_that_chatters_is_not_good_enough_and_it_is_said_why() -> None:
    with scripted_server(kind=Chatter) as (url, _):
        trial = try_model(at(url))
    assert not trial.of("light").good
    assert "0% of 3 texts" in trial.of("light").why
    assert sum(trial.refused.values()) == 9
    assert trial.modes[0].mode == "facts"


def test_a_model_that_is_not_there_is_an_error_and_no_bad_mark() -> None:
    with pytest.raises(ModelMissing):
        try_model(at("http://127.0.0.1:9/v1"))


def test_a_slow_model_is_not_good_enough_however_good_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_verdicts.DEADLINES_S, "light", 0.0)
    with scripted_server(kind=Capable) as (url, _):
        rows = words(at(url), word_cases("dev", 2))
    verdict = model_verdicts.of_words("light", rows)
    assert (verdict.good, "takes longer" in verdict.why) == (False, True)
    assert verdict.figures["in its own words"][0] == 1.0


def test_code_and_model_are_held_against_the_same_truth() -> None:
    with scripted_server(kind=Capable) as (url, _):
        rows = orders(at(url), "dev", 3)
    assert [row.code == row.model for row in rows] == [True] * 3  # it takes code's first
    assert all(row.answered and row.candidates for row in rows)


def test_a_local_file_plans_no_chat() -> None:
    verdict = model_verdicts.of_tools(for_chat([], local=True), [])
    assert (verdict.good, "calls no tools" in verdict.why) == (False, True)


def test_every_try_is_heard() -> None:
    case = word_cases("dev", 1)[0]
    with scripted_server(kind=Chatter) as (url, _):
        heard = Listener(at(url))
        from agents.explainer import Budget, say

        assert case.task == "alert"
        said = say(heard, "alert", case.inputs, "plain", Budget(10**6, 9, 60.0))
    assert said.text == "plain"
    assert [len(text) for text in heard.texts] == [2]
