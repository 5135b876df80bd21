"""What proactive cooling is worth: `python -m plant.control.cooling.bench`.

Days of a simulated site in three seasons, each with a seed that nothing was tuned on, under every controller in turn: the
same requests, jobs, weather, worn gear and sensor errors. Baselines have the same limits, ramps and ranges, decide every
minute too, and were tuned on other seeds (101 to 103, two days each, January, April, July): each setpoint is the last one
without a violation there. No public record of a liquid-cooled hall with its schedule is at hand; the plant is the truth.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from plant.control.cooling.controller import Tuning
from plant.control.cooling.layout import FloatArray
from plant.control.cooling.predictor import HORIZONS
from plant.control.cooling.reactive import Gains
from plant.control.cooling.trial import Meter, Policy, Trial, Wrong, start_of
from plant.jobs.schedule import ScheduledJob
from plant.site import Site, load_site, site_file_of

SEASONS = (("January", 1, 201), ("April", 4, 202), ("July", 7, 203))
"""Name, month and seed of the reported days."""
PI = Gains(rise_k=16.0)
POLICIES: tuple[Policy, ...] = (
    Policy("fixed flow", "fixed"),
    Policy("PI", "pi", PI),
    Policy("PI, weather", "pi", replace(PI, reset_k=4.5)),
    Policy("PI, intake", "pi", replace(PI, inlet_c=25.5, water_reset_s=1200.0)),
    Policy("proactive", "proactive"),
    Policy("proactive, wrong", "proactive"),
    Policy("proactive, 10 min", "proactive", tuning=Tuning(cycle_steps=10, full_load_flow=True)),
)
WORDS = {
    "fixed flow": "1.5 L/min a kW of rated heat, supply and water at design",
    "PI": "PI on each loop's coolant rise (16 K), water at design: its knob is the flow",
    "PI, weather": "that PI, and water raised by up to 4.5 K as the wet bulb falls from 18 to 10 C",
    "PI, intake": "that PI, and a PI that holds the warmest rack intake at 25.5 C by the water: the same knobs as proactive",
    "proactive": "flow and water ahead of the announced schedule, every minute",
    "proactive, wrong": "the same, 20 % of jobs not announced, starts and ends off by up to 20 % of a job (30 min at most), "
    "loads off by up to 10 %",
    "proactive, 10 min": "the same wrong schedule, deciding every ten minutes as the loop does, flow for full load at any time",
}
WRONG = Wrong(shift_pu=0.2, hidden=0.2, load_pu=0.1)
AGAINST = ("fixed flow", "PI", "PI, weather", "PI, intake")
LEARN_DAYS = 1.0
T90 = {
    1: 6.31,
    2: 2.92,
    3: 2.35,
    4: 2.13,
    5: 2.02,
    6: 1.94,
    7: 1.89,
    8: 1.86,
    9: 1.83,
    10: 1.81,
    12: 1.78,
    15: 1.75,
    20: 1.72,
}
"""Student's t for a 90 % interval, by degrees of freedom."""


@dataclass
class Found:
    """One policy in one season."""

    policy: str
    season: str
    meter: Meter
    errors: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    """Mean absolute error by quantity, rival and horizon in minutes."""
    coverage: dict[str, float] = field(default_factory=dict)
    """Of 90 % intervals, by quantity and horizon."""


def one(site_name: str, policy: Policy, season: tuple[str, int, int], days: int, economiser: bool) -> Found:
    """One policy through the days of one season."""
    name, month, seed = season
    site = load_site(site_file_of(site_name))
    wrong = WRONG if policy.name not in ("proactive",) else Wrong()
    trial = Trial(site, start_of(site, month), seed, policy, wrong, economiser=economiser)
    found = Found(policy.name, name, trial.run(days, LEARN_DAYS))
    if policy.kind == "proactive" and trial.predictor.errors is not None:
        errors = trial.predictor.errors
        for quantity in ("liquid", "air", "gpu"):
            found.errors[quantity] = {
                rival: {h: errors.mean(quantity, rival, h) for h in trial.predictor.horizons}
                for rival in ("persistence", "physics", "learned")
            }
        found.coverage = {f"{q} {h} min": band.coverage for (q, h), band in trial.predictor.bands.items()}
        found.coverage |= {f"gpu {h} min": band.coverage for h, band in trial.predictor.gpu_bands.items()}
    return found


