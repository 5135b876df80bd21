"""Controllers that act on what is read, not on what comes: the plant's own local control, and the baselines.

Each is as good as its kind can be: gains by the loop's time constant, setpoints tuned on the tuning days to the last value
without a violation (see `bench`), anti-windup, the same flow range, ramp limits and water range as the proactive one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from plant.control.cooling.controller import Setpoints
from plant.control.cooling.layout import FloatArray, Layout
from plant.control.cooling.predictor import Snapshot

RULE_LPM_PER_KW = 1.5
"""OCP's flow for each kW of rated heat."""


def fixed(layout: Layout) -> Setpoints:
    """1.5 L/min for each kW of rated liquid heat, supply and water as designed."""
    flow = np.clip(
        RULE_LPM_PER_KW * layout.loops.rated_kw, layout.limits.flow_least_lpm, layout.loops.most_lpm
    )
    return Setpoints(flow, layout.loops.supply_c.copy(), layout.waters.design_c.copy())


@dataclass(frozen=True)
class Gains:
    """A PI's setpoints and gains."""

    rise_k: float = 15.0
    """Coolant rise that the flow holds."""
    flow_gain: float = 0.6
    """Relative flow for a relative error of the rise: flow x rise is the heat, so 1 would be the whole step."""
    flow_reset_s: float = 240.0
    reset_k: float = 0.0
    """Water raised so far at cool weather: the weather's reset."""
    reset_from_c: float = 18.0
    reset_to_c: float = 10.0
    """Wet bulb at which it begins, and at which it is whole."""
    inlet_c: float | None = None
    """Rack intake that the water holds; None: the water is the weather's."""
    water_gain: float = 0.5
    """K of water for each K of intake."""
    water_reset_s: float = 600.0


@dataclass
class ReactivePI:
    """Flow by the coolant's rise; water fixed, by the weather or by the warmest rack intake."""

    layout: Layout
    gains: Gains = field(default_factory=Gains)
    flow_ramp_lpm: float = 80.0
    water_down_k: float = 3.0
    water_up_k: float = 0.5
    _flow: FloatArray | None = None
    _water: FloatArray | None = None
    """Integrals."""

    def decide(self, seen: Snapshot, now: Setpoints, step_s: float) -> Setpoints:
        """One step. What is not read keeps its flow at the rule's and its water at the design."""
        return Setpoints(
            self._flows(seen, now, step_s), self.layout.loops.supply_c.copy(), self._waters(seen, now, step_s)
        )

    def _flows(self, seen: Snapshot, now: Setpoints, step_s: float) -> FloatArray:
        layout, g = self.layout, self.gains
        least, most = layout.limits.flow_least_lpm, layout.loops.most_lpm
        rule = fixed(layout).flow_lpm
        if self._flow is None:
            self._flow = now.flow_lpm.copy()
        rise = seen.liquid_kw * 60.0 / (np.maximum(seen.flow_lpm, 1.0) * layout.loops.kj_per_l_k)
        error = np.nan_to_num(rise / g.rise_k - 1.0)
        self._flow = np.clip(self._flow * (1.0 + error * step_s / g.flow_reset_s), least, most)
        asked = np.where(np.isfinite(rise), self._flow * (1.0 + g.flow_gain * error), rule)
        asked = np.clip(asked, now.flow_lpm - self.flow_ramp_lpm, now.flow_lpm + self.flow_ramp_lpm)
        return np.asarray(np.clip(asked, least, most), np.float64)

    def _waters(self, seen: Snapshot, now: Setpoints, step_s: float) -> FloatArray:
        g, design = self.gains, self.layout.waters.design_c
        if g.inlet_c is None:
            share = (g.reset_from_c - seen.wet_bulb_c) / (g.reset_from_c - g.reset_to_c)
            asked = design + g.reset_k * float(np.clip(np.nan_to_num(share), 0.0, 1.0))
        else:
            asked = self._by_intake(seen, now, step_s, g.inlet_c)
        asked = np.minimum(asked, self.layout.waters.most_c)
        return np.asarray(
            np.clip(asked, now.water_c - self.water_down_k, now.water_c + self.water_up_k), np.float64
        )

    def _by_intake(self, seen: Snapshot, now: Setpoints, step_s: float, inlet_c: float) -> FloatArray:
        g, halls, design = self.gains, self.layout.halls, self.layout.waters.design_c
        most = self.layout.waters.most_c
        if self._water is None:
            self._water = now.water_c.copy()
        asked = self._water.copy()
        for w in range(len(design)):
            mine = seen.inlet_c[halls.water == w]
            if not len(mine) or not np.isfinite(mine).all():
                asked[w] = self._water[w] = design[w]
                continue
            error = inlet_c - float(mine.max())
            self._water[w] = np.clip(
                self._water[w] + g.water_gain * error * step_s / g.water_reset_s, design[w], most[w]
            )
            asked[w] = np.clip(self._water[w] + g.water_gain * error, design[w], most[w])
        return asked
