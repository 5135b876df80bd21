"""One review with what a person needs to decide it: the arguments with bounds and present values, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from setpoint.app.desk import review_show
from setpoint.app.formatting import day_and_time
from setpoint.app.wiring import Runtime
from setpoint.contracts import Action, Incident, Review
from setpoint.contracts.action import ArgValue
from setpoint.contracts.loops import Cycle
from setpoint.contracts.site import Site
from setpoint.errors import InputError, NotDecidable, SetpointError, UsageError
from setpoint.ledger.records import ActionRecord
from tools.actions import ActionSpec, ArgSpec, spec_of, validate
from tools.guards import hindrance
from tools.readings import Reading

DECIDED = {
    "approve": "approved",
    "edit": "approved with changes",
    "reject": "rejected",
    "respond": "answered",
}


@dataclass(frozen=True)
class Argument:
    """One argument as the edit form shows it."""

    spec: ArgSpec
    value: ArgValue
    """As it stands now."""
    asked: ArgValue
    """As it was proposed first."""
    low: float
    high: float
    present: float | None
    """What the site reads of it now; None where nothing tells."""

    @property
    def words(self) -> str:
        return self.spec.name.rpartition("_")[0].replace("_", " ") if self.spec.unit else self.spec.name

    @property
    def allowed(self) -> str:
        """`60 to 400 LPM`, or the choices."""
        if self.spec.choices:
            return ", ".join(self.spec.choices)
        return f"{self.low:g} to {self.high:g} {self.spec.unit}".strip()


@dataclass(frozen=True)
class Change:
    """One argument as it stands and as somebody wants it."""

    name: str
    words: str
    unit: str
    before: ArgValue
    after: ArgValue


@dataclass(frozen=True)
class Edit:
    """What somebody wants in the place of what is proposed."""

    action: Action
    """As it would be executed."""
    changes: tuple[Change, ...]
    digest: str
    """Of the action: shows which difference was looked at."""


@dataclass(frozen=True)
class Asked:
    """One review and what stands around it."""

    review: Review
    agreed: tuple[str, ...]
    needed: int
    row: dict[str, Any]
    """As the desk tells it: evidence in words, lines of changed rules."""
    incident: Incident | None
    cycle: Cycle | None
    spec: ActionSpec | None
    arguments: tuple[Argument, ...]
    act: ActionRecord | None
    hindered: str
    """An interlock that would refuse it as the site is now, in words; "" where none would."""
    ended: datetime | None
    ended_words: str
    """`already decided by mira at ...: approved`; "" while it waits."""


def read_asked(runtime: Runtime, name: str) -> Asked:
    """Raises UsageError where there is no such review."""
    ledger = runtime.ledger
    row: Any = review_show(runtime.desk, name)
    review, (agreed, needed) = ledger.get_review(name), ledger.approvals(name)
    ended = ledger.review_ended(name)
    acts = [one for one in ledger.list_actions(incident_id=review.incident_id) if one.review_id == name]
    action = review.proposal.action if review.proposal else None
    spec = spec_of(action.name) if action else None
    first = row.get("asked_args") or {}
    return Asked(
        review=review, agreed=agreed, needed=needed, row=row,
        incident=ledger.find_incidents([review.incident_id]).get(review.incident_id),
        cycle=ledger.find_cycle(review.incident_id), spec=spec,
        arguments=tuple(_arguments(runtime, action, spec, first)) if action and spec else (),
        act=acts[-1] if acts else None,
        hindered=_hindered(runtime, action) if action and review.state == "pending" else "",
        ended=ended, ended_words=_ended_words(runtime, review, ended),
    )  # fmt: skip


def _ended_words(runtime: Runtime, review: Review, ended: datetime | None) -> str:
    zone = runtime.site.zone
    when = f" at {day_and_time(ended, zone)}" if ended else ""
    if review.decision is not None:
        return f"already decided by {review.decision.who}{when}: {DECIDED[review.decision.type]}"
    if review.state == "withdrawn":
        return f"withdrawn{when}"
    over = review.expires is not None and review.expires <= datetime.now(UTC)
    if review.state == "expired" or over:
        return (
            f"expired at {day_and_time(review.expires, zone)}: nobody decided it in time"
            if review.expires
            else "expired"
        )
    return ""


# ---- arguments ------------------------------------------------------------------------------------------------


def _arguments(
    runtime: Runtime, action: Action, spec: ActionSpec, first: dict[str, ArgValue]
) -> list[Argument]:
    reading = _reading(runtime, action.asset)
    values = reading.values if reading else {}
    metrics = {one.arg: one.metric for one in spec.ramps} | {
        one.equals: one.metric for one in spec.confirm if isinstance(one.equals, str) and one.times == 1.0
    }
    shown = []
    for arg in spec.args:
        low, high = arg.bounds(runtime.site)
        value = action.args.get(arg.name, arg.default if arg.default is not None else "")
        present = None if arg.choices else values.get(metrics.get(arg.name, ""))
        shown.append(Argument(arg, value, first.get(arg.name, value), low, high, present))
    return shown


def _reading(runtime: Runtime, asset: str) -> Reading | None:
    """What the site reads of it; a site that does not answer is no reason against showing the rest."""
    try:
        return runtime.adapter.read(asset) if runtime.adapter else None
    except SetpointError:
        return None


def _hindered(runtime: Runtime, action: Action) -> str:
    try:
        found = hindrance(action, runtime.site, lambda name: _reading(runtime, name), datetime.now(UTC))
    except (SetpointError, KeyError, ValueError):
        return ""  # what cannot be judged from here, the executor judges
    return f"{found.what}. {found.remedy}" if found else ""


def edit_of(asked: Asked, typed: dict[str, str], site: Site) -> Edit:
    """What an edit changes, each value read and checked as the executor would.

    Raises UsageError for what cannot be read or changes nothing, and what the catalog raises for what is out of bounds.
    """
    proposal = asked.review.proposal
    if proposal is None or asked.spec is None:
        raise NotDecidable("only an action can be edited", remedy="Approve, reject or answer it")
    before = proposal.action.args
    given = {arg.name: _value(arg, typed[arg.name]) for arg in asked.spec.args if arg.name in typed}
    action = validate(proposal.action.model_copy(update={"args": before | given}), site)
    changed = tuple(
        Change(arg.name, arg.doc, arg.unit, before.get(arg.name, "not set"), action.args[arg.name])
        for arg in asked.spec.args
        if before.get(arg.name) != action.args[arg.name]
    )
    if not changed:
        raise UsageError("nothing is changed", remedy="Approve it as it stands, or change a value")
    return Edit(action, changed, action.digest(asked.review.incident_id))


def _value(arg: ArgSpec, text: str) -> ArgValue:
    """Raises InputError for a number that is none."""
    if arg.type == "choice":
        return text
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        unit = f" in {arg.unit}" if arg.unit else ""
        raise InputError(
            f"{text!r} is not a number", remedy=f"Give {arg.doc.lower()}{unit} as a plain number"
        ) from None
    return int(value) if arg.type == "integer" and value.is_integer() else value
