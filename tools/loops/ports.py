"""What a control loop is, and what it reaches.

The four loops have one shape, so that one graph runs them all (`graphs/control_loop.py`). A loop computes; it writes
nothing, acts on nothing and knows no model. What it has learned travels as plain values, so that a new process goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from plant.jobs.schedule import ScheduledJob
from setpoint.contracts.loops import Forecast, Foreseen, LoopName, LoopPlan, Observed, Watch
from setpoint.contracts.site import Site
from tools.readings import Read
from tools.telemetry import History

if TYPE_CHECKING:
    from plant.sim import Plant


def no_jobs(_start: datetime, _end: datetime) -> Sequence[ScheduledJob]:
    """For sites whose scheduler is not read."""
    return ()


@dataclass(frozen=True)
class LoopPorts:
    """All that a loop reaches. It changes none of it."""

    site: Site
    read: Read
    """Latest reading of an asset; None where there is none."""
    history: History
    """Readings up to now; of a live or simulated site, weeks of the slow ones (site, feed, ess, service, cdu)."""
    clock: Callable[[], datetime]
    jobs: Callable[[datetime, datetime], Sequence[ScheduledJob]] = no_jobs
    """Jobs that run or are planned within a span."""
    twin: Callable[[], Plant] | None = None
    """A copy of the plant as it stands, where it is simulated or estimated."""
    horizon_s: float | None = None
    """How far to plan; None: the loop's own."""


class Loop(Protocol):
    """One control loop. Every method may be called again for the same moment with the same result."""

    name: LoopName
    cycle_s: float
    """How often it turns."""
    horizon_s: float
    """How far it plans."""

    def monitor(self, now: datetime) -> Watch:
        """Read the site. Readings that are missing, stale or impossible are troubles, never numbers."""

    def predict(self, watch: Watch) -> tuple[Forecast, ...]:
        """Look ahead from `watch.at`, with intervals. Uses `history` up to that moment only."""

    def optimise(self, watch: Watch, forecasts: Sequence[Forecast]) -> LoopPlan:
        """The best plan. A blocking trouble, an infeasible programme or a solver out of time give a plan that holds the
        last safe setpoints or hands over, and says so in `troubles`; it never raises for these."""

    def foresee(self, plan: LoopPlan) -> tuple[Foreseen, ...]:
        """What should be read at the next cycle if the plan's due moves are made."""

    def learn(self, observed: Sequence[Observed]) -> None:
        """Take in what came of it."""

    def state(self) -> dict[str, object]:
        """What it has learned, as JSON values."""

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on with what an earlier process learned; ignores what it does not know."""


def make_loop(name: LoopName, ports: LoopPorts) -> Loop:
    """The loop of that name. Its module, and the numerics behind it, are imported here, not before."""
    module = import_module(f"tools.loops.{name}_loop")
    return cast(Loop, module.make(ports))
