"""How much of what Setpoint says and proposes people leave unchanged, per kind and over time.

Counted is what a person had before them: of an incident that somebody acknowledged, closed or corrected. Actions are counted
as autonomy counts them, from the same decided reviews.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from evals.intervals import wilson
from setpoint.contracts import Feedback
from setpoint.contracts.autonomy import DecidedAction, is_person
from setpoint.contracts.event import Frozen
from setpoint.contracts.wording import task_of
from setpoint.learning.prepare import (
    ALL,
    Shown,
    Sight,
    approval_id,
    left_as_they_were,
    part_of,
    seen_by_people,
    shown_texts,
)
from setpoint.ledger import Ledger

Outcome = Literal["unchanged", "edited", "rejected", "open"]
Writer = Literal["model", "template", ""]
MOST = 2000
"""Incidents that are looked at, those that people had before them last: each takes some milliseconds."""
ORDER = ("alert", "summary", "step", "priority", "cause")


@dataclass(frozen=True)
class Judged:
    """One thing a person had before them, and what became of it."""

    kind: str
    outcome: Outcome
    time: datetime
    writer: Writer = ""
    lesson: str = ""
    """Id of the lesson that may come of it; "" where none can."""


class Week(Frozen):
    """Of one kind, the judgements of one week."""

    begins: date
    """A Monday, UTC."""
    unchanged: int
    judged: int


class Acceptance(Frozen):
    """One kind's record. Share and interval are None where nothing was judged."""

    kind: str
    writer: Writer
    """Of texts: who wrote them."""
    shown: int
    unchanged: int
    edited: int
    rejected: int
    share: float | None = None
    low: float | None = None
    high: float | None = None
    """The 95 % interval of the share (Wilson)."""
    weeks: tuple[Week, ...] = ()


def acceptance(judged: Iterable[Judged]) -> list[Acceptance]:
    """One row a kind and writer: texts first, then judgements, then actions by name."""
    groups: dict[tuple[str, Writer], list[Judged]] = {}
    for one in judged:
        groups.setdefault((one.kind, one.writer), []).append(one)
    return [_row(kind, writer, groups[kind, writer]) for kind, writer in sorted(groups, key=_place)]


def _place(key: tuple[str, Writer]) -> tuple[int, str, str]:
    kind, writer = key
    return (ORDER.index(kind) if kind in ORDER else len(ORDER), kind, writer)


def _row(kind: str, writer: Writer, found: Sequence[Judged]) -> Acceptance:
    count = {
        outcome: sum(one.outcome == outcome for one in found)
        for outcome in ("unchanged", "edited", "rejected")
    }
    judged = sum(count.values())
    low, high = wilson(count["unchanged"], judged) if judged else (None, None)
    return Acceptance(
        kind=kind, writer=writer, shown=len(found), **count, share=count["unchanged"] / judged if judged else None,
        low=low, high=high, weeks=tuple(_weeks(found)),
    )  # fmt: skip


def _weeks(found: Sequence[Judged]) -> Iterator[Week]:
    """Those in which something was judged."""
    by_week: dict[date, list[Judged]] = {}
    for one in found:
        if one.outcome != "open":
            day = one.time.date()
            by_week.setdefault(day - timedelta(days=day.weekday()), []).append(one)
    for begins in sorted(by_week):
        items = by_week[begins]
        yield Week(
            begins=begins, unchanged=sum(one.outcome == "unchanged" for one in items), judged=len(items)
        )


# ---- reading the ledger -------------------------------------------------------------------------------------------


def judged_incidents(ledger: Ledger, most: int = MOST) -> Iterator[Judged]:
    """Texts, priorities and causes of the incidents that people had before them last."""
    sights = seen_by_people(ledger)
    corrections = [one for one in ledger.list_feedback(limit=ALL) if is_person(one.who)]
    said = {(one.subject, part_of(one) or one.field): one for one in corrections}
    touched = {name: found[-1].time for name, found in sights.items()}
    for one in corrections:
        touched[one.subject] = max(one.time, touched.get(one.subject, one.time))
    latest = sorted(touched, key=lambda name: touched[name])[-most:]
    known = ledger.find_incidents(latest)  # corrections of reviews and rules are about no incident
    for incident in latest:
        if incident in known:
            shown = shown_texts(ledger, incident)
            yield from _texts(incident, shown, sights.get(incident, ()), said)
            yield from _judgements(incident, shown, sights.get(incident, ()), said)


def _texts(
    incident: str, shown: Sequence[Shown], sights: Sequence[Sight], said: Mapping[tuple[str, str], Feedback]
) -> Iterator[Judged]:
    """Each alert, summary and step, and what became of it."""
    left = {text.part: sight for text, sight in left_as_they_were(shown, sights)}
    for part, last in {one.part: one for one in shown}.items():
        kind = task_of(part)
        writer: Writer = "model" if last.origin is not None and last.origin.words else "template"
        if (item := said.get((incident, part))) is not None:
            edited = isinstance(item.decided, dict) and bool(item.decided.get("text"))
            yield Judged(kind, "edited" if edited else "rejected", item.time, writer, item.id)
        elif part in left:
            name = approval_id(incident, part) if writer == "model" else ""
            yield Judged(kind, "unchanged", left[part].time, writer, name)
        else:
            yield Judged(kind, "open", last.since, writer)


def _judgements(
    incident: str, shown: Sequence[Shown], sights: Sequence[Sight], said: Mapping[tuple[str, str], Feedback]
) -> Iterator[Judged]:
    """Its priority, and its cause where an analysis named one."""
    analysed = any(one.part == "summary" for one in shown)
    for field, group in (("priority", "alert"), ("cause", "analysis")):
        sight = next((one for one in sights if group in one.parts), None)
        if (item := said.get((incident, field))) is not None:
            yield Judged(field, "edited", item.time)
        elif sight is not None and (field == "priority" or analysed):
            yield Judged(field, "unchanged", sight.time)


def judged_actions(kind: str, decided: Sequence[DecidedAction]) -> Iterator[Judged]:
    """People's decisions in the record that autonomy reads: a plain yes is unchanged. What autonomy decided itself is nobody's
    judgement."""
    for one in decided:
        if not one.alone:
            edited = one.changed or one.type == "edit"
            outcome: Outcome = "rejected" if one.type == "reject" else "edited" if edited else "unchanged"
            yield Judged(kind, outcome, one.decided)
