"""From the ledger to lessons: what people changed, left as it was or refused, in the form in which a model is taught.

Edits teach the better words and, against them, the ones that stood there. A text that a person saw and left, teaches itself.
A text found bad without better words is only ever taught against. Answers (respond) are instructions to people: they are
kept as notes beside the lessons and no model is trained on them. Simulated decisions and those of autonomy teach nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from agents.verification import verify_answer
from agents.wordings import inputs_of
from prompts import WordInput
from setpoint.contracts import Diagnosis, Feedback
from setpoint.contracts.autonomy import is_person
from setpoint.contracts.event import Frozen
from setpoint.contracts.wording import CORRECTED_BY, Wording, task_of
from setpoint.errors import InputError
from setpoint.learning.lessons import Lesson, LessonKind, like
from setpoint.learning.slotting import unfill
from setpoint.ledger import Ledger

ALL = 10_000_000
SEEN = {"incident-acknowledged": ("alert",), "incident-closed": ("alert", "analysis")}
"""Audit words that say a person had the incident before them, and which of its texts. Who acknowledges has read the alert;
who closes has also read the analysis, or let it stand."""


class Aside(Frozen):
    """A judgement that is no lesson, and why."""

    feedback: str
    incident: str
    part: str
    who: str
    text: str
    reason: str


class Note(Frozen):
    """A person's answer, for people to read. No model is trained on it."""

    feedback: str
    subject: str
    who: str
    time: datetime
    text: str


@dataclass
class Prepared:
    """What the ledger gives to learn from."""

    lessons: list[Lesson] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True)
class Sight:
    """A person had an incident before them."""

    time: datetime
    who: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """A text that was shown, from when on."""

    part: str
    text: str
    written_by: str
    since: datetime
    origin: Wording | None


def prepare(ledger: Ledger, roles: Mapping[str, str] | None = None) -> Prepared:
    """Read it all. `roles`: of the people who have accounts, by name."""
    known, made = roles or {}, Prepared()
    judged = [one for one in ledger.list_feedback(limit=ALL) if is_person(one.who)]
    corrections = [one for one in judged if part_of(one)]
    last = {(one.subject, part_of(one)): one for one in corrections}
    first = {(one.subject, part_of(one)): one for one in reversed(corrections)}
    for item in corrections:
        if last[item.subject, part_of(item)] is not item:
            made.aside.append(_aside(item, f"{last[item.subject, part_of(item)].who} said it again later"))
            continue
        _take(made, item, first[item.subject, part_of(item)], known)
    corrected = {(one.subject, part_of(one)) for one in corrections}
    doubted = {one.subject for one in judged if one.field == "cause"}
    for incident, sights in seen_by_people(ledger).items():
        _take_left(made, ledger, incident, sights, corrected, incident in doubted, known)
    _drop_what_was_edited(made)
    made.notes = [note for one in judged if (note := _note(one)) is not None]
    return made


def part_of(item: Feedback) -> str:
    """Which text a correction is about; "" where it is about none."""
    part = item.decided.get("part") if item.field == "wording" and isinstance(item.decided, dict) else None
    return part if isinstance(part, str) else ""


def approval_id(incident: str, part: str) -> str:
    """Of the lesson in a text that was left as it was."""
    return f"{incident}:{part}"


# ---- what people changed ------------------------------------------------------------------------------------------


def _take(made: Prepared, item: Feedback, first: Feedback, roles: Mapping[str, str]) -> None:
    try:
        made.lessons.append(_of_correction(item, first, roles))
    except InputError as error:
        made.aside.append(_aside(item, error.what))


def _of_correction(item: Feedback, first: Feedback, roles: Mapping[str, str]) -> Lesson:
    """`first`: the first correction of that text, which knows how Setpoint had worded it. Raises InputError, with the reason,
    where it is no lesson."""
    before, text = _before(item), _text(item)
    try:
        origin = Wording.model_validate({key: before.get(key) for key in ("task", "inputs", "words")})
    except ValidationError as error:
        raise InputError("what it was written from was not kept") from error
    inputs = inputs_of(origin)
    again = str(before.get("written_by", "")).startswith(CORRECTED_BY)
    stood = _before(first) if again else before
    rejected = origin.words or _words_of(str(stood.get("text", "")), inputs)
    chosen = ""
    if text:
        slotted = unfill(text, inputs)
        if slotted.foreign:
            raise InputError(f"no slot stands for {', '.join(slotted.foreign)}")
        chosen = slotted.words
        refuse_unfit(chosen, inputs)
        if chosen == rejected:
            raise InputError("apart from facts it reads as before")
    elif not rejected:
        raise InputError("what stood there cannot be put into slots, so nothing can be taught against it")
    return Lesson(
        id=item.id, kind="edit" if text else "reject", task=origin.task, inputs=origin.inputs, chosen=chosen,
        rejected=rejected, who=item.who, time=item.time, why=item.why, incident=item.subject, role=roles.get(item.who, ""),
    )  # fmt: skip


