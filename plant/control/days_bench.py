"""How like real rates the days' requests are, and how fast a site's days pass: `python -m plant.control.days_bench`.

The rates are those of ServeGen's m-large service (shared/data/plant). The generator was fitted to their first seven days
by hand, to the figures printed here; the last seven were not looked at. Nothing is timed inside the plant: the second
table is CPU time on this machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from plant.control.days import MINUTES, Days, FloatArray, Requests
from plant.control.days_jobs import JobDays
from plant.inference.trace import read_rates
from plant.sim import Plant
from plant.site import load_site, site_file_of

RATES = Path(__file__).parents[3] / "shared" / "data" / "plant" / "rate_servegen_m-large_10min.csv"
FIRST = date(2026, 3, 9)
STEP_MIN, DAY = 10, MINUTES // 10
FIGURES = (
    "highest over mean", "lowest over mean", "10 min later, of mean", "1 h later, of mean", "3 h later, of mean",
    "a day later, of mean", "10 min later, of peak", "a day later, of peak", "peak of a day from the last",
)  # fmt: skip


def figures(rps: FloatArray) -> list[float]:
    """What `FIGURES` names, of ten-minute means; mean absolute differences, a share of the series' mean or peak."""
    mean, peak = rps.mean(), rps.max()
    gap = {lag: float(np.abs(rps[lag:] - rps[:-lag]).mean()) for lag in (1, 6, 18, DAY)}
    peaks = rps[: len(rps) // DAY * DAY].reshape(-1, DAY).max(axis=1)
    return [
        float(peak / mean), float(rps.min() / mean), gap[1] / mean, gap[6] / mean, gap[18] / mean, gap[DAY] / mean,
        gap[1] / peak, gap[DAY] / peak, float(np.mean(np.abs(np.diff(peaks)) / peaks[1:])),
    ]  # fmt: skip


def made(site: str, seed: int, days: int = 14) -> FloatArray:
    """Ten-minute means of the busiest pool's requests, over what it serves."""
    found = load_site(site_file_of(site))
    requests = Requests(found, seed)
    rows = [requests.day_pu(found.pools[0].name, FIRST + timedelta(days=k)) for k in range(days)]
    return np.asarray(np.concatenate(rows).reshape(-1, STEP_MIN).mean(axis=1))


def speed(site: str, days: float = 2.0) -> float:
    """Simulated hours for each CPU second: plant, jobs, requests and weather, without history and meters."""
    found = load_site(site_file_of(site))
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    plant, jobs = Plant.start(found, start), JobDays(found, start, 7)
    requests, weather = Requests(found, 7), Days(found, 7)
    plant.advance(60.0, 10.0)
    begun = time.process_time()
    for minute in range(round(days * MINUTES)):
        now = start + timedelta(minutes=minute)
        for pool in found.pools:
            requests.share_pu(pool.name, now)
        weather.air(now)
        jobs.pass_to(now)
        plant.advance(60.0, 10.0)
    return 24.0 * days / (time.process_time() - begun)


def run(seeds: int) -> dict[str, Any]:
    """Both tables as plain values."""
    drawn = np.array([figures(made("hall-1024", 100 + seed)) for seed in range(seeds)])
    table: dict[str, dict[str, float | list[float]]] = {}
    if RATES.exists():
        _, rps = read_rates(RATES)
        halves = {"real, first week": rps[: 7 * DAY], "real, second week": rps[7 * DAY :], "real, both": rps}
        table = {name: dict(zip(FIGURES, figures(part), strict=True)) for name, part in halves.items()}
    table["drawn"] = dict(zip(FIGURES, drawn.mean(axis=0).tolist(), strict=True))
    low, high = np.percentile(drawn, (5, 95), axis=0)
    table["drawn, 90 % of seeds"] = {
        name: [float(a), float(b)] for name, a, b in zip(FIGURES, low, high, strict=True)
    }
    return {
        "requests": table,
        "hours_per_cpu_s": {site: speed(site) for site in ("demo", "hall-1024", "gb200-row")},
    }


def _print(found: dict[str, Any], seeds: int) -> None:
    table = found["requests"]
    print(
        f"requests: rates of ten minutes over 14 days, {seeds} seeds of hall-1024 (100 to {99 + seeds}, none of them tuned on)"
    )
    if not RATES.exists():
        print(f"no real rates: {RATES} is not there")
    print(f"{'':30}" + "".join(f"{name:>22}" for name in table))
    for figure in FIGURES:
        cells = (row[figure] for row in table.values())
        print(f"{figure:30}" + "".join(f"{_cell(cell):>22}" for cell in cells))
    print("\nsimulated hours for each CPU second: plant in 10-s steps, jobs, requests, weather")
    for site, hours in found["hours_per_cpu_s"].items():
        print(f"{site:30}{hours:22.0f}")


def _cell(value: float | list[float]) -> str:
    return f"{value[0]:.3f} to {value[1]:.3f}" if isinstance(value, list) else f"{value:.3f}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = run(given.seeds)
    if given.json:
        json.dump(found, sys.stdout, indent=2)
    else:
        _print(found, given.seeds)


if __name__ == "__main__":
    main()
