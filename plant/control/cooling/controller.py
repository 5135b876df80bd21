"""Setpoints ahead of the heat: the least flow and the warmest water that hold every limit over the horizon.

More flow never warms a GPU and warmer water never cools a room, so the cheapest plan that holds is found exactly: for each
step ahead the least flow (warmest water) that its upper bounds allow, then from the end backwards as much as the ramps ask
to be begun now. Joint candidates (supply temperature, extra flow that lets the exchanger live with warmer water) are
compared by power.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from plant.control.cooling.layers import FILM_EXPONENT, pump_kw, warmest_water_c
from plant.control.cooling.layout import FloatArray, IntArray, Layout
from plant.control.cooling.predictor import Ahead, Snapshot
from plant.thermal.chiller import cop, free_share
from plant.thermal.loop import fan_power_kw

NEWTON_STEPS = 8
"""From the least flow, on a falling convex curve: to 0.01 L/min."""
FLOW_TIMES = (1.0, 1.15, 1.35, 1.6)
"""Flow over the least that holds, as candidates."""
SUPPLY_BACK_K = 2.0
"""By so much a raised supply is led back where a limit cannot be held with it."""
POWER_SAMPLES = 5
"""Cycles of a plan at which candidates are compared."""
SHORT_K = 0.5
"""Water asked so much colder than its design is a limit that cannot be held; less is the bound's caution."""
RETURN_K = 8.0
"""Of facility water, between supply and return (the plant's economiser rests on it too)."""


@dataclass(frozen=True)
class Tuning:
    """What a controller keeps to. Tuned on seeds 101 to 103 of the bench's days, which it does not report."""

    cycle_steps: int = 1
    """Steps between two decisions."""
    gpu_margin_k: float = 2.0
    inlet_margin_k: float = 0.3
    rise_margin_k: float = 0.5
    water_lead_steps: int = 5
    """Steps that water takes to follow its setpoint, and the room the water."""
    flow_lead_steps: int = 1
    flow_ramp_lpm: float = 80.0
    """Most that one decision changes."""
    water_down_k: float = 3.0
    water_up_k: float = 0.5
    """Up slowly, so that a wrong figure of a coil shows before it costs anything."""
    supply_up_k: tuple[float, ...] = (0.0,)
    """Rises of the supply setpoint that may be considered; (0,): leave it."""
    exchanger_margin_k: float = 1.0
    """Water below what a sound exchanger would live with: fouling is not read."""
    chiller_sound_pu: float = 0.9
    """Share of the chillers' rating that is counted on."""
    answer_steps: int = 2
    """Until a new water setpoint begins to show at the racks: the water, then the room and its intakes, lag by a minute."""
    chance: float = 0.001
    """That an upper bound is passed in a step, as the predictor's own errors have it."""
    full_load_flow: bool = False
    """Flow carries every node of its loop at full load at any time. For decisions so far apart that nothing would answer a
    job nobody announced; it costs a third of a per cent of the cooling."""
    uncertain_k: float = 8.0
    """Wider, the interval of the hottest GPU so few steps ahead says that the model has lost the plant, and the local
    controller takes over. Further ahead it is wide for another reason, jobs that come unannounced, and full load bounds
    that."""
    uncertain_steps: int = 2


@dataclass(frozen=True)
class Setpoints:
    """What is asked of the plant, (loops,), (loops,) and (waters,)."""

    flow_lpm: FloatArray
    supply_c: FloatArray
    water_c: FloatArray


@dataclass(frozen=True)
class Decision:
    """What to set now, what is planned, and what it rests on."""

    setpoints: Setpoints
    flow_plan_lpm: FloatArray
    """(cycles, loops)."""
    water_plan_c: FloatArray
    """(cycles, waters)."""
    cooling_kw: float
    """Expected over the horizon, by the controller's own model."""
    local: tuple[str, ...] = ()
    """Loops and halls that the local controller keeps."""
    why: tuple[str, ...] = ()
    binding: dict[str, str] = field(default_factory=dict)
    """Which limit set each loop's flow and each water."""
    short: tuple[str, ...] = ()
    """What no setpoint within its range holds, a sentence each."""


