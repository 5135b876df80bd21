"""The few formulas that guards and proposals need in plain numbers. The rest lives in plant/thermal and plant/power.

Sign conventions: heat and power are positive when drawn or given off; storage power is positive when the storage
discharges into the site.
"""

from __future__ import annotations

from plant.thermal.air import dew_point_c
from plant.thermal.fluids import Fluid

__all__ = ["KELVIN_LPM_PER_KW", "Fluid", "coolant_delta_t_k", "coolant_flow_lpm", "dew_point_c", "soc_after"]

KELVIN_LPM_PER_KW: dict[Fluid, float] = {"water": 14.4, "pg25": 15.1}
"""60 / (density * heat capacity), as suppliers print it; plant.thermal.fluids gives it by temperature."""


def coolant_delta_t_k(heat_kw: float, flow_lpm: float, fluid: Fluid = "pg25") -> float:
    """Rise of the coolant across a heat load, K: heat / (mass flow * heat capacity).

    Check: 120 kW at 10 K needs about 1.44 LPM/kW of water, near the 1.5 LPM/kW of the OCP guidelines.

    >>> round(coolant_delta_t_k(120.0, 172.8, "water"), 2)
    10.0
    """
    return KELVIN_LPM_PER_KW[fluid] * heat_kw / max(flow_lpm, 1e-3)


def coolant_flow_lpm(heat_kw: float, delta_t_k: float, fluid: Fluid = "pg25") -> float:
    """Flow that carries `heat_kw` at a rise of `delta_t_k`.

    >>> round(coolant_flow_lpm(100.0, 10.0), 1)
    151.0
    """
    return KELVIN_LPM_PER_KW[fluid] * heat_kw / delta_t_k


def soc_after(
    soc_pct: float, power_kw: float, seconds: float, capacity_kwh: float, efficiency: float = 0.949
) -> float:
    """State of charge after `seconds` at `power_kw` (positive: discharges). One-way efficiency each way, so
    that a round trip keeps 0.90: s' = s + eta_c c dt - d dt / eta_d.

    >>> round(soc_after(50.0, 100.0, 3600.0, 200.0), 1), round(soc_after(50.0, -100.0, 3600.0, 200.0), 1)
    (-2.7, 97.5)
    """
    energy_kwh = power_kw * seconds / 3600
    stored_kwh = energy_kwh / efficiency if energy_kwh > 0 else energy_kwh * efficiency
    return soc_pct - 100.0 * stored_kwh / capacity_kwh
