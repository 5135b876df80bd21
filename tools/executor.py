"""The one executor. Nothing else holds an adapter, and it accepts nothing but an approval token that fits.

check -> execute -> observe -> record, each safe to do again after a crash:
a row "executing" in the ledger means that the site may have been moved, so the site is asked before anything is
repeated, and what cannot be known is never repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Protocol

from pydantic import JsonValue

from plant.diagnosis.results import Rehearsal
from setpoint.contracts import Action, ActionState, Frozen, Outcome
from setpoint.contracts.autonomy import AUTONOMY_WHO
from setpoint.contracts.site import Site
from setpoint.errors import ActionRefused, BackendError, InputError
from setpoint.ledger.records import ActionRecord
from setpoint.settings import ActSettings
from tools import guards
from tools.actions import ActionSpec, Confirm, describe, spec_of, validate
from tools.adapter import SiteAdapter
from tools.readings import Read, Reading
from tools.stop import StopSwitch
from tools.tokens import Grant, Signer

Readings = dict[str, float]
DRY_RUN = "Every check passed; nothing was moved"
NOT_MOVED = "Interrupted before it moved anything"
UNKNOWN = (
    "Interrupted while it ran; whether it moved anything is not known. Look at the asset, then decide again"
)


class Busy(ActionRefused):
    """Another action on the same asset is still executing. The only refusal that is worth trying again."""


class Order(Frozen):
    """One approved action, as the review hands it over."""

    action_id: str
    incident_id: str
    review_id: str
    action: Action
    token: str

    @property
    def key(self) -> str:
        """Idempotency key. An edit or another review makes another one; asking twice does not."""
        return f"{self.incident_id}:{self.review_id}:{self.action.digest(self.incident_id)[:32]}"


class ActionLedger(Protocol):
    """What the executor needs of the ledger."""

    def begin_action(
        self, key: str, action: Action, *, incident_id: str, review_id: str = "", approvers: Sequence[str] = (),
        dry_run: bool = True, token: str = "", now: datetime | None = None,
    ) -> bool: ...  # fmt: skip

    def finish_action(self, key: str, outcome: Outcome, now: datetime | None = None) -> None: ...

    def get_action(self, key: str) -> ActionRecord | None: ...

    def unfinished_actions(self) -> list[ActionRecord]: ...

    def actions_on(self, asset: str, since: datetime) -> int: ...

    def note_rehearsal(
        self, key: str, rehearsal: Rehearsal, *, incident_id: str = "", due: datetime | None = None,
        now: datetime | None = None,
    ) -> bool: ...  # fmt: skip

    def audit(
        self, who: str, what: str, subject: str, data: JsonValue = None, now: datetime | None = None
    ) -> object: ...


@dataclass(frozen=True)
class Checked:
    """Result of the checks: readings before, and an outcome where it ends here."""

    before: Readings
    outcome: Outcome | None = None


Rehearse = Callable[[Action, str], Rehearsal | None]
"""An action of an incident, rehearsed from the site's present state; None where it cannot be."""


def no_rehearsal(action: Action, incident_id: str) -> None:
    """For sites that no plant model covers."""
    return None


AgainstAlone = Callable[[Action, str, Rehearsal | None], Sequence[str]]
"""Reasons against executing now what autonomy, and no person, approved: the action, its review, and its rehearsal of
this moment."""


def never_alone(action: Action, review_id: str, foreseen: Rehearsal | None) -> Sequence[str]:
    """Where no autonomy gate is plugged in, nothing runs alone."""
    return ("no autonomy gate is in place",)


@dataclass(frozen=True)
class Admitted:
    """An order that may run now, and what was foreseen of it."""

    grant: Grant
    rehearsal: Rehearsal | None


