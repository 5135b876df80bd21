"""The gate: joins the rules to a ledger, for the app before a review and for the executor before an act."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from plant.diagnosis.results import Rehearsal
from setpoint.autonomy.disposition import (
    Disposition,
    State,
    disposition,
    may_run_alone,
    reason_of,
    sensor_troubles,
)
from setpoint.autonomy.granting import RecordLedger, standing_of
from setpoint.contracts import Action, ActionProposal, Decision, Diagnosis, Review
from setpoint.contracts.autonomy import AUTONOMY_WHO, ActionKind
from setpoint.errors import UsageError
from setpoint.settings import AutonomySettings


class GateLedger(RecordLedger, Protocol):
    """What the gate needs of the ledger."""

    def ran_alone(self, since: datetime, action: str = "", *, before_review: str = "") -> int: ...

    def get_review(self, review_id: str) -> Review: ...

    def get_diagnosis(self, incident_id: str) -> Diagnosis | None: ...

    def decide(
        self,
        review_id: str,
        digest: str,
        decision: Decision,
        *,
        versions: Mapping[str, str] | None = None,
        now: datetime | None = None,
    ) -> object: ...


def nothing_around(asset: str) -> Sequence[str]:
    return ()


def not_stopped() -> str:
    return ""


@dataclass(frozen=True)
class Gate:
    """Says of each proposal what becomes of it, and decides those that may run alone."""

    ledger: GateLedger
    settings: AutonomySettings
    kind_of: Callable[[str], ActionKind]
    """The catalog's row of a name."""
    clock: Callable[[], datetime]
    people_for: Callable[[str], int] = lambda _risk: 1
    """Yeses that a risk class asks for."""
    stopped: Callable[[], str] = not_stopped
    around: Callable[[str], Sequence[str]] = nothing_around
    """Assets whose readings an action on this one stands on (its cooling and power)."""

    def look(self, proposal: ActionProposal, diagnosis: Diagnosis | None = None) -> Disposition:
        """What becomes of a fresh proposal. `diagnosis`: the one that proposes it, where the ledger has none yet."""
        return disposition(proposal, self._state(proposal, diagnosis))

    def run_alone(self, review_id: str, versions: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """Say yes to an open review, where it may still run alone. Returns the reasons against it, empty where it was
        decided. A review that was decided before raises NotDecidable, as for everybody.

        After a kill between opening and deciding, the review waits for a person: that is the safe side.
        """
        review = self.ledger.get_review(review_id)
        if review.proposal is None:
            return ("it is no action",)
        state = self._state(review.proposal, None)
        against = may_run_alone(review.proposal, state)
        if not against:
            decision = Decision(type="approve", who=AUTONOMY_WHO, reason=reason_of(state))
            self.ledger.decide(review_id, review.digest, decision, versions=versions, now=state.now)
        return against

    def refusals(self, action: Action, review_id: str, foreseen: Rehearsal | None) -> tuple[str, ...]:
        """Reasons against executing, at this moment, what autonomy approved. For the executor: `foreseen` is its own
        rehearsal of this moment, without which nothing runs alone."""
        try:
            review = self.ledger.get_review(review_id)
        except UsageError:
            return ("no review stands behind it",)
        if review.proposal is None or review.proposal.action != action:
            return ("it is not what the review asked",)
        state = self._state(review.proposal, None, before_review=review_id)
        return may_run_alone(review.proposal.model_copy(update={"rehearsal": foreseen}), state)

    def _state(self, proposal: ActionProposal, diagnosis: Diagnosis | None, before_review: str = "") -> State:
        now, name = self.clock(), proposal.action.name
        kind = self.kind_of(name)
        hour, day = now - timedelta(hours=1), now - timedelta(days=1)
        found = diagnosis or self.ledger.get_diagnosis(proposal.incident_id)
        asset = proposal.action.asset
        return State(
            standing=standing_of(kind, self.ledger, self.settings, now),
            settings=self.settings,
            now=now,
            troubles=sensor_troubles(found.state if found else None, asset, self.around(asset)),
            alone_last_hour=self.ledger.ran_alone(hour, name, before_review=before_review),
            alone_last_day=self.ledger.ran_alone(day, name, before_review=before_review),
            all_alone_last_hour=self.ledger.ran_alone(hour, before_review=before_review),
            people_needed=self.people_for(kind.risk),
            stopped=self.stopped(),
        )
