"""A battery and its converter (PCS): state of charge, losses, limits, runtime, trips, cell spread, and ageing.

Sign: power is positive when the battery DISCHARGES into the site, measured on the AC side of the PCS. State of charge
is in percent of the capacity that is left. The stored energy changes by minus (power + loss) * time, always.

    discharge: cells give (P + pcs(P)) / eta        charge: cells take (|P| - pcs(|P|)) * eta
    pcs(P) = P_rated * (a + b p + c p^2), p = |P| / P_rated, while it runs; nothing at a setpoint of zero
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.compiled import njit
from plant.specs import EssSpec
from setpoint.errors import UsageError

FloatArray = NDArray[np.float64]
COEFFICIENTS = (
    "capacity_kwh", "power_kw", "cell_efficiency", "pcs_fixed_pu", "pcs_proportional_pu", "pcs_square_pu",
    "soc_min_pct", "soc_max_pct", "self_discharge_pu_per_s", "pcs_ready",
)  # fmt: skip
"""What each place of the vector is. Capacity is what is left of it; pcs_ready is 0 when the PCS has tripped."""
PCS_LOSS_PU = (0.006, 0.009, 0.015)
"""Fixed, proportional, square loss of a PCS as shares of its rating: 97.0% at full power (tariff_ess.json), 97.7% at
half, 93% at a tenth; the three-term form is that of Schmidt and Sauer, EPE Journal 1996, for inverters."""
SELF_DISCHARGE_PU_PER_MONTH = 0.02
"""Lithium-ion with its monitoring, m: 1 to 3% a month."""
MONTH_S = 365.25 * 86400.0 / 12.0
GAS_J_PER_MOL_K = 8.314
KELVIN = 273.15


def ess_coefficients(
    spec: EssSpec, *, soh_pu: float = 1.0, cell_spread_pct: float = 0.0, pcs_ready: bool = True
) -> FloatArray:
    """The vector of one battery in the order of COEFFICIENTS.

    The spec's one-way efficiency is that of cells and PCS at rated power; the PCS takes its curve's part of it, the
    cells the rest. `cell_spread_pct`: difference in SoC of the fullest and emptiest cell string (see
    `window_with_spread`). Raises UsageError for a health outside (0, 1], or an efficiency the PCS alone spoils.

    >>> c = ess_coefficients(EssSpec())
    >>> round(float(c[2]), 4)
    0.9784
    """
    if not 0.0 < soh_pu <= 1.0:
        raise UsageError(
            f"a state of health of {soh_pu} is not a share", remedy="Give it above 0 and up to 1"
        )
    pcs = 1.0 - sum(PCS_LOSS_PU)
    cells = spec.efficiency_one_way / pcs
    losses = PCS_LOSS_PU
    if cells > 1.0:
        cells, losses = 1.0, _scaled_losses(1.0 - spec.efficiency_one_way)
    low, high = window_with_spread(spec.soc_min_pct, spec.soc_max_pct, cell_spread_pct)
    return np.array([
        spec.capacity_kwh * soh_pu, spec.power_kw, cells, *losses, low, high,
        SELF_DISCHARGE_PU_PER_MONTH / MONTH_S, 1.0 if pcs_ready else 0.0,
    ])  # fmt: skip


def _scaled_losses(total: float) -> tuple[float, float, float]:
    """The PCS curve shrunk to a total loss at rated power; for specs better than the typical PCS."""
    fixed, proportional, square = PCS_LOSS_PU
    factor = total / sum(PCS_LOSS_PU)
    return fixed * factor, proportional * factor, square * factor


def window_with_spread(soc_min_pct: float, soc_max_pct: float, spread_pct: float) -> tuple[float, float]:
    """Window of the mean SoC when cells in series differ: the emptiest ends the discharge, the fullest the charge.

    Raises UsageError where the spread leaves no window.

    >>> window_with_spread(10.0, 90.0, 8.0)
    (14.0, 86.0)
    """
    low, high = soc_min_pct + 0.5 * spread_pct, soc_max_pct - 0.5 * spread_pct
    if spread_pct < 0.0 or low >= high:
        raise UsageError(
            f"cells {spread_pct:g}% apart leave nothing between {soc_min_pct:g}% and {soc_max_pct:g}%",
            remedy=f"Balance them below {soc_max_pct - soc_min_pct:g}%",
        )
    return low, high


@njit(cache=True)
def pcs_loss_kw(power_kw: float, rated_kw: float, fixed_pu: float, prop_pu: float, square_pu: float) -> float:
    """Loss of the converter at an AC power of either sign; 0 at standstill.

    >>> round(pcs_loss_kw(100.0, 100.0, 0.006, 0.009, 0.015), 3), pcs_loss_kw(0.0, 100.0, 0.006, 0.009, 0.015)
    (3.0, 0.0)
    """
    if power_kw == 0.0:
        return 0.0
    share = abs(power_kw) / rated_kw
    return float(rated_kw * (fixed_pu + prop_pu * share + square_pu * share * share))


@njit(cache=True)
def _ac_of_cells_kw(p: Any, cells_kw: float, discharge: bool) -> float:
    """AC power at which the cells give (discharge) or take (charge) `cells_kw` exactly: the loss curve inverted.

    Discharge: eta X = P + R(a + b p + c p^2); charge: X / eta = P - R(a + b p + c p^2), a quadratic in p = P / R.
    """
    rated, eta, a, b, c = p[1], p[2], p[3], p[4], p[5]
    if discharge:
        side, linear, square = cells_kw * eta / rated - a, 1.0 + b, c
        if side <= 0.0:
            return 0.0
        if square <= 0.0:
            return float(rated * side / linear)
        return float(rated * (-linear + math.sqrt(linear * linear + 4.0 * square * side)) / (2.0 * square))
    side, linear, square = cells_kw / eta / rated + a, 1.0 - b, c
    if square <= 0.0:
        return float(rated * side / linear)
    under = linear * linear - 4.0 * square * side
    return float(rated * (linear - math.sqrt(max(under, 0.0))) / (2.0 * square))


@njit(cache=True)
def ess_step(soc_pct: float, setpoint_kw: float, seconds: float, p: Any) -> tuple[float, float, float]:
    """One step: (SoC after in %, power given in kW, mean loss in kW). Power positive discharges.

    The setpoint is cut to the PCS rating and to what the SoC window allows within the step, so that the window is
    met, never crossed. A charge too small to feed the PCS itself is not started. Self-discharge goes on always.
    Energy: capacity * (SoC after - before) / 100 = -(power + loss) * seconds / 3600.
    """
    stored_kwh = p[0] * soc_pct / 100.0
    hours = seconds / 3600.0
    if hours <= 0.0:
        return soc_pct, 0.0, 0.0
    rest_kw = stored_kwh * (1.0 - math.exp(-p[8] * seconds)) / hours
    room_out_kw = stored_kwh / hours - rest_kw - p[0] * p[6] / 100.0 / hours
    room_in_kw = p[0] * p[7] / 100.0 / hours - stored_kwh / hours + rest_kw
    wanted = min(max(setpoint_kw, -p[1]), p[1]) if p[9] > 0.0 else 0.0
    power, cells = 0.0, 0.0
    if wanted > 0.0 and room_out_kw > 0.0:
        power = min(wanted, _ac_of_cells_kw(p, room_out_kw, True))
        if power > 0.0:
            cells = (power + pcs_loss_kw(power, p[1], p[3], p[4], p[5])) / p[2]
    elif wanted < 0.0 and room_in_kw > 0.0:
        power = -min(-wanted, _ac_of_cells_kw(p, room_in_kw, False))
        cells = -(-power - pcs_loss_kw(power, p[1], p[3], p[4], p[5])) * p[2]
        if cells >= 0.0:
            power, cells = 0.0, 0.0
    after = stored_kwh - (cells + rest_kw) * hours
    return 100.0 * after / p[0], power, cells + rest_kw - power


@njit(cache=True)
def runtime_s(soc_pct: float, load_kw: float, p: Any) -> float:
    """Seconds the battery alone carries a constant load; 0 when the PCS cannot, infinity at no load.
    Self-discharge is left out.

    >>> p = ess_coefficients(EssSpec(capacity_kwh=200.0, power_kw=100.0, efficiency_one_way=0.949))
    >>> round(runtime_s(90.0, 100.0, p) / 60.0, 1), runtime_s(90.0, 101.0, p)
    (91.2, 0.0)
    """
    if load_kw <= 0.0:
        return math.inf
    if load_kw > p[1] or p[9] <= 0.0:
        return 0.0
    cells_kw = (load_kw + pcs_loss_kw(load_kw, p[1], p[3], p[4], p[5])) / p[2]
    usable_kwh = p[0] * max(soc_pct - p[6], 0.0) / 100.0
    return float(3600.0 * usable_kwh / cells_kw)


@njit(cache=True)
def pcs_trip_s(power_kw: float, rated_kw: float) -> float:
    """Seconds until the PCS trips at a steady overload. An I^2 t law through 60 s at 1.2 of its rating (m: common
    data-sheet figure; 1.1 then lasts 126 s), at once from 1.5 on, never up to its rating.

    >>> pcs_trip_s(100.0, 100.0), round(pcs_trip_s(120.0, 100.0), 1), pcs_trip_s(160.0, 100.0)
    (inf, 60.0, 0.0)
    """
    share = abs(power_kw) / rated_kw
    if share <= 1.0:
        return math.inf
    if share >= 1.5:
        return 0.0
    return 60.0 * (1.2 * 1.2 - 1.0) / (share * share - 1.0)


@njit(cache=True)
def calendar_rate_pu(temp_c: float, soc_pct: float) -> float:
    """Capacity lost by sqrt of seconds at rest, LFP and graphite.

    k = 1.2571e-5 exp(-17126 / R (1/T - 1/298.15)) (2.8575 (SoC - 0.5)^3 + 0.60225): Naumann et al., Journal of Energy
    Storage 17 (2018) 153. A year at 25 C and half charge costs 4.3%.

    >>> round(calendar_rate_pu(25.0, 50.0) * math.sqrt(365.25 * 86400.0), 4)
    0.0425
    """
    arrhenius = math.exp(-17126.0 / GAS_J_PER_MOL_K * (1.0 / (temp_c + KELVIN) - 1.0 / 298.15))
    half = soc_pct / 100.0 - 0.5
    return float(1.2571e-5 * arrhenius * (2.8575 * half**3 + 0.60225))


@njit(cache=True)
def calendar_loss_pu(lost_pu: float, seconds: float, temp_c: float, soc_pct: float) -> float:
    """Capacity lost by age after `seconds` more, from `lost_pu` already lost: sqrt(q^2 + k^2 t).

    Keeps the square-root law when temperature and SoC change on the way.
    """
    rate = calendar_rate_pu(temp_c, soc_pct)
    return math.sqrt(lost_pu * lost_pu + rate * rate * seconds)


WANG_C = np.array([0.5, 2.0, 6.0, 10.0])
WANG_B = np.array([31630.0, 21681.0, 12934.0, 15512.0])
WANG_CELL_AH = 2.0
"""Capacity of the cell whose ampere-hours the law counts."""


@njit(cache=True)
def cycle_rate_pu(c_rate: float, temp_c: float) -> float:
    """Capacity lost by (full discharges)^0.55 of an LFP cell.

    Q% = B exp(-(31700 - 370.3 C) / (R T)) Ah^0.55 with B = 31630, 21681, 12934, 15512 at C/2, 2C, 6C, 10C, Ah being
    what a 2 Ah cell has discharged: Wang et al., Journal of Power Sources 196 (2011) 3942. ln B is interpolated;
    below C/2 the C/2 figure holds (all that was measured).

    >>> round(cycle_rate_pu(0.5, 25.0) * 3000.0**0.55, 3)
    0.114
    """
    rate = min(max(c_rate, WANG_C[0]), WANG_C[-1])
    factor = math.exp(np.interp(rate, WANG_C, np.log(WANG_B)))
    arrhenius = math.exp(-(31700.0 - 370.3 * rate) / (GAS_J_PER_MOL_K * (temp_c + KELVIN)))
    return float(0.01 * factor * arrhenius * WANG_CELL_AH**0.55)


@njit(cache=True)
def cycle_loss_pu(lost_pu: float, full_discharges: float, c_rate: float, temp_c: float) -> float:
    """Capacity lost by use after more discharges, from `lost_pu` already lost; the power law goes on from there."""
    rate = cycle_rate_pu(c_rate, temp_c)
    before = (lost_pu / rate) ** (1.0 / 0.55)
    return float(rate * (before + full_discharges) ** 0.55)


@dataclass(frozen=True)
class HalfCycle:
    """One half of a closed cycle, or a residual range."""

    depth_pct: float
    mean_pct: float
    weight: float
    """0.5 for a half cycle, 1.0 for a closed one."""
    steps: int
    """Samples it lasted."""


def rainflow(soc_pct: Sequence[float] | FloatArray) -> list[HalfCycle]:
    """Cycles of a SoC series by the three-point rainflow count (ASTM E1049-85, 5.4.4).

    >>> [(c.depth_pct, c.weight) for c in rainflow([0, 60, 20, 80, 0])]
    [(40.0, 1.0), (80.0, 0.5), (80.0, 0.5)]
    """
    open_points: list[tuple[int, float]] = []
    counted: list[HalfCycle] = []
    for point in _turning_points(soc_pct):
        open_points.append(point)
        while len(open_points) >= 3:
            (i0, x0), (i1, x1), (_, x2) = open_points[-3:]
            if abs(x2 - x1) < abs(x1 - x0):
                break
            if len(open_points) == 3:
                counted.append(_cycle(i0, x0, i1, x1, 0.5))
                open_points.pop(0)
            else:
                counted.append(_cycle(i0, x0, i1, x1, 1.0))
                del open_points[-3:-1]
    for (i0, x0), (i1, x1) in pairwise(open_points):
        counted.append(_cycle(i0, x0, i1, x1, 0.5))
    return counted


def _cycle(i0: int, x0: float, i1: int, x1: float, weight: float) -> HalfCycle:
    return HalfCycle(abs(x1 - x0), 0.5 * (x0 + x1), weight, i1 - i0)


def _turning_points(series: Iterable[float]) -> list[tuple[int, float]]:
    """First, last, and every sample at which the direction turns, with its index."""
    kept: list[tuple[int, float]] = []
    for index, raw in enumerate(series):
        value = float(raw)
        if kept and value == kept[-1][1]:
            continue
        if len(kept) >= 2 and (kept[-1][1] - kept[-2][1]) * (value - kept[-1][1]) > 0.0:
            kept[-1] = (index, value)
        else:
            kept.append((index, value))
    return kept


@dataclass(frozen=True)
class Health:
    """What ageing has taken, as shares of the capacity when new."""

    calendar_pu: float = 0.0
    cycle_pu: float = 0.0

    @property
    def soh_pu(self) -> float:
        """Capacity left. Calendar and cycle losses add (Schmalstieg et al. 2014, Naumann et al. 2020)."""
        return max(1.0 - self.calendar_pu - self.cycle_pu, 0.0)

    def aged(self, soc_pct: Sequence[float] | FloatArray, step_s: float, temp_c: float) -> Health:
        """Health after a SoC series with `step_s` between samples at a cell temperature.

        Age goes by time at the mean SoC; use by the rainflow cycles, each at the C-rate at which it was run.
        Raises UsageError for a series that is empty, not finite or outside 0 to 100.
        """
        series = np.asarray(soc_pct, dtype=float)
        if series.size < 2 or not np.isfinite(series).all() or series.min() < 0.0 or series.max() > 100.0:
            raise UsageError(
                "a state of charge series needs two or more finite values of 0 to 100",
                remedy="Check the series",
            )
        calendar = calendar_loss_pu(
            self.calendar_pu, step_s * (series.size - 1), temp_c, float(series.mean())
        )
        cycle = self.cycle_pu
        for one in rainflow(series):
            hours = one.steps * step_s / 3600.0
            c_rate = one.depth_pct / 100.0 / hours
            cycle = cycle_loss_pu(cycle, one.weight * one.depth_pct / 100.0, c_rate, temp_c)
        return Health(calendar, cycle)


def health_at_age(
    years: float, temp_c: float, *, soc_pct: float = 50.0, cycles_per_day: float = 0.5
) -> Health:
    """Health of a battery so many years old, from a mean SoC and full cycles a day at C/2.

    >>> round(health_at_age(10.0, 25.0).soh_pu, 3)
    0.779
    """
    if years <= 0.0:
        return Health()
    calendar = calendar_loss_pu(0.0, years * 365.25 * 86400.0, temp_c, soc_pct)
    cycles = years * 365.25 * cycles_per_day
    return Health(calendar, cycle_loss_pu(0.0, cycles, 0.5, temp_c) if cycles > 0.0 else 0.0)


@dataclass(frozen=True)
class Ess:
    """A battery as it is now: its rating, health, cell spread and whether the PCS runs."""

    spec: EssSpec
    health: Health = Health()
    cell_spread_pct: float = 0.0
    pcs_ready: bool = True

    @property
    def vector(self) -> FloatArray:
        """For `ess_step` and `runtime_s`."""
        return ess_coefficients(
            self.spec,
            soh_pu=self.health.soh_pu,
            cell_spread_pct=self.cell_spread_pct,
            pcs_ready=self.pcs_ready,
        )

    def step(self, soc_pct: float, setpoint_kw: float, seconds: float) -> tuple[float, float, float]:
        """As `ess_step`. Raises UsageError for a SoC outside 0 to 100 or a setpoint that is not finite."""
        if not 0.0 <= soc_pct <= 100.0 or not math.isfinite(setpoint_kw):
            raise UsageError(
                f"SoC {soc_pct} % with setpoint {setpoint_kw} kW cannot be stepped",
                remedy="Give a SoC of 0 to 100 and a finite setpoint",
            )
        after, power_kw, loss_kw = ess_step(soc_pct, setpoint_kw, seconds, self.vector)
        return float(after), float(power_kw), float(loss_kw)
