"""The cooling loop's plan as values: forecasts, curves, moves, savings, risks and facts, each number from one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from plant.control.cooling.controller import Controller, Decision, Setpoints
from plant.control.cooling.layers import inlet_c, pump_kw
from plant.control.cooling.layout import FloatArray, Layout
from plant.control.cooling.predictor import Ahead, Snapshot
from setpoint.contracts.loops import Curve, Forecast, LoopPlan, Move, Risk, Saving, SolverNote

LEVEL = 0.9
METHOD = (
    "grey-box loop with the job schedule, residual by recursive least squares, adaptive conformal interval"
)
STANDING = "setpoints as they stand"
DESIGN = "1.5 L/min a kW of rated heat and water at its design temperature"


@dataclass(frozen=True)
class Outlook:
    """All that a plan is told from."""

    layout: Layout
    site: str
    at: datetime
    horizon_s: float
    view_ahead: Ahead
    seen: Snapshot
    now: Setpoints
    asked: Setpoints
    design: Setpoints
    decision: Decision
    chillers: tuple[str, ...]
    """The chiller by which each water is set: the one set lowest, which the others follow."""
    controller: Controller
    seconds: float

    # ---- figures ------------------------------------------------------------------------------------

    def cooling_kw(self, setpoints: Setpoints, part: float = 0.0) -> FloatArray:
        """(steps,), pumps, chillers and their fans at those setpoints; `part`: of the interval's half width, on heat."""
        ahead = self.view_ahead
        pumps = pump_kw(self.layout.loops, setpoints.flow_lpm)
        liquid = np.maximum(ahead.liquid_kw.expected + part * ahead.liquid_kw.half, 0.0)
        air = np.maximum(ahead.air_kw.expected + part * ahead.air_kw.half, 0.0)
        return np.array([
            pumps.sum() + self.controller.water_kw(self.seen, liquid[k] + pumps, air[k], setpoints.water_c).sum()
            for k in range(len(liquid))
        ])  # fmt: skip

    def kwh(self, setpoints: Setpoints, part: float = 0.0) -> float:
        """Over the horizon."""
        return float(self.cooling_kw(setpoints, part).sum() * self.view_ahead.step_s / 3600.0)

    def gpu_c(self, setpoints: Setpoints) -> FloatArray:
        """(steps,), hottest liquid-cooled die of the site; NaN without one."""
        dies = self.view_ahead.gpu_c(self.layout, setpoints.flow_lpm, setpoints.supply_c)
        return dies.max(axis=1) if dies.shape[1] else np.full(len(dies), np.nan)

    def inlet_c(self, setpoints: Setpoints) -> FloatArray:
        """(steps,), warmest rack intake of the halls that the water steers."""
        halls, ahead = self.layout.halls, self.view_ahead
        found = inlet_c(halls, ahead.air_kw.expected, setpoints.water_c, ahead.inlet_k_per_kw)
        mine = found[:, halls.water >= 0]
        return mine.max(axis=1) if mine.shape[1] else np.full(len(found), np.nan)

    # ---- moves --------------------------------------------------------------------------------------

    def flow_move(self, i: int) -> Move:
        name, now, asked = self.layout.loops.names[i], self.now.flow_lpm[i], self.asked.flow_lpm[i]
        heat = float(self.view_ahead.liquid_kw.expected[:, i].max())
        limit = self.decision.binding.get(name, "least flow")
        saves = ""
        if asked < now:
            saved = (
                pump_kw(self.layout.loops, self.now.flow_lpm)[i]
                - pump_kw(self.layout.loops, self.asked.flow_lpm)[i]
            )
            saves = f"{saved:.2f} kW of pump power"
        if name in self.decision.local:
            why = f"{name} is not read well enough to steer; {asked:.0f} LPM in place of {now:.0f} LPM leads to the flow of its rated heat"
        else:
            full = float(self.view_ahead.liquid_kw.most[i])
            why = (
                f"{name} will carry up to {heat:.0f} kW, {full:.0f} kW if all its nodes work; {asked:.0f} LPM in place of "
                f"{now:.0f} LPM holds the {limit}"
            )
        return Move(
            at=self.at,
            action="set_coolant_flow",
            asset=name,
            args={"flow_lpm": float(asked)},
            why=why,
            saves=saves,
        )

    def supply_move(self, i: int) -> Move:
        name, now, asked = self.layout.loops.names[i], self.now.supply_c[i], self.asked.supply_c[i]
        return Move(
            at=self.at, action="set_supply_temp", asset=name, args={"temp_c": float(asked)},
            why=f"{name} at {asked:.1f} C in place of {now:.1f} C lets the facility water be warmer",
        )  # fmt: skip

    def water_move(self, w: int) -> Move:
        now, asked = self.now.water_c[w], self.asked.water_c[w]
        limit = self.decision.binding.get(f"water {w + 1}", "limit")
        heat_kw = self.view_ahead.liquid_kw.expected[:, self.layout.loops.water == w].sum(axis=1)
        heat_kw = heat_kw + self.view_ahead.air_kw.expected[:, self.layout.halls.water == w].sum(axis=1)
        saves = ""
        if asked > now:
            kw = float(self.cooling_kw(self.now).mean() - self.cooling_kw(self._with_water(w)).mean())
            saves = f"{kw:.1f} kW of chiller power"
        why = f"Up to {float(heat_kw.max()):.0f} kW will go into the water; {asked:.1f} C in place of {now:.1f} C holds the {limit}"
        return Move(
            at=self.at, action="set_water_temp", asset=self.chillers[w], args={"temp_c": float(asked)},
            why=why, saves=saves,
        )  # fmt: skip

    def _with_water(self, w: int) -> Setpoints:
        water = self.now.water_c.copy()
        water[w] = self.asked.water_c[w]
        return Setpoints(self.now.flow_lpm, self.now.supply_c, water)


