"""What the slow path asks of the plant model: causes tried on it, and proposed actions rehearsed on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from agents.evidence import Case
from agents.service_causes import explain_case
from agents.service_causes.incident import case_of_incident
from knowledge.service_causes import HEALTHY, UNKNOWN
from plant.diagnosis.results import Rehearsal
from setpoint.app.formatting import counted, span
from setpoint.contracts import Action, ActionProposal
from setpoint.contracts.diagnosis import Trial, Verdict
from setpoint.contracts.site import Site
from setpoint.errors import SetpointError
from tools.diagnosis import LEAST_BEFORE_S, LEAST_SIGNALS, diagnose, first_of_note
from tools.rehearsal import live_estimate, nothing_to_rehearse, other_ways, rehearse_action
from tools.telemetry import History
from tools.windows import readings

if TYPE_CHECKING:
    from plant.diagnosis.estimate import Estimate

SERVICES = frozenset({"service", "host", "unknown"})
SAYS_NOTHING = frozenset({UNKNOWN, HEALTHY})
FOLLOWS = timedelta(minutes=10)
"""Readings of so long after an incident's last event belong to it."""
LOOKED_BACK, LOOK_STEP_S = timedelta(hours=1), 300.0
"""Where readings are looked for that could not be used."""
MOST_KEPT = 8
"""States that are kept, with what was rehearsed from each: the proposals of one analysis start from the same one."""
_LOG = logging.getLogger("setpoint.trials")


def no_trial(_case: Case, _scores: Mapping[str, float]) -> str:
    """For a storm, in which no analysis may take long."""
    return "so many incidents wait that each gets the quick look at its events only"


def as_proposed(
    proposal: ActionProposal, _case: Case, _first: Verdict | None, _remedies: Sequence[str]
) -> ActionProposal:
    """For a storm: nothing is rehearsed."""
    return proposal


@dataclass(frozen=True)
class _Start:
    """What a rehearsal starts from: the same start gives the same state."""

    as_of: datetime
    acting: Verdict | None
    acts: int
    """How much was done on the site before it."""


@dataclass
class _Known:
    """A state of the site, with the rehearsals that started from it by action and alternatives."""

    estimate: Estimate | None
    rehearsals: dict[str, Rehearsal | None] = field(default_factory=dict)


@dataclass(frozen=True)
class PlantTrials:
    """One site's plant model with its readings. What goes wrong in here is logged, and the analysis goes on without."""

    site: Site
    history: History
    clock: Callable[[], datetime]
    """Of the readings: a played night has its own."""
    acts: Callable[[], Sequence[tuple[datetime, Action]]] = tuple
    """What was done on the site, by the same clock."""
    _known: dict[_Start, _Known] = field(default_factory=dict, repr=False)
    _turn: Lock = field(default_factory=Lock, repr=False)
    """Held while a state is estimated or an action rehearsed: an analysis and an act may ask at the same time."""

    def try_causes(self, case: Case, scores: Mapping[str, float]) -> Trial | str:
        """The causes of one incident tried on the plant model, or why they could not be."""
        try:
            untouched = self._before_acts(case, self._as_of(case))
            tried = diagnose(self.site, self.history, case.events, case.triages, scores, untouched)
        except (SetpointError, ArithmeticError, ValueError) as error:
            _LOG.warning("causes of %s could not be tried: %s", case.incident.id, error)
            return f"the plant model could not be brought to the site's state ({error})"
        return tried.trial if tried else self._why_not(case)

    def explain_service(self, case: Case) -> str:
        """The conclusion from events and readings alone, where only services have reported; "" where it names no
        failure."""
        kinds = {
            found.kind if (found := self.site.find(name)) else "unknown" for name in case.incident.assets
        }
        if not kinds <= SERVICES:
            return ""
        said = explain_case(case_of_incident(case.incident, case.events, self.history))
        return "" if said.mode in SAYS_NOTHING else said.conclusion

    def _why_not(self, case: Case) -> str:
        """What the readings lack."""
        as_of = self._as_of(case)
        _, seen = readings(self.history, self.site, as_of - LOOKED_BACK, as_of, LOOK_STEP_S)
        if len(seen) < LEAST_SIGNALS:
            many = counted(len(seen), "sensor") if seen else "no sensor"
            return f"{many} of the site was read around that time, at least {LEAST_SIGNALS} are needed"
        return f"less than {span(LEAST_BEFORE_S)} were read before it began: what was usual is not known"

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
        if nothing_to_rehearse(action):
            return None
        acting = first if first and first.asset and first.mechanism else None
        try:
            with self._turn:
                return self._from_state(action, as_of, acting, remedies)
        except (SetpointError, ArithmeticError, ValueError) as error:
            _LOG.warning("%s on %s could not be rehearsed: %s", action.name, action.asset, error)
            return None

    def _from_state(
        self, action: Action, as_of: datetime, acting: Verdict | None, remedies: Sequence[str]
    ) -> Rehearsal | None:
        known = self._state(as_of, acting)
        if known.estimate is None:
            return None
        asked = f"{action.model_dump_json()} {sorted(remedies)}"
        if asked not in known.rehearsals:
            others = other_ways(self.site, known.estimate, remedies, acting.asset if acting else action.asset)
            cause = f"{acting.cause}@{acting.asset}" if acting else ""
            known.rehearsals[asked] = rehearse_action(
                self.site, known.estimate, action, others=others, cause=cause
            )
        return known.rehearsals[asked]

    def _state(self, as_of: datetime, acting: Verdict | None) -> _Known:
        acts = self.acts()
        start = _Start(as_of, acting, len(acts))
        if start not in self._known:
            while len(self._known) >= MOST_KEPT:
                del self._known[next(iter(self._known))]
            self._known[start] = _Known(live_estimate(self.site, self.history, as_of, acting, acts))
        return self._known[start]

    def _before_acts(self, case: Case, as_of: datetime) -> datetime:
        """Up to the first action after the trouble began: later readings tell of the remedy, not of the cause."""
        begin = first_of_note(case.events, case.triages) or case.incident.opened
        return min([as_of, *(moment for moment, _ in self.acts() if moment > begin)])

    def _as_of(self, case: Case) -> datetime:
        return min(self.clock(), case.incident.updated + FOLLOWS)
