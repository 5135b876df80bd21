"""What the slow path asks of the plant model: causes tried on it, and proposed actions rehearsed on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.evidence import Case
from plant.diagnosis.results import Rehearsal
from setpoint.contracts import Action, ActionProposal
from setpoint.contracts.diagnosis import Trial, Verdict
from setpoint.contracts.site import Site
from setpoint.errors import SetpointError
from tools.diagnosis import diagnose, first_of_note
from tools.rehearsal import live_estimate, other_ways, rehearse_action
from tools.telemetry import History

FOLLOWS = timedelta(minutes=10)
"""Readings of so long after an incident's last event belong to it."""
_LOG = logging.getLogger("setpoint.trials")


def no_trial(_case: Case, _scores: Mapping[str, float]) -> None:
    """For a storm, in which no analysis may take long."""


def as_proposed(
    proposal: ActionProposal, _case: Case, _first: Verdict | None, _remedies: Sequence[str]
) -> ActionProposal:
    """For a storm: nothing is rehearsed."""
    return proposal


@dataclass(frozen=True)
class PlantTrials:
    """One site's plant model with its readings. What goes wrong in here is logged, and the analysis goes on without."""

    site: Site
    history: History
    clock: Callable[[], datetime]
    """Of the readings: a played night has its own."""
    acts: Callable[[], Sequence[tuple[datetime, Action]]] = tuple
    """What was done on the site, by the same clock."""

    def try_causes(self, case: Case, scores: Mapping[str, float]) -> Trial | None:
        """The causes of one incident tried on the plant model; None where its readings do not cover the incident."""
        try:
            untouched = self._before_acts(case, self._as_of(case))
            tried = diagnose(self.site, self.history, case.events, case.triages, scores, untouched)
        except (SetpointError, ArithmeticError, ValueError) as error:
            _LOG.warning("causes of %s could not be tried: %s", case.incident.id, error)
            return None
        return tried.trial if tried else None

    def rehearse(
        self, proposal: ActionProposal, case: Case, first: Verdict | None, remedies: Sequence[str]
    ) -> ActionProposal:
        """The proposal with its rehearsal beside the cause's other remedies; as it is where there is none."""
        rehearsal = self._rehearsed(proposal.action, self._as_of(case), first, remedies)
        return proposal if rehearsal is None else proposal.model_copy(update={"rehearsal": rehearsal})

    def rehearse_now(self, action: Action, first: Verdict | None = None) -> Rehearsal | None:
        """Right before an act: from the state as it is now."""
        return self._rehearsed(action, self.clock(), first, ())

    def _rehearsed(
        self, action: Action, as_of: datetime, first: Verdict | None, remedies: Sequence[str]
    ) -> Rehearsal | None:
        acting = first if first and first.asset and first.mechanism else None
        try:
            state = live_estimate(self.site, self.history, as_of, acting, self.acts())
            if state is None:
                return None
            others = other_ways(self.site, state, remedies, acting.asset if acting else action.asset)
            cause = f"{acting.cause}@{acting.asset}" if acting else ""
            return rehearse_action(self.site, state, action, others=others, cause=cause)
        except (SetpointError, ArithmeticError, ValueError) as error:
            _LOG.warning("%s on %s could not be rehearsed: %s", action.name, action.asset, error)
            return None

    def _before_acts(self, case: Case, as_of: datetime) -> datetime:
        """Up to the first action after the trouble began: later readings tell of the remedy, not of the cause."""
        begin = first_of_note(case.events, case.triages) or case.incident.opened
        return min([as_of, *(moment for moment, _ in self.acts() if moment > begin)])

    def _as_of(self, case: Case) -> datetime:
        return min(self.clock(), case.incident.updated + FOLLOWS)
