"""What peak shaving is worth: `python -m plant.control.peak.bench [--seed 1] [--cases 12] [--every 60] [--json]`.

Twelve billing periods of 28 days by the minute: three kinds of site under four tariffs and their seasons
(`plant.control.peak.loads`), a third of them without any history. Seed 1 was never tuned on; the planner was chosen on
seeds 101 and 102. Then 14 days of public request rates (ServeGen m-large) as 4 MW and 6 MW that follow them, 2 MW and
4 MWh of storage: no history, no clue, ten-minute means. Every strategy has the same battery model with its losses and
the same 15-minute meter; plan and threshold rule have the same real-time layer, which sees the load a minute late (of
the public rates, whose steps are the meter's, in the step itself). "Orders that stand" renews
what storage holds only where the plan differs, as the loop on a site does. Wear is priced alike for all. Energy that is missing
in store at the end is paid for.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from plant.control.peak.battery import NO_WEAR, Wear, storage_of, wear_of
from plant.control.peak.loads import cases, kepco
from plant.control.peak.online import Case, Policy, Ran, Receding, Standing, for_flex, run
from plant.control.peak.planner import Tuning
from plant.control.peak.rules import Threshold, none, perfect, time_of_use
from plant.inference.trace import read_rates
from plant.power.ess import Ess
from plant.specs import EssSpec
from setpoint.errors import InputError

DATA = Path(os.environ.get("SETPOINT_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "plant"
RATES = "rate_servegen_m-large_10min.csv"
NONE = "no battery"


@dataclass(frozen=True)
class Row:
    """One strategy on one case, against no battery."""

    case: str
    strategy: str
    peak_kw: float
    peak_less_pu: float
    bill: float
    bill_less_pu: float
    total_less_pu: float
    """Bill and wear."""
    wear: float
    of_perfect: float
    """Share of what perfect foresight saves, bill and wear."""
    solve_ms: float
    hours_a_second: float
    """Simulated hours for each second."""
    waited_h: float = 0.0
    asked_a_day: float = 0.0
    """Orders a person would be asked for."""


def tried(
    case: Case, *, every_s: float, wear: Wear | None = None, tuning: Tuning | None = None
) -> Iterator[Row]:
    """Every strategy on one case."""
    wear = wear or replace(wear_of(case.ess, case.tariff.currency), per_kwh_h=0.0)
    storage = storage_of(case.ess, reserve_pct=case.reserve_pct, wear=wear)
    idle, best = none(case), perfect(case, wear)
    yield _row(case, idle, idle, best)
    yield _row(case, time_of_use(case, wear), idle, best)

    def planner(on: Case, flex: bool = False) -> Receding:
        step_s = max(900.0, case.step_s) if case.meter_s >= 900.0 else case.step_s
        return Receding(on, storage, step_s=step_s, tuning=tuning or Tuning(), flex=flex)

    def ours(on: Case, name: str, flex: bool = False) -> tuple[Ran, float]:
        policy = planner(on, flex)
        return run(on, policy, name, storage, every_s, wear), policy.waited_h

    rule: Policy = Threshold(case, storage)
    yield _row(
        case, run(case, rule, "threshold rule, tuned on the days before", storage, every_s, wear), idle, best
    )
    yield _row(case, ours(case, "Setpoint")[0], idle, best)
    standing = Standing(planner(case), every_s)
    ran_so = run(case, standing, "Setpoint, orders that stand", storage, standing.every_s, wear)
    days = case.load_kw.size * case.step_s / 86400.0
    yield replace(_row(case, ran_so, idle, best), asked_a_day=standing.asked / days)
    if case.flexible:
        found, waited_h = ours(for_flex(case), "Setpoint, jobs may wait", flex=True)
        yield _row(case, found, idle, best, waited_h)
    yield _row(case, best, idle, best)


def _over(wanted: Sequence[Case], every_s: float, workers: int) -> list[Row]:
    """Every case, over so many processes; 1: in this one."""
    each = [(case, every_s) for case in wanted]
    if workers <= 1:
        return [row for one in each for row in _all_of(one)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return [row for found in pool.map(_all_of, each) for row in found]


def _all_of(asked: tuple[Case, float]) -> list[Row]:
    """For a process of its own."""
    return list(tried(asked[0], every_s=asked[1]))


def _row(case: Case, ran: Ran, idle: Ran, best: Ran, waited_h: float = 0.0) -> Row:
    hours = case.load_kw.size * case.step_s / 3600.0
    return Row(
        case=case.name, strategy=ran.name, peak_kw=ran.bill.peak_kw,
        peak_less_pu=1.0 - ran.bill.peak_kw / idle.bill.peak_kw, bill=ran.bill.total,
        bill_less_pu=1.0 - ran.bill.total / idle.bill.total, total_less_pu=1.0 - ran.total / idle.total,
        wear=ran.wear_cost, of_perfect=(idle.total - ran.total) / (idle.total - best.total),
        solve_ms=1e3 * float(np.mean(ran.solve_s)) if ran.solve_s else 0.0,
        hours_a_second=hours / ran.wall_s if ran.wall_s else 0.0, waited_h=waited_h,
    )  # fmt: skip


def servegen(data: Path) -> Case:
    """The public fortnight. Raises InputError where the file is not there."""
    path = data / RATES
    if not path.is_file():
        raise InputError(
            "no public request rates", where=str(path), remedy="Give --data, or set SETPOINT_SHARED_DATA"
        )
    _, rates = read_rates(path)
    rps = np.asarray(rates, dtype=float)
    spec = EssSpec(power_kw=2000.0, capacity_kwh=4000.0, soc_start_pct=50.0)
    return Case(
        "ServeGen m-large, 14 days, KEPCO summer and no history", 4000.0 + 6000.0 * rps / rps.max(), 600.0,
        datetime(2026, 7, 6, tzinfo=UTC), kepco(82.3, 108.1, 141.6), Ess(spec), meter_s=600.0,
    )  # fmt: skip


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """90 % of the mean, by drawing the cases anew."""
    drawn = np.random.default_rng(seed).choice(np.asarray(values), size=(4000, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, (0.05, 0.95))
    return float(low), float(high)


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield f"{'':54s}{'peak kW':>9s}{'peak':>8s}{'bill':>8s}{'and wear':>9s}{'of best':>9s}"
    case = ""
    for row in rows:
        if row.case != case:
            case = row.case
            yield case
        yield (
            f"  {row.strategy:52s}{row.peak_kw:9,.0f}{-row.peak_less_pu:8.1%}{-row.bill_less_pu:8.2%}"
            f"{-row.total_less_pu:9.2%}{row.of_perfect:9.0%}"
            + (f"   {row.asked_a_day:.1f} orders a day" if row.asked_a_day else "")
        )


def _summary(rows: Sequence[Row]) -> Iterator[str]:
    count = len({row.case for row in rows})
    yield f"Over the {count} cases: mean (90 % interval of the mean, by drawing cases anew)"
    for strategy in dict.fromkeys(row.strategy for row in rows):
        own = [row for row in rows if row.strategy == strategy]
        if strategy == NONE:
            continue
        parts = []
        for name, sign in (("peak_less_pu", -1.0), ("bill_less_pu", -1.0), ("of_perfect", 1.0)):
            values = [sign * getattr(row, name) for row in own]
            low, high = interval(values)
            parts.append(f"{np.mean(values):.1%} ({low:.1%} to {high:.1%})")
        better = sum(row.total_less_pu >= -1e-9 for row in own)
        yield (
            f"  {strategy:44s} peak {parts[0]}, bill {parts[1]}, of perfect foresight {parts[2]}, "
            f"not worse than no battery in {better} of {len(own)}"
            + (
                f", {np.mean([row.asked_a_day for row in own]):.1f} orders a day"
                if own[0].asked_a_day
                else ""
            )
        )
    ours = [row for row in rows if row.solve_ms]
    if ours:
        yield (
            f"  A solve takes {np.mean([row.solve_ms for row in ours]):.1f} ms; "
            f"{np.mean([row.hours_a_second for row in ours]):,.0f} simulated hours a second"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m plant.control.peak.bench", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", default="", help="numbers of cases, such as 0,5,9; none: all twelve")
    parser.add_argument("--days", type=int, default=28)
    parser.add_argument("--every", type=float, default=60.0, help="minutes from plan to plan")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--no-public", action="store_true", help="without the public rates")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(argv)
    began = time.perf_counter()
    wanted = cases(asked.seed, days=asked.days)
    if asked.cases:
        wanted = [wanted[int(number)] for number in asked.cases.split(",")]
    rows = _over(wanted, 60.0 * asked.every, asked.workers)
    public, skipped = [], ""
    if not asked.no_public:
        try:
            public = list(tried(servegen(asked.data), every_s=600.0, wear=NO_WEAR))
        except InputError as error:
            skipped = f"Public rates left out: {error}"
    if asked.json:
        print(json.dumps({"cases": [asdict(row) for row in rows], "public": [asdict(row) for row in public]}))
        return 0
    lines = [
        f"Seed {asked.seed}, {asked.days} days each, a plan every {asked.every:g} min; costs against no battery"
    ]
    lines += [*_table(rows), "", *_summary(rows), "", *_table(public), skipped]
    print("\n".join(lines))
    print(f"{time.perf_counter() - began:.0f} s in all")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
