"""What a run of a site gives: series over plant time, what each pool served, and the totals that are paid for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PoolServed:
    """What one pool did over the run. Percentiles are over requests that finished; NaN where none did."""

    name: str
    model: str
    gpu: str
    instances: int
    arrived: int
    completed: int
    rejected: int
    """Longer than the engine admits, or than its cache can ever hold."""
    unfinished: int
    """Still queued or running when the run ended."""
    ttft_p50_ms: float
    ttft_p99_ms: float
    tpot_p50_ms: float
    tpot_p99_ms: float
    e2e_p50_s: float
    e2e_p99_s: float
    ttft_slo_ms: float
    tpot_slo_ms: float
    attained_pu: float
    """Share of all that arrived and should have finished which met both SLOs."""
    prompt_tokens: int
    output_tokens: int
    output_tokens_per_s: float
    preemptions: int
    swaps: int
    recomputes: int
    kv_peak_pu: float
    kv_waste_pu: float
    """Share of allocated cache slots that hold no token."""
    energy_kwh: float
    """Of its accelerators alone."""


@dataclass(frozen=True)
class Totals:
    """What the whole site drew, cost and gave off, over the run."""

    seconds: float
    it_kwh: float
    facility_kwh: float
    """IT, cooling, losses and lights, whatever fed them."""
    grid_kwh: float
    """Facility less what storage and UPS batteries gave, plus what they took."""
    pue: float
    peak_kw: float
    """Highest mean over a quarter of an hour, or over the run where it is shorter."""
    carbon_kg: float
    """Of what was bought from the grid."""
    energy_cost: float
    demand_cost_month: float
    """What this peak costs where it is the month's highest."""
    currency: str
    output_tokens: int
    wh_per_1k_tokens: float
    """Energy for 1,000 output tokens: of the nodes that serve, with their share of losses and cooling by node power,
    whether it came from the grid or from storage. NaN without tokens."""
    carbon_g_per_1k_tokens: float
    """That energy at the tariff's intensity: what storage gives was bought at the same."""


@dataclass(frozen=True)
class Happened:
    """Something worth a mark on the plots."""

    at_s: float
    what: str
    asset: str = ""


@dataclass(frozen=True)
class Run:
    """One run. `series` holds arrays of the length of `time_s`, by metric (unit in its name) and asset."""

    site: str
    start: datetime
    step_s: float
    time_s: FloatArray
    series: Mapping[tuple[str, str], FloatArray]
    pools: tuple[PoolServed, ...]
    totals: Totals
    happened: tuple[Happened, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader should know before trusting it."""
    changes: tuple[str, ...] = field(default_factory=tuple)

    def metric(self, name: str) -> dict[str, FloatArray]:
        """All series of one metric by asset."""
        return {asset: values for (metric, asset), values in self.series.items() if metric == name}

    def assets(self) -> list[str]:
        return list(dict.fromkeys(asset for _, asset in self.series))

    def to_dict(self, most_points: int = 720) -> dict[str, Any]:
        """Plain values for JSON. Series are means over equal spans where there are more points than asked for;
        what is not finite is null."""
        every = max(1, -(-len(self.time_s) // most_points))
        return {
            "site": self.site,
            "start": self.start.isoformat(),
            "step_s": self.step_s * every,
            "totals": _plain(asdict(self.totals)),
            "pools": [_plain(asdict(pool)) for pool in self.pools],
            "changes": list(self.changes),
            "happened": [_plain(asdict(one)) for one in self.happened],
            "notes": list(self.notes),
            "time_s": [round(float(v), 3) for v in self.time_s[::every]],
            "series": [
                {"metric": metric, "asset": asset, "values": _plain_list(_means(values, every))}
                for (metric, asset), values in self.series.items()
            ],
        }


def _means(values: FloatArray, every: int) -> FloatArray:
    """Means over spans of `every` points, holes left out; NaN where a span holds nothing."""
    if every == 1:
        return values
    padded = np.full(-(-len(values) // every) * every, np.nan)
    padded[: len(values)] = values
    spans = padded.reshape(-1, every)
    known = np.isfinite(spans)
    sums, counts = np.where(known, spans, 0.0).sum(axis=1), known.sum(axis=1)
    means: FloatArray = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return means


def _plain_list(values: FloatArray) -> list[float | None]:
    return [round(float(v), 4) if np.isfinite(v) else None for v in values]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(v, float) and not np.isfinite(v) else v for key, v in values.items()}
