"""What the three managers save, on public request rates, against fleets without them.

    python -m plant.control.energy.bench [--days 14] [--tight] [--judge-hours 12] [--data FOLDER] [--json]

Baselines: "static" is a fleet provisioned for the highest rate of all days in one pool at full clock; "hourly" is one
pool at full clock that is sized anew each hour from the last rate, with the same rule of headroom; "hourly, P99" is
sized so with a fixed margin, the least of a list that, in hindsight, keeps P99 over these days. All take the tensor
parallelism that suits them best. Charged to all: rest power of what runs, boot and weight load, hosts, the drain of
what is stopped. The quantile that is provided for is chosen on the first days; the other days are shown apart.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plant.control.energy.fleet import STANDBY_KW, Books, Policy, Pool, run
from plant.control.energy.judge import Judged, check, hours_of, judge_hour
from plant.control.energy.lengths import AnswerPredictor
from plant.control.energy.profile import LATE_PU
from plant.control.energy.study import (
    HORIZON_STEPS,
    Series,
    Setting,
    Study,
    data_folder,
    read_series,
    with_margin,
)
from plant.power.tariff import carbon_kg
from setpoint.errors import SetpointError

FloatArray = NDArray[np.float64]
TUNED_DAYS, QUANTILES = 4.0, (0.9, 0.95, 0.98, 0.99)
TUNED_LATE_PU = LATE_PU / 2
"""On the days it is chosen on: half of what the objective allows, since other days may be worse."""
MARGINS_PU = (0.3, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
RESAMPLES, SEED = 2000, 5
TIGHT_TTFT_S = (0.25, 0.4, 2.0)
"""DynamoLLM's deadlines."""
OURS = "all three"
ORDER = ("static", "hourly", "hourly, P99", "cluster", "queue", "instance", "cluster + queue", "cluster + instance",
         "queue + instance", OURS, "oracle")  # fmt: skip


def chosen_quantile(series: Series, setting: Setting) -> float:
    """The smallest quantile with which the managers keep TUNED_LATE_PU on the first days."""
    steps = round(TUNED_DAYS * 86400.0 / series.step_s)
    first = replace(series, rates_rps=series.rates_rps[:steps])
    for quantile in QUANTILES:
        study = Study(first, replace(setting, quantile=quantile))
        pools, policy = study.parted, Policy(OURS, study.forecast, clocked=True, emergency=True)
        books = run(pools, policy, first.rates_rps, first.step_s, study.nodes, setting.off)
        if books.late_pu <= TUNED_LATE_PU:
            return quantile
    return QUANTILES[-1]


def hourly_that_keeps(study: Study) -> tuple[Policy, float]:
    """The hourly scaler with the least fixed margin that keeps the objective over these very days; that margin."""
    s = study.series
    for margin in MARGINS_PU:
        policy = Policy("hourly, P99", with_margin(s.rates_rps, HORIZON_STEPS, margin), every_steps=6)
        books = run(study.single, policy, s.rates_rps, s.step_s, study.nodes, study.setting.off)
        if books.late_pu <= LATE_PU:
            break
    return policy, margin


