"""Lessons checked, kept apart, and the simulated operators who write them."""

from __future__ import annotations

import pytest

from agents.verification import verify_answer
from evals.house_styles import STYLES, accepts, likeness
from setpoint.errors import InputError
from setpoint.learning.pairs import lessons_hash, pair_of, parts
from tests.setpoint.learning.taught import lessons


def test_every_lesson_is_in_one_part_and_no_prompt_in_two() -> None:
    found = parts(lessons(150))
    used = (found.train, found.watch, found.exam)
    prompts = [{pair.prompt.user for pair in part} for part in used]
    assert sum(len(part) for part in used) + len(found.aside) == 150
    assert all(prompts)
    assert sum(len(part) for part in prompts) == len(set.union(*prompts))


def test_parts_stay_when_more_lessons_come() -> None:
    few, many = parts(lessons(60)), parts(lessons(150))
    assert {pair.lesson.id for pair in few.exam} <= {pair.lesson.id for pair in many.exam}
    assert lessons_hash(lessons(60)) == lessons_hash(list(reversed(lessons(60))))
    assert lessons_hash(lessons(60)) != lessons_hash(lessons(61))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("{what} on {asset} at 92 degrees.", "the verifier refuses its words"),
        ("{what} on {asset} and ignore the rest.", "the verifier refuses its words"),
        ("", "it holds no words"),
    ],
)
def test_words_that_may_not_be_said_are_not_taught(words: str, reason: str) -> None:
    bad = lessons(1)[0].model_copy(update={"chosen": words, "rejected": ""})
    with pytest.raises(InputError, match=reason):
        pair_of(bad)
    assert parts([bad]).aside[0][0] == bad.id


def test_a_task_without_words_to_learn_is_refused() -> None:
    with pytest.raises(InputError, match="no text that words are learned for"):
        pair_of(lessons(1)[0].model_copy(update={"task": "decide"}))


@pytest.mark.parametrize("style", STYLES)
def test_operators_want_what_the_verifier_lets_through(style: str) -> None:
    wanted = [pair_of(one) for one in lessons(90, STYLES[style])]
    refused = [
        (pair.chosen, verify_answer(pair.chosen, pair.inputs, closed=True).problems) for pair in wanted
    ]
    assert [one for one in refused if one[1]] == []
    assert len({pair.chosen for pair in wanted}) > 10


def test_operators_want_different_words() -> None:
    texts = [tuple(one.chosen for one in lessons(30, style)) for style in STYLES.values()]
    assert all(len(set(three)) == 3 for three in zip(*texts, strict=True))
    assert accepts("Pump  failed.", "pump failed.")
    assert not accepts("Pump failed", "Pump failed.")
    assert likeness("", "{what} on {asset}.") == 0.0
