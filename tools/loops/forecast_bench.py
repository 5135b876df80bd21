"""What the job schedule is worth to a forecast of a site's power: `python -m tools.loops.forecast_bench [--site hall-1024]
[--seeds 2] [--days 4] [--json]`.

Simulated days after two weeks of history. At each whole hour the power of the next day is forecast twice, from the same
readings: without the schedule, and with the jobs that the scheduler had announced by then (some come unannounced, some
end early, as simulated), up to 12 h ahead; beyond, both are the same. Intervals of a difference are 90 %, by resampling blocks of half a day.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta

import numpy as np

from plant.control.forecast.rolling import BASELINES, Known, Tried, difference, error_pu, roll, roll_peaks
from plant.control.watch import FloatArray
from plant.site import Site, load_site, site_file_of
from tools.loops.days_site import DaysSite
from tools.loops.sensing import ANNOUNCED_S, Sensing, node_loads

START = datetime(2026, 3, 16, tzinfo=UTC)
STEP_S = 600.0
DAY = 144
WARM_DAYS = 14
AHEAD = np.array([1, 3, 6, 18, 36, 72, 144])
EVERY = 6
FIRST_SEED = 201


def days_of(site: Site, seed: int, days: int) -> tuple[FloatArray, Known]:
    """The site's own power in kW over warm-up and days, and its jobs as they were known at each step."""
    moving = DaysSite(site, START, seed=seed, warm_days=WARM_DAYS)
    begin = START - timedelta(days=WARM_DAYS)
    told: dict[int, FloatArray] = {}
    for step in range(0, days * DAY, EVERY):
        moving.pass_to(START + timedelta(seconds=step * STEP_S))
        steps = WARM_DAYS * DAY + step
        jobs = moving.jobs(begin, moving.now + timedelta(days=1))
        told[steps] = node_loads(jobs, begin, steps + DAY, STEP_S)
        told[steps][steps + round(ANNOUNCED_S / STEP_S) :] = np.nan
    moving.pass_to(START + timedelta(days=days))
    power_kw = Sensing(moving.ports(), moving.now).site_kw(24.0 * (WARM_DAYS + days), STEP_S).own
    return power_kw, lambda origin: (told[origin][:origin, None], told[origin][origin:, None])


def table(name: str, plain: Tried, told: Tried) -> list[dict[str, float | str]]:
    """Errors with and without the schedule by horizon, as shares."""
    rows: list[dict[str, float | str]] = []
    for column, steps in enumerate(AHEAD):
        came = plain.came[:, column]
        good = np.isfinite(came)
        without, with_jobs = (error_pu(tried.ours[:, column], came)[good] for tried in (plain, told))
        less, low, high = difference(with_jobs, without, DAY // 2 // EVERY, seed=7)
        inside = (told.low[:, column] <= came) & (came <= told.high[:, column])
        rows.append({
            "site": name, "ahead_h": float(steps) * STEP_S / 3600.0, "moments": float(good.sum()),
            **{plan: float(error_pu(found[:, column], came)[good].mean()) for plan, found in plain.baselines.items()},
            "without": float(without.mean()), "with": float(with_jobs.mean()), "less": less, "less_low": low, "less_high": high,
            "covered": float(inside[good].mean()), "width": float((told.high - told.low)[good, column].mean() / came[good].mean()),
            "width_without": float((plain.high - plain.low)[good, column].mean() / came[good].mean()),
        })  # fmt: skip
    return rows


def show(rows: list[dict[str, float | str]]) -> None:
    print("  ahead   n   last  yesterday  last week   without   with jobs   with less without (90 %)    held  width  (without)")  # fmt: skip
    for row in rows:
        share = {key: 100.0 * float(value) for key, value in row.items() if key != "site"}
        print(
            f"  {float(row['ahead_h']):5.2f} h {float(row['moments']):3.0f} {share[BASELINES[0]]:6.2f} {share[BASELINES[1]]:10.2f}"
            f" {share[BASELINES[2]]:10.2f} {share['without']:9.2f} {share['with']:11.2f}   {share['less']:+6.2f}"
            f" ({share['less_low']:+6.2f} to {share['less_high']:+6.2f})   {share['covered']:5.1f} {share['width']:6.1f}  {share['width_without']:6.1f}"
        )


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--site", default="hall-1024")
    read.add_argument("--seeds", type=int, default=2)
    read.add_argument("--days", type=int, default=4)
    read.add_argument("--json", action="store_true")
    asked = read.parse_args()
    site = load_site(site_file_of(asked.site))
    begin, first = START - timedelta(days=WARM_DAYS), WARM_DAYS * DAY
    rows: list[dict[str, float | str]] = []
    for seed in range(FIRST_SEED, FIRST_SEED + asked.seeds):
        power_kw, known = days_of(site, seed, asked.days)
        plain, told = (
            roll(power_kw, begin, STEP_S, AHEAD, first, every=EVERY, known=k) for k in (None, known)
        )
        found = table(f"{site.name}, seed {seed}", plain, told)
        rows += found
        if asked.json:
            continue
        print(
            f"\n{site.name}, seed {seed}: mean absolute error of its power in %, mean {np.nanmean(power_kw):.0f} kW"
        )
        show(found)
        for words, k in (("without", None), ("with jobs", known)):
            peaks = roll_peaks(power_kw, begin, STEP_S, first, EVERY, k)
            ours = error_pu(np.array([peak.expected for peak in peaks.found]), peaks.came).mean()
            held = np.mean([p.low <= c <= p.high for p, c in zip(peaks.found, peaks.came, strict=True)])
            yesterday = error_pu(peaks.yesterday, peaks.came).mean()
            print(f"  peak of the next 24 h, {words}: {100 * ours:.1f} % (yesterday's {100 * yesterday:.1f} %), {100 * held:.0f} % held, {len(peaks.came)} moments")  # fmt: skip
    if asked.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
