"""All figures of predictive maintenance.

    python -m plant.control.maintenance.bench [--units 150] [--seed 3031] [--kinds pump_bearing,disk] [--data DIR]
                                              [--only lives|policies|plan|records] [--json]

The models were fitted to lives of seed 11 (plant.control.maintenance.fit); seeds 101 and 2027 were used while they were made. What
is printed here is of other lives, of the same population and of a shifted one: hotter, dirtier, worse sensors, more
failures without a sign. Intervals hold 90 %.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plant.control.maintenance import recurrence, schedule
from plant.control.maintenance.fleet import Outcome, held_against
from plant.control.maintenance.judge import Alarms, Share, Verdict, held_out
from plant.control.maintenance.lives import SHIFTED, USUAL
from plant.control.maintenance.parts import PARTS
from plant.control.maintenance.recurrence import Recurrence
from plant.control.maintenance.survival import fitted
from setpoint.errors import SetpointError, UsageError

UNITS, SEED = 150, 3031
POLICY_UNITS = 100
SETTINGS = (("same population", USUAL), ("shifted population", SHIFTED))


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _asked(arguments)
    kinds = [PARTS[name] for name in (asked.kinds.split(",") if asked.kinds else PARTS)]
    found: dict[str, Any] = {"seed": asked.seed, "units": asked.units}
    parts: dict[str, Callable[[], Any]] = {
        "lives": lambda: {
            title: [held_out(kind, fitted()[kind.name], asked.units, asked.seed, setting) for kind in kinds]
            for title, setting in SETTINGS
        },
        "policies": lambda: {
            title: {kind.name: held_against(kind, fitted()[kind.name], POLICY_UNITS, asked.seed, setting) for kind in kinds}
            for title, setting in SETTINGS
        },
        "plan": lambda: plans(asked.seed),
        "records": lambda: records(asked.data),
    }  # fmt: skip
    shown: dict[str, Callable[[Any, argparse.Namespace], list[str]]] = {
        "lives": show_lives,
        "policies": show_policies,
        "plan": show_plans,
        "records": show_records,
    }
    for name in [asked.only] if asked.only else list(parts):
        began = time.process_time()
        found[name] = parts[name]()
        if not asked.json:
            print("\n".join(shown[name](found[name], asked)))
            print(f"({time.process_time() - began:.0f} s CPU)\n", flush=True)
    if asked.json:
        print(json.dumps(found, default=_plain, indent=1))
    return 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--only", choices=("lives", "policies", "plan", "records"))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.kinds.split(",") if name and name not in PARTS]
    if unknown or asked.units < 20:
        parser.error(f"kinds are {', '.join(PARTS)}; at least 20 units")
    return asked


# ---- lives -------------------------------------------------------------------------------------------------------


def show_lives(found: dict[str, list[Verdict]], asked: argparse.Namespace) -> list[str]:
    lines = []
    for title, verdicts in found.items():
        lines += [
            f"FORECASTS on {asked.units} held-out lives of each kind, seed {asked.seed}, {title}",
            "concordance of the time left (one look a unit); AUC: a failure within 90 days is put higher; baselines: age",
            "alone, threshold alarm on the smoothed reading; true ends inside the 80 and 90 % interval, and the latter with a sign",
            f"{'part':26} {'concordance':>18} {'age':>5} {'thr.':>5} | {'AUC':>5} {'age':>5} {'thr.':>5} | "
            f"{'80 %':>5} {'90 %':>5} {'sign':>5} | {'Brier skill over age 7/30/90 d':>30} | {'ICI 7/30/90 d, points':>22}",
        ]
        lines += [_verdict(one) for one in verdicts]
        lines += [
            "",
            f"WARNINGS, {title}: first alarms at the level that was right nine times in ten on the training lives (fails",
            "within 90 days); recall: of units that fail, warned a week or more before; lead: quartiles, days",
            f"{'part':26} {'forecast: told':>14} {'right':>6} {'recall':>6} {'lead':>14} | {'threshold: told':>15} "
            f"{'right':>6} {'recall':>6} {'lead':>14} | {'age, best in hindsight':>22}",
        ]
        for one in verdicts:
            by_age = f"recall {one.age_alarms.recall:.0%}" if one.age_alarms else "never right enough"
            lines.append(
                f"{PARTS[one.kind].title:26} {_alarms(one.alarms, 14)} | {_alarms(one.threshold_alarms, 15)} | {by_age:>22}"
            )
        lines.append("")
    return lines


def _verdict(one: Verdict) -> str:
    skill = " ".join(f"{one.skill[days]:+9.2f}" for days in (7, 30, 90))
    off = " ".join(f"{100.0 * one.ici[days]:6.1f}" for days in (7, 30, 90))
    return (
        f"{PARTS[one.kind].title:26} {_share(one.concordance):>18} {one.age_concordance.value:5.2f} "
        f"{one.threshold_concordance.value:5.2f} | {one.soon_auc:5.2f} {one.age_soon_auc:5.2f} "
        f"{one.threshold_soon_auc:5.2f} | {100 * one.coverage_80:5.0f} {100 * one.coverage_90:5.0f} {100 * one.sign_coverage_90:5.0f} | {skill:>30} | {off:>22}"
    )


def _share(one: Share) -> str:
    return f"{one.value:.3f} [{one.low:.2f},{one.high:.2f}]"


def _alarms(one: Alarms | None, width: int) -> str:
    if one is None or not one.told:
        return f"{'none' if one else 'no level':>{width}} {'':>6} {'':>6} {'':>14}"
    lead = "/".join(f"{days:.0f}" for days in one.lead_days) if not math.isnan(one.lead_days[0]) else "-"
    return f"{one.told:{width}d} {one.precision:6.0%} {one.recall:6.0%} {lead:>14}"


# ---- policies ----------------------------------------------------------------------------------------------------


def show_policies(found: dict[str, dict[str, list[Outcome]]], asked: argparse.Namespace) -> list[str]:
    lines = []
    for title, kinds in found.items():
        lines += [
            f"POLICIES on {POLICY_UNITS} lives from new, the same for each, seed {asked.seed}, {title}; money is assumed",
            "(plant/control/maintenance/parts.py), planned work pays a visit of its own",
            f"{'part':26} {'policy':38} {'cost/unit-year':>14} {'saves/unit-year':>18} {'failures/100 y':>14} "
            f"{'renewals/100 y':>14} {'life used':>9}",
        ]
        for kind, outcomes in kinds.items():
            for one in outcomes:
                saves = f"[{one.low:.0f}, {one.high:.0f}]" if one is not outcomes[0] else ""
                lines.append(
                    f"{PARTS[kind].title:26} {one.policy:38} {one.cost_a_year:14.0f} {saves:>18} "
                    f"{one.failures_a_century:14.1f} {one.renewals_a_century:14.1f} {one.life_used:9.0%}"
                )
        lines.append("")
    return lines


# ---- plans -------------------------------------------------------------------------------------------------------


def plans(seed: int, sizes: Sequence[int] = (10, 30, 60)) -> list[dict[str, Any]]:
    """Schedules of drawn work over 90 days: integer programme against greedy, and each at its own best time."""
    rows = []
    for size in sizes:
        jobs, windows, crews = drawn_work(size, seed)
        found = schedule.plan(jobs, windows, crews)
        rule = schedule.greedy(jobs, windows, crews)
        alone = _each_alone(jobs, windows)
        rows.append(
            {"jobs": size, "windows": len(windows), "gain": found.gain, "greedy": rule.gain,
             "alone": schedule.value(alone, jobs, windows), "alone_clashes": _clashes(alone, jobs, windows),
             "status": found.status, "gap": found.gap, "seconds": found.seconds, "variables": found.variables,
             "greedy_seconds": rule.seconds}
        )  # fmt: skip
    return rows


def drawn_work(size: int, seed: int) -> tuple[list[schedule.Job], list[schedule.Window], list[schedule.Crew]]:
    """Work of two crews whose best time is somewhere in 90 days, in pairs that carry on for each other."""
    rng = np.random.default_rng([seed, size])
    windows = [
        schedule.Window(day + part / 24.0, 8.0, float(rng.uniform(0.4, 1.0)))
        for day in range(90)
        for part in (0, 8)
    ]
    starts = np.array([window.start_days for window in windows])
    jobs = []
    for number in range(size):
        best, worth = rng.uniform(5.0, 85.0), rng.uniform(300.0, 6000.0)
        early, late = rng.uniform(2.0, 15.0), rng.uniform(40.0, 300.0)
        gains = worth - np.where(starts < best, early * (best - starts), late * (starts - best))
        jobs.append(
            schedule.Job(
                f"job-{number}", "facilities" if number % 3 else "hardware", float(rng.uniform(1.0, 6.0)),
                np.where(starts >= rng.uniform(1.0, 14.0), gains, -np.inf), 20.0, (f"pair-{number // 2}",),
            )
        )  # fmt: skip
    return jobs, windows, [schedule.Crew("facilities"), schedule.Crew("hardware")]


def _each_alone(jobs: Sequence[schedule.Job], windows: Sequence[schedule.Window]) -> dict[str, int]:
    """Every job in the window that is best for itself, whatever the others do."""
    load = np.array([window.load_pu for window in windows])
    best = {job.name: job.gains - job.load_cost * job.hours * load for job in jobs}
    return {name: int(np.argmax(gain)) for name, gain in best.items() if gain.max() > schedule.VISIT_COST}


def _clashes(chosen: dict[str, int], jobs: Sequence[schedule.Job], windows: Sequence[schedule.Window]) -> int:
    """Times that two of one group stand still on one day."""
    days = [
        (group, windows[chosen[job.name]].day) for job in jobs if job.name in chosen for group in job.not_with
    ]
    return len(days) - len(set(days))


def show_plans(found: list[dict[str, Any]], asked: argparse.Namespace) -> list[str]:
    lines = [
        f"PLANS of drawn work over 90 days, two windows a day, two crews, pairs that carry on for each other, seed {asked.seed}",
        "gain: against doing nothing; alone: each work at its own best time, without regard to crews, pairs and visits",
        f"{'jobs':>5} {'MILP gain':>10} {'greedy':>8} {'alone':>8} {'clashes':>8} {'status':>11} {'gap':>7} {'s':>6} {'variables':>9}",
    ]
    for row in found:
        gap = "" if row["gap"] is None else f"{row['gap']:.2%}"
        lines.append(
            f"{row['jobs']:5d} {row['gain']:10.0f} {row['greedy']:8.0f} {row['alone']:8.0f} {row['alone_clashes']:8d} "
            f"{row['status']:>11} {gap:>7} {row['seconds']:6.2f} {row['variables']:9d}"
        )
    return lines


# ---- public records ----------------------------------------------------------------------------------------------


def records(data: Path | None) -> list[Recurrence] | str:
    """What is wrong, in words, where the data are not here."""
    try:
        folder = recurrence.data_dir(data)
        return [
            recurrence.judge(read(folder))
            for read in (recurrence.alpine, recurrence.alpine_slots, recurrence.titan)
        ]
    except (SetpointError, UsageError, OSError) as error:
        return f"skipped: {error}"


def show_records(found: list[Recurrence] | str, _asked: argparse.Namespace) -> list[str]:
    lines = [
        "PUBLIC FAILURE RECORDS: who fails (again) within 30 and 90 days, monthly looks at the last 40 % of each record,"
    ]
    lines += [
        "learned anew every 90 days from the 540 days before; baselines: one rate for all, that of the first 60 % "
    ]
    lines += [
        "(fixed) or that of the last 90 days (recent). Only failures are listed; the population is assumed."
    ]
    if isinstance(found, str):
        return [*lines, found]
    for one in found:
        lines += [
            f"{one.name}: {one.failures:,} failures of {one.failed_units:,} units in {one.days:.0f} days, "
            f"tested from day {one.split_day:.0f}",
            f"  population assumed: {one.assumed}",
            f"  concordance at 90 days within a month {_share(one.concordance)} (one rate for all: 0.5)",
            f"  failures that fall on the riskiest 1 % and 10 % of units: {one.top[0.01]:.1%}, {one.top[0.1]:.1%}",
            "  others in the same place within 2 and 7 days after a failure, against the machine's own rate: "
            f"{one.again[2.0]:.1f} and {one.again[7.0]:.1f} times",
        ]
        for days in recurrence.HORIZONS:
            lines.append(
                f"  within {days:.0f} days: {one.came[days]:.2%} failed; Brier {one.brier[days]:.5f}, skill over fixed "
                f"{one.skill_fixed[days]:+.3f}, over recent {one.skill_recent[days]:+.3f}; ICI {100 * one.ici[days]:.2f} points "
                f"(fixed {100 * one.ici_fixed[days]:.2f}, recent {100 * one.ici_recent[days]:.2f})"
            )
    return lines


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON value")


if __name__ == "__main__":
    sys.exit(main())
