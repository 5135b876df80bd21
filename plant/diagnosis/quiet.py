"""An estimate where nothing was read: the site model in its quiet state, with a fault in it where one is supposed."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from plant.diagnosis.estimate import Estimate
from plant.diagnosis.results import StateNote
from plant.sim import Plant
from plant.site import Site


def as_estimate(plant: Plant, confidence: float = 1.0) -> Estimate:
    """A plant as it stands, taken for the site: nothing was read, so there is no bias, and noise is not known."""
    note = StateNote(as_of=plant.now, signals=0, confidence=confidence)
    nothing = np.zeros((0, 0))
    return Estimate(plant, 0.0, (), np.zeros(0, np.int64), nothing, {}, {}, {}, note)


def quiet(site: Site, now: datetime) -> Estimate:
    """The site in its quiet state at that time; no confidence, since nothing says that the site is in it."""
    return as_estimate(Plant.start(site, now), 0.0)
