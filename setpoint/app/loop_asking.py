"""What becomes of a planned cycle of a control loop: what goes into the shift's queue, what is withheld and why, which
older questions fall, and which events its troubles raise.

A newer plan supersedes the ones before: what waits from an older cycle is withdrawn, unless the new plan wants the very
same; then the old question stays and is not put again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from agents.proposer import people_for, review_of
from setpoint.app import adapters
from setpoint.app.asked import same
from setpoint.autonomy.disposition import Disposition
from setpoint.contracts import Action, ActionProposal, Event, Outcome, Review
from setpoint.contracts.action import Withheld
from setpoint.contracts.event import Severity
from setpoint.contracts.loops import Cycle, LoopPlan, Trouble
from setpoint.ledger import Ledger
from setpoint.ledger.records import ActionRecord, OpenTrouble
from setpoint.settings import Settings
from tools.actions import describe

PREFIX = "LOOP-"
KIND = "setpoint_loop_held"
"""Of the events that loops raise."""
_PASSED = ("approve", "edit")
_MOST = 10_000


def cycle_id(loop: str, at: datetime) -> str:
    """
    >>> from datetime import UTC
    >>> cycle_id("cooling", datetime(2026, 3, 14, 12, tzinfo=UTC))
    'LOOP-cooling-20260314T120000Z'
    """
    return f"{PREFIX}{loop}-{at:%Y%m%dT%H%M%SZ}"


def is_cycle(name: str) -> bool:
    """Whether the id that stands in the place of an incident's is a cycle's."""
    return name.startswith(PREFIX)


def loop_of(name: str) -> str:
    """The loop of a cycle's id; "" for any other id."""
    return name.split("-")[1] if is_cycle(name) else ""


@dataclass(frozen=True)
class AskParts:
    """What putting questions needs."""

    ledger: Ledger
    settings: Settings
    clock: Callable[[], datetime]
    cycle_s: float
    look: Callable[[ActionProposal], Disposition]
    """What the gate makes of a proposal."""
    run_alone: Callable[[Review], object]
    """Says yes to a fresh review, where its kind has earned it and it may still be."""
    accept: Callable[[Sequence[Event]], None]
    """Takes events into the inbox; one that is there already changes nothing."""
    site_name: str = "site"
    expires: bool = True
    """False: a question waits until a newer plan takes it back. For simulated time, which passes faster than people."""


@dataclass
class _Sorted:
    """A cycle's proposals as they are judged one after another."""

    put: list[tuple[ActionProposal, Disposition]] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """Older reviews that stay."""

    def withhold(self, action: Action, why: str, review: str = "") -> None:
        self.withheld.append(Withheld(subject=describe(action), why=why, review=review))


def put(cycle: Cycle, parts: AskParts, learned: Mapping[str, Any] | None = None) -> Cycle:
    """The cycle with what was put to review and what was withheld, as it stands in the ledger. Safe to repeat."""
    now = parts.clock()
    stands = parts.ledger.find_cycle(cycle.id)
    if (
        stands is not None
    ):  # it was put before a crash; what was to run alone and was not said yes to waits for a person
        return stands
    known = _Known.read(parts.ledger, cycle, timedelta(seconds=parts.settings.loops.no_holds_s), now)
    found = _sorted(cycle, known, parts, now)
    noted = cycle.model_copy(
        update={
            "proposals": tuple(one for one, _ in found.put),
            "withheld": (*cycle.withheld, *found.withheld),
        }
    )
    reviews = [_review(one, look, parts, now) for one, look in found.put]
    troubles, events = raised(cycle, known.troubles, parts.site_name)
    if events:
        parts.accept(events)
    fresh = parts.ledger.note_cycle(
        noted,
        asked=reviews,
        orders=[adapters.open_order(one) for one in reviews],
        approvals_needed={one.id: people_for(one, parts.settings.review) for one in reviews},
        withdrawn={one.id: _replaced(one, noted) for one in known.waiting if one.id not in found.kept},
        troubles=troubles,
        learned=learned,
        now=now,
    )
    for review, (_, look) in zip(reviews, found.put, strict=True):
        if look.runs_alone and review.id in fresh:
            parts.run_alone(review)
    return noted


