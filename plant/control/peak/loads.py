"""Made-up sites to shave: a month of load by the minute, under a season's weather and tariff. Deterministic by seed.

Requests and weather are those of the simulated site's days (`plant.control.days`, fitted to public request rates);
scheduled jobs come as steps of power. The parts of a load:

    IT = idle + swing * requests + jobs        load = IT * (1 + overhead + slope * warmth)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from plant.control.days import Days, Requests, Shape, Wander, rng_of
from plant.control.peak.online import Case
from plant.power.ess import Ess, health_at_age
from plant.site import Site
from plant.specs import EssSpec, Tariff, TariffBand, Weather

FloatArray = NDArray[np.float64]
MINUTES = 1440
PERIOD_DAYS = 28
OVERHEAD_PU, SLOPE_PU_PER_K, COOL_C = 0.12, 0.006, 10.0
"""Power of conversion and cooling over IT on a cool day, what each kelvin above COOL_C adds: a PUE of 1.12 that becomes
1.24 at 30 C, between the plant's liquid and air halls (`plant.thermal.pue`)."""


@dataclass(frozen=True)
class Kind:
    """One kind of site."""

    name: str
    idle_kw: float
    swing_kw: float
    """At all that the pools can serve."""
    shape: Shape
    job_kw: float
    """Of one scheduled job."""
    jobs_a_day: float


KINDS = (
    Kind("bursty chat", 2000.0, 7000.0, Shape(), 0.0, 0.0),
    Kind("office hours", 2500.0, 6000.0,
         Shape(hour=0.45, weekend=-0.5, wanders=(Wander(1440, 0.06), Wander(240, 0.05), Wander(10, 0.03)), noise=0.02,
               bursts_a_day=0.4), 300.0, 2.0),
    Kind("chat and training", 4500.0, 2500.0,
         Shape(hour=0.3, weekend=-0.15, wanders=(Wander(1440, 0.1), Wander(240, 0.08), Wander(10, 0.05)), noise=0.03,
               bursts_a_day=1.0), 900.0, 3.0),
)  # fmt: skip
"""Between them lie what operators run: a service that bursts, one that follows its customers' day, one beside jobs."""


def _tariff(currency: str, demand: float, base: float, *bands: tuple[int, int, float]) -> Tariff:
    return Tariff(
        currency=currency, price_per_kwh=base, demand_per_kw_month=demand,
        bands=tuple(TariffBand(from_hour=a, to_hour=b, price_per_kwh=price) for a, b, price in bands),
    )  # fmt: skip


def kepco(off: float, mid: float, peak: float, *, winter: bool = False) -> Tariff:
    """KEPCO's industrial HV-A option II: base 7,470 KRW a kW and month, energy by season (tariff_ess.json), hours of
    its load bands (peak 11-12 and 13-18; in winter 9-12 and 16-19; off 22-8)."""
    peaks = ((9, 12), (16, 19)) if winter else ((11, 12), (13, 18))
    mids = ((8, 9), (12, 16), (19, 22)) if winter else ((8, 11), (12, 13), (18, 22))
    bands = sorted([*((a, b, peak) for a, b in peaks), *((a, b, mid) for a, b in mids)])
    return _tariff("KRW", 7470.0, off, *bands)


TARIFFS = {
    "KEPCO winter": (1, kepco(89.7, 106.6, 136.0, winter=True)),
    "KEPCO spring": (4, kepco(82.3, 87.1, 106.3)),
    "KEPCO summer": (7, kepco(82.3, 108.1, 141.6)),
    "EUR evening": (10, _tariff("EUR", 9.5, 0.11, (7, 10, 0.17), (17, 21, 0.21))),
}
"""Name: month of the year, and the tariff. The last is the site file's of hall-1024."""


def cases(seed: int, *, days: int = PERIOD_DAYS) -> list[Case]:
    """One billing period of each kind of site under each tariff and its season; of a third of them no history is
    known, of the others two weeks."""
    made = []
    for number, (kind, (label, (month, tariff))) in enumerate(
        (kind, term) for kind in KINDS for term in TARIFFS.items()
    ):
        before = 0 if number % 3 == 0 else 14
        made.append(case_of(kind, label, month, tariff, seed=seed, days=days, before_days=before))
    return made


