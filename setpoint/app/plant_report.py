"""The HTML report of a run, or of two runs side by side: one file, no script, nothing from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from plant.run import FloatArray, PoolServed, Run
from setpoint.app.charts import Chart, Line, Mark, clock, draw, figure
from setpoint.app.still_page import render_still, write_still

MOST_LINES = 5
"""More lines than that on one chart cannot be told apart: then the extremes and the median are drawn."""


class Section:
    """Charts that belong together."""

    def __init__(self, name: str, why: str, charts: Sequence[Markup]) -> None:
        self.name, self.why, self.charts = name, why, charts


def write_report(path: Path, run: Run, limits: Mapping[str, float], other: Run | None = None) -> None:
    """Write the page. `other` is the same run without its changes. Raises BackendError where it cannot be written."""
    write_still(path, render(run, limits, other))


def render(run: Run, limits: Mapping[str, float], other: Run | None = None) -> str:
    """The page as text."""
    shown = {
        "run": run,
        "other": other,
        "rows": compared(run, other) if other else [],
        "pools": pool_rows(run),
        "sections": _sections(run, limits, other),
    }
    filters = {
        "number": number,
        "percent": lambda v: f"{v:.1%}" if math.isfinite(v) else "none",
        "clock": clock,
        "moved": lambda pair: moved(*pair),
    }
    return render_still("plant.html.j2", ("parts.css", "report.css", "plant.css"), shown, filters=filters)


def number(value: float) -> str:
    """Four figures, thousands apart.

    >>> number(12345.6), number(0.12345), number(float("nan"))
    ('12,346', '0.1235', 'none')
    """
    return figure(value) if math.isfinite(value) else "none"


def moved(old: float, new: float) -> str:
    """Change in per cent; empty where it cannot be told.

    >>> moved(8.0, 10.0), moved(0.0, 1.0)
    ('+25.0 %', '')
    """
    if not (old and math.isfinite(old) and math.isfinite(new)):
        return ""
    return f"{100 * (new - old) / abs(old):+.1f} %"


def pool_rows(run: Run) -> list[tuple[str, str, list[str]]]:
    """(what, unit, a cell of each pool): many figures of few pools read better downwards."""

    def share(value: float) -> str:
        return f"{100 * value:.1f}" if math.isfinite(value) else "none"

    shown: list[tuple[str, str, Callable[[PoolServed], str]]] = [
        ("model", "", lambda p: p.model), ("accelerator", "", lambda p: p.gpu),
        ("instances", "", lambda p: number(p.instances)), ("requests arrived", "", lambda p: number(p.arrived)),
        ("finished", "", lambda p: number(p.completed)), ("still queued or running", "", lambda p: number(p.unfinished)),
        ("rejected", "", lambda p: number(p.rejected)),
        ("TTFT p50 / p99", "ms", lambda p: f"{number(p.ttft_p50_ms)} / {number(p.ttft_p99_ms)}"),
        ("TPOT p50 / p99", "ms", lambda p: f"{number(p.tpot_p50_ms)} / {number(p.tpot_p99_ms)}"),
        ("whole answer p50 / p99", "s", lambda p: f"{number(p.e2e_p50_s)} / {number(p.e2e_p99_s)}"),
        ("SLO of TTFT / TPOT", "ms", lambda p: f"{number(p.ttft_slo_ms)} / {number(p.tpot_slo_ms)}"),
        ("both SLOs met", "%", lambda p: share(p.attained_pu)),
        ("output", "tokens/s", lambda p: number(p.output_tokens_per_s)),
        ("KV cache, peak / waste", "%", lambda p: f"{share(p.kv_peak_pu)} / {share(p.kv_waste_pu)}"),
        ("preempted", "", lambda p: number(p.preemptions)),
        ("swapped / recomputed", "", lambda p: f"{number(p.swaps)} / {number(p.recomputes)}"),
        ("energy of its accelerators", "kWh", lambda p: number(p.energy_kwh)),
    ]  # fmt: skip
    return [(what, unit, [cell(pool) for pool in run.pools]) for what, unit, cell in shown]


def compared(run: Run, other: Run) -> list[tuple[str, str, float, float]]:
    """(what, unit, without, with) of every total and of each pool's service."""
    rows = [
        (words, unit, getattr(other.totals, name), getattr(run.totals, name))
        for name, words, unit in (
            ("facility_kwh", "facility energy", "kWh"), ("it_kwh", "IT energy", "kWh"), ("grid_kwh", "grid energy", "kWh"),
            ("peak_kw", "peak draw", "kW"),
            ("pue", "PUE", ""), ("output_tokens", "output tokens", ""),
            ("wh_per_1k_tokens", "energy per 1,000 tokens", "Wh"), ("carbon_g_per_1k_tokens", "carbon per 1,000 tokens", "g"),
            ("energy_cost", "energy cost", run.totals.currency),
        )
    ]  # fmt: skip
    before = {pool.name: pool for pool in other.pools}
    for pool in run.pools:
        rows += [
            (
                f"{pool.name}: {words}",
                unit,
                float(getattr(before[pool.name], name)),
                float(getattr(pool, name)),
            )
            for name, words, unit in _SERVED
        ]
    for metric, words, unit, pick in _EXTREMES:
        values, old = list(run.metric(metric).values()), list(other.metric(metric).values())
        if values and old:
            rows.append((words, unit, pick(old), pick(values)))
    return rows


