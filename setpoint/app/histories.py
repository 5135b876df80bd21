"""Where readings of the past come from, by what there is: a recording, the simulated plant, or what events told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from setpoint.contracts.site import Site
from setpoint.ledger import Ledger
from setpoint.settings import Settings
from tools.adapter import SimulatedSite, SiteAdapter
from tools.adapters.real_site import RealSite
from tools.loops.days_site import DaysSite
from tools.night_site import NightSite
from tools.recorded import EventHistory
from tools.telemetry import History, read_history

Simulated = SimulatedSite | NightSite | DaysSite
"""What may stand in for the plant of a simulated site: as it is now, in a composed night, or through its days."""
Reached = Simulated | RealSite
"""A site that is read and moved: a plant model, or the real one through its adapters."""


def open_history(
    settings: Settings, site: Site, ledger: Ledger, clock: Callable[[], datetime], adapter: SiteAdapter | None
) -> History:
    """Readings by asset and metric. Raises InputError where the recording cannot be read."""
    if settings.site.telemetry is not None:
        return read_history(settings.site.telemetry)
    if isinstance(adapter, Reached):
        return adapter.history
    return EventHistory(ledger, site, clock)