class Controller:
    """Receding horizon. It keeps no state: the same view gives the same decision."""

    def __init__(self, layout: Layout, tuning: Tuning | None = None) -> None:
        self.layout, self.tuning = layout, tuning or Tuning()

    def decide(self, seen: Snapshot, ahead: Ahead, now: Setpoints, local: Setpoints) -> Decision:
        """`now`: setpoints as they stand. `local`: what the local controller would set, taken where readings or the
        interval do not carry a decision."""
        lost, why = self._not_known(seen, ahead)
        best = self._candidate(seen, ahead, now, now.supply_c, 1.0, lost)
        if best.short or any(cause.startswith("exchanger") for cause in best.binding.values()):
            for step_k, times in product((-SUPPLY_BACK_K, *self.tuning.supply_up_k), FLOW_TIMES):
                found = self._candidate(seen, ahead, now, self._supply_c(now, step_k), times, lost)
                best = min(best, found, key=_preferred)
        return self._with_local(best, now, local, lost, why)

    def _supply_c(self, now: Setpoints, step_k: float) -> FloatArray:
        """Raised by so much; with a negative step led back towards the design, never below it."""
        if step_k < 0:
            return np.minimum(now.supply_c, np.maximum(now.supply_c + step_k, self.layout.loops.supply_c))
        return np.minimum(now.supply_c + step_k, self.layout.limits.supply_most_c)

    # ---- what cannot be decided ---------------------------------------------------------------------

    def _not_known(self, seen: Snapshot, ahead: Ahead) -> tuple[dict[str, bool], tuple[str, ...]]:
        """Loops, and halls that steer a water, without readings or with too wide an interval."""
        lost, why = {}, []
        wide_k = float(ahead.gpu_half_k[: self.tuning.uncertain_steps].max())
        for i, name in enumerate(self.layout.loops.names):
            read = np.isfinite([seen.liquid_kw[i], seen.supply_c[i], seen.gpu_c[i], seen.flow_lpm[i]]).all()
            if not read or wide_k > self.tuning.uncertain_k:
                lost[name] = True
                why.append(
                    f"{name}: heat, flow, supply or GPU temperature is not read" if not read
                    else f"{name}: the hottest GPU is foreseen within {wide_k:.1f} K only, {self.tuning.uncertain_k:g} K are allowed"
                )  # fmt: skip
        for i in range(len(self.layout.halls.names)):
            if self.layout.halls.water[i] >= 0 and not np.isfinite([seen.air_kw[i], seen.inlet_c[i]]).all():
                lost[self._hall(i)] = True
                why.append(f"{self._hall(i)}: air heat or rack intake is not read")
        return lost, tuple(why)

    def _with_local(
        self, best: Decision, now: Setpoints, local: Setpoints, lost: dict[str, bool], why: tuple[str, ...]
    ) -> Decision:
        if not lost:
            return best
        keep = np.array([name in lost for name in self.layout.loops.names], dtype=bool)
        flow = np.where(keep, local.flow_lpm, best.setpoints.flow_lpm)
        supply = np.where(keep, local.supply_c, best.setpoints.supply_c)
        blind = {int(w) for i, w in enumerate(self.layout.halls.water) if self._hall(i) in lost}
        blind |= {int(w) for i, w in enumerate(self.layout.loops.water) if keep[i]}
        water = best.setpoints.water_c.copy()
        for w in blind:
            water[w] = max(min(local.water_c[w], now.water_c[w]), now.water_c[w] - self.tuning.water_down_k)
        return replace(best, setpoints=Setpoints(flow, supply, water), local=tuple(lost), why=why)

    # ---- one candidate ------------------------------------------------------------------------------

    def _candidate(
        self,
        seen: Snapshot,
        ahead: Ahead,
        now: Setpoints,
        supply_c: FloatArray,
        times: float,
        lost: dict[str, bool],
    ) -> Decision:
        loops, limits, t = self.layout.loops, self.layout.limits, self.tuning
        need, cause = self._least_flow(ahead, supply_c)
        short = [
            f"{n} needs more than the {loops.most_lpm[i]:.0f} LPM its pumps give to hold the {cause[i]}"
            for i, n in enumerate(loops.names) if need[:, i].max() > loops.most_lpm[i] and n not in lost
        ]  # fmt: skip
        need = np.clip(need * times, limits.flow_least_lpm, loops.most_lpm)
        flow_plan = _ahead_of(need, t.flow_ramp_lpm, 1)
        flow_plan[0] = np.clip(flow_plan[0], now.flow_lpm - t.flow_ramp_lpm, now.flow_lpm + t.flow_ramp_lpm)
        warmest, why = self._warmest(ahead, flow_plan, supply_c, lost)
        design_c = self.layout.waters.design_c
        short += [
            f"the {why[w]} needs water at {warmest[:, w].min():.1f} C, colder than its design of {design_c[w]:g} C"
            for w in range(len(why)) if warmest[:, w].min() < design_c[w] - SHORT_K
        ]  # fmt: skip
        warmest = np.maximum(warmest, design_c)
        water_plan = _ahead_of(warmest, t.water_down_k, -1)
        water_plan[0] = np.clip(water_plan[0], now.water_c - t.water_down_k, now.water_c + t.water_up_k)
        kw = self._power_kw(seen, ahead, flow_plan, water_plan)
        binding = {n: cause[i] for i, n in enumerate(loops.names)} | {
            f"water {w + 1}": why[w] for w in range(len(why))
        }
        return Decision(
            Setpoints(flow_plan[0], supply_c, water_plan[0]), flow_plan, water_plan, kw, binding=binding, short=tuple(short),
        )  # fmt: skip

    def _cells(self, ahead: Ahead, lead_steps: int) -> tuple[IntArray, IntArray]:
        """(cycles, leads): the steps that a decision of each cycle must carry, and how long before each it was taken.
        Beyond the next decision and the time the plant takes to follow, a later decision with later readings answers."""
        leads = np.arange(1, self.tuning.cycle_steps + lead_steps + 1)
        begins = np.arange(0, len(ahead.gpu_above_k), self.tuning.cycle_steps)
        step = np.minimum(begins[:, None] + leads[None, :] - 1, len(ahead.gpu_above_k) - 1)
        return step, np.broadcast_to(leads, step.shape)

    def _least_flow(self, ahead: Ahead, supply_c: FloatArray) -> tuple[FloatArray, list[str]]:
        """(cycles, loops), above what the pumps give where that does not do, and what asks for it at its greatest."""
        layout, t = self.layout, self.tuning
        step, lead = self._cells(ahead, t.flow_lead_steps)
        heat = ahead.liquid_kw.upper(step, lead)
        if t.full_load_flow:
            heat = np.broadcast_to(ahead.liquid_kw.most, heat.shape)
        least = layout.limits.flow_least_lpm
        rise = heat * 60.0 / ((layout.limits.rise_k - t.rise_margin_k) * layout.loops.kj_per_l_k)
        most_c = layout.limits.gpu_c - t.gpu_margin_k
        allowed_c = most_c - ahead.gpu_bias_c[step] - ahead.gpu_above_k[lead - 1][..., None]
        warm = least_flow_lpm(
            layout, ahead.liquid_kw.expected[step], ahead.gpu_w[step], allowed_c - supply_c, least
        )
        ever = least_flow_lpm(
            layout, ahead.liquid_kw.most, ahead.gpu_most_w, most_c - ahead.gpu_most_bias_c - supply_c, least
        )  # fmt: skip
        warm = np.broadcast_to(ever, warm.shape) if t.full_load_flow else np.minimum(warm, ever)
        need = np.maximum(np.maximum(rise, warm), least).max(axis=1)
        peak_rise, peak_warm = rise.max(axis=(0, 1)), warm.max(axis=(0, 1))
        cause = [
            "GPU limit" if w > max(r, least + 0.01) else "coolant rise" if r > least else "least flow"
            for r, w in zip(peak_rise, peak_warm, strict=True)
        ]
        return need, cause

    def _warmest(
        self, ahead: Ahead, flow_lpm: FloatArray, supply_c: FloatArray, lost: dict[str, bool]
    ) -> tuple[FloatArray, list[str]]:
        """(cycles, waters), the warmest water that halls and exchangers allow, be it below the design, and which of them
        asks."""
        layout, t = self.layout, self.tuning
        step, lead = self._cells(ahead, t.water_lead_steps)
        found = np.repeat(layout.waters.most_c[None, :], len(step), 0)
        why = ["warmest allowed"] * found.shape[1]
        fall_k = self._fall_k(ahead, lead)
        air = ahead.air_kw.upper(step, lead)
        for i, w in enumerate(layout.halls.water):
            if w < 0 or self._hall(i) in lost:
                continue
            above_k = air[:, :, i] * ahead.inlet_k_per_kw[i] - fall_k[..., w]
            self._take(
                found,
                why,
                w,
                self._intake_most_c(ahead, i) - above_k.max(axis=1),
                f"rack intake of {self._hall(i)}",
            )
        liquid = ahead.liquid_kw.upper(step, lead).max(axis=1)
        reach = warmest_water_c(layout.loops, liquid, flow_lpm, supply_c) - t.exchanger_margin_k
        for i, w in enumerate(layout.loops.water):
            self._take(found, why, int(w), reach[:, i], f"exchanger of {layout.loops.names[i]}")
        return found, why

    @staticmethod
    def _take(found: FloatArray, why: list[str], w: int, most_c: FloatArray, name: str) -> None:
        if most_c.min() < found[:, w].min():
            why[w] = name
        found[:, w] = np.minimum(found[:, w], most_c)

    def _hall(self, i: int) -> str:
        return self.layout.halls.names[i] or f"hall {i + 1}"

    def _intake_most_c(self, ahead: Ahead, i: int) -> float:
        """Warmest room air: by the intake's limit and the air-cooled dies', less what racks take in above it
        (recirculation, a weak handler)."""
        limits, t = self.layout.limits, self.tuning
        most = min(
            limits.inlet_c - t.inlet_margin_k, limits.gpu_c - t.gpu_margin_k - ahead.air_gpu_above_k[i]
        )
        return float(most - ahead.inlet_extra_k[i])

    def _fall_k(self, ahead: Ahead, lead: IntArray) -> FloatArray:
        """(cycles, leads, waters), by what the water has fallen so long after a surprise: from the decision after it on,
        as fast as the chillers' spare capacity cools it, and no more than one decision may ask."""
        layout, t = self.layout, self.tuning
        heat = np.array([
            ahead.liquid_kw.most[layout.loops.water == w].sum() + ahead.air_kw.most[layout.halls.water == w].sum()
            for w in range(len(layout.waters.design_c))
        ])  # fmt: skip
        spare_kw = np.maximum(t.chiller_sound_pu * layout.waters.capacity_kw - heat, 0.0)
        k_per_s = layout.waters.compressor_pu * spare_kw / layout.waters.kj_per_k
        answered_s = (lead - t.cycle_steps - t.answer_steps) * ahead.step_s
        return np.asarray(np.clip(answered_s[..., None] * k_per_s, 0.0, t.water_down_k), np.float64)

    def _power_kw(self, seen: Snapshot, ahead: Ahead, flow_plan: FloatArray, water_plan: FloatArray) -> float:
        """Mean of pumps, chillers and tower fans over the plan, at the expected heat."""
        rows = len(flow_plan)
        width = self.tuning.cycle_steps
        kw = 0.0
        for k in range(0, rows, max(1, rows // POWER_SAMPLES)):
            step = min(k * width, len(ahead.liquid_kw.expected) - 1)
            pumps = pump_kw(self.layout.loops, flow_plan[k])
            kw += float(pumps.sum()) + float(
                self.water_kw(
                    seen, ahead.liquid_kw.expected[step] + pumps, ahead.air_kw.expected[step], water_plan[k]
                ).sum()
            )
        return kw / max(1, len(range(0, rows, max(1, rows // POWER_SAMPLES))))

    def water_kw(
        self, seen: Snapshot, liquid_kw: FloatArray, air_kw: FloatArray, water_c: FloatArray
    ) -> FloatArray:
        """(waters,), what chillers, their fans and the water's pumps draw at that heat and water temperature."""
        layout, w = self.layout, self.layout.waters
        wet_c = seen.wet_bulb_c if np.isfinite(seen.wet_bulb_c) else 15.0
        found = np.zeros(len(w.design_c))
        for i in range(len(found)):
            heat = float(liquid_kw[layout.loops.water == i].sum() + air_kw[layout.halls.water == i].sum())
            own = w.pump_kw_per_kw[i] * heat
            share = min(1.0, (heat + own) / max(w.capacity_kw[i], 1e-6))
            found[i] = own + fan_power_kw(share, w.fan_kw[i])
            free = free_share(water_c[i], water_c[i] + RETURN_K, wet_c) if w.economiser[i] else 0.0
            warmer_k = float(water_c[i] - w.design_c[i])
            by_compressor = w.compressor_pu[i] * (1.0 - free) * (heat + own)
            found[i] += by_compressor / cop(wet_c, share, w.cop_design[i], w.cop_per_k[i], warmer_k)
        return found


def _preferred(decision: Decision) -> tuple[int, float, float]:
    """What holds most limits; where one is not held, the coldest supply; then the least power."""
    coldest_c = float(decision.setpoints.supply_c.sum()) if decision.short else 0.0
    return len(decision.short), coldest_c, decision.cooling_kw


def _ahead_of(plan: FloatArray, ramp: float, sign: int) -> FloatArray:
    """The least plan at or above `plan` (sign 1), or the greatest at or below it (-1), that moves towards the strict side
    by no more than `ramp` a cycle: from the end backwards."""
    found = plan.copy() * sign
    for k in range(len(found) - 2, -1, -1):
        found[k] = np.maximum(found[k], found[k + 1] - ramp)
    return found * sign


def least_flow_lpm(
    layout: Layout, liquid_kw: FloatArray, gpu_w: FloatArray, over_supply_k: FloatArray, least_lpm: float
) -> FloatArray:
    """Flow at which the hottest die stands `over_supply_k` above the supply, at least `least_lpm`; infinite where no flow
    does it. Newton's method from the left on a falling convex curve never passes the root. Shapes (..., loops)."""
    loops = layout.loops
    coolant = 0.5 * liquid_kw * 60.0 / loops.kj_per_l_k
    plate = gpu_w * loops.film_k_per_w * loops.rack_lpm**-FILM_EXPONENT
    fixed_k = gpu_w * loops.k_per_w
    flow = np.full(np.broadcast_shapes(liquid_kw.shape, over_supply_k.shape), least_lpm)
    for _ in range(NEWTON_STEPS):
        value = coolant / flow + plate * flow**FILM_EXPONENT + fixed_k - over_supply_k
        slope = -coolant / flow**2 + FILM_EXPONENT * plate * flow ** (FILM_EXPONENT - 1.0)
        flow = np.maximum(flow, np.minimum(flow - value / np.minimum(slope, -1e-9), 1e6))
    return np.where(fixed_k >= over_supply_k, np.inf, flow)


__all__ = ["Controller", "Decision", "Setpoints", "Tuning", "least_flow_lpm"]
