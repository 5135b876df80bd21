"""What becomes of one proposal: nobody is asked, somebody is asked, it is recommended, or it runs.

Two pure functions over the same values: `disposition` is what the app asks for a fresh proposal, `may_run_alone` is
asked again at the moment of execution, with the record and the site's state of that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from plant.diagnosis.results import Rehearsal, StateNote
from setpoint.autonomy import rules
from setpoint.autonomy.standing import Standing
from setpoint.contracts import ActionProposal, Frozen
from setpoint.contracts.autonomy import Level, Limits
from setpoint.settings import AutonomySettings


@dataclass(frozen=True)
class State:
    """Everything that is looked at, beside the proposal."""

    standing: Standing
    settings: AutonomySettings
    now: datetime
    troubles: tuple[str, ...] = ()
    """Sensors at the asset that cannot be trusted, in words."""
    alone_last_hour: int = 0
    """Actions of this kind that ran alone."""
    alone_last_day: int = 0
    all_alone_last_hour: int = 0
    """Of all kinds."""
    people_needed: int = 1
    """Yeses that this risk class asks for."""
    stopped: str = ""
    """Why everything is stopped; "" while nothing is."""


class Disposition(Frozen):
    """What is done with one proposal."""

    level: Level
    """That it is treated at: that of its kind, or a lower one where something speaks against that now."""
    why: str
    asks: bool
    """It is put to a person. False at observe (it is only mentioned) and where it runs alone."""
    recommended: bool
    """It is put first, as what to do, and may be approved together with others of its incident."""
    runs_alone: bool


def disposition(proposal: ActionProposal, state: State) -> Disposition:
    """The level of the kind decides, unless something speaks against it here and now."""
    level = state.standing.level
    if level == "closed loop":
        against = may_run_alone(proposal, state)
        if not against:
            return Disposition(
                level=level, why=_signed(state), asks=False, recommended=False, runs_alone=True
            )
        level, why = _instead(state), f"it does not run alone: {'; '.join(against)}"
    elif level == "advise" and _unsound(proposal, state):
        level, why = "assist", f"it is not recommended: {_unsound(proposal, state)}"
    else:
        why = state.standing.why
    return Disposition(
        level=level, why=why, asks=level != "observe", recommended=level == "advise", runs_alone=False
    )


def _instead(state: State) -> Level:
    """A kind that may run alone and does not now is still worth recommending, unless its sensors say otherwise."""
    return "assist" if state.troubles else "advise"


def _unsound(proposal: ActionProposal, state: State) -> str:
    if state.troubles:
        return state.troubles[0]
    refused = proposal.rehearsal.refused if proposal.rehearsal else ""
    return f"its rehearsal refuses it: {refused}" if refused else ""


def _signed(state: State) -> str:
    signature = state.standing.signature
    if signature is None:
        return "no signature"
    bound = state.standing.decisions
    return (
        f"signed by {signature.who} on {signature.time:%Y-%m-%d}: {signature.why}. {bound.good} of "
        f"{bound.good + bound.bad} decisions were a plain yes without harm (bound {bound.lower:.3f})"
    )


def reason_of(state: State) -> str:
    """The reason of a decision that autonomy makes: it names the signature it rests on."""
    return f"ran alone, {_signed(state)}"


# ---- the guard ----------------------------------------------------------------------------------------------


def may_run_alone(proposal: ActionProposal, state: State) -> tuple[str, ...]:
    """Every reason against its running alone, in words; empty: it may. Raises nothing and changes nothing."""
    return tuple(
        found
        for found in (
            rules.never_alone(state.standing.kind),
            _of_level(state),
            f"everything is stopped ({state.stopped})" if state.stopped else "",
            f"its risk class asks for {state.people_needed} people" if state.people_needed > 1 else "",
            *state.troubles,
            _of_rehearsal(proposal.rehearsal, state),
            *_of_limits(proposal.action.asset, state),
        )
        if found
    )


def _of_level(state: State) -> str:
    if _is_signed(state):
        return ""
    return f"its kind is at {state.standing.level}: {state.standing.why}"


def _is_signed(state: State) -> bool:
    """Whether a signature is in force."""
    return state.standing.level == "closed loop" and state.standing.signature is not None


def _of_rehearsal(rehearsal: Rehearsal | None, state: State) -> str:
    if rehearsal is None:
        return "it was not rehearsed"
    if rehearsal.refused:
        return f"its rehearsal refuses it: {rehearsal.refused}"
    if rehearsal.confidence < rules.LEAST_CONFIDENCE:
        return (
            f"the plant model reproduces {rehearsal.confidence:.0%} of the readings, and {rules.LEAST_CONFIDENCE:.0%} "
            "are required"
        )
    age_s = (state.now - rehearsal.as_of).total_seconds()
    if age_s > rules.OLDEST_REHEARSAL_S:
        return f"its rehearsal is {age_s / 60:.0f} min old"
    return ""


def _of_limits(asset: str, state: State) -> tuple[str, ...]:
    """The tighter of the signature's limits and the settings'."""
    signature, settings = state.standing.signature, state.settings
    limits = (signature.limits if signature else None) or Limits(per_hour=1, per_day=1)
    per_hour, per_day = min(limits.per_hour, settings.per_hour), min(limits.per_day, settings.per_day)
    return tuple(
        words
        for against, words in (
            (not fnmatchcase(asset, limits.assets), f"the signature is for {limits.assets}, not for {asset}"),
            (
                state.alone_last_hour >= per_hour,
                f"{per_hour} of its kind ran alone within the hour, the most allowed",
            ),
            (
                state.alone_last_day >= per_day,
                f"{per_day} of its kind ran alone within the day, the most allowed",
            ),
            (
                state.all_alone_last_hour >= settings.all_per_hour,
                f"{settings.all_per_hour} actions ran alone within the hour, the most allowed",
            ),
        )
        if against
    )


def sensor_troubles(note: StateNote | None, asset: str, around: Sequence[str] = ()) -> tuple[str, ...]:
    """Readings at the asset, or on one of `around` it, that the state estimate does not trust; and what it says of the
    site as a whole (a clock that stands, a site file that does not fit)."""
    if note is None:
        return ()
    near = {asset, *around, ""}
    return tuple(
        problem.text
        for problem in note.problems
        if problem.asset in near
        or problem.asset.split("/", 1)[0] == asset
        or problem.kind in ("clock", "mismatch")
    )
