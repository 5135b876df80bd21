"""What a site's days came to: energy, bill, peak, carbon, heat and service, added up as time passes."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from plant.power.tariff import HOURS_A_MONTH
from plant.site import Site
from tools.loops.days_history import HOTTEST, SITE, STEP_S, DaysHistory

FloatArray = NDArray[np.float64]
QUARTER_S = 900.0
"""Demand is billed by the mean of a quarter of an hour of the clock."""
SLO_MS = 500.0
"""Time to first token of a pool whose file gives none."""


class DemandMeter:
    """The utility's meter: means of quarters of an hour of the clock, and the highest of each calendar month."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._quarter, self._kws, self._seconds = -1, 0.0, 0.0
        self.by_month: dict[str, float] = {}
        """kW, by "2026-03"."""

    def add(self, grid_kw: FloatArray, last: datetime) -> float:
        """Draws ten seconds each, the last at that moment; returns the mean of a quarter that ends with them, else 0."""
        quarter = int((last.timestamp() - 1e-3) // QUARTER_S)
        if quarter != self._quarter:
            self._quarter, self._kws, self._seconds = quarter, 0.0, 0.0
        self._kws += float(grid_kw.sum()) * STEP_S
        self._seconds += STEP_S * len(grid_kw)
        if self._seconds < QUARTER_S - 1e-6:
            return 0.0
        mean, month = self._kws / self._seconds, self.month(last)
        self.by_month[month] = max(self.by_month.get(month, 0.0), mean)
        return mean

    def month(self, last: datetime) -> str:
        """That what ends at this moment counts for."""
        return f"{(last - timedelta(microseconds=1)).astimezone(self._zone):%Y-%m}"


class Meters:
    """Adds up rows of `DaysHistory`, ten seconds each. `demand` has run since before the first of them."""

    def __init__(self, site: Site, history: DaysHistory, demand: DemandMeter) -> None:
        self._site, self._tariff, self._demand = site, site.tariff, demand
        place = history.places
        self._totals = {
            name: place[SITE, name] for name in ("grid_kw", "it_kw", "cooling_kw", "ess_kw", HOTTEST)
        }
        kinds = {asset.name: asset.kind for asset in site.assets}
        self._parts = {
            name: np.array([k for k, (asset, metric) in enumerate(history.keys)
                            if metric == "power_kw" and kinds.get(asset) == kind], np.int64)
            for name, kind in (("pump_kwh", "pump"), ("fan_kwh", "crah"), ("chiller_kwh", "chiller"))
        }  # fmt: skip
        serving = {node for pool in site.pools for node in pool.nodes}
        self._parts["serving_kwh"] = np.array(
            [
                k
                for k, (asset, metric) in enumerate(history.keys)
                if metric == "power_kw" and asset in serving
            ],
            np.int64,
        )
        self._inlets = history.columns("inlet_temp_c")
        limit_ms = site.limits.get("ttft_slo_ms", SLO_MS)
        slo = {pool.name: pool.ttft_slo_ms for pool in site.pools}
        self._pools = [asset for asset, metric in history.keys if metric == "arrival_rps"]
        self._arrivals = history.columns("arrival_rps")
        self._ttft = history.columns("ttft_ms")
        self._slo_ms = np.array([slo.get(pool, limit_ms) for pool in self._pools])
        self._limit_c = site.limits.get("gpu_temp_max_c", np.inf)
        self._sum = dict.fromkeys(
            ("seconds", "grid_kwh", "it_kwh", "cooling_kwh", *self._parts, "ess_out_kwh", "ess_in_kwh", "energy_cost",
             "carbon_kg", "requests", "requests_late", "gpu_over_limit_s"), 0.0,
        )  # fmt: skip
        self._late_s = np.zeros(len(self._pools))
        self._hottest_c = self._inlet_c = -np.inf
        self._peak_kw = 0.0
        self._month_h: dict[str, float] = {}

    def add(self, rows: FloatArray, last: datetime, quarter_kw: float) -> None:
        """Rows of one minute or less, the last at that moment; the quarter of an hour that ends with them, else 0."""
        hours, add = STEP_S / 3600.0, self._sum
        totals = {name: rows[:, place] for name, place in self._totals.items()}
        kwh = float(totals["grid_kw"].sum()) * hours
        add["seconds"] += STEP_S * len(rows)
        add["grid_kwh"] += kwh
        add["it_kwh"] += float(totals["it_kw"].sum()) * hours
        add["cooling_kwh"] += float(totals["cooling_kw"].sum()) * hours
        add["ess_out_kwh"] += float(np.maximum(totals["ess_kw"], 0.0).sum()) * hours
        add["ess_in_kwh"] += float(np.maximum(-totals["ess_kw"], 0.0).sum()) * hours
        for name, places in self._parts.items():
            add[name] += float(rows[:, places].sum()) * hours
        self._bill(totals["grid_kw"], kwh, last)
        self._peak_kw = max(self._peak_kw, quarter_kw)
        self._heat(rows, totals[HOTTEST])
        self._serve(rows)

    def _bill(self, grid_kw: FloatArray, kwh: float, last: datetime) -> None:
        local = last.astimezone(self._site.zone)
        hour = local.hour + local.minute / 60 - 1e-6
        price = self._tariff.price_at(hour) if kwh >= 0 else self._tariff.export_price_per_kwh
        self._sum["energy_cost"] += kwh * price
        self._sum["carbon_kg"] += max(kwh, 0.0) * self._tariff.carbon_g_per_kwh / 1000.0
        month = self._demand.month(last)
        self._month_h[month] = self._month_h.get(month, 0.0) + STEP_S * len(grid_kw) / 3600.0

    def _heat(self, rows: FloatArray, hottest_c: FloatArray) -> None:
        self._hottest_c = max(self._hottest_c, float(hottest_c.max()))
        self._sum["gpu_over_limit_s"] += STEP_S * float((hottest_c > self._limit_c + 0.05).sum())
        if len(self._inlets):
            self._inlet_c = max(self._inlet_c, float(rows[:, self._inlets].max()))

    def _serve(self, rows: FloatArray) -> None:
        arrived = rows[:, self._arrivals] * STEP_S
        late = rows[:, self._ttft] > self._slo_ms
        self._sum["requests"] += float(arrived.sum())
        self._sum["requests_late"] += float(arrived[late].sum())
        self._late_s += STEP_S * late.sum(axis=0)

    def read(self) -> dict[str, float]:
        """By name, unit at the end. Money in the tariff's currency. Demand is charged by the highest quarter of an hour of
        the calendar month, days before the first one counted in, for the share of the month that the time stands for. A
        quarter that is not over counts for no peak."""
        add = self._sum
        hours = add["seconds"] / 3600.0
        kw_months = sum(
            self._demand.by_month.get(name, 0.0) * h / HOURS_A_MONTH for name, h in self._month_h.items()
        )
        demand = self._tariff.demand_per_kw_month * kw_months
        found = {name: value for name, value in add.items() if name not in ("seconds", "requests_late")}
        return found | {
            "hours": hours, "peak_kw": self._peak_kw, "billed_kw": kw_months * HOURS_A_MONTH / hours if hours else 0.0,
            "demand_cost": demand, "bill": add["energy_cost"] + demand,
            "hottest_gpu_c": self._hottest_c, "rack_inlet_max_c": self._inlet_c,
            "slo_late_s": float(self._late_s.sum()),
            "slo_late_share": add["requests_late"] / add["requests"] if add["requests"] else 0.0,
            **{f"slo_late_s.{pool}": float(late) for pool, late in zip(self._pools, self._late_s, strict=True)},
        }  # fmt: skip
