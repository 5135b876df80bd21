"""A pump trip of the demo site as Setpoint saw it: one incident, and every reading of the night."""

from __future__ import annotations

from functools import cache

from agents.evidence import Case
from evals.playing import play
from plant import load_site
from plant.faults.catalog import load_catalog
from plant.faults.night import compose
from plant.faults.place import FaultPlan
from tools.windows import Gridded

ONSET_S = 7800.0
"""Of the trip, from the start of the readings."""


@cache
def pump_night() -> tuple[Case, Gridded]:
    """The incident with the trip, and the readings."""
    site = load_site("demo")
    plan = FaultPlan(load_catalog()["pump_trip"], "cdu-1-pump-a", ONSET_S, 1.0)
    night = compose(site, 5, hours=3.0, faults=[plan])
    played = play(lines=night.events, site=site)
    case = max(played.cases, key=lambda one: (one.incident.priority == "P0", len(one.events)))
    return case, Gridded(night.start, night.telemetry.times_s, night.telemetry.series)
