"""What the site reads now and has read of late, for pages that are looked at often: read at most once in a few seconds,
however many people look, and never waited for longer than a page may take."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from setpoint.errors import SetpointError
from setpoint.ledger.records import ActionRecord
from tools.adapters.real_site import RealSite
from tools.telemetry import History, Series
from tools.windows import BlockHistory
from tools.windows import readings as gridded

if TYPE_CHECKING:
    from setpoint.app.wiring import Runtime

FRESH_S = 8.0
"""A reading that is younger is not read again for a page."""
PATIENCE_S = 1.5
"""A page waits so long for a site that answers slowly, then shows what was read before."""
STALE = timedelta(minutes=15)
"""A last value that is older says nothing of now."""
SHORTEST = timedelta(minutes=10)
POINTS = 240
"""Of a plotted line."""
WANTED: Mapping[str, tuple[str, ...]] = {
    "feed": ("load_kw",), "rack": ("power_kw", "inlet_temp_c"), "gpu_node": ("power_kw", "gpu_temp_c"),
    "chiller": ("power_kw",), "crah": ("power_kw",), "pump": ("power_kw",), "cdu": ("pump_kw",), "ess": ("soc_pct",),
    "service": ("ttft_ms",),
}  # fmt: skip
"""What is plotted, by kind of asset."""
Value = TypeVar("Value")
Lines = dict[tuple[str, str], NDArray[np.float64]]
log = logging.getLogger("setpoint")


@dataclass(frozen=True)
class Now:
    """The last values of everything that is read."""

    at: datetime
    values: Mapping[str, Mapping[str, float]]
    """By asset and metric."""
    failed: tuple[str, ...] = ()
    """Sources that did not answer, and why."""


@dataclass(frozen=True)
class Past:
    """Plotted quantities on one grid of times."""

    start: datetime
    end: datetime
    times_s: NDArray[np.float64]
    """Seconds since 1970."""
    lines: Lines = field(default_factory=dict)
    acts: Sequence[ActionRecord] = ()
    short: bool = False
    """Nothing older is kept: it begins later than was asked for."""


class Remembered(Generic[Value]):
    """One value that is made anew when it is asked for and old, by one thread at a time."""

    def __init__(self, make: Callable[[], Value], fresh_s: float = FRESH_S) -> None:
        self._make, self._fresh_s = make, fresh_s
        self._lock, self._done = threading.Lock(), threading.Event()
        self._value: Value | None = None
        self._made_at = -1e9
        self._at_work = False

    def get(self, patience_s: float = PATIENCE_S) -> Value | None:
        """The value; an older one, or none, where making it takes longer than the patience."""
        with self._lock:
            fresh = time.monotonic() - self._made_at < self._fresh_s
            if not fresh and not self._at_work:
                self._at_work = True
                self._done.clear()
                threading.Thread(target=self._work, name="console readings", daemon=True).start()
        if not fresh:
            self._done.wait(patience_s)
        return self._value

    def _work(self) -> None:
        try:
            self._value = self._make()
        except SetpointError as error:
            log.warning("console: readings: %s", error)
        except Exception:  # a page without readings is better than a thread that ends without a word
            log.exception("console: readings could not be taken")
        finally:
            with self._lock:
                self._made_at, self._at_work = time.monotonic(), False
            self._done.set()


class Readings:
    """Of one running Setpoint."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._now = Remembered(self._read)
        self._past: dict[float, Remembered[Past]] = {}

    def now(self) -> Now | None:
        """From any thread but the event loop's."""
        return self._now.get()

    def past(self, hours: float) -> Past | None:
        """The same of the last hours."""
        found = self._past.setdefault(hours, Remembered(lambda: self._read_past(hours)))
        return found.get()

    # ---- now --------------------------------------------------------------------------------------------------

    def _read(self) -> Now:
        adapter, site = self._runtime.adapter, self._runtime.site
        if adapter is None:
            return self._last_known()
        found = {asset.name: reading.values for asset in site.assets if (reading := adapter.read(asset.name))}
        failed = adapter.failed if isinstance(adapter, RealSite) else {}
        return Now(datetime.now(UTC), found, tuple(f"{name}: {why}" for name, why in failed.items()))

    def _last_known(self) -> Now:
        """The last values of a history that nothing stands behind: a recording, or what events told."""
        history, found = self._runtime.history, dict[str, dict[str, float]]()
        latest = datetime.fromtimestamp(0, UTC)
        ends: dict[str, dict[str, datetime]] = {}
        for asset in self._runtime.site.assets:
            for metric in history.metrics(asset.name):
                series = history.series(asset.name, metric)
                if series is not None and series.times:
                    found.setdefault(asset.name, {})[metric] = series.values[-1]
                    ends.setdefault(asset.name, {})[metric] = series.times[-1]
                    latest = max(latest, series.times[-1])
        now = datetime.now(UTC)
        kept = {
            asset: {metric: value for metric, value in values.items() if now - ends[asset][metric] <= STALE}
            for asset, values in found.items()
        }
        return Now(latest if found else now, {asset: values for asset, values in kept.items() if values})

    # ---- the past ---------------------------------------------------------------------------------------------

    def _read_past(self, hours: float) -> Past:
        runtime, span = self._runtime, timedelta(hours=hours)
        end = datetime.now(UTC)
        step_s = max(10.0, span.total_seconds() / POINTS)
        history: History = runtime.history
        only = history if isinstance(history, BlockHistory) else _Only(history, _wanted(runtime))
        times_s, lines = gridded(only, runtime.site, end - span, end, step_s)
        wanted = _wanted(runtime)
        kept = {key: values for key, values in lines.items() if key in wanted}
        whole = Past(end - span, end, times_s + (end - span).timestamp(), kept)
        start = _begin(whole)
        inside = whole.times_s >= start.timestamp() - step_s
        return Past(
            start, end, whole.times_s[inside], {key: values[inside] for key, values in kept.items()},
            runtime.ledger.latest_actions(start, limit=40), start > whole.start,
        )  # fmt: skip


def _begin(past: Past) -> datetime:
    """Where the first reading is, if the span begins with none: an empty plot says less than a short one."""
    known = [past.times_s[np.isfinite(values)] for values in past.lines.values()]
    first = min((float(times[0]) for times in known if len(times)), default=past.start.timestamp())
    begun = min(datetime.fromtimestamp(first, UTC), past.end - SHORTEST)
    return begun if begun - past.start > 0.1 * (past.end - past.start) else past.start


def _wanted(runtime: Runtime) -> frozenset[tuple[str, str]]:
    return frozenset(
        (asset.name, metric) for asset in runtime.site.assets for metric in WANTED.get(asset.kind, ())
    )


@dataclass(frozen=True)
class _Only:
    """A history of which a few metrics are told, so that a slow store is asked for nothing else."""

    history: History
    wanted: frozenset[tuple[str, str]]

    def metrics(self, asset: str) -> Sequence[str]:
        return [metric for metric in self.history.metrics(asset) if (asset, metric) in self.wanted]

    def series(self, asset: str, metric: str) -> Series | None:
        return self.history.series(asset, metric)
