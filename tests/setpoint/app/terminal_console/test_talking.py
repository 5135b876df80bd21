"""The conversation in the terminal: answers as they come, stopped, taken up again; nothing typed is lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from textual.events import Paste

from setpoint.app import opening
from setpoint.app.terminal.talk import Folded, Told, Turn, folds
from setpoint.contracts.chat import MOST_QUESTION_CHARS
from setpoint.settings import Settings
from tests.setpoint.app.terminal_console.conftest import Screen, console

WIDE = (240, 50)
"""No sentence is broken into lines."""


async def ask(screen: Screen, question: str) -> Turn:
    """Ask it and wait for the end of the answer."""
    screen.app.talk.question.focus()
    await screen.write(question)
    await screen.press("enter")
    await screen.until(lambda: not screen.app._asking.busy)
    return list(screen.app.talk.query(Turn))[-1]


async def test_an_answer_comes_with_facts_looks_and_sources(settings: Settings) -> None:
    async with console(settings) as screen:
        turn = await ask(screen, "what is wrong with cdu-1?")
        assert screen.app.talk.question.value == ""
        await screen.sees("cdu-1: coolant pump tripped", "  - ", "looked at: ")
        fold = turn.query(Folded).first()
        assert "incident" in str(fold.content)
        fold.focus()
        await screen.press("enter")
        assert fold.open
        assert "(" in str(fold.content)
        again = await ask(screen, "since when?")  # a follow-up leans on what was said
        assert "cdu-1" in str(again.query(".answer").first().content)  # type: ignore[attr-defined]  # a Static
    async with console(settings) as later:
        await later.press("ctrl+r")
        await later.sees(
            "going on with: what is wrong with cdu-1?", "you  what is wrong with cdu-1?", "you  since when?"
        )


async def test_another_persons_conversation_is_not_taken_up(settings: Settings) -> None:
    async with console(settings, "ana") as screen:
        await ask(screen, "what is wrong?")
    async with console(settings, "ben") as screen:
        await screen.press("ctrl+r")
        await screen.sees("there is no earlier conversation of yours")
        assert "what is wrong?" not in [turn.question for turn in screen.app.talk.query(Turn)]


async def test_escape_stops_an_answer_and_what_was_found_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tools are slow here, as a what-if on a plant is."""
    go_on = threading.Event()
    real = opening._tools

    def slow(tool: Any) -> Any:
        return lambda **args: go_on.wait(20) and tool(**args)

    monkeypatch.setattr(
        opening, "_tools", lambda *parts: {name: slow(tool) for name, tool in real(*parts).items()}
    )
    async with console(settings, size=WIDE) as screen:
        await screen.write("what waits for a decision?")
        await screen.press("enter")
        await screen.sees("looking: ", "(Escape stops)")
        await screen.write("and then")
        await screen.press("enter")
        await screen.sees("your question is kept")
        await screen.press("escape")
        await screen.sees("stopped; what was found so far stands above")
        assert screen.app.talk.question.value == "and then"
        go_on.set()


async def test_what_is_too_long_is_kept_and_said(settings: Settings) -> None:
    async with console(settings, size=WIDE) as screen:
        question = screen.app.talk.question
        question.value = "why " * (MOST_QUESTION_CHARS // 4 + 1)
        await screen.press("enter")
        await screen.sees("2,003 characters are too many for one question, at most 2,000 are taken")
        assert len(question.value) == 2004


async def test_pasted_lines_are_all_kept(settings: Settings) -> None:
    async with console(settings) as screen:
        screen.app.talk.question.post_message(Paste("what is\n  wrong with\tr-05?\n"))
        await screen.pilot.pause()
        assert screen.app.talk.question.value == "what is wrong with r-05?"


async def test_earlier_questions_come_back_and_the_draft_too(settings: Settings) -> None:
    async with console(settings) as screen:
        await ask(screen, "what is wrong?")
        await screen.write("a draft")
        await screen.press("up")
        assert screen.app.talk.question.value == "what is wrong?"
        await screen.press("up", "down")
        assert screen.app.talk.question.value == "a draft"


def test_steps_make_an_answer_before_it_is_whole() -> None:
    told = Told()
    told.add({"kind": "understood", "data": {"intent": "incident", "phrase": "x", "by": "code"}})
    told.add({"kind": "call", "data": {"id": 1, "tool": "incidents", "args": {"asset": "r-05"}}})
    assert "looking: incidents ... (Escape stops)" in told.text().plain
    told.add({"kind": "result", "data": {"id": 1, "text": "[b]none[/b]\x1b[2J", "seconds": 0.2}})
    told.add({"kind": "facts", "data": {"lines": ["it is dry"], "citations": []}})
    told.add({"kind": "words", "data": {"text": "Nothing is wrong there."}})
    assert told.text().plain.startswith("Nothing is wrong there.\n  - it is dry\n")
    ((head, body),) = folds(told, {})
    assert head == "looked at: incidents"
    assert "incidents(asset='r-05')  (200 ms)" in body
    assert r"[b]none[/b]\x1b[2J" in body
