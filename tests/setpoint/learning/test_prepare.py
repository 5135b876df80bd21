"""From what people did on a shift to lessons: through the real ledger, the real verifier and the real slots."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue

from setpoint.contracts import Decision
from setpoint.contracts.dispatch import Dispatch
from setpoint.learning.lessons import Lesson, read_lessons, write_lessons
from setpoint.learning.prepare import Prepared, prepare
from setpoint.ledger import Ledger
from tests.setpoint.learning.corrected import ALERT, START, STEP, better, open_ledger, put_incident, say
from tests.setpoint.ledger import builders

ONE, TWO = "INC-0000", "INC-0001"


def only(made: Prepared, kind: str) -> list[Lesson]:
    return [one for one in made.lessons if one.kind == kind]


def test_an_edit_teaches_the_better_words_against_those_that_stood_there(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        say(ledger, ONE, "alert", better(ledger, ONE), why="place first")
        (lesson,) = prepare(ledger, {"ada": "operator"}).lessons
    assert lesson.kind == "edit"
    assert lesson.chosen == "{asset}: {what} since {time}, {metric} {value} against {limit}. {why}."
    assert lesson.rejected == ALERT
    assert (lesson.task, lesson.who, lesson.why) == ("alert", "ada", "place first")
    assert (lesson.incident, lesson.role) == (ONE, "operator")


def test_the_ledger_shows_the_better_text_and_keeps_what_it_was_written_from(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        text = "cdu-1-pump-a at 03:14:07 CET: coolant pump failed, which speaks for this cause: coolant pump failed."
        say(ledger, ONE, "step-1", text)
        shown = ledger.get_diagnosis(ONE)
        assert shown is not None
        step = shown.steps[0]
        assert (step.text, step.written_by) == (text, "corrected by ada")
        assert step.origin is not None
        assert step.origin.words == STEP
        (item,) = ledger.list_feedback(subject=ONE)
        assert item.decided == {"part": "step-1", "text": text}
        assert isinstance(item.proposed, dict)
        assert item.proposed["words"] == STEP
        assert item.difference == {"text": [item.proposed["text"], text]}
        assert ledger.verify_chain().ok
        told = [one.text for one in ledger.timeline(ONE) if one.kind == "human"]
        assert told[0].startswith("Corrected wording of the step 1: Coolant pump failed on")


def test_a_template_that_is_corrected_teaches_too(tmp_path: Path) -> None:
    with open_ledger(tmp_path, model=False) as ledger:
        say(ledger, ONE, "summary", "On cdu-1-pump-a since 03:14:07 CET: coolant pump failed.")
        (lesson,) = prepare(ledger).lessons
    assert lesson.chosen == "On {asset} since {time}: {what}."
    assert lesson.rejected == "{what} on {asset} since {time}."


def test_what_a_person_saw_and_left_is_an_approval_of_a_models_words(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 2) as ledger:
        ledger.acknowledge(ONE, "ada", now=START + timedelta(hours=50))
        ledger.set_state(TWO, "closed", "bob", "done", now=START + timedelta(hours=50))
        made = prepare(ledger)
    found = {(one.incident, one.task, one.who) for one in only(made, "approve")}
    assert found == {
        (ONE, "alert", "ada"),
        (TWO, "alert", "bob"),
        (TWO, "summary", "bob"),
        (TWO, "step", "bob"),
    }


def test_a_text_that_came_after_the_person_had_looked_is_no_approval(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        ledger.set_state(ONE, "closed", "ada", now=START + timedelta(seconds=3))
        made = prepare(ledger)
    assert [one.task for one in made.lessons] == ["alert"], "the analysis was recorded two seconds later"


def test_templates_setpoint_and_policies_approve_nothing(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 1, model=False) as ledger:
        put_incident(ledger, 1)
        ledger.set_state(ONE, "closed", "ada", now=START + timedelta(hours=50))
        ledger.set_state(TWO, "closed", "setpoint", now=START + timedelta(hours=50))
        assert prepare(ledger).lessons == []


def test_an_analysis_whose_cause_was_wrong_is_nobodys_approval(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        ledger.correct(ONE, "cause", "coolant_leak", "ada", "wet floor", now=START + timedelta(hours=1))
        ledger.set_state(ONE, "closed", "ada", now=START + timedelta(hours=2))
        assert [one.task for one in prepare(ledger).lessons] == ["alert"]


def test_a_bad_text_without_better_words_is_only_taught_against(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        say(ledger, ONE, "summary", "", why="says nothing")
        (lesson,) = prepare(ledger).lessons
        shown = ledger.get_diagnosis(ONE)
    assert (lesson.kind, lesson.chosen, lesson.rejected) == ("reject", "", "{what} on {asset} since {time}.")
    assert shown is not None
    assert shown.summary_by == "setpoint-small, found bad by ada"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cdu-1-pump-a since 03:14:07 CET, flow 40 lpm against 60 lpm.", "required slot 'what'"),
        ("coolant pump failed on cdu-1-pump-a at 41 lpm.", "no slot stands for number '41 lpm'"),
        ("Coolant pump failed on cdu-1-pump-a: 40 lpm against 60 lpm. Reboot gateway. The racks on this loop lose their flow.",
         "the verifier would refuse"),
    ],
)  # fmt: skip
def test_words_the_verifier_refuses_are_set_aside_with_the_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    with open_ledger(tmp_path) as ledger:
        say(ledger, ONE, "alert", text)
        made = prepare(ledger)
    assert made.lessons == []
    assert reason in made.aside[0].reason


def test_the_last_word_on_a_text_counts(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        say(ledger, ONE, "alert", better(ledger, ONE), "ada", hours=1)
        last = "{asset}: {what}. {metric} {value} against {limit} since {time}. {why}."
        say(ledger, ONE, "alert", better(ledger, ONE, last), "bob", hours=2)
        made = prepare(ledger)
    assert [(one.who, one.chosen, one.rejected) for one in made.lessons] == [("bob", last, ALERT)]
    assert made.aside[0].reason == "bob said it again later"


def test_said_better_twice_is_held_against_what_setpoint_said(tmp_path: Path) -> None:
    with open_ledger(tmp_path, model=False) as ledger:
        say(ledger, ONE, "summary", "On cdu-1-pump-a since 03:14:07 CET: coolant pump failed.", hours=1)
        say(ledger, ONE, "summary", "cdu-1-pump-a: coolant pump failed since 03:14:07 CET.", hours=2)
        (lesson,) = prepare(ledger).lessons
    assert lesson.chosen == "{asset}: {what} since {time}."
    assert lesson.rejected == "{what} on {asset} since {time}.", "not the first attempt at better words"


def test_an_edit_says_more_than_the_same_words_left_alone(tmp_path: Path) -> None:
    with open_ledger(tmp_path, 2) as ledger:
        say(ledger, ONE, "alert", better(ledger, ONE), "ada")
        ledger.acknowledge(TWO, "bob", now=START + timedelta(hours=90))
        made = prepare(ledger)
    assert [one.kind for one in made.lessons] == ["edit"]
    assert "ada did not want the same words elsewhere" in made.aside[0].reason


def test_a_correction_that_does_not_say_what_it_was_written_from_is_set_aside(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        say(ledger, ONE, "alert", better(ledger, ONE))
        (kept,) = ledger.list_feedback()
        ledger.add_feedback(kept.model_copy(update={"id": "other", "subject": "INC-9", "proposed": "a text"}))
        made = prepare(ledger)
    assert [one.id for one in made.lessons] == [kept.id]
    assert [(one.feedback, one.reason) for one in made.aside] == [
        ("other", "what it was written from was not kept")
    ]


def test_simulated_corrections_teach_nothing(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        value: JsonValue = {"part": "alert", "text": better(ledger, ONE)}
        ledger.correct(ONE, "wording", value, "ada", "clearer", simulated=True)
        made = prepare(ledger)
    assert (made.lessons, made.aside) == ([], [])


def test_an_answer_is_a_note_for_people(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.commit_triage(dispatch(ledger), now=builders.at(0))
        review = builders.review()
        ledger.open_review(review, now=builders.at(1))
        ledger.decide(
            review.id,
            review.digest,
            Decision(type="respond", who="ada", answer="ask facilities first"),
            now=builders.at(2),
        )
        made = prepare(ledger)
    assert made.lessons == []
    assert [(one.who, one.text) for one in made.notes] == [("ada", "ask facilities first")]


def dispatch(ledger: Ledger) -> Dispatch:
    item = builders.event(1)
    ledger.accept([item], (), "test")
    return builders.one_incident(item)


def test_lessons_are_written_and_read_back(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        say(ledger, ONE, "alert", better(ledger, ONE))
        lessons = prepare(ledger).lessons
    assert write_lessons(tmp_path / "lessons.jsonl", lessons) == 1
    assert list(read_lessons(tmp_path / "lessons.jsonl")) == lessons
