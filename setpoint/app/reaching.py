"""What a control loop reads of a site, for who asks what it would do. A run's own loops are wired in `wiring`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from setpoint.contracts.site import Site
from setpoint.ledger import Ledger
from setpoint.settings import Settings
from tools.loops.ports import LoopPorts, no_jobs

if TYPE_CHECKING:
    from setpoint.app.histories import Reached


def reach_of(
    settings: Settings, site: Site, ledger: Ledger, adapter: Reached | None
) -> Callable[[], LoopPorts] | None:
    """None where no site is behind."""
    if adapter is None:
        return None

    def reach() -> LoopPorts:
        from setpoint.app.histories import open_history
        from setpoint.app.opening import utc_now
        from tools.adapter import SimulatedSite
        from tools.adapters.real_site import RealSite
        from tools.loops.days_site import DaysSite

        if isinstance(adapter, DaysSite):
            return adapter.ports()
        history = open_history(settings, site, ledger, utc_now, adapter)
        twin = adapter.twin if isinstance(adapter, SimulatedSite) else None
        jobs = adapter.jobs if isinstance(adapter, RealSite) else no_jobs
        return LoopPorts(site, adapter.read, history, utc_now, jobs=jobs, twin=twin)

    return reach
