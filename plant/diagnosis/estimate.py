"""Where the site stands: the plant model brought to the state that telemetry shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plant.diagnosis.observed import FloatArray, Key, Observed
from plant.diagnosis.results import StateNote, Verdict
from plant.sim import Plant
from plant.site import Site


@dataclass(frozen=True)
class Estimate:
    """The plant model at one moment, and how far it may be trusted."""

    plant: Plant
    """At `at_s` of the window; copy it before it is moved."""
    at_s: float
    healthy: Mapping[Key, FloatArray]
    """What each observed and simulated signal would read without a fault, on the window's grid; NaN before `at_s`."""
    bias: Mapping[Key, float]
    """Observed minus model, by signal, from readings before the trouble. Add it to what the model says."""
    noise: Mapping[Key, float]
    """Standard deviation of a reading around model plus bias."""
    note: StateNote


def estimate(site: Site, observed: Observed, at_s: float) -> Estimate:
    """The state at `at_s` of the window, from the readings before it. Never raises for bad readings: they stand in
    `note.problems` and lower its confidence."""
    raise NotImplementedError


def present(site: Site, observed: Observed, verdict: Verdict | None = None) -> Estimate:
    """The state at the window's end, with the fault of the verdict at work in it, where rehearsals start."""
    raise NotImplementedError
