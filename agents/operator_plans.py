"""What the control loops foresee and would do, for a conversation: the plan in force where a loop turns, else one made now.

A plan is made from the site's own readings where they reach back far enough. Of a simulated site that has not lived long
enough, two weeks of its days are simulated first, and the answer says so. Nothing is moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Protocol

from langchain_core.tools import BaseTool
from pydantic import Field

from agents.advisor import advise, why_nothing
from agents.forecaster import forecast
from agents.interpreter import interpret
from agents.optimizer import optimise
from setpoint.contracts.loops import Cycle, Forecast, LoopName, LoopPlan
from setpoint.contracts.site import Site
from tools.actions import describe
from tools.loops.ports import LoopPorts, make_loop
from tools.plant_ports import known
from tools.typed import Answer, Args, ToolError, typed_tool

IN_FORCE = timedelta(hours=2)
"""A cycle of a running loop that is no older tells what it wants now."""
WARM_DAYS, SEED = 14.0, 7
"""As `setpoint plan` has them."""
MOST_MOVES, MOST_STEPS = 8, 13
LoopChoice = Literal["energy", "peak", "cooling", "maintenance"]


class CycleLedger(Protocol):
    """What is read of the ledger."""

    def list_cycles(self, *, loop: str = "", limit: int = 1000) -> Sequence[Cycle]: ...


@dataclass
class Planner:
    """Plans of one site. Build one a process: what was simulated is kept for the hour."""

    site: Site
    ledger: CycleLedger
    clock: Callable[[], datetime]
    reach: Callable[[], LoopPorts] | None = None
    """What the loops read of the live site; None where no site is behind."""
    _made: dict[tuple[LoopName, datetime], LoopPlan] = field(default_factory=dict, repr=False)

    def plan(self, loop: LoopName) -> tuple[LoopPlan, str]:
        """The plan and where it comes from, in words. Raises ToolError where there can be none."""
        now = self.clock()
        last = next(iter(self.ledger.list_cycles(loop=loop, limit=1)), None)
        if last is not None and now - last.at <= IN_FORCE:
            return last.plan, f"the plan in force: cycle {last.id}"
        if self.reach is None:
            raise ToolError(
                "no site is read here, so nothing can be planned; `setpoint plan` plans a simulated one"
            )
        plan = _planned(loop, self.reach())
        if not why_nothing(plan) or not self.site.simulated:
            return plan, "made now from the site's own readings"
        return self._simulated(loop, now), (
            f"the site has not been read for long enough, so {WARM_DAYS:g} of its days were simulated first (seed {SEED}); "
            "its present troubles are not in them"
        )

    def _simulated(self, loop: LoopName, now: datetime) -> LoopPlan:
        from tools.loops.days_site import DaysSite  # loads the compiled plant

        start = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        if (loop, start) not in self._made:
            days = DaysSite(self.site, start, seed=SEED, warm_days=WARM_DAYS, wear=loop == "maintenance")
            self._made = {key: one for key, one in self._made.items() if key[1] == start}
            self._made[loop, start] = _planned(loop, days.ports())
        return self._made[loop, start]


def _planned(name: LoopName, ports: LoopPorts) -> LoopPlan:
    loop = make_loop(name, ports)
    watch = loop.monitor(ports.clock())
    return optimise(loop, watch, forecast(loop, watch), ports=ports)


# ---- plan --------------------------------------------------------------------------------------------------------


class PlanArgs(Args):
    """One of the four loops."""

    loop: Annotated[LoopChoice, Field(description="Which control loop plans")]


class PlannedMove(Answer):
    """One action that the plan wants."""

    at: str
    action: str
    why: str
    saves: str


class PlannedSaving(Answer):
    """What it is worth against a stated baseline."""

    what: str
    unit: str
    saved: float
    saved_pct: float
    against: str


class PlannedRisk(Answer):
    """What may go wrong with it."""

    what: str
    chance_pct: float | None


class PlanAnswer(Answer):
    """A plan in short."""

    loop: str
    made: str
    horizon_h: float
    headline: str
    foreseen: str
    advice: str
    nothing: str
    """Why nothing is planned; empty where something is."""
    moves: list[PlannedMove]
    moves_left_out: int
    savings: list[PlannedSaving]
    risks: list[PlannedRisk]
    troubles: list[str]
    facts: dict[str, str]
    note: str


def _plan(planner: Planner, args: PlanArgs) -> PlanAnswer:
    plan, source = planner.plan(args.loop)
    zone = planner.site.zone
    return PlanAnswer(
        loop=plan.loop, made=_at(plan.made, planner), horizon_h=known(plan.horizon_s / 3600), headline=plan.headline,
        foreseen=interpret(plan, zone=zone).text, advice=advise(plan, zone=zone).text, nothing=why_nothing(plan),
        moves=[
            PlannedMove(at=_at(one.at, planner), action=_described(one.action, one.asset, one.args), why=one.why, saves=one.saves)
            for one in plan.moves[:MOST_MOVES]
        ],
        moves_left_out=max(0, len(plan.moves) - MOST_MOVES),
        savings=[
            PlannedSaving(what=one.what, unit=one.unit, saved=known(one.saved), saved_pct=known(100 * one.saved_pu, 3),
                          against=one.baseline_name)
            for one in plan.savings
        ],
        risks=[
            PlannedRisk(what=one.what, chance_pct=None if one.chance is None else known(100 * one.chance, 3)) for one in plan.risks
        ],
        troubles=[one.what for one in plan.troubles], facts=dict(plan.facts), note=source,
    )  # fmt: skip


def _described(action: str, asset: str, args: Mapping[str, Any]) -> str:
    from setpoint.contracts import Action

    return describe(Action(name=action, asset=asset, args=dict(args)))


def _at(moment: datetime, planner: Planner) -> str:
    return f"{moment.astimezone(planner.site.zone):%a %Y-%m-%d %H:%M %Z}"


# ---- forecast ----------------------------------------------------------------------------------------------------


class ForecastArgs(Args):
    """What one loop foresees."""

    loop: Annotated[
        LoopChoice,
        Field(description="energy: requests to the pools; peak: draw of the site; cooling: heat of the loops; maintenance: wear"),
    ]  # fmt: skip
    hours: Annotated[float, Field(gt=0, le=72, allow_inf_nan=False, description="How far to look")] = 6.0


class ForecastPoint(Answer):
    """One step, with the interval that holds it."""

    at: str
    expected: float
    low: float
    high: float


class ForecastCourse(Answer):
    """One quantity ahead."""

    what: str
    unit: str
    level_pct: float
    """How often the interval holds the value."""
    highest: float
    highest_at: str
    method: str
    skill: str
    points: list[ForecastPoint]


class ForecastAnswer(Answer):
    """Courses, the first ones first."""

    loop: str
    hours: float
    courses: list[ForecastCourse]
    troubles: list[str]
    note: str


def _forecast(planner: Planner, args: ForecastArgs) -> ForecastAnswer:
    plan, source = planner.plan(args.loop)
    return ForecastAnswer(
        loop=plan.loop, hours=args.hours, courses=[_course(one, args.hours, planner) for one in plan.forecasts[:6]],
        troubles=[one.what for one in plan.troubles if one.blocks], note=source,
    )  # fmt: skip


def _course(one: Forecast, hours: float, planner: Planner) -> ForecastCourse:
    """As many steps as fit the span, thinned to a dozen."""
    many = max(1, min(len(one.expected), round(3600 * hours / one.step_s)))
    shown = range(0, many, max(1, -(-many // MOST_STEPS)))
    top = max(range(many), key=lambda step: one.expected[step])

    def at(step: int) -> str:
        return _at(one.start + timedelta(seconds=step * one.step_s), planner)

    points = [
        ForecastPoint(at=at(step), expected=known(one.expected[step]), low=known(one.low[step]), high=known(one.high[step]))
        for step in shown
    ]  # fmt: skip
    return ForecastCourse(
        what=one.title, unit=one.unit, level_pct=known(100 * one.level), highest=known(one.expected[top]), highest_at=at(top),
        method=one.method, skill=one.skill, points=points,
    )  # fmt: skip


def loop_tools(planner: Planner) -> list[BaseTool]:
    """Plans and forecasts, bound to this planner."""
    return [
        typed_tool(
            "plan", "What a control loop (energy, peak, cooling, maintenance) would do in the next hours, its worth and risks.",
            PlanArgs, lambda args: _plan(planner, args),
        ),
        typed_tool(
            "forecast", "What is foreseen of load, draw, heat or wear in the next hours, with intervals.",
            ForecastArgs, lambda args: _forecast(planner, args),
        ),
    ]  # fmt: skip