def measure(days: float, folder: Path | None, tight: bool, judge_hours: int) -> dict[str, Any]:
    """Everything the bench shows, as plain values."""
    began = time.process_time()
    series = read_series(data_folder(folder), days)
    setting = Setting(ttft_s=TIGHT_TTFT_S) if tight else Setting()
    setting = replace(setting, quantile=chosen_quantile(series, setting))
    study = Study(series, setting)
    policies = study.policies()
    kept, kept_margin = hourly_that_keeps(study)
    policies["hourly, P99"] = (study.single, kept)
    books = {name: _books(study, *policies[name]) for name in ORDER}
    idle_study = Study(series, replace(setting, off="idle"))
    idle = {name: _books(idle_study, *policies[name]) for name in ("static", "hourly", OURS)}
    return {
        "setting": _plain(setting),
        "days": len(series.rates_rps) * series.step_s / 86400.0, "nodes": study.nodes,
        "partitions": [{"pools": [p.name for p in pools], "kw": kw} for kw, pools in study.partitions],
        "pools": {"one": _shapes(study.single), "parted": _shapes(study.parted)},
        "hourly_margin": kept_margin,
        "lengths": _lengths(study),
        "profile": [asdict(c) | {"pool": pool.name} for pool in (*study.single, *study.parted) for c in _checks(study, pool)],
        "rows": [_row(name, books, study, STANDBY_KW) for name in ORDER],
        "idle_rows": [_row(name, idle, idle_study, study.parted[0].idle_kw / study.parted[0].host_share) for name in idle],
        "later_days": _later(books, study),
        "carbon": {name: _carbon(study, books[name]) for name in ("static", "hourly", OURS)},
        "judged": [asdict(j) for j in _judged(study, policies, books, judge_hours)],
        "cpu_s": time.process_time() - began,
    }  # fmt: skip


def _plain(setting: Setting) -> dict[str, Any]:
    return {"model": setting.model, "gpu": setting.gpu, "tps": setting.tps, "ttft_s": setting.ttft_s,
            "tpot_s": setting.tpot_s, "quantile": setting.quantile}  # fmt: skip


def _books(study: Study, pools: Sequence[Pool], policy: Policy) -> Books:
    s = study.series
    return run(pools, policy, s.rates_rps, s.step_s, study.nodes, study.setting.off)


def _shapes(pools: Sequence[Pool]) -> list[dict[str, Any]]:
    return [
        {"name": p.name, "tp": p.deployment.tp, "share": p.share, "rps": p.tables[-1].capacity_rps}
        for p in pools
    ]


def _lengths(study: Study) -> dict[str, float]:
    """Accuracy of the answer's class on the second half of the trace, taught by the first."""
    trace = study.series.trace
    half = len(trace) // 2
    taught = AnswerPredictor.fit(trace.prompt_tokens[:half], trace.output_tokens[:half])
    later = (trace.prompt_tokens[half:], trace.output_tokens[half:])
    usual = AnswerPredictor.fit(trace.prompt_tokens[:half] * 0 + 1, trace.output_tokens[:half])
    return {
        "predicted": taught.accuracy(*later),
        "most frequent class": usual.accuracy(later[0] * 0 + 1, later[1]),
    }


def _checks(study: Study, pool: Pool) -> list[Any]:
    return check(pool, study.series.trace)


def _row(name: str, books: Mapping[str, Books], study: Study, off_kw: float) -> dict[str, Any]:
    step_s = study.series.step_s
    mine = books[name].energy_kwh(step_s, off_kw)
    per_day = round(86400.0 / step_s)
    against = {
        base: saving(mine, books[base].energy_kwh(step_s, off_kw), per_day)
        for base in ("static", "hourly", "hourly, P99") if base in books
    }  # fmt: skip
    return {
        "name": name, "mwh": float(mine.sum()) / 1e3, "against": against, "late_pu": books[name].late_pu,
        "gpu_hours": float(books[name].gpu_hours.sum()), "starts": books[name].starts,
    }  # fmt: skip