def forecasts_of(
    layout: Layout, ahead: Ahead, flow_lpm: FloatArray, supply_c: FloatArray, skill: str
) -> tuple[Forecast, ...]:
    """Heat of each loop and hall, and the hottest die at the setpoints as they stand."""
    found = [
        _forecast(
            f"{name}.heat_kw",
            f"Heat of {name}",
            "kW",
            ahead,
            ahead.liquid_kw.expected[:, i],
            ahead.liquid_kw.half[:, i],
            skill,
        )
        for i, name in enumerate(layout.loops.names)
    ]
    found += [
        _forecast(f"{layout.halls.names[i] or f'hall {i + 1}'}.air_kw", f"Air heat of {layout.halls.names[i] or f'hall {i + 1}'}",
                  "kW", ahead, ahead.air_kw.expected[:, i], ahead.air_kw.half[:, i], skill)
        for i in range(len(layout.halls.names)) if layout.halls.water[i] >= 0
    ]  # fmt: skip
    if layout.loops.names:
        dies = ahead.gpu_c(layout, flow_lpm, supply_c).max(axis=1)
        found.append(
            _forecast(
                "site.gpu_liquid_c",
                "Hottest liquid-cooled GPU",
                "C",
                ahead,
                dies,
                ahead.gpu_half_k,
                skill,
                -50.0,
            )
        )
    return tuple(found)


def _forecast(
    name: str,
    title: str,
    unit: str,
    ahead: Ahead,
    expected: FloatArray,
    half: FloatArray,
    skill: str,
    least: float = 0.0,
) -> Forecast:
    return Forecast(
        name=name, title=title, unit=unit, start=ahead.at, step_s=ahead.step_s, expected=_told(expected),
        low=_told(np.maximum(expected - half, least)), high=_told(expected + half), level=LEVEL, method=METHOD, skill=skill,
    )  # fmt: skip


def _told(values: FloatArray) -> tuple[float, ...]:
    return tuple(np.round(values, 2).tolist())


def plan_of(outlook: Outlook, forecasts: Sequence[Forecast], moves: tuple[Move, ...]) -> LoopPlan:
    """The plan in full."""
    savings = _savings(outlook)
    return LoopPlan(
        loop="cooling", site=outlook.site, made=outlook.at, horizon_s=outlook.horizon_s,
        headline=_headline(outlook, moves, savings), forecasts=tuple(forecasts), curves=_curves(outlook), moves=moves,
        savings=savings, risks=_risks(outlook), facts=_facts(outlook, savings), notes=_notes(outlook),
        solver=SolverNote(
            method="least flow and warmest water by Newton's method and backward ramps", status="optimal",
            seconds=outlook.seconds, variables=int(outlook.decision.flow_plan_lpm.size + outlook.decision.water_plan_c.size),
        ),
    )  # fmt: skip


def _savings(o: Outlook) -> tuple[Saving, ...]:
    def saving(baseline: Setpoints, name: str) -> Saving:
        ends = sorted(o.kwh(baseline, part) - o.kwh(o.asked, part) for part in (-1.0, 1.0))
        return Saving(
            what="cooling energy", unit="kWh", planned=round(o.kwh(o.asked), 2), baseline=round(o.kwh(baseline), 2),
            baseline_name=name, low=round(ends[0], 2), high=round(ends[1], 2),
        )  # fmt: skip

    return saving(o.now, STANDING), saving(o.design, DESIGN)


def _headline(o: Outlook, moves: tuple[Move, ...], savings: tuple[Saving, ...]) -> str:
    standing, design = savings
    minutes = o.horizon_s / 60.0
    if not moves:
        return (
            f"Flow and water stay as they are; against design they save {design.saved:.1f} kWh ({design.saved_pu:.1%}) of cooling "
            f"in the next {minutes:.0f} min."
        )
    if standing.saved < 0:
        return f"{_setpoints(moves)} ahead of the heat that is coming, for {-standing.saved:.1f} kWh in {minutes:.0f} min."
    return f"{_setpoints(moves)} to save {standing.saved:.1f} kWh ({standing.saved_pu:.1%}) of cooling in {minutes:.0f} min."


