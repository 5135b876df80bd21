"""What forecasts are worth: `python -m plant.control.forecast.bench [--data DIR] [--seeds 6] [--ablation] [--json]`.

Public request rates (ServeGen m-large, 14 days at 10 minutes): days 8 to 14 are forecast from what lies before each
moment, learning anew every 24 h; nothing in the forecaster was chosen on them. Once as requests a second, once as the
power of a site of 4 MW and 6 MW more at the highest rate (the quantity of the first trial: 10-minute last value 3.4 %,
same time yesterday 12.6 %, daily peak 12.6 %, over all 14 days). Carbon intensity of PJM, hourly, July to December (the
first half of the year was looked at while building). Simulated pools' rates, seeds that were not.

Intervals of a difference are 90 %, by resampling blocks of half a day. Times are CPU seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from plant.control.days import Requests
from plant.control.forecast.baselines import FloatArray
from plant.control.forecast.boosting import compared
from plant.control.forecast.rolling import (
    BASELINES,
    PeakTried,
    Tried,
    difference,
    error_pu,
    joined,
    roll,
    roll_peaks,
)
from plant.control.watch import bridge
from plant.inference.trace import read_rates
from plant.site import load_site, site_file_of

DATA = Path(os.environ.get("SETPOINT_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "plant"
RATES, CARBON = "rate_servegen_m-large_10min.csv", "carbon_intensity_PJM_2022_hourly.csv"
START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday; the public rates name no date."""
STEP_S = 600.0
DAY = 144
AHEAD = np.array([1, 3, 6, 18, 36, 72, 144])
AHEAD_HOURS = np.array([1, 2, 3, 6, 12, 24, 48])
FIRST_SEED = 101
BLOCK_S = 43_200.0


@dataclass(frozen=True)
class Row:
    """One horizon of one series."""

    series: str
    ahead_h: float
    moments: int
    ours: float
    """Mean absolute percentage error, as a share; likewise the baselines."""
    baselines: dict[str, float]
    best: str
    less: float
    """Ours less the best baseline."""
    less_low: float
    less_high: float
    covered: float
    width: float
    """Mean width of the 90 % interval over the mean of what came."""
    naive_covered: float
    naive_width: float


@dataclass(frozen=True)
class PeakRow:
    """Peaks of the next 24 h of one series."""

    series: str
    moments: int
    ours: float
    yesterday: float
    last_week: float
    less_low: float
    less_high: float
    covered: float
    width: float


def rows_of(name: str, tried: Tried, every: int) -> Iterator[Row]:
    """The table of one series."""
    for column, steps in enumerate(tried.ahead):
        came = tried.came[:, column]
        good = np.isfinite(came)
        errors = {plain: error_pu(found[:, column], came)[good] for plain, found in tried.baselines.items()}
        ours = error_pu(tried.ours[:, column], came)[good]
        best = min(BASELINES, key=lambda plain: float(np.nanmean(errors[plain])))
        less = difference(ours, errors[best], round(BLOCK_S / tried.step_s / every), seed=7)
        inside = (tried.low[:, column] <= came) & (came <= tried.high[:, column])
        mean = float(np.mean(came[good]))
        yield Row(
            name, float(steps) * tried.step_s / 3600.0, int(good.sum()), float(ours.mean()),
            {plain: float(np.nanmean(errors[plain])) for plain in BASELINES}, best, *less, float(inside[good].mean()),
            float((tried.high - tried.low)[good, column].mean()) / mean, float(tried.naive_inside[good, column].mean()),
            float(tried.naive_width[good, column].mean()) / mean,
        )  # fmt: skip


def peak_row(name: str, tried: PeakTried, block: int) -> PeakRow:
    """Peaks of one series."""
    ours = error_pu(np.array([peak.expected for peak in tried.found]), tried.came)
    yesterday = error_pu(tried.yesterday, tried.came)
    _, low, high = difference(ours, yesterday, block, seed=7)
    inside = [peak.low <= came <= peak.high for peak, came in zip(tried.found, tried.came, strict=True)]
    width = np.mean([peak.high - peak.low for peak in tried.found]) / tried.came.mean()
    week = error_pu(tried.last_week, tried.came)
    return PeakRow(
        name, len(ours), float(ours.mean()), float(yesterday.mean()), float(np.nanmean(week)), low, high,
        float(np.mean(inside)), float(width),
    )  # fmt: skip


def pool_rates(seed: int, days: int) -> FloatArray:
    """Requests of one simulated pool, means of ten minutes, requests a second."""
    requests = Requests(load_site(site_file_of("hall-1024")), seed)
    first = date(2026, 3, 2).toordinal()
    minutes = np.concatenate([requests.day_pu("pool-chat", date.fromordinal(first + k)) for k in range(days)])
    return np.asarray(500.0 * minutes.reshape(-1, 10).mean(axis=1))


def public_rates(data: Path) -> FloatArray | None:
    """ServeGen m-large, requests a second; None where the file is absent."""
    path = data / RATES
    return np.asarray(read_rates(path)[1]) if path.exists() else None


def carbon(data: Path) -> FloatArray | None:
    """g CO2 per kWh by the hour of 2022, short gaps bridged; None where the file is absent."""
    path = data / CARBON
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        read = [float(row["avg_CI"] or "nan") for row in csv.DictReader(file)]
    return bridge(np.array(read), 6)[0]


