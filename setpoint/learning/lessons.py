"""Lessons: what one human decision teaches a model that words texts. Written by `learn prepare`, read by `learn train`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from prompts import Task
from setpoint.contracts.event import Frozen

LessonKind = Literal["edit", "approve", "reject", "respond"]


class Lesson(Frozen):
    """One prompt with the words a person wants for it, and those they did not want."""

    id: str
    """The feedback it was made from; a second lesson of the same feedback has a suffix."""
    kind: LessonKind
    task: Task
    inputs: dict[str, Any]
    """Of the prompt, as JSON; `prompts.INPUT_OF[task]` reads them."""
    chosen: str
    """Words with slots. "" where a text was only rejected."""
    rejected: str = ""
    """Words with slots that stood before; "" where nothing is known of it."""
    who: str
    time: datetime
    why: str = ""
    incident: str = ""
    """Where the text stood."""
    role: str = ""
    """Of the person when the lesson was made; "" where nobody has an account."""


def write_lessons(path: Path, lessons: Iterable[Lesson]) -> int:
    """One JSON line each. Returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for lesson in lessons:
            file.write(lesson.model_dump_json() + "\n")
            count += 1
    return count


def read_lessons(path: Path) -> Iterator[Lesson]:
    """The lessons of a file, in its order."""
    with path.open(encoding="utf-8") as file:
        yield from (Lesson.model_validate_json(line) for line in file if line.strip())


def like(lesson: Lesson) -> tuple[str, ...]:
    """What two prompts share that may well be worded the same: the task, how grave and how sure it is, which slots there are."""
    inputs = lesson.inputs
    facts = (inputs.get("sheet") or {}).get("facts", ())
    about = (inputs.get(key, "") for key in ("priority", "relation", "certainty"))
    has = (str(bool(inputs.get(key))) for key in ("impact", "todo"))
    return (lesson.task, *map(str, about), *has, *sorted(fact["slot"] for fact in facts))
