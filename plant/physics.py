"""First-order formulas of the simulated plant. Each carries its source and a number to check it by.

Sign conventions: heat and power are positive when drawn or given off; storage power is positive when the
storage discharges into the site.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

Fluid = Literal["water", "pg25"]
KELVIN_LPM_PER_KW: dict[Fluid, float] = {"water": 14.4, "pg25": 15.1}
"""60 / (density * heat capacity): water 998 kg/m3 and 4.18 kJ/kgK; PG25 is 25% propylene glycol."""

GPU_IDLE_W, GPU_MAX_W = 75.0, 700.0
"""H100 SXM: measured idle and TDP."""
CLOCK_MIN_MHZ, CLOCK_MAX_MHZ = 210.0, 1980.0
CLOCK_KNEE_PU, VOLTAGE_MIN_PU = 0.65, 0.75
"""Below the knee the core voltage stays at its minimum; above it rises linearly with the clock."""
BATCH_MAX = 256.0


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


def cold_plate_k_per_w(flow_pu: float) -> float:
    """Junction to coolant resistance of one GPU at a share of its design flow: R0 + k q^-0.8 (turbulent film).

    0.03 K/W at design flow; the share is bounded below at 0.02, where natural convection is left.

    >>> round(cold_plate_k_per_w(1.0), 3), round(cold_plate_k_per_w(0.25), 3)
    (0.03, 0.05)
    """
    return float(0.02 + 0.01 * max(flow_pu, 0.02) ** -0.8)


def voltage_pu(clock_pu: float) -> float:
    """Core voltage at a share of the maximal clock.

    >>> voltage_pu(0.5), voltage_pu(1.0)
    (0.75, 1.0)
    """
    above = max(0.0, clock_pu - CLOCK_KNEE_PU) / (1.0 - CLOCK_KNEE_PU)
    return VOLTAGE_MIN_PU + (1.0 - VOLTAGE_MIN_PU) * above


def batch_power_pu(batch: float) -> float:
    """Share of full dynamic power by batch size: 486 W at batch 8 to 691 W at 256 (Llama-3.1-8B on H100,
    ML.ENERGY), linear in the logarithm.

    >>> round(batch_power_pu(256), 3), round(batch_power_pu(8), 3)
    (1.0, 0.667)
    """
    full_w, slope_w = 691.0 - GPU_IDLE_W, 41.0
    return max(0.1, (full_w + slope_w * math.log2(max(batch, 1.0) / BATCH_MAX)) / full_w)


def gpu_power_w(load_pu: float, clock_mhz: float, batch: float = BATCH_MAX) -> float:
    """P = idle + dynamic * load * batch share * f/f_max * (V/V_max)^2.

    >>> gpu_power_w(0.0, 1980), gpu_power_w(1.0, 1980)
    (75.0, 700.0)
    """
    clock_pu = clock_mhz / CLOCK_MAX_MHZ
    dynamic_w = (GPU_MAX_W - GPU_IDLE_W) * load_pu * batch_power_pu(batch)
    return GPU_IDLE_W + dynamic_w * clock_pu * voltage_pu(clock_pu) ** 2


@lru_cache(maxsize=4096)
def clock_under_cap_mhz(load_pu: float, cap_w: float, lock_mhz: float, batch: float) -> float:
    """Highest clock up to `lock_mhz` at which one GPU stays within `cap_w`; the lowest clock where none does.

    >>> clock_under_cap_mhz(1.0, 700.0, 1980.0, 256.0)
    1980.0
    >>> 1400 < clock_under_cap_mhz(1.0, 400.0, 1980.0, 256.0) < 1600
    True
    """
    if gpu_power_w(load_pu, lock_mhz, batch) <= cap_w:
        return lock_mhz
    low, high = CLOCK_MIN_MHZ, lock_mhz
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if gpu_power_w(load_pu, middle, batch) <= cap_w else (low, middle)
    return low


def node_power_kw(gpu_w: float, load_pu: float, gpus: int = 8) -> float:
    """8 GPUs and the rest of the host: 2.2 kW idle to 4.6 kW (DGX H100: 2.8 kW idle, 10.2 kW at most).

    >>> round(node_power_kw(75.0, 0.0), 1), round(node_power_kw(700.0, 1.0), 1)
    (2.8, 10.2)
    """
    return (gpus * gpu_w) / 1000 + 2.2 + 2.4 * load_pu


def relax(value: float, target: float, seconds: float, tau_s: float) -> float:
    """First-order lag, exact for a constant target: target + (value - target) exp(-t/tau).

    >>> round(relax(0.0, 1.0, 60.0, 60.0), 3)
    0.632
    """
    return target + (value - target) * math.exp(-seconds / tau_s)


def pump_power_kw(speed_pu: float, rated_kw: float = 4.0) -> float:
    """Affinity law with static head: power follows speed to the 2.5.

    >>> round(pump_power_kw(0.5), 2)
    0.71
    """
    return float(rated_kw * max(speed_pu, 0.0) ** 2.5)


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


def dew_point_c(temp_c: float, humidity_pct: float) -> float:
    """Magnus formula over water (a = 17.62, b = 243.12 C), good to 0.4 K from 0 to 60 C.

    >>> round(dew_point_c(24.0, 50.0), 1)
    12.9
    """
    gamma = math.log(humidity_pct / 100) + 17.62 * temp_c / (243.12 + temp_c)
    return 243.12 * gamma / (17.62 - gamma)
