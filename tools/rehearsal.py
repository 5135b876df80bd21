"""Actions rehearsed on the plant model: for the slow path, the executor's interlock, the chat and the command line.

Whatever acts later is rehearsed by the same function from the same kind of estimate; where it starts from is the
caller's: readings of the site (`live_estimate`), or a plant that was made (`plant.diagnosis.quiet`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Protocol

from langchain_core.tools import BaseTool
from pydantic import Field

from plant.diagnosis.results import Compared, LimitRisk, Option, Rehearsal, Verdict
from setpoint.contracts import Action
from setpoint.contracts.action import ArgValue
from setpoint.contracts.site import Site
from setpoint.errors import ActionRefused, InputError, UsageError
from setpoint.ledger.records import RehearsalRecord
from tools.actions import describe, spec_of, validate
from tools.plant_ports import Name, PlantPorts
from tools.proposals import propose
from tools.readings import Reading
from tools.telemetry import History
from tools.typed import Answer, Args, ToolError, typed_tool
from tools.windows import readings

if TYPE_CHECKING:
    from plant.diagnosis.estimate import Estimate

MEMBERS, CAREFUL_MEMBERS = 16, 32
"""Members of the ensemble; twice as many for actions of high risk."""
MOST_WAYS = 3
"""Other actions that are tried beside the one asked about."""
_SERVICE = frozenset({"ttft_slo_ms", "kv_use_max_pct"})
_COOLING = frozenset({"gpu_temp_max_c", "gpu_trip_c", "flow_min_lpm", "rack_inlet_max_c"})
_RECOVERY = frozenset({"node_power_max_kw"})
GIVEN_UP: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        ("start_standby_pump", "set_coolant_flow", "set_supply_temp", "set_water_temp"),
        _RECOVERY,
    ),
    **dict.fromkeys(("drain_node", "pause_job", "migrate_job", "reset_gpu", "shed_load"), _SERVICE),
    "close_leak_valve": _SERVICE | _COOLING,
}
"""Limits that an action gives up by design: a person weighs that, no interlock, and it is shown all the same. Water that
runs out is worse than GPUs that shut themselves down; `capped_before_valve` sees to it that they are ready for it. Cooling that
comes back lets nodes draw their full power again, which on a healthy day is near its limit."""
SAFER, WORK_LOST_PCT = 0.05, 1.0
"""A chance that falls by so much, and GPU work lost, that count."""
WINDOW_S, STEP_S = 3600.0, 30.0
LONGEST_WINDOW_S = 6 * 3600.0
"""A fault that began longer ago is at work from the window's start on: months of readings, as of an incident that was
played from a recording, would take minutes and tell no more."""
LEAST_SIGNALS = 4
NEAR_S = 120.0
"""A reading so far from the end of a horizon still tells of it."""
GIVE_UP_S = 900.0
"""Readings that did not come so long after the horizon will not come."""


# ---- rehearsing --------------------------------------------------------------------------------------------------


def nothing_to_rehearse(action: Action) -> str:
    """Why there is nothing the plant model could show of it; "" where there is. Raises InputError for an unknown one."""
    spec = spec_of(action.name)
    if not spec.touches_site:
        return f"{spec.title} tells people and moves nothing on the site"
    if action.name == "cordon_node":
        return "Cordoning keeps new work away; what runs goes on, so the next minutes are the same"
    return ""


def is_best(rehearsal: Rehearsal | None) -> bool:
    """Whether no other way that was tried does better, doing nothing among them."""
    best = rehearsal.options[0] if rehearsal and rehearsal.options else None
    return rehearsal is not None and best is not None and best.action == rehearsal.action


def only_costs(rehearsal: Rehearsal) -> bool:
    """Whether doing nothing is clearly better by the rehearsal: work is lost, and no limit becomes safer."""
    nothing = next((way for way in rehearsal.options if not way.action), None)
    own = next(
        (way for way in rehearsal.options if (way.action, way.asset) == (rehearsal.action, rehearsal.asset)),
        None,
    )
    if nothing is None or own is None:
        return False
    safer = any(risk.without - risk.acted >= SAFER for risk in rehearsal.risks)
    return nothing.gpu_work_pct - own.gpu_work_pct >= WORK_LOST_PCT and not safer


def rehearse_action(
    site: Site,
    estimate: Estimate,
    action: Action,
    *,
    others: Sequence[Action] = (),
    cause: str = "",
    horizon_s: float | None = None,
    seed: int = 0,
) -> Rehearsal | None:
    """The next minutes with and without a valid action, against `others`; None where there is nothing to rehearse or
    the plant model cannot go on from this state.

    `cause` ("cause@asset") names the fault that is at work in the estimate. Raises InputError for an unknown action.
    """
    from plant.diagnosis.ensemble import Step
    from plant.diagnosis.rehearse import Bound, horizon_of, rehearse

    if nothing_to_rehearse(action):
        return None
    spec = spec_of(action.name)
    ways = [other for other in others if other != action and not nothing_to_rehearse(other)][:MOST_WAYS]
    try:
        return rehearse(
            site, estimate, action.name, action.asset, action.args,
            horizon_s=horizon_s or horizon_of(action.name, action.args, spec.settle_s),
            members=CAREFUL_MEMBERS if spec.risk == "high" else MEMBERS, seed=seed,
            alternatives=[Step(way.name, way.asset, way.args, describe(way)) for way in ways],
            bound=Bound(spec.risk_bound, GIVEN_UP.get(action.name, frozenset())), label=describe(action), cause=cause,
        )  # fmt: skip
    except UsageError:
        return None


def other_ways(site: Site, estimate: Estimate, remedies: Sequence[str], asset: str) -> tuple[Action, ...]:
    """The actions that those catalog names come to for trouble at `asset`, with arguments from the estimated state.
    Those that no asset there can take are left out."""

    def read(name: str) -> Reading | None:
        found = site.find(name)
        return estimate.plant.telemetry(found.name) if found else None

    ways: list[Action] = []
    for name in remedies:
        try:
            way = propose(name, asset, site, read)
        except (ActionRefused, InputError):
            continue
        if way not in ways and not nothing_to_rehearse(way):
            ways.append(way)
    return tuple(ways)


def live_estimate(
    site: Site,
    history: History,
    as_of: datetime,
    verdict: Verdict | None = None,
    acts: Sequence[tuple[datetime, Action]] = (),
) -> Estimate | None:
    """The site as its telemetry shows it at `as_of`, with the fault of the verdict at work and what was done since;
    None where too little is read."""
    from plant.diagnosis.estimate import Act, present
    from plant.diagnosis.observed import Observed

    start = as_of - timedelta(seconds=WINDOW_S)
    if verdict is not None and verdict.onset is not None:
        start = min(start, verdict.onset - timedelta(seconds=WINDOW_S / 2))
        start = max(start, as_of - timedelta(seconds=LONGEST_WINDOW_S))
    times_s, series = readings(history, site, start, as_of, STEP_S)
    if len(series) < LEAST_SIGNALS:
        return None
    done = [
        Act((moment - start).total_seconds(), action.name, action.asset, action.args)
        for moment, action in acts if start <= moment <= as_of
    ]  # fmt: skip
    return present(site, Observed(start, times_s, series), verdict, done)


# ---- after the act -----------------------------------------------------------------------------------------------


class RehearsalLedger(Protocol):
    """What comparing needs of the ledger."""

    def due_rehearsals(self, now: datetime | None = None, limit: int = 100) -> list[RehearsalRecord]: ...

    def finish_rehearsal(self, key: str, compared: Compared | None, now: datetime | None = None) -> bool: ...


def compare_due(ledger: RehearsalLedger, history: History, site: Site, now: datetime) -> int:
    """Hold every rehearsal whose horizon has ended against the readings of that moment; returns how many were ended.

    A duty of the clock. Done again after a crash it does the same: the first ending of each stands. Where readings are
    late it waits; where they do not come the rehearsal ends as unseen.
    """
    from plant.diagnosis.compared import compare, observe

    ended = 0
    for row in ledger.due_rehearsals(now):
        if not row.acted:
            ended += ledger.finish_rehearsal(row.key, None, now)
            continue
        seen = observe(site, row.rehearsal, _reader(history, row.due))
        if seen:
            ended += ledger.finish_rehearsal(row.key, compare(row.rehearsal, seen), now)
        elif now - row.due > timedelta(seconds=GIVE_UP_S):
            ended += ledger.finish_rehearsal(row.key, None, now)
    return ended


def _reader(history: History, at: datetime) -> Callable[[str, str], float | None]:
    """The reading nearest to a moment."""

    def read(asset: str, metric: str) -> float | None:
        series = history.series(asset, metric)
        if series is None or not series.times:
            return None
        gaps = [abs((time - at).total_seconds()) for time in series.times]
        nearest = min(range(len(gaps)), key=gaps.__getitem__)
        return series.values[nearest] if gaps[nearest] <= NEAR_S else None

    return read


# ---- the tool ----------------------------------------------------------------------------------------------------


class RehearseArgs(Args):
    """Which action, on what."""

    action: Annotated[Name, Field(description="Name in the action catalog, e.g. set_coolant_flow")]
    asset: Annotated[Name, Field(description="What it is done to, e.g. cdu-1")]
    args: Annotated[
        dict[str, ArgValue], Field(max_length=6, description="Its arguments; missing ones are chosen")
    ] = {}  # noqa: RUF012 - pydantic copies it
    minutes: Annotated[
        float | None, Field(gt=0, le=240, description="How far to look; null: as long as it acts")
    ] = None


class RehearseAnswer(Answer):
    """What it changes, what it risks, and what else could be done."""

    said: str
    refused: str
    """Why the interlock would refuse it; empty where it would not."""
    horizon_min: float
    members: int
    risks: list[LimitRisk]
    """Chances above zero, with and without."""
    options: list[Option]
    note: str


def rehearsal_tools(ports: PlantPorts) -> list[BaseTool]:
    """Rehearsing an action, bound to these ports."""
    return [
        typed_tool(
            "rehearse_action",
            "The site's next minutes with and without an action: chance of breaking each limit, cost, better options.",
            RehearseArgs, lambda args: _answer(ports, args),
        )
    ]  # fmt: skip


def _answer(ports: PlantPorts, args: RehearseArgs) -> RehearseAnswer:
    from plant.diagnosis.quiet import as_estimate

    plant, source = ports.plant()
    estimate = as_estimate(plant)
    try:
        action = action_of(ports.site, estimate, args.action, args.asset, args.args)
    except ActionRefused as error:
        raise ToolError(str(error)) from error
    if why := nothing_to_rehearse(action):
        raise ToolError(f"nothing to rehearse: {why}")
    found = rehearse_action(
        ports.site, estimate, action, horizon_s=60.0 * args.minutes if args.minutes else None
    )
    if found is None:
        raise ToolError("the plant model cannot go on from this state; judge the action without it")
    return RehearseAnswer(
        said=found.said, refused=found.refused, horizon_min=found.horizon_s / 60.0, members=found.members,
        risks=[risk for risk in found.risks if max(risk.without, risk.acted) > 0.0], options=list(found.options),
        note=source,
    )  # fmt: skip


def action_of(site: Site, estimate: Estimate, name: str, asset: str, args: dict[str, ArgValue]) -> Action:
    """A valid action on that asset, missing arguments chosen from the estimated state where there are rules for them.

    Raises InputError and ActionRefused as `tools.actions.validate` does.
    """
    spec = spec_of(name)
    missing = [arg for arg in spec.args if arg.name not in args and arg.default is None]
    chosen: dict[str, ArgValue] = {}
    if missing:
        ways = other_ways(site, estimate, [name], asset)
        chosen = dict(ways[0].args) if ways and ways[0].asset.lower() == asset.lower() else {}
    return validate(Action(name=name, asset=asset, args={**chosen, **args}), site)
