"""What one decided action says about its kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from setpoint.contracts.autonomy import DecidedAction

Verdict = Literal["good", "edited", "rejected", "untrue", "harm", "alone", "waits", "apart"]
COUNTED: tuple[Verdict, ...] = ("good", "edited", "rejected", "harm")
"""The others count neither for nor against: "alone" is no person's decision, "apart" moved nothing, and of "untrue" ones
nobody knows what they did. The share of rehearsals that came true has a bound of its own."""


@dataclass(frozen=True)
class Judged:
    """One decided action, read."""

    item: DecidedAction
    verdict: Verdict
    at: datetime
    """When this became known: evidence counts in this order."""
    why: str = ""
    """For what is not good, in words."""
    instead: Judged | None = None
    """Of harm: what it counted for until the harm became known; None where it counted for nothing yet."""


def judge(item: DecidedAction, now: datetime, watch_s: float) -> Judged:
    """Good is: a plain yes of a person, done, its rehearsal came true where there was one, and no harm until `watch_s`
    seconds after it."""
    before, harm = _without_harm(item, now, watch_s), harm_of(item, watch_s)
    if harm is None:
        return before
    counted = before.verdict in COUNTED and before.at < harm[0]
    return Judged(item, "harm", *harm, before if counted else None)


def _without_harm(item: DecidedAction, now: datetime, watch_s: float) -> Judged:
    if item.alone:
        return Judged(item, "alone", item.decided)
    if item.type == "reject":
        return Judged(item, "rejected", item.decided, f"{item.who} rejected {item.review_id}")
    if item.changed:
        return Judged(item, "edited", item.decided, f"{item.who} changed {item.review_id} before the yes")
    return _of_plain_yes(item, now, watch_s)


def _of_plain_yes(item: DecidedAction, now: datetime, watch_s: float) -> Judged:
    if item.state in ("dry_run", "refused") or item.dry_run:
        return Judged(item, "apart", item.decided, "it moved nothing")
    if item.state != "done" or item.finished is None:
        return Judged(item, "waits", item.decided, "it has not ended")
    if item.came_true is False:
        return Judged(
            item, "untrue", item.compared or item.finished, f"{item.review_id} went otherwise than rehearsed"
        )
    if item.rehearsed and item.came_true is None:
        return Judged(item, "waits", item.finished, "it is not yet held against its rehearsal")
    over = item.finished + timedelta(seconds=watch_s)
    if now < over:
        return Judged(item, "waits", item.finished, "harm is still looked for")
    return Judged(item, "good", max(over, item.compared or over))


def harm_of(item: DecidedAction, watch_s: float) -> tuple[datetime, str] | None:
    """When harm became known and what it was; None where none is known. The earliest, where there are several.

    An escalation later than `watch_s` seconds after the action is not laid at its door.
    """
    found: list[tuple[datetime, str]] = []
    asset = item.asset or item.review_id
    if item.harm is not None:
        found.append((item.harm.time, f"{item.harm.who} says it did harm on {asset}: {item.harm.why}"))
    if item.dry_run or item.finished is None or item.state not in ("done", "failed"):
        return found[0] if found else None
    if item.state == "failed":
        found.append((item.finished, f"it failed on {asset}: {item.message}"))
    if item.broke:
        found.append((item.compared or item.finished, f"a limit was broken after it: {item.broke}"))
    if item.escalated is not None and (item.escalated - item.finished).total_seconds() <= watch_s:
        found.append(
            (item.escalated, f"{item.escalated_by} escalated {item.incident_id} after it was done on {asset}")
        )
    return min(found, key=lambda one: one[0], default=None)