def measured(data: Path, seeds: int) -> tuple[list[Row], list[PeakRow], list[str], list[float], list[float]]:
    """All tables, what was left out and why, and the CPU seconds of fits and predictions."""
    rows: list[Row] = []
    peaks: list[PeakRow] = []
    left_out: list[str] = []
    fit_s: list[float] = []
    predict_s: list[float] = []

    def add(name: str, tried: Tried, every: int = 1) -> None:
        rows.extend(rows_of(name, tried, every))
        fit_s.extend(tried.fit_s)
        predict_s.extend(tried.predict_s)

    rates = public_rates(data)
    if rates is None:
        left_out.append(f"public request rates: {data / RATES} is not here")
    else:
        power_kw = 4000.0 + 6000.0 * rates / rates.max()
        for name, values in (("m-large requests/s", rates), ("site power from m-large", power_kw)):
            add(name, roll(values, START, STEP_S, AHEAD, 7 * DAY))
            peaks.append(peak_row(name, roll_peaks(values, START, STEP_S, 7 * DAY, 12), 12))
            peaks.append(peak_row(f"{name}, midnights", roll_peaks(values, START, STEP_S, 7 * DAY, DAY), 1))
    hourly = carbon(data)
    if hourly is None:
        left_out.append(f"carbon intensity: {data / CARBON} is not here")
    else:
        begin = 181 * 24
        past = 21 * 24
        add("PJM g CO2/kWh", roll(hourly[begin - past :], START + timedelta(hours=begin - past), 3600.0, AHEAD_HOURS, past, every=7, most_history=past), 7)  # fmt: skip
    name = f"{seeds} simulated pools, seeds {FIRST_SEED} to {FIRST_SEED + seeds - 1}"
    pools = [pool_rates(seed, 18) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
    if pools:
        add(name, joined([roll(values, START, STEP_S, AHEAD, 13 * DAY, every=7) for values in pools]), 7)
    for seed, values in enumerate(pools, FIRST_SEED):
        peaks.append(
            peak_row(f"simulated pool, seed {seed}", roll_peaks(values, START, STEP_S, 8 * DAY, 24), 6)
        )
    return rows, peaks, left_out, fit_s, predict_s


def show(rows: list[Row], peaks: list[PeakRow]) -> None:
    """The tables, in percent."""
    name = ""
    for row in rows:
        if row.series != name:
            name = row.series
            print(
                f"\n{name}: mean absolute error in %, and 90 % intervals (share that held, mean width over the mean)"
            )
            print("  ahead    n   last  yesterday  last week   ours   ours less the best (90 %)    held  width   last value's")  # fmt: skip
        plain = [100 * row.baselines[baseline] for baseline in BASELINES]
        print(
            f"  {_ahead(row.ahead_h):>6} {row.moments:4d} {plain[0]:6.2f} {plain[1]:10.2f} {plain[2]:10.2f} {100 * row.ours:6.2f}"
            f"   {100 * row.less:+6.2f} ({100 * row.less_low:+6.2f} to {100 * row.less_high:+6.2f})"
            f"   {100 * row.covered:5.1f}  {100 * row.width:5.1f}   {100 * row.naive_covered:5.1f} {100 * row.naive_width:6.1f}"
        )
    if not peaks:
        return
    print("\npeak of the next 24 h: mean absolute error in %, 90 % interval")
    print(
        "  series                            n   yesterday  last week   ours   ours less yesterday (90 %)   held  width"
    )
    for peak in peaks:
        print(
            f"  {peak.series:32} {peak.moments:3d}  {100 * peak.yesterday:9.1f} {100 * peak.last_week:10.1f} {100 * peak.ours:6.1f}"
            f"   {100 * (peak.ours - peak.yesterday):+6.1f} ({100 * peak.less_low:+6.1f} to {100 * peak.less_high:+6.1f})"
            f"   {100 * peak.covered:5.1f}  {100 * peak.width:5.1f}"
        )


def show_boosting(data: Path) -> None:
    """Gradient boosting in place of the weights, where the choice was made: not on the days of the tables."""
    rates = public_rates(data)
    series = {"simulated pool, seed 1": pool_rates(1, 15)}
    if rates is not None:
        series["m-large requests/s, days 4 to 7"] = rates[: 7 * DAY]
    print("\ngradient boosting over the same simple forecasts, or weights (ours), mean absolute error in %")
    for name, values in series.items():
        first = max(3 * DAY, len(values) - 4 * DAY)
        for steps in AHEAD:
            boosted, weighed, spent_s = compared(values, STEP_S, int(steps), first)
            hours = _ahead(steps * STEP_S / 3600)
            print(f"  {name:32} {hours:>6}  boosting {100 * boosted:6.2f}  weights {100 * weighed:6.2f}  {spent_s:.2f} s a fit for this horizon alone")  # fmt: skip


def _ahead(hours: float) -> str:
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:g} h"


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--data", type=Path, default=DATA)
    read.add_argument("--seeds", type=int, default=6, help="Simulated pools to try.")
    read.add_argument(
        "--ablation", action="store_true", help="Also gradient boosting in place of the weights."
    )
    read.add_argument("--json", action="store_true")
    asked = read.parse_args()
    rows, peaks, left_out, fit_s, predict_s = measured(asked.data, asked.seeds)
    if asked.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "peaks": [asdict(peak) for peak in peaks], "left_out": left_out}))  # fmt: skip
        return
    show(rows, peaks)
    if asked.ablation:
        show_boosting(asked.data)
    for line in left_out:
        print(f"left out: {line}")
    if fit_s:
        print(f"\nfit {np.median(fit_s):.2f} s (most {max(fit_s):.2f}), predict {1000 * np.median(predict_s):.1f} ms (most {1000 * max(predict_s):.1f})")  # fmt: skip


if __name__ == "__main__":
    main()