def case_of(
    kind: Kind,
    label: str,
    month: int,
    tariff: Tariff,
    *,
    seed: int,
    days: int = PERIOD_DAYS,
    before_days: int = 14,
) -> Case:
    """One case: 2 MW and 4 MWh of storage, five years old, beside a load of 4 to 10 MW by the minute."""
    start = datetime(2026, month, 5, tzinfo=UTC)
    first = start - timedelta(days=before_days)
    load = load_of(kind, first, before_days + days, seed)
    spec = EssSpec(power_kw=2000.0, capacity_kwh=4000.0, soc_start_pct=50.0, age_years=5.0)
    ess = Ess(spec, health_at_age(spec.age_years, spec.cell_temp_c))
    flexible = tuple(
        (job.at - before_days * MINUTES, job.end - before_days * MINUTES)
        for job in jobs_of(kind, before_days + days, seed) if job.flexible
    )  # fmt: skip
    history = " and no history" if not before_days else ""
    cut = before_days * MINUTES
    return Case(
        f"{kind.name}, {label}{history}",
        load[cut:],
        60.0,
        start,
        tariff,
        ess,
        before_kw=load[:cut],
        known=jobs_kw(kind, before_days + days, seed) if kind.job_kw else None,
        flexible=flexible,
        job_kw=kind.job_kw * (1.0 + OVERHEAD_PU),
    )


def load_of(kind: Kind, start: datetime, days: int, seed: int) -> FloatArray:
    """(days * 1440,) kW by the minute."""
    site = Site(name=kind.name, weather=Weather(dry_bulb_c=12.0, wet_bulb_c=9.0))
    requests, weather = Requests(site, seed, shape=kind.shape), Days(site, seed)
    share = np.concatenate([
        requests.day_pu("pool", (start + timedelta(days=day)).date()) for day in range(days)
    ])  # fmt: skip
    it_kw = kind.idle_kw + kind.swing_kw * share + jobs_kw(kind, days, seed)
    hours = [start + timedelta(hours=hour) for hour in range(days * 24 + 1)]
    dry_c = np.array([_dry_c(weather, hour) for hour in hours])
    by_minute = np.interp(np.arange(days * MINUTES), np.arange(dry_c.size) * 60.0, dry_c)
    warm_k = np.maximum(by_minute - COOL_C, 0.0)
    load: FloatArray = it_kw * (1.0 + OVERHEAD_PU + SLOPE_PU_PER_K * warm_k)
    return load


def _dry_c(weather: Days, moment: datetime) -> float:
    """Dry bulb at that hour, warmest at 15:00."""
    air = weather.air(moment)
    return air.dry_mean_c + 0.5 * air.swing_k * float(np.cos(2.0 * np.pi * (moment.hour - 15.0) / 24.0))


@dataclass(frozen=True)
class Job:
    """One scheduled job, in minutes from the load's begin."""

    at: int
    end: int
    flexible: bool
    """May wait; every other one may."""


def jobs_of(kind: Kind, days: int, seed: int) -> list[Job]:
    """Jobs come by chance, last one to eight hours, and start at full power."""
    rng = rng_of(seed, kind.name, "jobs")
    found = []
    for number in range(rng.poisson(kind.jobs_a_day * days) if kind.jobs_a_day else 0):
        at = int(rng.uniform(0, days * MINUTES))
        found.append(Job(at, at + int(rng.uniform(60, 480)), number % 2 == 0))
    return found


def jobs_kw(kind: Kind, days: int, seed: int) -> FloatArray:
    """(days * 1440,) power of scheduled jobs by the minute, without overhead."""
    load = np.zeros(days * MINUTES)
    for job in jobs_of(kind, days, seed):
        load[job.at : job.end] += kind.job_kw
    return load
