"""The light model's words, verified, or the reason why the template stands."""

from __future__ import annotations

import asyncio

import pytest

from agents.alert_facts import Case, case_of
from agents.rewording import Reworded, reword
from prompts import Prompt
from setpoint.contracts import FactSheet
from setpoint.errors import ModelFailed, ModelMissing
from setpoint.llm import Words
from setpoint.testing import scripted_role
from tests.agents.alerts import SITE, told

GOOD = (
    "Coolant pump failed on {asset}, reading {value} against a limit of {limit}. "
    "Act now: the racks on this loop lose cooling without it."
)
WRONG = "Coolant pump failed on {asset}, reading {limit} against a limit of {value}."


def case() -> Case:
    made = told()
    return case_of(made.incident, made.events, made.triages, SITE)


async def test_verified_words_are_filled() -> None:
    made = await reword(scripted_role(GOOD), case())
    assert made.text == (
        "Coolant pump failed on pump-a, reading 0 rpm against a limit of 1200 rpm. "
        "Act now: the racks on this loop lose cooling without it."
    )
    assert (made.written_by, made.problem, made.tries) == ("scripted", "", 1)
    assert made.tokens > 0


async def test_wrong_words_are_asked_for_once_more() -> None:
    assert (await reword(scripted_role(WRONG, GOOD), case())).tries == 2


async def test_wrong_twice_leaves_the_template() -> None:
    made = await reword(scripted_role(WRONG, "It is fixed."), case())
    assert (made.text, made.written_by, made.tries) == ("", "template", 2)
    assert "misses the required slot" in made.problem


@pytest.mark.parametrize("error", [ModelMissing("no file"), ModelFailed("too slow")])
async def test_a_model_that_fails_is_not_asked_again(error: Exception) -> None:
    made = await reword(scripted_role(error), case())
    assert made == Reworded(problem=str(error), tries=1)


class Deaf:
    """A model that never answers and ignores its deadline."""

    name, terse = "deaf", True

    async def awords(
        self, prompt: Prompt, sheet: FactSheet, *, attempt: int = 0, timeout_s: float | None = None
    ) -> Words:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_model_that_ignores_its_deadline_is_left() -> None:
    assert (await reword(Deaf(), case(), timeout_s=0.01)).problem == "the model took too long"