def saving(mine: FloatArray, base: FloatArray, block: int) -> tuple[float, float, float]:
    """Share saved, and its 90 % interval by resampling whole days (Kuensch, Ann. Statist. 17, 1989).

    >>> saving(np.full(20, 1.0), np.full(20, 2.0), 10)
    (0.5, 0.5, 0.5)
    """
    days = max(1, len(mine) // block)
    a, b = (np.array([part.sum() for part in np.array_split(x, days)]) for x in (mine, base))
    drawn = np.random.default_rng(SEED).integers(0, days, (RESAMPLES, days))
    found = 1.0 - a[drawn].sum(axis=1) / b[drawn].sum(axis=1)
    low, high = np.quantile(found, (0.05, 0.95))
    return float(1.0 - a.sum() / b.sum()), float(low), float(high)


def _later(books: Mapping[str, Books], study: Study) -> dict[str, Any]:
    """The days that nothing was chosen on."""
    first = round(TUNED_DAYS * 86400.0 / study.series.step_s)
    kwh = {
        name: books[name].energy_kwh(study.series.step_s, STANDBY_KW)[first:]
        for name in ("static", "hourly", OURS)
    }
    if not len(kwh[OURS]):
        return {}
    mine = books[OURS]
    return {
        "static": 1.0 - float(kwh[OURS].sum() / kwh["static"].sum()),
        "hourly": 1.0 - float(kwh[OURS].sum() / kwh["hourly"].sum()),
        "late_pu": float(mine.late[first:].sum() / mine.requests[first:].sum()),
    }


def _carbon(study: Study, books: Books) -> dict[str, float]:
    """Tonnes with the series begun at the first of each month: the mean, the least and the most."""
    step_s, hours = study.series.step_s, study.series.carbon_g_per_kwh
    kw = books.power_kw + STANDBY_KW * books.off_nodes
    found = []
    for month in range(12):
        at = (month * 730 + (np.arange(len(kw)) * step_s / 3600.0).astype(np.int64)) % len(hours)
        found.append(carbon_kg(kw, step_s, hours[at]) / 1e3)
    return {"mean": float(np.mean(found)), "least": min(found), "most": max(found)}


def _judged(
    study: Study,
    policies: Mapping[str, tuple[tuple[Pool, ...], Policy]],
    books: Mapping[str, Books],
    count: int,
) -> list[Judged]:
    s = study.series
    per_hour = round(3600.0 / s.step_s)
    hours = hours_of(s.rates_rps, s.step_s) if count else {}
    drawn = np.random.default_rng(SEED).permutation(len(s.rates_rps) // per_hour)[
        : max(0, count - len(hours))
    ]
    hours |= {f"drawn {n + 1}": int(h) * per_hour for n, h in enumerate(sorted(drawn))}
    return [
        judge_hour(policies[name][0], books[name], policies[name][1].clocked, s.trace, study.kinds, s.rates_rps, s.step_s,
                   hour, first, study.setting.ttft_s)
        for name in ("static", "hourly", OURS) for hour, first in hours.items()
    ]  # fmt: skip


# ---- saying it ---------------------------------------------------------------------------------------------------


def say(found: Mapping[str, Any]) -> str:
    """The figures as text."""
    s = found["setting"]
    ttft = "/".join(f"{1000 * t:g}" for t in s["ttft_s"])
    lines = [
        f"{found['days']:g} days of ServeGen m-large, lengths of Azure 2023; {s['model']} on {s['gpu']}, {found['nodes']} nodes of 8",
        f"P99 deadlines: TTFT {ttft} ms for prompts S/M/L, TPOT {1000 * s['tpot_s']:g} ms; provided for: quantile {s['quantile']:g}",
        f"(chosen on days 1 to {TUNED_DAYS:g}); {_hourly_said(found)}. TP may be one of {s['tps']}.",
        *(f"  {which}: " + ", ".join(f"{p['name']} TP{p['tp']} {p['rps']:.1f}/s each" for p in pools)
          for which, pools in found["pools"].items()),
        f"Answer class told from the prompt's length: {found['lengths']['predicted']:.0%} right on the second half of the trace, "
        f"{found['lengths']['most frequent class']:.0%} by the most frequent class",
        "Pools tried, kW at the mean of day 1 (brief, long: the answer as foretold): "
        + "; ".join(f"{' | '.join(p['pools'])} {p['kw']:.1f}" for p in found["partitions"]),
        "", f"Nodes that are not needed are off ({1000 * STANDBY_KW:g} W):", *_table(found["rows"]),
        "", "Nodes that are not needed stay on at rest:", *_table(found["idle_rows"]), "",
    ]  # fmt: skip
    if later := found["later_days"]:
        lines.append(
            f"Days after the fourth alone: {later['static']:.1%} below static, {later['hourly']:.1%} below hourly, "
            f"{later['late_pu']:.2%} late"
        )
    base = found["carbon"]["static"]["mean"]
    for name, t in found["carbon"].items():
        lines.append(f"Carbon, {name}: {t['mean']:.1f} t ({t['least']:.1f} to {t['most']:.1f} by month of 2022), "
                     f"{1 - t['mean'] / base:.1%} below static")  # fmt: skip
    return "\n".join([*lines, "", *_profile_lines(found["profile"]), "", *_judged_lines(found["judged"]),
                      f"{found['cpu_s']:.0f} s of CPU"])  # fmt: skip


def _hourly_said(found: Mapping[str, Any]) -> str:
    late = next(row["late_pu"] for row in found["rows"] if row["name"] == "hourly, P99")
    margin = f"{found['hourly_margin']:.0%}"
    if late > LATE_PU:
        return f"no margin up to {margin} lets the hourly one keep P99"
    return f"hourly, P99 takes the last rate and {margin}"


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        f"  {'':20}{'MWh':>7}  {'below static':>22}  {'below hourly':>24}  {'below hourly, P99':>24} {'GPU-h':>9} {'late':>7} starts"
    ]
    for row in rows:
        parts = [f"{_percent(row['against'].get(base)):>24}" for base in ("static", "hourly", "hourly, P99")]
        lines.append(
            f"  {row['name']:20}{row['mwh']:7.1f}{' '.join(parts)} {row['gpu_hours']:9,.0f} {row['late_pu']:7.3%} {row['starts']}"
        )
    return lines