def _setpoints(moves: tuple[Move, ...]) -> str:
    return "1 setpoint moves" if len(moves) == 1 else f"{len(moves)} setpoints move"


def _curves(o: Outlook) -> tuple[Curve, ...]:
    limits = o.layout.limits
    steps = len(o.view_ahead.gpu_above_k)
    found = [
        Curve(name="site.cooling_kw", title="Power of pumps and chillers", unit="kW", start=o.at, step_s=o.view_ahead.step_s,
              planned=_told(o.cooling_kw(o.asked)), without=_told(o.cooling_kw(o.now))),
    ]  # fmt: skip
    if o.layout.loops.names:
        found += [
            Curve(name="site.gpu_liquid_c", title="Hottest liquid-cooled GPU", unit="C", start=o.at, step_s=o.view_ahead.step_s,
                  planned=_told(o.gpu_c(o.asked)), without=_told(o.gpu_c(o.now)), limit=limits.gpu_c, limit_name="GPU limit"),
            Curve(name="site.flow_lpm", title="Coolant flow of all loops", unit="LPM", start=o.at, step_s=o.view_ahead.step_s,
                  planned=(round(float(o.asked.flow_lpm.sum()), 1),) * steps,
                  without=(round(float(o.now.flow_lpm.sum()), 1),) * steps),
        ]  # fmt: skip
    if (o.layout.halls.water >= 0).any():
        found.append(
            Curve(name="site.inlet_c", title="Warmest rack intake", unit="C", start=o.at, step_s=o.view_ahead.step_s,
                  planned=_told(o.inlet_c(o.asked)), without=_told(o.inlet_c(o.now)), limit=limits.inlet_c,
                  limit_name="rack intake limit")
        )  # fmt: skip
    return tuple(one for one in found if np.isfinite(one.planned).all())


def _risks(o: Outlook) -> tuple[Risk, ...]:
    """Upper bounds are passed with the predictor's chance a step at most, by its own errors so far."""
    chance = min(1.0, o.controller.tuning.chance * o.controller.tuning.cycle_steps)
    found = []
    if o.layout.loops.names:
        found.append(Risk(what="a liquid-cooled GPU passes its limit before the loop turns again", chance=chance,
                          limit=f"{o.layout.limits.gpu_c:g} C"))  # fmt: skip
    if (o.layout.halls.water >= 0).any():
        found.append(Risk(what="a rack takes in air above its limit before the loop turns again", chance=chance,
                          limit=f"{o.layout.limits.inlet_c:g} C"))  # fmt: skip
    return tuple(found)


def _facts(o: Outlook, savings: tuple[Saving, ...]) -> dict[str, str]:
    ahead, facts = o.view_ahead, dict[str, str]()
    if o.layout.loops.names:
        facts["liquid heat now"] = f"{float(np.nansum(o.seen.liquid_kw)):,.0f} kW"
        facts["highest liquid heat"] = f"{float(ahead.liquid_kw.expected.sum(axis=1).max()):,.0f} kW"
        facts["hottest GPU planned"] = f"{float(o.gpu_c(o.asked).max()):.1f} C"
        facts["GPU limit"] = f"{o.layout.limits.gpu_c:g} C"
        facts["coolant flow planned"] = f"{float(o.asked.flow_lpm.sum()):,.0f} LPM"
        facts["coolant flow now"] = f"{float(o.now.flow_lpm.sum()):,.0f} LPM"
    if (o.layout.halls.water >= 0).any():
        facts["warmest intake planned"] = f"{float(np.nanmax(o.inlet_c(o.asked))):.1f} C"
        facts["intake limit"] = f"{o.layout.limits.inlet_c:g} C"
    for w, chillers in enumerate(o.layout.waters.chillers):
        if chillers:
            facts[f"water of {o.chillers[w]}"] = f"{o.asked.water_c[w]:.1f} C"
    facts["cooling energy planned"] = f"{savings[0].planned:.1f} kWh"
    facts["saved against setpoints as they stand"] = f"{savings[0].saved:.1f} kWh"
    facts["saved against design"] = f"{savings[1].saved:.1f} kWh"
    return facts


def _notes(o: Outlook) -> tuple[str, ...]:
    notes = [
        "Flow carries every node of its loop at full load, since nothing else answers a job that comes unannounced between two "
        "turns.",
        "Fans of air handlers are left to their own control, which already matches air to heat.",
        "Power of pumps and chillers is the model's, of sound gear; savings are differences of it.",
    ]
    if not np.isfinite(o.seen.wet_bulb_c):
        notes.append("The wet bulb outside is not read; 15 C is taken for the chillers.")
    return tuple(notes)