# ---- who is asked ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """What stands in the ledger beside the new cycle."""

    waiting: tuple[Review, ...]
    """Questions of this loop's earlier cycles."""
    rejected: tuple[Review, ...]
    """Of those cycles, where the no still holds."""
    taken: dict[str, str]
    """Assets that a question or an act of somebody else is about, and which."""
    troubles: dict[str, OpenTrouble]

    @classmethod
    def read(cls, ledger: Ledger, cycle: Cycle, holds: timedelta, now: datetime) -> _Known:
        own = [
            one for one in ledger.loop_reviews(f"{PREFIX}{cycle.loop}-", now - holds) if one.incident_id != cycle.id
        ]  # fmt: skip
        pending = ledger.list_reviews(states=("pending",), kinds=("action",), limit=_MOST)
        others = [one for one in pending if loop_of(one.incident_id) != cycle.loop]
        taken = {one.proposal.action.asset: one.id for one in others if one.proposal}
        taken |= {one.action.asset: one.review_id for one in ledger.unfinished_actions()}
        memory = ledger.loop_memory(cycle.loop)
        return cls(
            waiting=tuple(one for one in own if one.state == "pending"),
            rejected=tuple(one for one in own if one.decision and one.decision.type == "reject"),
            taken=taken,
            troubles=dict(memory.troubles) if memory else {},
        )


def _sorted(cycle: Cycle, known: _Known, parts: AskParts, now: datetime) -> _Sorted:
    found = _Sorted()
    general = _against_all(cycle, parts, now)
    for one in cycle.proposals:
        older = next((r for r in known.waiting if r.proposal and same(r.proposal.action, one.action)), None)
        if general:
            found.withhold(one.action, general)
        elif older is not None:
            found.kept.add(older.id)
            why = f"it waits for a decision already: {older.id} of {older.incident_id}"
            found.withhold(one.action, why, older.id)
        elif why := _against(one, known):
            found.withhold(one.action, why)
        else:
            _judge(one, found, parts)
    return found


def _against_all(cycle: Cycle, parts: AskParts, now: datetime) -> str:
    """Why nothing of the cycle is put to anybody; "" where something may be."""
    if parts.settings.review.actions == "off":
        return "review.actions is off: nothing is proposed"
    age_s = (now - cycle.at).total_seconds()
    if age_s > max(parts.cycle_s, 60.0):
        return f"the plan is {age_s / 60:.0f} min old; the next cycle plans anew"
    return ""


def _against(one: ActionProposal, known: _Known) -> str:
    for review in reversed(known.rejected):
        if review.proposal and same(review.proposal.action, one.action):
            reason = f" ({review.decision.reason})" if review.decision and review.decision.reason else ""
            return f"it was rejected already: {review.id} of {review.incident_id}{reason}"
    if other := known.taken.get(one.action.asset):
        return f"another action on {one.action.asset} comes first: {other}"
    return ""


def _judge(one: ActionProposal, found: _Sorted, parts: AskParts) -> None:
    look, most = parts.look(one), parts.settings.loops.most_proposals
    if look.level == "observe":
        found.withhold(one.action, f"its kind is at observe, so it is only recorded: {look.why}")
    elif len(found.put) + len(found.kept) >= most:
        found.withhold(
            one.action, f"{most} of this loop wait already, the most asked at a time (loops.most_proposals)"
        )
    else:
        found.put.append((one, look))


def _review(one: ActionProposal, look: Disposition, parts: AskParts, now: datetime) -> Review:
    made = review_of(one, parts.settings.review, now, look.why if look.recommended else "")
    return made if parts.expires else made.model_copy(update={"expires": None})


def _replaced(old: Review, cycle: Cycle) -> str:
    """Why an older question falls."""
    was = old.proposal.action if old.proposal else None
    instead = next(
        (one.action for one in cycle.proposals if was and (one.action.name, one.action.asset) == (was.name, was.asset)),
        None,
    )  # fmt: skip
    if instead is not None:
        return f"replaced by the plan of {cycle.id}: {describe(instead)}"
    return f"the plan of {cycle.id} no longer wants it"


# ---- how it ended ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """The reviews of one cycle when all of them are over."""

    outcomes: tuple[Outcome, ...]
    superseded: bool


