"""One quiet and one troubled night of the demo site, as readings on a grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from plant import load_site
from plant.diagnosis.observed import Observed, Sign
from plant.faults.catalog import load_catalog
from plant.faults.night import compose
from plant.faults.place import FaultPlan
from plant.site import Site

ONSET_S = 7800.0


@pytest.fixture(scope="session")
def site() -> Site:
    return load_site("demo")


@pytest.fixture(scope="session")
def window(site: Site) -> Callable[..., Observed]:
    """Readings from 2 h before a fault to `after_s` past it; no fault where none is named."""

    def made(fault: str = "", asset: str = "", *, after_s: float = 600.0, signs: tuple[Sign, ...] = (), seed: int = 5) -> Observed:  # fmt: skip
        plans = [FaultPlan(load_catalog()[fault], asset, ONSET_S, 0.7)] if fault else []
        night = compose(site, seed, hours=2.6, faults=plans, noise=0)
        upto = int(np.searchsorted(night.telemetry.times_s, ONSET_S + after_s + 1e-6))
        series = {key: values[:upto] for key, values in night.telemetry.series.items()}
        return Observed(night.start, night.telemetry.times_s[:upto], series, signs)

    return made
