"""The dispatcher: what a ranked batch does to incidents, who is told, and who works on it.

A pure function of the batch and of the incidents as the ledger holds them. An incident is as important as its
most important event. P0 takes the fast path (one alert at once), P1 and P2 the slow path, P3 is recorded only.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from agents.alert_facts import quoted
from agents.correlation.joining import ALONE, ENDED
from setpoint.contracts import (
    PRIORITIES,
    Correlated,
    Dispatch,
    Incident,
    IncidentState,
    JobRequest,
    Notice,
    Priority,
    Ranked,
    Review,
    Triage,
)
from setpoint.settings import Settings

Stage = Literal["first", "update", "resolved"]
_PATHS: Mapping[Priority, Literal["fast", "slow", "record"]] = {
    "P0": "fast",
    "P1": "slow",
    "P2": "slow",
    "P3": "record",
}
_MOST_ASSETS = 500
"""Assets an incident lists; its event count goes on."""
_MOST_EVENTS = 20
"""New events a job names; the rest is read from the ledger."""
_HARMLESS = frozenset({"time-very-old", "time-without-zone", "unknown-severity", "unknown-asset"})
"""Flags that say something of the source, not against the event."""
_MORE = re.compile(r" and \d+ more$")
_PHRASE = 90
"""Characters of a raw message that a title may hold."""


_QUIET_S: Mapping[Priority, float] = {"P0": 0.0, "P1": 3.0, "P2": 6.0, "P3": 0.0}
_AGAIN_S: Mapping[Priority, float] = {"P0": 4.0, "P1": 8.0, "P2": 15.0, "P3": 0.0}
"""An analysis begins when its incident was quiet for so long: a burst is looked at once, and whole. The first of a P0
begins at once; a further one, when news came, takes longer."""
_LONGEST = 5.0
"""It waits for quiet no longer than so many times that."""


class NoticeWriter(Protocol):
    """Deterministic words for one notice; `version` is left 0."""

    def __call__(self, stage: Stage, incident: Incident, events: Sequence[Ranked]) -> Notice: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that dispatch obeys."""

    notify: frozenset[Priority] = frozenset({"P0", "P1"})
    doubts: bool = True
    """Doubtful inputs wait for a person."""
    doubts_expire_s: float = 3600.0
    ended_too: bool = False
    """An incident that began and ended in one batch is analysed as well: whoever reads a file asks what happened."""

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        return cls(
            frozenset(settings.alerts.priorities),
            settings.review.doubtful_input == "ask",
            settings.review.expire_s,
        )


@dataclass(frozen=True, slots=True)
class _Share:
    """What one batch says about one incident."""

    before: Incident | None
    after: Incident
    ranked: tuple[Ranked, ...]
    news: tuple[Ranked, ...]
    """Events that are new and that nobody has silenced, most important first."""
    ended: bool


def plan(
    batch: Sequence[tuple[Correlated, Triage]],
    known: Mapping[str, Incident],
    now: datetime,
    write: NoticeWriter,
    policy: Policy | None = None,
) -> Dispatch:
    """Everything that follows from a ranked batch. `known` holds the touched incidents that exist already."""
    policy = policy or Policy()
    shares = [_share(rows, known.get(name)) for name, rows in _by_incident(batch).items()]
    return Dispatch(
        batch_id=batch_id([correlated.event.id for correlated, _ in batch]),
        time=now,
        ranked=tuple(_ranked(correlated, triage) for correlated, triage in batch),
        incidents=tuple(share.after for share in shares),
        new_incidents=tuple(share.after.id for share in shares if share.before is None),
        notices=tuple(
            write(stage, share.after, share.news or share.ranked)
            for share in shares
            for stage in _stages(share, policy)
        ),
        reviews=_reviews(shares, now, policy) if policy.doubts else (),
        jobs=tuple(job for share in shares for job in _jobs(share, policy)),
    )


def batch_id(event_ids: Sequence[str]) -> str:
    """The same events in the same order are the same batch."""
    return "B-" + hashlib.sha256("\n".join(event_ids).encode()).hexdigest()[:24]


def _by_incident(
    batch: Sequence[tuple[Correlated, Triage]],
) -> dict[str, list[tuple[Correlated, Triage]]]:
    incidents: dict[str, list[tuple[Correlated, Triage]]] = {}
    for correlated, triage in batch:
        incidents.setdefault(correlated.incident_id, []).append((correlated, triage))
    return incidents


