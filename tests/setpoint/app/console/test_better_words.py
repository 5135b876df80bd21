"""The console's forms to say a text better, and what the Feedback page makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest

from setpoint.app.acceptance_plot import acceptance_plot
from tests.setpoint.app.console.shift import Shift
from tests.setpoint.app.served import serving
from tests.setpoint.learning.corrected import START, better, open_ledger

ONE = "INC-0000"


@pytest.fixture(scope="module")
def shift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    folder = tmp_path_factory.mktemp("words")
    with open_ledger(folder, 4) as ledger:
        ledger.set_state("INC-0003", "closed", "bob", "done", now=START + timedelta(days=1))
        ledger.set_state("INC-0002", "closed", "bob", "done", now=START + timedelta(days=9))
    with serving(folder, accounts=True) as served:
        yield Shift(served)


async def test_each_text_has_a_form_with_the_words_that_stand(shift: Shift) -> None:
    page = await (await shift.browser("ana", "operator")).open(f"/incidents/{ONE}")
    assert re.findall(r'name="part" value="([^"]+)"', page.text) == ["alert", "summary", "step-1"]
    assert page.text.count("Say it better") == 3
    shown = re.search(r'<textarea id="better-alert"[^>]*>([^<]+)<', page.text)
    assert shown is not None
    assert shown[1].startswith("Coolant pump failed on cdu-1-pump-a")
    assert 'data-draft="INC-0000 alert"' in page.text


async def test_a_viewer_has_no_form_and_cannot_send_one(shift: Shift) -> None:
    browser = await shift.browser("vera", "viewer")
    assert "Say it better" not in (await browser.open(f"/incidents/{ONE}")).text
    await browser.send(f"/incidents/{ONE}/reword", 403, part="alert", text="x y", why="z")


async def test_a_fact_of_nobodys_is_told_beside_the_form_and_what_was_typed_stays(shift: Shift) -> None:
    browser = await shift.browser("ana", "operator")
    text = better(shift.ledger, ONE).replace("40 lpm", "41 lpm")
    answer = await browser.send(f"/incidents/{ONE}/reword", 422, part="alert", text=text, why="place first")
    form = answer.text[answer.text.index('name="part" value="alert"') :]
    assert "41 lpm" in form[: form.index("</form>")]
    assert 'role="alert"' in form[: form.index("</form>")]
    assert 'value="place first"' in form
    assert shift.ledger.list_feedback(subject=ONE) == []


async def test_the_better_words_are_shown_with_the_persons_name(shift: Shift) -> None:
    browser = await shift.browser("ana", "operator")
    text = better(shift.ledger, ONE)
    await browser.send(f"/incidents/{ONE}/reword", part="alert", text=text, why="place first")
    page = await browser.open(f"/incidents/{ONE}")
    assert text in page.words
    assert "corrected by ana" in page.words
    assert f"alert: {text}" in page.words, "among the corrections"
    told = (await browser.open(f"/feedback?subject={ONE}")).words
    assert "place first" in told
    assert f'now "{text}"' in told
    assert "training data: a preferred answer" in told


async def test_a_text_can_be_called_bad_without_better_words(shift: Shift) -> None:
    browser = await shift.browser("ana", "operator")
    await browser.fetch(f"/incidents/{ONE}/reword", part="summary", text="", why="says nothing", bad="1")
    assert "found bad by ana" in (await browser.open(f"/incidents/{ONE}")).words
    answer = await browser.fetch(f"/incidents/{ONE}/reword", 422, part="step-1", text=" ", why="empty")
    assert "better text is empty" in answer.text


async def test_an_unknown_text_is_refused_at_the_top(shift: Shift) -> None:
    browser = await shift.browser("ana", "operator")
    answer = await browser.send(f"/incidents/{ONE}/reword", 422, part="title", text="x y", why="z")
    assert "No text is called" in answer.text


async def test_a_form_without_its_token_is_refused(shift: Shift) -> None:
    browser = await shift.browser("ana", "operator")
    answer = await browser.client.post(
        f"/incidents/{ONE}/reword", data={"part": "alert", "text": "x y", "why": "z"}
    )
    assert answer.status_code == 403


async def test_the_feedback_page_shows_what_is_left_unchanged(shift: Shift) -> None:
    page = await (await shift.browser("vera", "viewer")).open("/feedback")
    assert "What people leave unchanged" in page.words
    assert "Left unchanged, by week" in page.text
    assert re.search(r"alert model \d+ \d+ 1 0 \d+% \d+% to \d+%", " ".join(page.words.split()))
    assert "no set was prepared yet" in page.words


def row(kind: str, *weeks: tuple[str, int, int]) -> dict[str, object]:
    told = [{"begins": begins, "unchanged": good, "judged": judged} for begins, good, judged in weeks]
    return {"kind": kind, "writer": "model", "weeks": told}


def test_the_picture_holds_a_point_a_week_and_a_week_without_a_word_changes_nothing() -> None:
    svg = acceptance_plot([row("alert", ("2026-11-02", 1, 2), ("2026-11-16", 4, 4))])
    points = re.search(r'data-name="alert"[^>]* points="([^"]+)"', svg)
    assert points is not None
    heights = np.array([float(one.split(",")[1]) for one in points[1].split()])
    assert len(heights) == 3
    assert heights[0] == heights[1] > heights[2], "50 %, still 50 %, then 100 %"
    assert "2 Nov" in svg
    assert "alert from 50 to 100, last 100" in svg


def test_one_week_is_no_course() -> None:
    assert acceptance_plot([row("alert", ("2026-11-02", 1, 2))]) == ""
