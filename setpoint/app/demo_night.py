"""The nights of `setpoint demo`: ten faults of the plant's catalog on the demo site, over eight hours that are played
fast, or live, from the moment somebody sits down.

What breaks and about when is chosen, so that the night shows the range of what a site lives through; where it breaks,
how badly and how long are drawn by the seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from plant import load_site
from plant.faults.catalog import load_catalog
from plant.faults.night import Night, compose
from plant.faults.place import FaultPlan, fitting
from plant.site import Site

SITE = "demo"
HOURS = 8.0
SEED = 9
PROGRAMME: tuple[tuple[str, float, str], ...] = (
    ("thermal_interface", 0.4, "gpu-"),
    ("sensor_drift", 0.7, "temp-r-0"),
    ("link_flap", 1.1, "ib-link-"),
    ("gpu_off_bus", 1.7, "gpu-"),
    ("pump_trip", 2.4, "cdu-"),
    ("prefill_surge", 3.3, "pool-vip"),
    ("host_crash", 4.0, "gpu-"),
    ("clogged_filter", 4.5, "cdu-"),
    ("rack_leak", 5.8, "r-0"),
    ("feed_lost", 6.9, "feed-"),
)
"""(fault, hour of the night, how the name of what it strikes begins)."""


LIVE: tuple[tuple[str, float, str], ...] = (
    ("pump_trip", 25, "cdu-1"),
    ("gpu_off_bus", 420, "gpu-2"),
    ("prefill_surge", 900, "pool-vip"),
    ("rack_leak", 1500, "r-0"),
    ("sensor_drift", 2100, "temp-r-0"),
    ("clogged_filter", 2700, "cdu-2"),
    ("link_flap", 3900, "ib-link-"),
    ("host_crash", 5400, "gpu-"),
    ("feed_lost", 7200, "feed-"),
    ("thermal_interface", 9000, "gpu-"),
)
"""(fault, seconds after somebody sat down, how the name of what it strikes begins): a night to be lived through."""
LIVE_LASTS_S = 2700.0
"""What ends by itself ends so late: the remedy is the operator's."""
BEFORE_S = 3600.0
LIVE_HOURS = 5.0
LIVE_SAMPLE_S = 15.0


def live_night(now: datetime, seed: int = SEED) -> Night:
    """A night whose first quiet hour has passed by `now` and whose first fault is seconds away."""
    site = load_site(SITE)
    plans = []
    for plan in programme(
        site, seed, [(name, (BEFORE_S + after_s) / 3600, begins) for name, after_s, begins in LIVE], 0.0
    ):
        ends = None if plan.end_s is None else plan.at_s + LIVE_LASTS_S
        plans.append(replace(plan, end_s=ends))
    start = now - timedelta(seconds=BEFORE_S)
    return compose(site, seed, LIVE_HOURS, plans, start, sample_s=LIVE_SAMPLE_S)


def demo_night(seed: int = SEED) -> Night:
    """The night. The same seed gives the same bytes."""
    site = load_site(SITE)
    return compose(site, seed, HOURS, programme(site, seed))


def programme(
    site: Site, seed: int, when: Sequence[tuple[str, float, str]] = PROGRAMME, about_s: float = 300.0
) -> list[FaultPlan]:
    """Each fault on an asset of its own, within `about_s` of its hour."""
    rng = random.Random(f"{seed}-demo")
    plans: list[FaultPlan] = []
    for name, hour, begins in when:
        fault = load_catalog()[name]
        struck = {plan.asset for plan in plans}
        places = [one for one in fitting(fault, site) if one.startswith(begins) and one not in struck]
        at_s = round(hour * 3600 + rng.uniform(-about_s, about_s), 1)
        lasts_s = None if fault.lasts_s is None else fault.ramp_s + rng.uniform(*fault.lasts_s)
        end_s = None if lasts_s is None else round(at_s + lasts_s, 1)
        plans.append(FaultPlan(fault, rng.choice(places), at_s, rng.uniform(*fault.severity), end_s))
    return plans