def _ranked(correlated: Correlated, triage: Triage) -> Ranked:
    return Ranked(
        event=correlated.event,
        context=correlated.context,
        triage=triage,
        incident_id=correlated.incident_id,
        group_key=correlated.group_key,
        grouped_by=correlated.grouped_by,
        repeat=correlated.repeat,
    )


def _share(rows: Sequence[tuple[Correlated, Triage]], before: Incident | None) -> _Share:
    ranked = tuple(_ranked(correlated, triage) for correlated, triage in rows)
    news = sorted(filter(_is_news, ranked), key=lambda one: one.triage.priority)
    ended = _ended(rows)
    after = _incident(rows, ranked, before, ended)
    return _Share(before, after, ranked, tuple(news), ended)


def _is_news(one: Ranked) -> bool:
    """New trouble that somebody should hear of. A P0 is heard of even during maintenance, but not if silenced."""
    if one.repeat or one.event.status == "resolved" or one.context.silenced:
        return False
    return one.triage.priority == "P0" or not one.context.maintenance


def _ended(rows: Sequence[tuple[Correlated, Triage]]) -> bool:
    """The last event that changed the incident's state ended it."""
    for correlated, _ in reversed(rows):
        if correlated.clears:
            return True
        if correlated.event.status == "firing" and not correlated.repeat:
            return False
    return False


def _incident(
    rows: Sequence[tuple[Correlated, Triage]],
    ranked: tuple[Ranked, ...],
    before: Incident | None,
    ended: bool,
) -> Incident:
    head = rows[0][0]
    lead = min(ranked, key=lambda one: (one.triage.priority, one.repeat))
    priority = min(before.priority, lead.triage.priority) if before else lead.triage.priority
    assets = _assets(ranked, before)
    raised = before is None or lead.triage.priority < before.priority
    title = _title(lead) if raised or before is None else _MORE.sub("", before.title)
    times = [one.event.time for one in ranked]
    related = dict.fromkeys((before.related if before else ()) + rows[-1][0].related)
    return Incident(
        id=head.incident_id,
        group_key=before.group_key if before else head.group_key,
        title=title + (f" and {len(assets) - 1} more" if len(assets) > 1 else ""),
        priority=priority,
        state=_state(ranked, before, ended),
        opened=min([*times, before.opened] if before else times),
        updated=max([*times, before.updated] if before else times),
        assets=assets,
        event_count=len(rows) + (before.event_count if before else 0),
        path=_PATHS[priority],
        grouped_by=_reason(ranked, before),
        revision=_revision(ranked, before),
        related=tuple(related),
    )


def _assets(ranked: Sequence[Ranked], before: Incident | None) -> tuple[str, ...]:
    seen = dict.fromkeys(before.assets if before else ())
    for one in ranked:
        seen.update(dict.fromkeys(filter(None, (one.context.about, one.event.asset))))
    return tuple(seen)[:_MOST_ASSETS]


def _title(lead: Ranked) -> str:
    """ "GPU fell off the bus on gpu-05"; without a rule's phrase the message itself, cut."""
    said = " ".join(lead.event.message.split())
    what = lead.triage.condition or said or lead.event.kind or "unnamed trouble"
    what = what if len(what) <= _PHRASE else what[: _PHRASE - 3].rstrip() + "..."
    what = quoted(what) if said and not lead.triage.condition else what[0].upper() + what[1:]
    asset = lead.context.about or lead.event.asset
    named = asset.lower() in what.lower() or asset == "unknown"
    return what if named else f"{what} on {asset}"


def _state(ranked: Sequence[Ranked], before: Incident | None, ended: bool) -> IncidentState:
    """New trouble opens a finished incident again; mere repeats leave it as a person left it."""
    if before is None:
        fired = any(one.event.status == "firing" for one in ranked)
        return "resolved" if ended or not fired else "open"
    if ended:
        return before.state if before.state == "closed" else "resolved"
    fresh = any(not one.repeat and one.event.status == "firing" for one in ranked)
    return "open" if fresh and before.state in ("resolved", "closed") else before.state


def _reason(ranked: Sequence[Ranked], before: Incident | None) -> str:
    """Why these events are one incident: the first reason that says more than "one condition"."""
    if before is not None and not before.grouped_by.startswith((ALONE, ENDED)):
        return before.grouped_by
    told = [
        one.grouped_by
        for one in ranked
        if not one.repeat and one.event.status == "firing" and not one.grouped_by.startswith("end of")
    ]
    telling = [words for words in told if not words.startswith((ALONE, ENDED))]
    if telling:
        return telling[0]
    return before.grouped_by if before else (told or [ranked[0].grouped_by])[0]


