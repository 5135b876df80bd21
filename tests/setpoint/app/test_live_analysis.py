"""An analysis as it scrolls by: whole the first time, a line or two when it comes to the same again."""

from __future__ import annotations

import pytest

from setpoint.app.live_analysis import analysis, headline
from setpoint.contracts import Diagnosis
from setpoint.contracts.action import Withheld
from tests.setpoint.app.sample import Sample, incident_id

PUMP = incident_id("pump_under_surge")


@pytest.fixture(scope="module")
def found(played: Sample) -> Diagnosis:
    diagnosis = played.ledger.get_diagnosis(PUMP)
    assert diagnosis is not None
    return diagnosis


def test_the_first_time_it_tells_what_was_tried_and_what_else_it_could_be(found: Diagnosis) -> None:
    head, body = headline(found, None).plain, analysis(found, None).plain
    assert "coolant pump failed at cdu-1-pump-a  78 %" in head
    assert "coolant pump failed at cdu-1-pump-a  61 to 90 %" in body
    assert "+ cdu-1 flow went from 150 to 0 L/min" in body
    assert "no fault: under 1 %" in body
    assert "but: By the events alone" in body
    for title in ("from the cause to what was seen", "evidence", "recovery guide"):
        assert title in body


def test_the_same_again_is_said_in_few_lines(found: Diagnosis) -> None:
    body = analysis(found, found).plain
    assert "still coolant pump failed" in headline(found, found).plain
    assert found.summary in body
    assert "recovery guide" not in body
    assert len(body.splitlines()) <= 4


def test_another_cause_or_a_share_that_moved_is_told_whole(found: Diagnosis) -> None:
    top = found.top.model_copy(update={"score": found.top.score - 0.3})
    before = found.model_copy(update={"hypotheses": (top, *found.hypotheses[1:])})
    assert "recovery guide" in analysis(found, before).plain
    assert "still" not in headline(found, before).plain


def test_what_was_not_tried_and_what_is_not_proposed_are_said_with_the_reason(found: Diagnosis) -> None:
    bare = tuple(one.model_copy(update={"tested": None}) for one in found.hypotheses)
    no = Withheld(subject="Drain gpu-01", why="it was rejected already: REV-1 of INC-1", review="REV-1")
    changed = found.model_copy(
        update={"hypotheses": bare, "untested": "no sensor was read", "withheld": (no,)}
    )
    body = analysis(changed, None).plain
    assert "not tried on the plant model: no sensor was read" in body
    assert "Drain gpu-01: it was rejected already" in body
    assert "Drain gpu-01" in analysis(changed, changed).plain