def _percent(found: Sequence[float] | None) -> str:
    return "" if found is None else f"{found[0]:.1%} ({found[1]:.1%}..{found[2]:.1%})"


def _profile_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "Closed form over replay (four instances, one balancer), by pool, at six points of load and clocks:"
    ]
    for name in dict.fromkeys(row["pool"] for row in rows):
        mine = [row for row in rows if row["pool"] == name]
        lines.append("  " + f"{name:8}" + "  ".join(
            f"{what} {min(r[what] for r in mine):.2f} to {max(r[what] for r in mine):.2f}" for what in ("ttft", "tpot", "power")
        ))  # fmt: skip
    return lines


def _judged_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["Judged by request-level replay:"]
    for name in dict.fromkeys(row["policy"] for row in rows):
        mine = [row for row in rows if row["policy"] == name]
        for row in mine[:3]:
            p99 = "/".join(f"{1000 * t:.0f}" for t in row["ttft_p99_s"])
            lines.append(f"  {name:12}{row['hour']:14} {row['requests']:>10,} requests, {row['late_pu']:7.3%} late, P99 TTFT {p99} ms, "
                         f"TPOT {1000 * row['tpot_p99_s']:.0f} ms, {row['gpu_kw']:.2f} kW an instance (foretold {row['foretold_kw']:.2f})")  # fmt: skip
        if drawn := mine[3:]:
            total = sum(r["requests"] for r in drawn)
            late = sum(r["requests"] * r["late_pu"] for r in drawn) / total
            lines.append(
                f"  {name:12}{len(drawn)} hours drawn at random: {total:,} requests, {late:.3%} late"
            )
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns 2 with a remedy where the data are not there."""
    parser = argparse.ArgumentParser(
        prog="python -m plant.control.energy.bench", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--days", type=float, default=14.0)
    parser.add_argument("--data", type=Path, default=None, help="folder with the public series")
    parser.add_argument("--tight", action="store_true", help="DynamoLLM's deadlines, 250/400/2000 ms")
    parser.add_argument(
        "--judge-hours", type=int, default=12, help="hours replayed request by request, 0 for none"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        found = measure(args.days, args.data, args.tight, args.judge_hours)
    except SetpointError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(found, indent=2) if args.json else say(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