class Executor:
    """Executes approved actions on one site."""

    def __init__(
        self, *, site: Site, adapter: SiteAdapter, ledger: ActionLedger, signer: Signer, stop: StopSwitch,
        settings: ActSettings, clock: Callable[[], datetime], rehearse: Rehearse = no_rehearsal,
        against_alone: AgainstAlone = never_alone,
    ) -> None:  # fmt: skip
        """`rehearse` is asked before an order is admitted; what it foresaw is kept, to be held against what comes.
        `against_alone` is asked, at that moment, about what no person approved."""
        self._site, self._adapter, self._ledger, self._signer = site, adapter, ledger, signer
        self._stop, self._settings, self._clock, self._rehearse = stop, settings, clock, rehearse
        self._against_alone, self._one_at_a_time = against_alone, Lock()

    def run(self, order: Order) -> Outcome:
        """All four steps. Raises Busy where another action moves the asset; everything else is an outcome."""
        checked = self.check(order)
        outcome = (
            checked.outcome or self.execute(order, checked.before) or self.observe(order, checked.before)
        )
        return self.record(order, outcome)

    def check(self, order: Order) -> Checked:
        """Token, catalog and guards with fresh readings. Moves and writes nothing."""
        done = self._finished(order)
        if done:
            return Checked(done.before, done)
        if self._ledger.get_action(order.key) is not None:
            return Checked(self._readings(order.action))  # begun by a run that died: `execute` asks the site
        try:
            self._admit(order)
        except (ActionRefused, InputError) as error:
            return Checked({}, self._outcome(order, "refused", str(error)))
        return Checked(self._readings(order.action))

    def execute(self, order: Order, before: Readings) -> Outcome | None:
        """Claim the key and move the site, once. None: moved, to be observed. Raises Busy.

        Guards run again here, with readings of this moment.
        """
        with self._one_at_a_time:
            done = self._finished(order)
            if done:
                return done
            row = self._ledger.get_action(order.key)
            if row is not None:
                return self._resume(order, row, before)
            try:
                admitted = self._admit(order)
            except (ActionRefused, InputError) as error:
                return self._outcome(order, "refused", str(error), before)
            if not self._begin(order, admitted.grant, dry_run=self._settings.dry_run):
                raise Busy("another worker has just begun it", where=order.action.asset)
            if self._settings.dry_run:
                return self._outcome(order, "dry_run", DRY_RUN, before, before)
            return self._apply(order, admitted.rehearsal, before)

    def observe(self, order: Order, before: Readings) -> Outcome:
        """Wait for the effect and read it."""
        spec = spec_of(order.action.name)
        self._adapter.settle(spec.settle_s)
        after = self._readings(order.action)
        wrong = _not_shown(spec, order.action, after)
        if wrong:
            return self._outcome(order, "failed", f"The site does not show it: {wrong}", before, after)
        said = f"{describe(order.action)}: done" + (", and the site shows it" if spec.confirm else "")
        return self._outcome(order, "done", said, before, after)

    def record(self, order: Order, outcome: Outcome) -> Outcome:
        """Write how it ended; the first ending stands. Returns what stands."""
        if self._ledger.get_action(order.key) is None and not self._begin_ended(order, outcome):
            return outcome
        self._ledger.finish_action(order.key, outcome, now=self._clock())
        return self._finished(order) or outcome

    def settle_abandoned(self, older_than_s: float = 900.0) -> list[Outcome]:
        """End rows left "executing" that no worker came back to. Only looks at the site, never moves it."""
        limit = self._clock() - timedelta(seconds=older_than_s)
        ended = []
        for row in self._ledger.unfinished_actions():
            if row.begun <= limit:
                outcome = self._found(row)
                self._ledger.finish_action(row.key, outcome, now=self._clock())
                ended.append(outcome)
        return ended

    # ---- admission ----------------------------------------------------------------------------------

    def _admit(self, order: Order, *, again: bool = False) -> Admitted:
        """`again`: the order's own interrupted try is among the last hour's actions and is not counted."""
        now = self._clock()
        grant = self._signer.verify(order.token, order.action, order.incident_id, self._site, now)
        if grant.review_id != order.review_id:
            raise ActionRefused(f"it belongs to review {grant.review_id}", where="approval token")
        if validate(order.action, self._site) != order.action:
            raise ActionRefused(
                "not in the catalog's form", where=order.action.name, remedy="Approve it again"
            )
        situation = self._situation(order.action, now)
        done = situation.done_last_hour - int(again)
        foreseen = _Once(lambda action: self._rehearse(action, order.incident_id))
        guards.check(replace(situation, done_last_hour=max(0, done), rehearse=foreseen))
        self._check_alone(order, grant, foreseen.found)
        return Admitted(grant, foreseen.found)

    def _check_alone(self, order: Order, grant: Grant, foreseen: Rehearsal | None) -> None:
        """Approved by autonomy: its record, limits, sensors and rehearsal are looked at once more. Whoever claims that
        name as a person only brings this check upon himself."""
        if AUTONOMY_WHO not in grant.approvers:
            return
        against = self._against_alone(order.action, order.review_id, foreseen)
        if against:
            raise ActionRefused("; ".join(against), where="autonomy", remedy="Have a person approve it")

    def _situation(self, action: Action, now: datetime) -> guards.Situation:
        return guards.Situation(
            action=action,
            site=self._site,
            now=now,
            read=_read_once(self._adapter.read),
            telemetry_max_age_s=self._settings.telemetry_max_age_s,
            done_last_hour=self._ledger.actions_on(action.asset, now - timedelta(hours=1)),
            per_asset_per_hour=self._settings.per_asset_per_hour,
            stopped=self._stop.reason(),
        )

    def _begin(self, order: Order, grant: Grant, *, dry_run: bool) -> bool:
        try:
            return self._ledger.begin_action(
                order.key, order.action, incident_id=order.incident_id, review_id=order.review_id,
                approvers=grant.approvers, dry_run=dry_run, token=order.token, now=self._clock(),
            )  # fmt: skip
        except ActionRefused as error:
            raise Busy(error.what, where=error.where, remedy=error.remedy) from error

    def _begin_ended(self, order: Order, outcome: Outcome) -> bool:
        """A refusal gets its row too, unless the asset is taken, or its arguments are none that a row can hold (NaN): then
        the audit keeps it."""
        try:
            return self._ledger.begin_action(
                order.key,
                order.action,
                incident_id=order.incident_id,
                review_id=order.review_id,
                dry_run=outcome.dry_run,
                now=self._clock(),
            )
        except (ActionRefused, ValueError):
            data: JsonValue = {"key": order.key, "message": outcome.message}
            self._ledger.audit("executor", "action-refused", order.incident_id, data, now=self._clock())
            return False

    # ---- moving -------------------------------------------------------------------------------------

    def _apply(self, order: Order, foreseen: Rehearsal | None, before: Readings) -> Outcome | None:
        """What was foreseen is on disk before the site moves: whatever dies when, no act goes without its rehearsal."""
        if foreseen is not None:
            self._ledger.note_rehearsal(order.key, foreseen, incident_id=order.incident_id, now=self._clock())
        try:
            self._adapter.apply(order.action, order.key)
        except BackendError as error:
            return self._outcome(order, "failed", f"The site did not accept it: {error}", before)
        return None

    def _resume(self, order: Order, row: ActionRecord, before: Readings) -> Outcome | None:
        """Begun by a run that died. Ask the site; repeat only what surely was not done, and admitted again."""
        if row.dry_run:
            return self._outcome(order, "dry_run", DRY_RUN, before, before)
        applied = self._was_applied(order.action, order.key)
        if applied:
            return None
        if applied is None:
            return self._outcome(order, "failed", UNKNOWN, before)
        if self._settings.dry_run:
            return self._outcome(order, "refused", f"{NOT_MOVED}; dry run is on now", before)
        try:
            admitted = self._admit(order, again=True)
        except (ActionRefused, InputError) as error:
            return self._outcome(order, "refused", f"{NOT_MOVED}, then refused: {error}", before)
        return self._apply(order, admitted.rehearsal, before)

    def _was_applied(self, action: Action, key: str) -> bool | None:
        known = self._adapter.applied(key)
        if known is not None:
            return known
        spec = spec_of(action.name)
        if not spec.confirm:
            return None
        # Setting a setpoint again does no harm, so "not shown" may be read as "not done".
        return not _not_shown(spec, action, self._readings(action))

    def _found(self, row: ActionRecord) -> Outcome:
        applied = False if row.dry_run else self._was_applied(row.action, row.key)
        words: dict[bool | None, tuple[ActionState, str]] = {
            True: ("done", "Found in effect after an interruption; not repeated"),
            False: ("failed", f"{NOT_MOVED}; propose it again if it is still needed"),
            None: ("failed", UNKNOWN),
        }
        state, message = words[applied]
        after = self._readings(row.action)
        return Outcome(action_id=row.key, state=state, message=message, after=after, dry_run=row.dry_run)

    # ---- small --------------------------------------------------------------------------------------

    def _finished(self, order: Order) -> Outcome | None:
        row = self._ledger.get_action(order.key)
        if row is None or row.state == "executing":
            return None
        return Outcome(action_id=order.action_id, state=row.state, message=row.message, before=row.before,
                       after=row.after, dry_run=row.dry_run)  # fmt: skip

    def _readings(self, action: Action) -> Readings:
        """Of the asset, and what its row in the catalog watches elsewhere as "asset.metric"."""
        own = self._adapter.read(action.asset)
        found = dict(own.values) if own else {}
        for kind, metric in spec_of(action.name).watch:
            for name in self._site.downstream(action.asset):
                asset = self._site.find(name)
                reading = self._adapter.read(name) if asset and asset.kind == kind else None
                if reading and metric in reading.values:
                    found[f"{name}.{metric}"] = reading.values[metric]
        return found

    def _outcome(
        self, order: Order, state: ActionState, message: str, before: Readings | None = None,
        after: Readings | None = None,
    ) -> Outcome:  # fmt: skip
        return Outcome(action_id=order.action_id, state=state, message=message, before=before or {},
                       after=after or {}, dry_run=self._settings.dry_run)  # fmt: skip


