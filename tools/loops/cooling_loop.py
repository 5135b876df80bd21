"""The cooling loop: flow, supply and water set ahead of the heat that the schedule announces.

Every ten minutes it reads the last minutes, learns from them, foresees heat and temperatures of the next half hour, and
asks for the least flow and the warmest water that hold every limit until it turns again. Small changes it leaves, so that
a person is not asked for nothing. Where readings or its own interval do not carry a decision it leaves the loop concerned
to the plant's local controller and says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from plant.control.cooling.controller import Controller, Decision, Setpoints, Tuning
from plant.control.cooling.layout import FloatArray, Layout, layout_of
from plant.control.cooling.predictor import Ahead, Predictor, Snapshot
from plant.control.cooling.reactive import fixed
from setpoint.contracts.loops import Forecast, Foreseen, LoopName, LoopPlan, Move, Observed, Trouble, Watch
from tools.loops.cooling_site import STEP_S, CoolingSite
from tools.loops.cooling_words import LEVEL, Outlook, forecasts_of, plan_of
from tools.loops.ports import LoopPorts
from tools.loops.sensing import Sensing

CYCLE_S = 600.0
HORIZON_S, LEAST_S, MOST_S = 1800.0, 1800.0, 3600.0
LEARN_S = 7200.0
"""History that a new process learns from before its first plan."""
FLOW_STEP_LPM, FLOW_STEP_PU = 12.0, 0.06
"""A flow is changed by at least so much, or by this share of the loop's design, whichever is more ..."""
SHORT_LPM = 3.0
"""... unless it would be short of what is needed by more than this."""
WATER_STEP_C, WARM_C = 0.5, 0.1
"""The same of the water: at least half a kelvin up; down as soon as it is a tenth too warm."""
SUPPLY_STEP_C = 1.0
MOST_SUPPLY_UP_K = (0.0, 1.0, 2.0)
WORTH_PU = 0.02
"""A supply temperature is a high-risk move: it is asked for only where it saves this share of the cooling power."""
RAMP_FLOW_LPM, RAMP_SUPPLY_K, RAMP_WATER_K = 80.0, 3.0, 3.0
"""Of one action, where the site sets no `flow_ramp_lpm`, `supply_temp_ramp_c` or `water_temp_ramp_c`."""


@dataclass(frozen=True)
class View:
    """One moment as the loop sees it."""

    seen: Snapshot
    ahead: Ahead


