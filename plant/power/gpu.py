"""Power of one accelerator from what it does and how fast it is clocked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from plant.hardware.gpus import Gpu

FloatArray = NDArray[np.float64]
COEFFICIENTS = (
    "idle_w",
    "tdp_w",
    "busy_pu",
    "memory_pu",
    "compute_root_pu",
    "compute_pu",
    "knee_pu",
    "v_min_pu",
)
"""What each place of the power vector is; `_pu` are shares of TDP above idle, knee and v_min of clock and voltage."""


def power_coefficients(gpu: Gpu) -> FloatArray:
    """The power vector of one accelerator, in the order of COEFFICIENTS."""
    return np.array([gpu.idle_w, gpu.tdp_w, 0.25, 0.42, 0.14, 1.4, 0.65, 0.75])


@njit(cache=True)
def voltage_pu(clock_pu: float, knee_pu: float, v_min_pu: float) -> float:
    """Core voltage at a share of the maximal clock: flat below the knee, linear above."""
    above = max(0.0, clock_pu - knee_pu) / (1.0 - knee_pu)
    return v_min_pu + (1.0 - v_min_pu) * above


@njit(cache=True)
def gpu_power_w(p: Any, busy: float, u_compute: float, u_memory: float, clock_pu: float) -> float:
    """Watts of one accelerator, at most its TDP.

    `busy`: share of time in kernels. `u_compute`, `u_memory`: achieved share of peak over that same time.
    """
    volts = voltage_pu(clock_pu, p[6], p[7])
    core = p[2] * busy + p[4] * np.sqrt(max(u_compute, 0.0)) + p[5] * u_compute
    scale = clock_pu * volts * volts
    dynamic = core * scale / max(clock_pu, 1e-3) if u_compute > 0.0 else p[2] * busy * scale
    return float(min(p[1], p[0] + (p[1] - p[0]) * (dynamic + p[3] * u_memory)))