def _revision(ranked: Sequence[Ranked], before: Incident | None) -> int:
    if before is None:
        return 0
    return before.revision + any(not one.repeat for one in ranked)


def _stages(share: _Share, policy: Policy) -> list[Stage]:
    """Which notices the batch makes for one incident: at most one about its begin or growth, and one on its end."""
    stages: list[Stage] = []
    if any(one.triage.priority in policy.notify for one in share.news):
        stages.append("first" if _pages(share, policy) else "update")
    told = stages or (share.before is not None and share.before.priority in policy.notify)
    open_before = share.before is None or share.before.state in ("open", "acknowledged")
    if share.ended and told and open_before:
        stages.append("resolved")
    return stages


def _pages(share: _Share, policy: Policy) -> bool:
    """Somebody must be told anew: a new incident, one that became worse, or one that was over and is back."""
    before = share.before
    if before is None or before.priority not in policy.notify:
        return True
    if before.state in ("resolved", "closed") and not any(one.context.flapping for one in share.news):
        return True
    return share.after.priority < before.priority


def _jobs(share: _Share, policy: Policy) -> list[JobRequest]:
    """A P0 that is new goes to the fast path, which hands it on; everything else that matters to the slow one."""
    incident = share.after
    if not share.news or incident.path == "record":
        return []
    if share.ended and (_looked_at(share) or not policy.ended_too):
        return []
    fresh_p0 = incident.priority == "P0" and (share.before is None or share.before.priority != "P0")
    kind: Literal["fast", "slow"] = "fast" if fresh_p0 else "slow"
    quiet_s = 0.0 if fresh_p0 else (_AGAIN_S if _looked_at(share) else _QUIET_S)[incident.priority]
    return [
        JobRequest(
            kind=kind,
            key=incident.id,
            urgency=PRIORITIES.index(incident.priority),
            quiet_s=quiet_s,
            longest_s=_LONGEST * quiet_s,
            payload={
                "incident_id": incident.id,
                "revision": incident.revision,
                "scope": "one" if len(incident.assets) == 1 else "multi",
                "event_ids": [one.event.id for one in share.news[:_MOST_EVENTS]],
            },
        )
    ]


def _looked_at(share: _Share) -> bool:
    """An analysis was asked for before, at this priority or a higher one."""
    before = share.before
    return before is not None and before.path != "record" and before.priority <= share.after.priority


def _reviews(shares: Sequence[_Share], now: datetime, policy: Policy) -> tuple[Review, ...]:
    """One question for each doubtful wording, however many events say it."""
    reviews: dict[str, Review] = {}
    for share in shares:
        for one in share.ranked:
            if one.triage.doubtful and not one.repeat:
                review = _doubt(one, now, policy)
                reviews.setdefault(review.id, review)
    return tuple(reviews.values())


def _doubt(one: Ranked, now: datetime, policy: Policy) -> Review:
    event = one.event
    about = (
        f"{event.dedup_key or event.id}|{event.flags}"
        if event.flags
        else f"{event.kind}|{one.context.template}"
    )
    name = hashlib.sha256(about.encode()).hexdigest()[:12]
    flags = ", ".join(flag.replace("-", " ") for flag in event.flags if flag not in _HARMLESS)
    why = flags or f"confidence {one.triage.confidence:.0%}"
    said = " ".join(event.message.split())[:200]
    return Review(
        id=f"REV-{name}",
        kind="doubtful_input",
        incident_id=one.incident_id,
        subject=f"Is {one.triage.priority} right for {quoted(said)} from {event.asset}? ({why})",
        digest=name,
        created=now,
        expires=now + timedelta(seconds=policy.doubts_expire_s),
    )


def counts(dispatch: Dispatch) -> dict[str, int]:
    """Figures of one batch, for logs and metrics."""
    priorities = Counter(one.triage.priority for one in dispatch.ranked)
    figures: dict[str, int] = {name: priorities.get(name, 0) for name in PRIORITIES}
    return figures | {
        "events": len(dispatch.ranked),
        "incidents": len(dispatch.incidents),
        "new": len(dispatch.new_incidents),
        "notices": len(dispatch.notices),
        "reviews": len(dispatch.reviews),
        "jobs": len(dispatch.jobs),
    }