class CoolingLoop:
    """`tools.loops.ports.Loop` of cooling."""

    name: LoopName = "cooling"
    cycle_s = CYCLE_S

    def __init__(self, ports: LoopPorts) -> None:
        self.ports = ports
        self.horizon_s = min(MOST_S, max(LEAST_S, ports.horizon_s or HORIZON_S))
        self.layout = layout_of(ports.site)
        self._site = CoolingSite(ports, self.layout)
        limits = ports.site.limits
        self._tuning = Tuning(
            cycle_steps=round(CYCLE_S / STEP_S), full_load_flow=True,
            water_up_k=limits.get("water_temp_ramp_c", RAMP_WATER_K) / 3.0,
            flow_ramp_lpm=limits.get("flow_ramp_lpm", RAMP_FLOW_LPM),
            water_down_k=limits.get("water_temp_ramp_c", RAMP_WATER_K),
            supply_up_k=tuple(k for k in MOST_SUPPLY_UP_K if k <= limits.get("supply_temp_ramp_c", RAMP_SUPPLY_K)),
        )  # fmt: skip
        self._predictor = Predictor(
            self.layout, STEP_S, round(self.horizon_s / STEP_S), level=LEVEL, chance=self._tuning.chance
        )  # fmt: skip
        self._view: View | None = None
        self._held, self._told = 0, 0
        """Of the readings foreseen so far: inside their interval, and all."""

    # ---- the loop -----------------------------------------------------------------------------------

    def monitor(self, now: datetime) -> Watch:
        sensing = Sensing(self.ports, now)
        self._site.gear(sensing)
        for trouble in (*self._jump(now), *self._site.nodes_lost(self._seen_at(now).seen)):
            sensing.add(trouble)
        return sensing.watch(self.name)

    def predict(self, watch: Watch) -> tuple[Forecast, ...]:
        view = self._seen_at(watch.at)
        return forecasts_of(self.layout, view.ahead, *self._flows_now(watch), skill=self._skill())

    def optimise(self, watch: Watch, forecasts: Sequence[Forecast]) -> LoopPlan:
        begun = time.perf_counter()
        view = self._seen_at(watch.at)
        now, unread = self._setpoints_now(watch)
        design = fixed(self.layout)
        safe = Setpoints(np.maximum(now.flow_lpm, design.flow_lpm), now.supply_c, design.water_c)
        decision = self._worthwhile(
            Controller(self.layout, self._tuning).decide(view.seen, view.ahead, now, safe), view, now, safe
        )  # fmt: skip
        asked = self._damped(decision, now, unread)
        outlook = Outlook(
            layout=self.layout, site=self.ports.site.name, at=watch.at, horizon_s=self.horizon_s, view_ahead=view.ahead,
            seen=view.seen, now=now, asked=asked, design=design, decision=decision,
            chillers=tuple(self._lowest(watch, w) for w in range(len(self.layout.waters.chillers))),
            controller=Controller(self.layout, self._tuning), seconds=time.perf_counter() - begun,
        )  # fmt: skip
        plan = plan_of(outlook, forecasts, self._moves(outlook, unread))
        return self._honest(plan, decision, unread)

    def foresee(self, plan: LoopPlan) -> tuple[Foreseen, ...]:
        """Heat of each loop and of each hall's first handler group is read again when the loop turns next."""
        due = plan.made + timedelta(seconds=self.cycle_s)
        step = max(0, round(self.cycle_s / STEP_S) - 1)
        return tuple(
            Foreseen(loop=self.name, at=plan.made, due=due, name=one.name, expected=one.expected[step], low=one.low[step],
                     high=one.high[step], unit=one.unit)
            for one in plan.forecasts if one.name.endswith(".heat_kw") and len(one.expected) > step
        )  # fmt: skip

    def learn(self, observed: Sequence[Observed]) -> None:
        """Heat is learned from every minute of the history; here only how often the intervals held is counted."""
        for one in observed:
            if one.inside is not None and one.foreseen.loop == self.name:
                self._told += 1
                self._held += one.inside

    def state(self) -> dict[str, object]:
        return {"predictor": self._predictor.state(), "held": self._held, "told": self._told}

    def restore(self, state: Mapping[str, object]) -> None:
        learned = state.get("predictor")
        if isinstance(learned, Mapping):
            self._predictor.restore(learned)
        for name in ("held", "told"):
            kept = state.get(name)
            if isinstance(kept, int) and kept >= 0:
                setattr(self, f"_{name}", kept)

    # ---- what is known ------------------------------------------------------------------------------

    def _seen_at(self, at: datetime) -> View:
        """The moment, after learning from the minutes before it; the same moment is looked at once."""
        if self._view is not None and self._view.seen.at == at:
            return self._view
        last = self._view.seen.at if self._view else at - timedelta(seconds=LEARN_S)
        since = last if at - timedelta(seconds=LEARN_S) <= last < at else at - timedelta(seconds=LEARN_S)
        seen = None
        for seen in self._site.snapshots(since, at):
            self._predictor.observe(seen)
        if seen is None:
            seen = next(iter(self._site.snapshots(at - timedelta(seconds=STEP_S), at)))
            self._predictor.observe(seen)
        jobs = self.ports.jobs(at, at + timedelta(seconds=self.horizon_s + STEP_S))
        self._view = View(seen, self._predictor.ahead(jobs))
        return self._view

    def _jump(self, now: datetime) -> tuple[Trouble, ...]:
        before = self._view.seen.at if self._view else None
        if before is None or now >= before:
            return ()
        back_s = (before - now).total_seconds()
        return (
            Trouble(
                kind="clock_jump", what=f"The clock ran back by {back_s:.0f} s since the last cycle.",
                instead="Learns anew from the readings before now.", remedy="Check the site's time service.", blocks=False,
            ),
        )  # fmt: skip

    def _setpoints_now(self, watch: Watch) -> tuple[Setpoints, set[str]]:
        """As they stand; the design where one is not read, with the names of those."""
        design, unread = fixed(self.layout), set[str]()
        flow, supply, water = design.flow_lpm.copy(), design.supply_c.copy(), design.water_c.copy()
        for i, name in enumerate(self.layout.loops.names):
            flow_lpm = watch.readings.get(f"{name}.flow_setpoint_lpm")
            supply_c = watch.readings.get(f"{name}.supply_setpoint_c")
            if flow_lpm is None or supply_c is None:
                unread.add(name)
            else:
                flow[i], supply[i] = flow_lpm, supply_c
        for w, chillers in enumerate(self.layout.waters.chillers):
            read = [watch.readings.get(f"{name}.water_setpoint_c") for name in chillers]
            known = [value for value in read if value is not None]
            if known and len(known) == len(read):
                water[w] = min(known)
            else:
                unread.add(water_name(self.layout, w))
        return Setpoints(flow, supply, water), unread

    def _lowest(self, watch: Watch, water: int) -> str:
        """The chiller set lowest, by which a shared water stands."""
        chillers = self.layout.waters.chillers[water]
        if not chillers:
            return water_name(self.layout, water)
        return min(chillers, key=lambda name: watch.readings.get(f"{name}.water_setpoint_c", math.inf))

    def _flows_now(self, watch: Watch) -> tuple[FloatArray, FloatArray]:
        now, _ = self._setpoints_now(watch)
        return now.flow_lpm, now.supply_c

    def _skill(self) -> str:
        return f"{self._held / self._told:.0%} of {self._told} intervals held" if self._told else ""

    # ---- what is asked ------------------------------------------------------------------------------

    def _worthwhile(self, decision: Decision, view: View, now: Setpoints, safe: Setpoints) -> Decision:
        """A warmer supply only where it is worth its risk."""
        if (decision.setpoints.supply_c <= now.supply_c + 1e-9).all():
            return decision
        tuning = Tuning(**{**self._tuning.__dict__, "supply_up_k": (0.0,)})
        without = Controller(self.layout, tuning).decide(view.seen, view.ahead, now, safe)
        return decision if decision.cooling_kw < (1.0 - WORTH_PU) * without.cooling_kw else without

    def _damped(self, decision: Decision, now: Setpoints, unread: set[str]) -> Setpoints:
        """What is asked for, with changes too small to ask for left out, and what has no setpoint to start from."""
        loops, asked = self.layout.loops, decision.setpoints
        flow, supply, water = now.flow_lpm.copy(), now.supply_c.copy(), now.water_c.copy()
        for i, name in enumerate(loops.names):
            if name in unread:
                continue
            change = asked.flow_lpm[i] - now.flow_lpm[i]
            if change > SHORT_LPM or abs(change) >= max(FLOW_STEP_LPM, FLOW_STEP_PU * loops.design_lpm[i]):
                flow[i] = math.ceil(asked.flow_lpm[i])
            if abs(asked.supply_c[i] - now.supply_c[i]) >= SUPPLY_STEP_C:
                supply[i] = round(float(asked.supply_c[i]), 1)
        for w in range(len(water)):
            change = asked.water_c[w] - now.water_c[w]
            if water_name(self.layout, w) not in unread and (change < -WARM_C or change >= WATER_STEP_C):
                water[w] = math.floor(10.0 * asked.water_c[w] + 1e-9) / 10.0
        ramp = self._tuning.flow_ramp_lpm
        return Setpoints(np.clip(flow, now.flow_lpm - ramp, now.flow_lpm + ramp), supply, water)

    def _moves(self, outlook: Outlook, unread: set[str]) -> tuple[Move, ...]:
        """Due now: water first where it gets colder, flow next, then what only saves."""
        asked, now, layout, moves = outlook.asked, outlook.now, self.layout, []
        for i, name in enumerate(layout.loops.names):
            if name in unread:
                continue
            if asked.flow_lpm[i] != now.flow_lpm[i]:
                moves.append(outlook.flow_move(i))
            if asked.supply_c[i] != now.supply_c[i]:
                moves.append(outlook.supply_move(i))
        for w, chillers in enumerate(layout.waters.chillers):
            if chillers and asked.water_c[w] != now.water_c[w]:
                moves.append(outlook.water_move(w))
        return tuple(sorted(moves, key=lambda move: move.saves != ""))

    def _honest(self, plan: LoopPlan, decision: Decision, unread: set[str]) -> LoopPlan:
        """With a trouble for each part that is left to the local controller; the whole plan is local where nothing is
        left to steer."""
        loops = self.layout.loops.names
        told = [
            Trouble(
                kind="uncertain", asset=why.partition(":")[0], what=f"{why}.",
                instead="It is left to its local controller, with flow for its rated heat and water at its design.",
                remedy="Check the readings named above; the loop takes it back by itself.", blocks=False,
            )
            for why in decision.why
        ]  # fmt: skip
        told += [
            Trouble(
                kind="infeasible", what=f"{what[0].upper()}{what[1:]}.", instead="Goes as far as the range allows.",
                remedy="Cap the power of its GPUs or move work away; check pumps, filters and chillers.", blocks=False,
            )
            for what in decision.short
        ]  # fmt: skip
        every = bool(loops) and all(name in decision.local or name in unread for name in loops)
        if every:
            told = [
                one.model_copy(update={"blocks": True, "instead": "The local controllers keep the setpoints as they stand."})
                for one in told if one.kind == "uncertain"
            ] or [_nothing_read(self.ports.site.name)]  # fmt: skip
        return plan.model_copy(update={
            "troubles": (*plan.troubles, *told), "local": every, "moves": () if every else plan.moves,
            "headline": "Cooling is left to the local controllers: its readings do not carry a decision." if every else plan.headline,
        })  # fmt: skip


def water_name(layout: Layout, water: int) -> str:
    """The chiller by which a facility water is set."""
    chillers = layout.waters.chillers[water]
    return chillers[0] if chillers else f"water {water + 1}"


def _nothing_read(site: str) -> Trouble:
    return Trouble(
        kind="missing", what=f"No coolant loop of {site} shows its setpoints.", instead="The local controllers keep them.",
        remedy="Check the adapter that reads the CDUs.",
    )  # fmt: skip


def make(ports: LoopPorts) -> CoolingLoop:
    """The loop over a site."""
    return CoolingLoop(ports)