def run(site: str, days: int, policies: Sequence[Policy], workers: int, economiser: bool) -> list[Found]:
    """All policies through all seasons; `days` are dealt out among them."""
    shares = [days // len(SEASONS) + (i < days % len(SEASONS)) for i in range(len(SEASONS))]
    work = [(site, p, s, d, economiser) for p in policies for s, d in zip(SEASONS, shares, strict=True) if d]
    if workers <= 1:
        return [one(*args) for args in work]
    with ProcessPoolExecutor(workers) as pool:
        return [future.result() for future in [pool.submit(one, *args) for args in work]]


# ---- lead time -------------------------------------------------------------------------------------------------


@dataclass
class Scripted:
    """One job on many nodes, at one time; announced or not."""

    span: ScheduledJob
    told: bool
    now: datetime

    def pass_to(self, moment: datetime) -> None:
        self.now = moment

    def on_nodes(self) -> dict[str, tuple[int, float, bool]]:
        runs = self.span.start <= self.now < self.span.end
        return dict.fromkeys(self.span.nodes, (1, self.span.load_pu, True)) if runs else {}

    def spans(self, start: datetime, end: datetime) -> list[ScheduledJob]:
        known = self.told or self.span.start <= self.now
        return [self.span] if known and self.span.start < end and self.span.end > start else []


def lead_times(site_name: str, seed: int = 204, after_min: int = 60) -> dict[str, float]:
    """Minutes by which flow and water move before (positive) or after a step of 64 nodes on loops and 24 in air."""
    site, found = load_site(site_file_of(site_name)), {}
    for told in (True, False):
        trial = Trial(site, start_of(site, 4), seed, Policy("lead", "proactive"))
        trial.run(0, LEARN_DAYS)
        begin = trial.world.now + timedelta(minutes=after_min)
        span = ScheduledJob("step", _nodes(trial, site), begin, begin + timedelta(hours=4), 0.92, False)
        trial.world.jobs = Scripted(span, told, trial.world.now)
        flows, waters = [], []
        for _ in range(after_min + 30):
            trial.step(metered=False)
            flows.append(float(trial.setpoints.flow_lpm.sum()))
            waters.append(float(trial.setpoints.water_c[0]))
        word = "announced" if told else "unannounced"
        found[f"flow, {word}"] = _first_move(np.array(flows), after_min, 0.05)
        found[f"water, {word}"] = _first_move(-np.array(waters), after_min, 0.015)
    return found


def _nodes(trial: Trial, site: Site) -> tuple[str, ...]:
    nodes = trial.layout.nodes
    wet = [n for i, n in enumerate(nodes.names) if nodes.loop[i] >= 0 and not nodes.pooled[i]][:64]
    dry = [n for i, n in enumerate(nodes.names) if nodes.loop[i] < 0 and not nodes.pooled[i]][:24]
    return (*wet, *dry)


def _first_move(values: FloatArray, begin: int, least_pu: float) -> float:
    """Minutes before `begin` from which on the values stay above what they were, by that share of it; NaN: they never do."""
    before = float(np.median(values[begin - 40 : begin - 25]))
    moved = values > before + least_pu * abs(before)
    for k in range(begin - 25, len(values)):
        if moved[k : begin + 3].all() and moved[k]:
            return float(begin - k)
    return math.nan


# ---- telling ---------------------------------------------------------------------------------------------------


def by_day(found: Iterable[Found], policy: str) -> FloatArray:
    """kWh of cooling of each day, seasons in order."""
    return np.concatenate([f.meter.total_kwh for f in found if f.policy == policy])


def saved(planned: FloatArray, baseline: FloatArray) -> tuple[float, float]:
    """Share saved, mean over days, and half of its 90 % interval (Student's t, days taken as independent)."""
    shares = 1.0 - planned / baseline
    degrees = len(shares) - 1
    t = next((value for n, value in sorted(T90.items(), reverse=True) if degrees >= n), math.nan)
    half = t * float(shares.std(ddof=1)) / math.sqrt(len(shares)) if degrees >= 1 else math.nan
    return float(shares.mean()), half


def summary(found: list[Found], policy: str) -> dict[str, float]:
    """Figures of one policy over all its days."""
    meters = [f.meter for f in found if f.policy == policy]

    def mean(name: str) -> float:
        return float(np.mean(np.concatenate([getattr(m, name) for m in meters])))

    return {
        "pump_kwh": mean("pump_kwh"), "fan_kwh": mean("fan_kwh"), "chiller_kwh": mean("chiller_kwh"),
        "water_kwh": mean("water_kwh"), "total_kwh": mean("total_kwh"),
        "worst_gpu_c": max(m.worst_gpu_c for m in meters), "worst_inlet_c": max(m.worst_inlet_c for m in meters),
        "worst_rise_k": max(m.worst_rise_k for m in meters),
        "over_s": sum(m.over_gpu_s + m.over_inlet_s + m.over_rise_s for m in meters),
        "local_minutes": sum(m.held_local for m in meters),
        "decide_ms": 1e3 * sum(m.decide_s for m in meters) / max(1, 1440 * sum(len(m.pump_kwh) for m in meters)),
    }  # fmt: skip


def told(found: list[Found], site: str, lead: dict[str, float]) -> str:
    """The tables."""
    names = list(dict.fromkeys(f.policy for f in found))
    days = len(by_day(found, names[0]))
    seasons = ", ".join(
        f"{n} (seed {s}, {_days_of(found, n)} days)" for n, _, s in SEASONS if _days_of(found, n)
    )
    lines = [f"{site}, {days} days: {seasons}; one day before each is for learning and not counted", ""]
    lines += [
        f"{'':19}{'pumps':>7}{'fans':>6}{'chillers':>10}{'water':>7}{'total':>8}  kWh/day   {'GPU':>5}{'intake':>8}{'rise':>6}  over"
    ]
    for name in names:
        s = summary(found, name)
        lines.append(
            f"{name:19}{s['pump_kwh']:7.0f}{s['fan_kwh']:6.0f}{s['chiller_kwh']:10.0f}{s['water_kwh']:7.0f}{s['total_kwh']:8.0f}"
            f"            {s['worst_gpu_c']:5.1f}{s['worst_inlet_c']:8.2f}{s['worst_rise_k']:6.1f}{s['over_s']:6.0f} s"
        )
    lines += [
        "",
        f"saved, mean of {days} days with its 90 % interval, against" + "".join(f"{b:>18}" for b in AGAINST),
    ]
    for name in names:
        if name in AGAINST[:1]:
            continue
        pairs = [
            saved(by_day(found, name), by_day(found, b)) if b in names and b != name else None
            for b in AGAINST
        ]
        cells = "".join(f"{f'{100 * p[0]:.1f} +- {100 * p[1]:.1f} %' if p else '':>18}" for p in pairs)
        lines.append(f"{name:>56}{cells}")
    lines += ["", *_season_lines(found, names), "", *_error_lines(found)]
    if lead:
        lines += [
            "",
            "lead before a step of 64 liquid and 24 air-cooled nodes, minutes (negative: after it):",
        ]
        lines += [f"  {name}: {minutes:+.0f}" for name, minutes in lead.items()]
    lines += ["", *(f"{name}: {words}" for name, words in WORDS.items() if name in names)]
    timing = {name: summary(found, name)["decide_ms"] for name in names if name.startswith("proactive")}
    lines += [
        "",
        "computing time a simulated minute: " + ", ".join(f"{n} {ms:.1f} ms" for n, ms in timing.items()),
    ]
    return "\n".join(lines)


def _days_of(found: list[Found], season: str) -> int:
    return next((len(f.meter.pump_kwh) for f in found if f.season == season), 0)


def _season_lines(found: list[Found], names: Sequence[str]) -> list[str]:
    seasons = list(dict.fromkeys(f.season for f in found))
    lines = [f"{'kWh/day by season':19}" + "".join(f"{s:>10}" for s in seasons)]
    for name in names:
        mine = {f.season: float(np.mean(f.meter.total_kwh)) for f in found if f.policy == name}
        lines.append(f"{name:19}" + "".join(f"{mine[s]:10.0f}" for s in seasons))
    return lines


def _error_lines(found: list[Found]) -> list[str]:
    lines = []
    for name in ("proactive", "proactive, wrong"):
        mine = [f for f in found if f.policy == name]
        if not mine:
            continue
        lines.append(
            f"mean absolute error by minutes ahead ({name}): persistence / physics alone / learned; share in the 90 % interval"
        )
        for quantity, unit in (
            ("liquid", "kW a loop"),
            ("air", "kW a hall"),
            ("gpu", "K, hottest GPU a loop"),
        ):
            cells = []
            for h in [h for h in HORIZONS if h in mine[0].errors[quantity]["learned"]]:
                e = [
                    float(np.mean([f.errors[quantity][rival][h] for f in mine]))
                    for rival in ("persistence", "physics", "learned")
                ]
                inside = float(np.mean([f.coverage[f"{quantity} {h} min"] for f in mine]))
                cells.append(f"{h}: {e[0]:.2f}/{e[1]:.2f}/{e[2]:.2f} {inside:.0%}")
            lines.append(f"  {quantity:7}({unit}) " + "   ".join(cells))
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables, or with `--json` all figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--days", type=int, default=14, help="days in all, dealt out among three seasons (14)"
    )
    parser.add_argument("--site", default="hall-1024")
    parser.add_argument(
        "--only", default="", help="policies by name, separated by semicolons; all without it"
    )
    parser.add_argument("--economiser", action="store_true", help="chillers with waterside economisers")
    parser.add_argument("--no-lead", action="store_true", help="leave out the lead time")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    wanted = [name.strip() for name in args.only.split(";") if name.strip()]
    unknown = [name for name in wanted if name not in WORDS]
    if unknown or args.days < 1:
        parser.error(
            f"no policy {unknown[0]!r}; there are: {'; '.join(WORDS)}" if unknown else "--days is at least 1"
        )
    policies = [p for p in POLICIES if not wanted or p.name in wanted]
    found = run(args.site, args.days, policies, args.workers, args.economiser)
    lead = {} if args.no_lead else lead_times(args.site)
    if args.json:
        figures = {name: summary(found, name) for name in dict.fromkeys(f.policy for f in found)}
        json.dump(
            {"site": args.site, "days": args.days, "policies": figures, "lead_min": lead},
            sys.stdout,
            indent=2,
        )
        print()
    else:
        print(told(found, args.site, lead))
    return 0


if __name__ == "__main__":
    sys.exit(main())
