"""Texts that people read and may say better: an incident's alert, the conclusion of its analysis, each of its steps."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, JsonValue

from setpoint.contracts.event import Frozen

WordTask = Literal["alert", "step", "summary", "chat"]
FIRST = "First: "
"""Begins the line of an alert that says what to do first. It is the runbook's, and no correction changes it."""
CORRECTED_BY = "corrected by "
"""Begins the name of a text's writer where a person wrote it."""
_PART = re.compile(r"alert|summary|step-[1-9]\d?")


class Wording(Frozen):
    """What one text was written from: kept beside it, so that a correction of it can be learned from."""

    task: WordTask
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    """Of the prompt, as JSON; `prompts.INPUT_OF[task]` reads them."""
    words: str = ""
    """The model's, with slots; "" where a template wrote the text."""


def is_part(name: str) -> bool:
    """Whether it names a text that can be corrected.

    >>> [is_part(name) for name in ("alert", "step-2", "step-0", "title")]
    [True, True, False, False]
    """
    return _PART.fullmatch(name) is not None


def task_of(part: str) -> WordTask:
    """Which prompt writes texts of this part.

    >>> task_of("step-3"), task_of("alert")
    ('step', 'alert')
    """
    return "step" if part.startswith("step-") else "summary" if part == "summary" else "alert"


def split_alert(text: str) -> tuple[str, str]:
    """What a person may say better, and the runbook's line below it.

    >>> split_alert("Pump failed.\\nFirst: start the other one. (runbook cdu)")
    ('Pump failed.', '\\nFirst: start the other one. (runbook cdu)')
    """
    at = text.rfind("\n" + FIRST)
    return (text, "") if at < 0 else (text[:at], text[at:])
