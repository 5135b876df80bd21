"""Texts that people said better, where they stand: in every sink's row of an alert, in the last analysis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from setpoint.contracts.wording import Wording
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger import builders

SINKS = ("console", "webhook+http://pager.example")
TAIL = "\nFirst: start the other pump. (runbook pump-failure)"
ORIGIN = Wording(task="alert", inputs={"priority": "P0"}, words="{what} on {asset}.")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An incident whose first notice went out to one of two sinks, and whose plain words wait for both."""
    item = builders.event(1)
    with Ledger.open(tmp_path / "ledger.db", sinks=SINKS) as opened:
        opened.accept([item], (), "test")
        opened.commit_triage(builders.one_incident(item), now=builders.at(0))
        plain = builders.notice(
            stage="plain", text=f"A GPU fell off the bus.{TAIL}", written_by="small", origin=ORIGIN
        )
        opened.queue_notice(plain, now=builders.at(1))
        yield opened


def say(ledger: Ledger, part: str, text: str) -> None:
    ledger.correct("INC-1", "wording", {"part": part, "text": text}, "ada", "better", now=builders.at(9))


def test_what_has_not_gone_out_goes_out_in_the_better_words(ledger: Ledger) -> None:
    say(ledger, "alert", "gpu-01 is gone.")
    rows = [one for one in ledger.list_deliveries(incident_id="INC-1") if one.notice.stage == "plain"]
    assert {one.sink for one in rows} == set(SINKS)
    for one in rows:
        assert one.notice.text == f"gpu-01 is gone.{TAIL}", "what to do first stays the runbook's"
        assert one.notice.written_by == "corrected by ada"
        assert one.notice.origin == ORIGIN, "what it was written from is kept"


def test_the_first_notice_stays_as_it_was_sent(ledger: Ledger) -> None:
    say(ledger, "alert", "gpu-01 is gone.")
    first = [one.notice for one in ledger.list_deliveries(incident_id="INC-1") if one.notice.stage == "first"]
    assert {one.written_by for one in first} == {"template"}


def test_before_and_after_stand_in_the_feedback_and_in_the_chain(ledger: Ledger) -> None:
    say(ledger, "alert", "gpu-01 is gone.")
    (item,) = ledger.list_feedback(subject="INC-1")
    assert item.proposed == {
        "part": "alert", "text": "A GPU fell off the bus.", "words": ORIGIN.words, "task": "alert", "inputs": ORIGIN.inputs,
        "written_by": "small",
    }  # fmt: skip
    (row,) = [one for one in ledger.list_audit(subject="INC-1") if one.what == "incident-corrected"]
    assert isinstance(row.data, dict)
    assert (row.data["part"], row.data["from"], row.data["to"]) == (
        "alert", "A GPU fell off the bus.", "gpu-01 is gone.",
    )  # fmt: skip
    assert "inputs" not in row.data
    (line,) = [one for one in ledger.timeline("INC-1") if one.kind == "human"]
    assert line.text == "Corrected wording of the alert: A GPU fell off the bus. -> gpu-01 is gone. (better)"


def test_said_twice_it_is_one_judgement(ledger: Ledger) -> None:
    say(ledger, "alert", "gpu-01 is gone.")
    say(ledger, "alert", "gpu-01 is gone.")
    assert len(ledger.list_feedback(subject="INC-1")) == 1


def test_the_title_is_corrected_as_before(ledger: Ledger) -> None:
    ledger.correct("INC-1", "wording", "gpu-01: gone", "ada", "short")
    assert ledger.get_incident("INC-1").title == "gpu-01: gone"


def test_only_the_last_analysis_changes(ledger: Ledger) -> None:
    ledger.record_diagnosis(builders.diagnosis(), now=builders.at(2))
    ledger.record_diagnosis(builders.diagnosis(), now=builders.at(3))
    say(ledger, "summary", "gpu-01 is gone.")
    old, new = ledger.list_diagnoses("INC-1")
    assert old.summary == "The GPU fell off the bus."
    assert (new.summary, new.summary_by) == ("gpu-01 is gone.", "corrected by ada")


@pytest.mark.parametrize(
    ("part", "words"),
    [("summary", "no analysis yet"), ("step-1", "no analysis yet"), ("title", "no text is called"), ("step-0", "no text is called")],
)  # fmt: skip
def test_what_is_not_there_cannot_be_said_better(ledger: Ledger, part: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        say(ledger, part, "gpu-01 is gone.")
    assert ledger.list_feedback(subject="INC-1") == []


def test_a_value_that_is_no_text_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        ledger.correct("INC-1", "wording", {"part": "alert"}, "ada", "better")


def test_an_export_for_training_holds_the_texts_alone(ledger: Ledger) -> None:
    say(ledger, "alert", "gpu-01 is gone.")
    (line,) = ledger.export_feedback("preference")
    assert '"chosen":"gpu-01 is gone."' in line
    assert '"rejected":"A GPU fell off the bus."' in line