class _Once:
    """Rehearses when asked, and keeps what came out."""

    def __init__(self, rehearse: guards.Rehearse) -> None:
        self._rehearse = rehearse
        self.found: Rehearsal | None = None

    def __call__(self, action: Action) -> Rehearsal | None:
        self.found = self._rehearse(action)
        return self.found


def _read_once(read: Read) -> Read:
    """Every guard of one check sees the same readings."""
    seen: dict[str, Reading | None] = {}

    def cached(asset: str) -> Reading | None:
        if asset not in seen:
            seen[asset] = read(asset)
        return seen[asset]

    return cached


def _not_shown(spec: ActionSpec, action: Action, readings: Readings) -> str:
    """The first reading that contradicts the action, in words; "" where all agree."""
    for confirm in spec.confirm:
        wanted = _wanted(confirm, spec, action)
        found = readings.get(confirm.metric)
        if found is None:
            return f"{confirm.metric} is not read"
        if abs(found - wanted) > max(0.01, 0.001 * abs(wanted)):
            return f"{confirm.metric} is {found:g}, expected {wanted:g}"
    return ""


def _wanted(confirm: Confirm, spec: ActionSpec, action: Action) -> float:
    if not isinstance(confirm.equals, str):
        return confirm.equals
    name = confirm.equals.removeprefix("-")
    given, arg = action.args[name], spec.arg(name)
    number = float(arg.choices.index(str(given))) if arg and arg.type == "choice" else float(given)
    return confirm.times * (-number if confirm.equals.startswith("-") else number)