_SERVED = (
    ("ttft_p50_ms", "TTFT p50", "ms"), ("ttft_p99_ms", "TTFT p99", "ms"), ("tpot_p50_ms", "TPOT p50", "ms"),
    ("tpot_p99_ms", "TPOT p99", "ms"), ("attained_pu", "both SLOs met", "share"), ("completed", "requests completed", ""),
    ("preemptions", "preemptions", ""), ("energy_kwh", "energy of its GPUs", "kWh"),
)  # fmt: skip


def _highest(many: Sequence[FloatArray]) -> float:
    """Over the last quarter of the run: its beginning still has the heat of before."""
    return float(max(np.nanmax(values[-max(1, len(values) // 4) :]) for values in many))


def _mean(many: Sequence[FloatArray]) -> float:
    return float(np.nanmean(np.vstack(many)))


_EXTREMES = (
    ("gpu_temp_c", "hottest GPU, last quarter", "C", _highest),
    ("return_temp_c", "warmest coolant return, last quarter", "C", _highest),
    ("cooling_kw", "cooling power, mean", "kW", _mean),
    ("queue", "requests waiting, mean", "", _mean),
)


def _sections(run: Run, limits: Mapping[str, float], other: Run | None) -> list[Section]:
    marks = [Mark(one.at_s, f"{one.what} {one.asset}".strip()) for one in run.happened]
    made = []
    for name, why, specs in SECTIONS:
        charts = [
            draw(chart, run.time_s, marks)
            for spec in _apart(run, specs)
            if (chart := _chart(run, other, limits, *spec)) is not None
        ]
        if charts:
            made.append(Section(name, why, charts))
    return made


Spec = tuple[str, str, tuple[tuple[str, str], ...], tuple[str, ...], bool]
"""Title, unit, (metric, name) of its lines, limits of the site to show, whether the axis starts at zero."""
SECTIONS: tuple[tuple[str, str, tuple[Spec, ...]], ...] = (
    ("Service", "What a user waits for, and what stands in the queue.", (
        ("Time to first token", "ms", (("ttft_p50_ms", "p50"), ("ttft_p99_ms", "p99")), ("ttft_slo_ms",), True),
        ("Time per output token", "ms", (("tpot_p50_ms", "p50"), ("tpot_p99_ms", "p99")), ("tpot_slo_ms",), True),
        ("Requests waiting", "", (("queue", "waiting"),), (), True),
        ("Requests in the batch", "", (("running", "running"),), (), True),
        ("KV cache in use", "%", (("kv_use_pct", "KV"),), ("kv_use_max_pct",), True),
        ("Tokens", "/s", (("prefill_tokens_per_s", "prompt"), ("decode_tokens_per_s", "output")), (), True),
    )),
    ("Accelerators", "Prefill drives power to its spikes, decode holds the plateau; heat follows power with a lag.", (
        ("GPU power, of a pool", "W", (("gpu_power_w", "mean"), ("gpu_peak_w", "peak")), (), True),
        ("SM clock, lowest of a pool", "MHz", (("clock_mhz", "clock"),), (), False),
        ("GPU temperature, hottest", "C", (("gpu_temp_c", ""),), ("gpu_temp_max_c",), False),
    )),
    ("Racks and cooling", "Coolant carries most of the heat; the loop lags power by one to five minutes.", (
        ("Rack power", "kW", (("rack_kw", ""),), (), True),
        ("Rack inlet air", "C", (("inlet_temp_c", ""),), ("rack_inlet_max_c",), False),
        ("CDU supply and return", "C", (("supply_temp_c", "supply"), ("return_temp_c", "return")), ("supply_temp_max_c",), False),
        ("CDU flow", "L/min", (("flow_lpm", ""),), ("flow_min_lpm", "flow_max_lpm"), False),
        ("Cooling power", "kW", (("cooling_kw", "cooling"),), (), True),
    )),
    ("Power and storage", "From the racks to the grid.", (
        ("Draw", "kW", (("grid_kw", "grid"), ("facility_kw", "facility"), ("it_kw", "IT")), ("site_power_max_kw",), True),
        ("PUE", "", (("pue", "PUE"),), (), False),
        ("Storage power, positive when it discharges", "kW", (("ess_kw", ""),), (), False),
        ("State of charge", "%", (("soc_pct", ""),), ("soc_min_pct", "soc_max_pct"), True),
        ("Energy per 1,000 output tokens, of the nodes that serve", "Wh", (("wh_per_1k_tokens", "energy"),), (), True),
        ("Carbon per 1,000 output tokens, of the nodes that serve", "g", (("carbon_g_per_1k_tokens", "carbon"),), (), True),
    )),
)  # fmt: skip


def _apart(run: Run, specs: Sequence[Spec]) -> list[Spec]:
    """A chart of several quantities of several assets becomes one for each quantity: a colour is an asset there."""
    made: list[Spec] = []
    for title, unit, metrics, shown, from_zero in specs:
        if len(metrics) > 1 and len(run.metric(metrics[0][0])) > 2:
            made += [
                (f"{title}, {name}", unit, ((metric, ""),), shown, from_zero) for metric, name in metrics
            ]
        else:
            made.append((title, unit, metrics, shown, from_zero))
    return made


def _limit_named(name: str, value: float) -> str:
    """As a label: `ttft_slo_ms` at 500 is `TTFT SLO 500`; the unit stands at the axis.

    >>> _limit_named("ttft_slo_ms", 500.0), _limit_named("supply_temp_max_c", 40.0)
    ('TTFT SLO 500', 'supply temp max 40')
    """
    words = [word for word in name.split("_") if word not in ("ms", "c", "pct", "lpm", "kw")]
    upper = [word.upper() if word in ("ttft", "tpot", "slo", "gpu", "soc", "kv") else word for word in words]
    return f"{' '.join(upper)} {value:g}"


def _chart(
    run: Run, other: Run | None, limits: Mapping[str, float], title: str, unit: str,
    metrics: tuple[tuple[str, str], ...], shown: tuple[str, ...], from_zero: bool,
) -> Chart | None:  # fmt: skip
    """None where the run has no such series."""
    lines: list[Line] = []
    for metric, told in metrics:
        found = run.metric(metric)
        name = told if len(metrics) > 1 or len(found) == 1 else ""
        lines += _lines(found, name)
        if other and len(lines) == len(found) == 1:
            lines += [Line(f"{one.name} without", one.values) for one in _lines(other.metric(metric), name)]
    if not lines:
        return None
    wanted = tuple((_limit_named(name, limits[name]), limits[name]) for name in shown if name in limits)
    return Chart(title, unit, tuple(lines[:6]), wanted, from_zero)


def _lines(found: Mapping[str, FloatArray], name: str) -> list[Line]:
    """One line an asset; of many assets the highest, the median and the lowest at each moment."""
    if len(found) <= MOST_LINES:
        return [Line(" ".join(part for part in (asset if len(found) > 1 or not name else "", name) if part), values)
                for asset, values in found.items()]  # fmt: skip
    stack = np.vstack(list(found.values()))
    prefix = f"{name} " if name else ""
    return [
        Line(f"{prefix}highest of {len(found)}", np.max(stack, axis=0)),
        Line(f"{prefix}median", np.median(stack, axis=0)),
        Line(f"{prefix}lowest", np.min(stack, axis=0)),
    ]