def ended(ledger: Ledger, name: str) -> Ended | None:
    """How the cycle's reviews ended; None while one waits or what was approved is not over."""
    reviews = [one for one in ledger.list_reviews(incident_id=name) if one.kind == "action"]
    acts = {one.review_id: one for one in ledger.list_actions(incident_id=name)}
    busy = _at_work(ledger) if any(one.state == "decided" for one in reviews) else set()
    for one in reviews:
        act = acts.get(one.id)
        if one.state == "pending" or one.id in busy or (act is not None and act.state == "executing"):
            return None
    done = [acts[one.id] for one in reviews if one.id in acts]
    return Ended(
        tuple(_outcome(one, reviews) for one in done), any(one.state == "withdrawn" for one in reviews)
    )


def _at_work(ledger: Ledger) -> set[str]:
    """Reviews whose decision or action a worker still has to carry on."""
    jobs = ledger.list_jobs(kinds=("review", "resume", "act"), states=("queued", "running"), limit=_MOST)
    return {str(job.payload.get("review_id", job.key)) for job in jobs}


def _outcome(record: ActionRecord, reviews: Sequence[Review]) -> Outcome:
    of = next(one for one in reviews if one.id == record.review_id)
    return Outcome(
        action_id=of.proposal.id if of.proposal else record.key, state=record.state, message=record.message,
        before=record.before, after=record.after, dry_run=record.dry_run,
    )  # fmt: skip


# ---- events of a loop's own -----------------------------------------------------------------------------------------


def raised(
    cycle: Cycle, known: dict[str, OpenTrouble], site_name: str
) -> tuple[dict[str, OpenTrouble], list[Event]]:
    """The blocking troubles that last after this cycle, and the events of those that began or ended with it."""
    now = {key_of(one): one for one in cycle.plan.troubles if one.blocks}
    events: list[Event] = []
    lasting: dict[str, OpenTrouble] = {}
    for key, trouble in now.items():
        before = known.get(key)
        if before is not None and before.since < cycle.at:
            lasting[key] = before.model_copy(update={"trouble": trouble})
            continue
        event = _event(cycle, key, trouble, site_name)
        lasting[key] = OpenTrouble(event_id=event.id, since=cycle.at, trouble=trouble)
        events.append(event)
    events += [_cleared(cycle, key, gone, site_name) for key, gone in known.items() if key not in now]
    return lasting, events


def key_of(trouble: Trouble) -> str:
    """What makes two reports the same trouble; their numbers do not."""
    return "/".join((trouble.kind, trouble.asset, trouble.metric))


def _event(cycle: Cycle, key: str, trouble: Trouble, site_name: str) -> Event:
    words = [f"{cycle.loop} loop: {trouble.what}", trouble.instead, trouble.remedy]
    return Event(
        id=_event_id(cycle, key, "firing"),
        time=cycle.at,
        received=cycle.at,
        asset=trouble.asset or site_name,
        source=f"setpoint.loop.{cycle.loop}",
        kind=KIND,
        message=" ".join(part.rstrip(".") + "." for part in words if part)[:4000],
        severity=_severity(cycle.plan),
        metric=trouble.metric or None,
        labels={"loop": cycle.loop, "trouble": trouble.kind, "cycle": cycle.id},
        format="internal",
        dedup_key=f"{cycle.loop}/{key}",
    )


def _cleared(cycle: Cycle, key: str, gone: OpenTrouble, site_name: str) -> Event:
    fired = _event(cycle, key, gone.trouble, site_name)
    what = f"{cycle.loop} loop: over since {cycle.at:%H:%M} UTC, it plans again. It was: {gone.trouble.what}"
    return fired.model_copy(
        update={"id": _event_id(cycle, key, "resolved"), "status": "resolved", "message": what[:4000]}
    )


def _severity(plan: LoopPlan) -> Severity:
    """Handing over to the local controller is graver than holding for a while."""
    return "error" if plan.local else "warning"


def _event_id(cycle: Cycle, key: str, status: str) -> str:
    """The same for the same cycle, however often it is planned again after a crash."""
    body = f"{cycle.id} {key} {status}"
    return f"loop-{hashlib.sha256(body.encode()).hexdigest()[:16]}"
