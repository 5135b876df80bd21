"""Suite alert: real notices pass its judge, and every planted mistake is seen."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from agents.alert_facts import Case, case_of
from agents.alerter import first_notice
from evals.registry import Ask
from evals.suites import alert
from evals.suites.alert.cases import CHANGES, case_in, cases, changed
from evals.suites.alert.judging import first_step, missing, mistakes, reason_of, unfaithful, unseen_mistakes
from setpoint.contracts import Notice
from tests.agents.cases import pump_case

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def case() -> Case:
    played = pump_case()
    found = case_of(played.incident, played.events, list(played.triages.values()), played.site)
    incident = found.incident.model_copy(update={"title": f"Coolant flow lost on {found.lead.asset}"})
    return replace(found, incident=incident)


def told(case: Case) -> str:
    notice = first_notice(case.incident, [case.lead], [case.triage], case.site)
    return f"{notice.title}\n{notice.text}"


def test_a_real_notice_passes_and_each_planted_mistake_is_seen(case: Case) -> None:
    text = told(case)
    assert unfaithful(text, case) == []
    assert missing(text, case) == []
    planted = dict(mistakes(text, case))
    assert set(planted) == {"another reading", "another unit", "no asset", "another asset", "another time"}
    assert unseen_mistakes(text, case) == (5, [])


@pytest.mark.parametrize(
    ("wrong", "told_instead"),
    [("41 lpm", "47 lpm"), ("41 lpm", "41 kPa"), ("60 lpm", "65 lpm"), ("cdu-1", "cdu-2"), ("lost", "lost at 03:14:59 CET")],
)  # fmt: skip
def test_one_changed_word_makes_a_notice_unfaithful(case: Case, wrong: str, told_instead: str) -> None:
    text = told(case)
    assert wrong in text
    assert unfaithful(text.replace(wrong, told_instead), case) or missing(
        text.replace(wrong, told_instead), case
    )


def test_limit_and_reading_changed_round_are_seen(case: Case) -> None:
    turned = told(case).replace("41 lpm", "#").replace("60 lpm", "41 lpm").replace("#", "60 lpm")
    assert unfaithful(turned, case)


def test_what_is_left_out_is_named(case: Case) -> None:
    assert missing("Something happened.", case) == ["where", "what happened", "the reading", "the limit"]


def test_a_blind_judge_shows_in_the_figures(case: Case) -> None:
    row = alert.judge(case, first_notice(case.incident, [case.lead], [case.triage], case.site), None, "")
    fair = {figure.key: figure.value for figure in alert.figures([row])}
    blind = {
        figure.key: figure.value for figure in alert.figures([dict(row, unseen=["no asset", "another unit"])])
    }
    assert fair["judge: planted mistakes seen"] == 1.0
    assert blind["judge: planted mistakes seen"] == pytest.approx(0.6)


def test_a_source_may_write_commands_but_the_notice_may_not(case: Case) -> None:
    lead = case.lead.model_copy(update={"message": "Run `rm -rf /` = done, 14 times [now]"})
    quoting = replace(case, lead=lead)
    said = 'The source says: "Run `rm -rf /` = done, 14 times [now]".'
    assert unfaithful(said, quoting) == []
    assert unfaithful(said.replace('"', ""), quoting)
    assert unfaithful(said.replace("14 times", "15 times"), quoting)


def row(**more: Any) -> dict[str, Any]:
    good = {
        "faithful": True,
        "complete": True,
        "short": True,
        "chars": 300,
        "ease": 80.0,
        "planted": 4,
        "unseen": [],
    }
    return good | {"set": "nights", "change": "as-it-was", "problems": []} | more  # fmt: skip


def test_one_unfaithful_notice_fails_the_gate_and_no_fall_is_allowed() -> None:
    found = alert.figures([row(case="a"), row(case="b", faithful=False)])
    assert "first notice: only 0.500" in alert.gate(found)
    assert alert.gate(alert.figures([row()])) == ""
    assert [figure.name for figure in found if figure.hard] == ["faithful"]


def test_refusals_are_counted_by_their_reason_once_a_notice() -> None:
    refused = "unknown slot 'rack'; unknown slot 'row'; too long: 44 words, 40 allowed"
    spoken = {"fell_back": False, "refused": "", "tokens": 90, "tries": 1, "words_faithful": True, "words_complete": True,
              "words_verbatim": True, "words_chars": 80, "words_ease": 70.0}  # fmt: skip
    rows = [row(case="a", fell_back=True, refused=refused, tokens=180, tries=2), row(case="b", **spoken)]
    found = {figure.name: figure.value for figure in alert.figures(rows) if figure.set == "model words"}
    assert found["refused: unknown slot ..."] == 0.5
    assert found[f"refused: {reason_of('too long: 1 words, 2 allowed')}"] == 0.5
    assert found["fell back to the template"] == 0.5
    assert found["tokens a notice"] == 135


@pytest.fixture(scope="module")
def few() -> list[Any]:
    return cases(Ask(limit=16))


def test_the_first_cases_show_every_set_and_many_changes(few: list[Any]) -> None:
    first = [sample.metadata for sample in few[:16]]
    assert {one["set"] for one in first} == {"nights", "fault nights", "by hand"}
    assert len({one["change"] for one in first}) >= 5
    assert len({sample.id for sample in few}) == len(few)


def test_what_the_product_says_of_real_cases_is_faithful_and_a_case_is_shown_whole(few: list[Any]) -> None:
    for sample in few[:9]:
        case = case_in(sample.metadata)
        assert case.lead.asset in str(sample.input)
        said = alert._told(case, None)
        assert (
            alert.judge(case, Notice.model_validate(said["notice"]), said.get("words"), "")["problems"] == []
        )


def test_dev_and_held_out_share_no_case() -> None:
    dev, other = ({sample.id for sample in cases(Ask(limit=4, split=split))} for split in ("dev", "held-out"))
    assert not dev & other


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_every_change_changes_or_does_not_apply(name: str) -> None:
    played = pump_case()
    before = changed(played, "as-it-was")
    after = changed(played, name)
    assert before is not None
    assert after is not None
    assert (after.lead == before.lead) == (name == "as-it-was")


def test_a_runbook_may_have_a_number_word_in_its_name_and_only_the_real_one_passes(case: Case) -> None:
    hints = case.triage.model_copy(update={"cause_hints": ("gpu_uncorrectable_ecc",)})
    pointed = replace(case, triage=hints)
    step = str(first_step(hints, case.site))
    assert "double" in step
    assert unfaithful(f"First: {step}", pointed) == []
    assert unfaithful(f"First: {step.replace('48', '49')}", pointed)
