"""The night that `setpoint demo` plays: ten faults of the plant's catalog over eight hours on the demo site.

What breaks and about when is chosen, so that the night shows the range of what a site lives through; where it breaks,
how badly and how long are drawn by the seed.
"""

from __future__ import annotations

import random

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


def demo_night(seed: int = SEED) -> Night:
    """The night. The same seed gives the same bytes."""
    site = load_site(SITE)
    return compose(site, seed, HOURS, programme(site, seed))


def programme(site: Site, seed: int) -> list[FaultPlan]:
    """Each fault on an asset of its own, within five minutes of its hour."""
    rng = random.Random(f"{seed}-demo")
    plans: list[FaultPlan] = []
    for name, hour, begins in PROGRAMME:
        fault = load_catalog()[name]
        struck = {plan.asset for plan in plans}
        places = [one for one in fitting(fault, site) if one.startswith(begins) and one not in struck]
        at_s = round(hour * 3600 + rng.uniform(-300, 300), 1)
        lasts_s = None if fault.lasts_s is None else fault.ramp_s + rng.uniform(*fault.lasts_s)
        end_s = None if lasts_s is None else round(at_s + lasts_s, 1)
        plans.append(FaultPlan(fault, rng.choice(places), at_s, rng.uniform(*fault.severity), end_s))
    return plans