def refuse_unfit(words: str, inputs: WordInput) -> None:
    """What the verifier would not let the bundled model say, it is not taught either. Raises InputError."""
    checked = verify_answer(words, inputs, closed=True)
    if not checked.ok:
        raise InputError(f"the verifier would refuse these words: {'; '.join(checked.problems)}")


def _words_of(text: str, inputs: WordInput) -> str:
    """A template's text as a model would have had to write it; "" where a model could not have."""
    slotted = unfill(text, inputs)
    return "" if slotted.foreign or not verify_answer(slotted.words, inputs).ok else slotted.words


def _before(item: Feedback) -> dict[str, Any]:
    return dict(item.proposed) if isinstance(item.proposed, dict) else {}


def _text(item: Feedback) -> str:
    return str(item.decided.get("text", "")) if isinstance(item.decided, dict) else ""


def _aside(item: Feedback, reason: str) -> Aside:
    return Aside(
        feedback=item.id, incident=item.subject, part=part_of(item), who=item.who, text=_text(item), reason=reason
    )  # fmt: skip


# ---- what people left as it was -------------------------------------------------------------------------------------


def seen_by_people(ledger: Ledger) -> dict[str, list[Sight]]:
    """When people had which incident before them, in order of time."""
    found: dict[str, list[Sight]] = {}
    for row in ledger.list_audit(limit=ALL):
        if row.what in SEEN and is_person(row.who):
            found.setdefault(row.subject, []).append(Sight(row.time, row.who, SEEN[row.what]))
    return found


def shown_texts(ledger: Ledger, incident: str) -> list[Shown]:
    """Every alert, summary and step that was shown of an incident, in order of time."""
    notices = {one.notice.version: one for one in ledger.list_deliveries(incident_id=incident, limit=ALL)}
    found = [
        Shown("alert", one.notice.text, one.notice.written_by, one.queued, one.notice.origin)
        for one in notices.values()
        if one.notice.stage in ("first", "plain")
    ]
    for since, diagnosis in ledger.dated_diagnoses(incident):
        found += _of_diagnosis(diagnosis, since)
    return found


def _of_diagnosis(diagnosis: Diagnosis, since: datetime) -> Iterator[Shown]:
    by = diagnosis.summary_by or diagnosis.written_by
    yield Shown("summary", diagnosis.summary, by, since, diagnosis.summary_origin)
    for number, step in enumerate(diagnosis.steps, 1):
        yield Shown(f"step-{number}", step.text, step.written_by, since, step.origin)


def left_as_they_were(
    texts: Sequence[Shown], sights: Sequence[Sight]
) -> Iterator[tuple[Shown, Sight]]:  # fmt: skip
    """The last version of each text that was there when a person first had it before them, and that person."""
    for part in dict.fromkeys(one.part for one in texts):
        group = "alert" if part == "alert" else "analysis"
        for sight in sights:
            there = [one for one in texts if one.part == part and one.since <= sight.time]
            if group in sight.parts and there:
                yield there[-1], sight
                break


def _take_left(
    made: Prepared, ledger: Ledger, incident: str, sights: Sequence[Sight], corrected: set[tuple[str, str]],
    doubted: bool, roles: Mapping[str, str],
) -> None:  # fmt: skip
    """Texts of a model that were seen and left. An analysis whose cause a person corrected is nobody's approval."""
    for shown, sight in left_as_they_were(shown_texts(ledger, incident), sights):
        origin = shown.origin
        if origin is None or not origin.words or (incident, shown.part) in corrected:
            continue
        if doubted and shown.part != "alert":
            continue
        try:
            refuse_unfit(origin.words, inputs_of(origin))
        except InputError:
            continue  # written by a larger model, or before the prompts changed: nothing to teach the bundled one
        kind: LessonKind = "approve"
        made.lessons.append(
            Lesson(
                id=approval_id(incident, shown.part), kind=kind, task=task_of(shown.part), inputs=origin.inputs,
                chosen=origin.words, who=sight.who, time=sight.time, incident=incident, role=roles.get(sight.who, ""),
            )
        )  # fmt: skip


def _drop_what_was_edited(made: Prepared) -> None:
    """Who leaves a text alone may not have minded it, or not have had the time. Where somebody changed the very same words for
    like inputs, that says more."""
    changed = {(like(one), one.rejected): one.who for one in made.lessons if one.kind != "approve"}
    kept = []
    for one in made.lessons:
        who = changed.get((like(one), one.chosen)) if one.kind == "approve" else None
        if who is None:
            kept.append(one)
            continue
        reason = f"left as it was, but {who} did not want the same words elsewhere"
        part = one.id.rpartition(":")[2]
        made.aside.append(
            Aside(
                feedback=one.id, incident=one.incident, part=part, who=one.who, text=one.chosen, reason=reason
            )
        )
    made.lessons = kept


# ---- instructions -------------------------------------------------------------------------------------------------


def _note(item: Feedback) -> Note | None:
    decided = item.decided
    if not isinstance(decided, dict) or decided.get("type") != "respond":
        return None
    text = str(decided.get("answer") or item.why)
    return Note(feedback=item.id, subject=item.subject, who=item.who, time=item.time, text=text)
