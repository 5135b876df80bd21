"""Power of one accelerator from what it does and how fast it is clocked.

    P = idle + busy * (static + tree * f V^2 + memory * u_m + (root * sqrt(u_c) + compute * u_c) * V^2)

- `f` is the share of the maximal core clock, `V(f)` the share of the voltage at that clock: flat below a knee, linear
  above it. Dynamic power of CMOS is C V^2 f (Rabaey, Digital Integrated Circuits, ch. 5).
- The clock tree toggles with every cycle while kernels run: f V^2.
- `u_c` counts work: operations a second as a share of the peak at the MAXIMAL clock. An operation costs V^2, at
  whatever clock it is done, so no further f appears. The root stands for padded tiles: at small batch the tensor
  cores work on more rows than are used.
- Traffic to memory runs in its own clock domain: it costs the same at every core clock.
- `static`: what stays on while busy whatever the clock, such as memory clocks and leakage above idle.

Shares are of TDP above idle and are fitted for each architecture (`calibration.yaml`, by `plant.validation.power`).
The board holds its TDP by lowering the clock; a mean over prefill and decode phases then bends towards TDP smoothly.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from plant.compiled import njit
from plant.hardware.gpus import Gpu
from plant.hardware.gpus import gpu as find_gpu

FloatArray = NDArray[np.float64]
COEFFICIENTS = (
    "idle_w", "tdp_w", "static_pu", "tree_pu", "memory_pu", "compute_root_pu", "compute_pu", "knee_pu", "v_min_pu",
    "bend", "reach_compute_pu", "reach_memory_pu",
)  # fmt: skip
"""What each place of the power vector is. Static to compute are shares of TDP above idle; knee and v_min are shares
of clock and voltage; bend is the exponent of the approach to TDP; the reaches are the shares of peak compute and
bandwidth that real kernels attain, used to tell what bounds a phase."""
FITTED = ("static_pu", "tree_pu", "memory_pu", "compute_root_pu", "compute_pu", "knee_pu", "v_min_pu")
BEND, REACH_COMPUTE_PU, REACH_MEMORY_PU = 12.0, 0.65, 0.85
BISECTIONS = 30
"""Halvings of the clock range: 1e-9 of the maximal clock."""


@cache
def calibration() -> dict[str, Any]:
    """The committed constants: `default` and, under `arch`, those of each fitted architecture."""
    text = files("plant.power").joinpath("calibration.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def power_coefficients(gpu: Gpu) -> FloatArray:
    """The power vector of one accelerator, in the order of COEFFICIENTS.

    An architecture that was not fitted gets the mean of those that were. A card that differs from its architecture's
    measured one keeps that one's energy a byte and an operation, so that an H200 draws more than an H100 for its
    faster memory.
    """
    known = calibration()
    return power_vector(gpu, known["arch"].get(gpu.arch, known["default"]))


def power_vector(gpu: Gpu, shares: Mapping[str, Any]) -> FloatArray:
    """The vector from given shares, which the fit tries out; `reference` names the card they were measured on."""
    fitted = {name: float(shares[name]) for name in FITTED}
    if "reference" in shares and gpu.name != shares["reference"]:
        like = find_gpu(shares["reference"])
        span = (like.tdp_w - like.idle_w) / (gpu.tdp_w - gpu.idle_w)
        fitted["memory_pu"] *= span * gpu.memory_bytes_per_s / like.memory_bytes_per_s
        work = span * gpu.peak("bf16") / like.peak("bf16")
        fitted["compute_pu"] *= work
        fitted["compute_root_pu"] *= work**0.5
    places = [gpu.idle_w, gpu.tdp_w, *fitted.values(), BEND, REACH_COMPUTE_PU, REACH_MEMORY_PU]
    return np.array(places)


@njit(cache=True)
def voltage_pu(clock_pu: float, knee_pu: float, v_min_pu: float) -> float:
    """Core voltage at a share of the maximal clock: flat below the knee, linear above.

    >>> voltage_pu(0.5, 0.7, 0.8), voltage_pu(1.0, 0.7, 0.8)
    (0.8, 1.0)
    """
    above = max(0.0, clock_pu - knee_pu) / (1.0 - knee_pu)
    return v_min_pu + (1.0 - v_min_pu) * above


@njit(cache=True)
def gpu_demand_pu(p: Any, u_compute: float, u_memory: float, clock_pu: float) -> float:
    """What a busy accelerator would draw without its limit, as a share of TDP above idle."""
    volts = voltage_pu(clock_pu, p[7], p[8])
    u_c, u_m = max(u_compute, 0.0), max(u_memory, 0.0)
    core = p[3] * clock_pu + p[5] * np.sqrt(u_c) + p[6] * u_c
    return float(p[2] + p[4] * u_m + core * volts * volts)


@njit(cache=True)
def gpu_power_w(p: Any, busy: float, u_compute: float, u_memory: float, clock_pu: float) -> float:
    """Watts of one accelerator, between idle and TDP.

    `busy`: share of time in kernels. `u_compute`, `u_memory`: achieved share of peak (at the maximal clock) over that
    same busy time.
    """
    demand = gpu_demand_pu(p, u_compute, u_memory, clock_pu)
    bent = demand / (1.0 + demand ** p[9]) ** (1.0 / p[9])
    return float(p[0] + min(max(busy, 0.0), 1.0) * (p[1] - p[0]) * bent)


@njit(cache=True)
def stretch_at_clock(p: Any, u_compute: float, u_memory: float, clock_pu: float) -> float:
    """Time of a piece of work at `clock_pu` over its time at the maximal clock; uses are those at the maximal clock.

    The roofline of what kernels reach: compute time grows as 1 / f, memory time does not; what neither explains
    (launches, links, host) does not either.
    """
    compute, memory = max(u_compute, 0.0) / p[10], max(u_memory, 0.0) / p[11]
    roof = (compute**4 + memory**4) ** 0.25
    fill = max(1.0, roof)
    slowed = ((compute / clock_pu) ** 4 + memory**4) ** 0.25
    return float(1.0 + (slowed - roof) / fill)


@njit(cache=True)
def clock_under_cap_pu(
    p: Any, busy: float, u_compute_at_full: float, u_memory_at_full: float, cap_w: float, lock_pu: float
) -> float:
    """Highest clock up to `lock_pu` at which the accelerator stays within `cap_w`; the lowest (0.1) where none does.

    `busy` and the uses are those of the work at the maximal clock. At a lower clock compute-bound work is done more
    slowly, so its rate and its power fall too. Power rises with the clock, so the clock is found by halving.
    """
    low, high = 0.1, max(lock_pu, 0.1)
    if _power_slowed_w(p, busy, u_compute_at_full, u_memory_at_full, high) <= cap_w:
        return high
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if _power_slowed_w(p, busy, u_compute_at_full, u_memory_at_full, middle) <= cap_w:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True)
def _power_slowed_w(p: Any, busy: float, u_compute: float, u_memory: float, clock_pu: float) -> float:
    stretch = stretch_at_clock(p, u_compute, u_memory, clock_pu)
    return float(gpu_power_w(p, busy, u_compute / stretch, u_memory / stretch, clock_pu))
