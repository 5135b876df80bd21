"""What an operator's screen shows of the site itself: a few quantities over the last hour with their limits, and what may
be changed in an action that waits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import JsonValue

from plant.diagnosis.words import unit
from setpoint.contracts.site import Site
from setpoint.errors import UsageError
from tools.actions import ArgSpec, spec_of
from tools.telemetry import History, Series
from tools.windows import BlockHistory, FloatArray, last_read, readings

if TYPE_CHECKING:
    from setpoint.app.desk import Desk

SPAN_MIN = 60.0
POINTS = 120
MOST_POINTS = 1440
LONGEST_SPAN_MIN = 7 * 24 * 60.0
Side = Literal["most", "least"]
Found = tuple[str, FloatArray]
"""Whose readings are shown, and the readings on the grid."""


@dataclass(frozen=True)
class Shown:
    """One quantity of the site that an operator watches."""

    name: str
    kind: str
    metric: str
    side: Side
    """Whether its limit is the most or the least it may be."""
    pick: Callable[[Site, Mapping[str, FloatArray]], Found]
    limit: Callable[[Site, str], float | None]


def _all(_site: Site, of: Mapping[str, FloatArray]) -> Found:
    """Their sum, where each of them was read."""
    total: FloatArray = np.sum(list(of.values()), axis=0)
    return ", ".join(of), total


def _highest(_site: Site, of: Mapping[str, FloatArray]) -> Found:
    return _extreme(of, np.fmax.reduce(list(of.values())))


def _lowest(_site: Site, of: Mapping[str, FloatArray]) -> Found:
    return _extreme(of, np.fmin.reduce(list(of.values())))


def _extreme(of: Mapping[str, FloatArray], line: FloatArray) -> Found:
    """The outermost at each time; named is the one it was at the last."""
    at = int(np.flatnonzero(np.isfinite(line))[-1])
    return next(name for name, values in of.items() if values[at] == line[at]), line


def _nearest_slo(site: Site, of: Mapping[str, FloatArray]) -> Found:
    """The service that came nearest to its own objective, or furthest beyond it."""
    name = max(of, key=lambda one: float(np.nanmax(of[one])) / (_slo(site, one) or math.inf))
    return name, of[name]


def _slo(site: Site, service: str) -> float | None:
    own = next((pool.ttft_slo_ms for pool in site.pools if pool.name == service), None)
    return own if own is not None else site.limits.get("ttft_slo_ms")


def _site_limit(key: str) -> Callable[[Site, str], float | None]:
    return lambda site, _name: site.limits.get(key)


SHOWN = (
    Shown("power drawn", "feed", "load_kw", "most", _all, _site_limit("site_power_max_kw")),
    Shown("hottest GPU", "gpu_node", "gpu_temp_c", "most", _highest, _site_limit("gpu_temp_max_c")),
    Shown("battery charge", "ess", "soc_pct", "least", _lowest, _site_limit("soc_reserve_pct")),
    Shown("time to first token", "service", "ttft_ms", "most", _nearest_slo, _slo),
)
_WANTED = {(one.kind, one.metric) for one in SHOWN}


def site_plots_list(desk: Desk, minutes: float = SPAN_MIN, points: int = POINTS) -> JsonValue:
    """Power, hottest GPU, battery charge and time to first token up to the last reading; what is not read has no values."""
    if not 0 < minutes <= LONGEST_SPAN_MIN or not 2 <= points <= MOST_POINTS:
        raise UsageError(
            "that is no span to plot",
            remedy=f"Up to {LONGEST_SPAN_MIN:g} minutes in 2 to {MOST_POINTS} points",
        )
    full = desk.history()
    history = full if isinstance(full, BlockHistory) else _Watched(full, desk.site)
    end = _end(history, desk.site)
    start, step_s = end - timedelta(minutes=minutes), 60 * minutes / (points - 1)
    times_s, found = readings(history, desk.site, start, end, step_s)
    stamps = [(start + timedelta(seconds=float(s))).isoformat(timespec="seconds") for s in times_s]
    return [_plot(shown, desk.site, found, stamps) for shown in SHOWN]


@dataclass(frozen=True)
class _Watched:
    """A history of nothing but what is shown: a recording may hold thousands of series."""

    history: History
    site: Site

    def metrics(self, asset: str) -> Sequence[str]:
        kind = found.kind if (found := self.site.find(asset)) else ""
        return [metric for metric in self.history.metrics(asset) if (kind, metric) in _WANTED]

    def series(self, asset: str, metric: str) -> Series | None:
        return self.history.series(asset, metric)


def _end(history: History, site: Site) -> datetime:
    """The last reading, of whatever day; now where there is none."""
    now = datetime.now(UTC)
    if isinstance(history, BlockHistory):
        return last_read(history, site, now)
    return max(_last_times(history, site), default=now)


def _last_times(history: History, site: Site) -> Iterable[datetime]:
    for asset in site.assets:
        for metric in history.metrics(asset.name):
            series = history.series(asset.name, metric)
            if series and series.times:
                yield series.times[-1]


def _plot(
    shown: Shown, site: Site, found: Mapping[tuple[str, str], FloatArray], times: Sequence[str]
) -> JsonValue:
    names = [asset.name for asset in site.assets if asset.kind == shown.kind]
    of = {name: values for name in names if (values := found.get((name, shown.metric))) is not None}
    who, line = shown.pick(site, of) if of else ("", np.full(len(times), np.nan))
    told: list[JsonValue] = [round(float(v), 3) if math.isfinite(v) else None for v in line]
    return {
        "name": shown.name, "metric": shown.metric, "unit": unit(shown.metric), "of": who, "times": list(times),
        "values": told, "limit": shown.limit(site, who), "limit_is": shown.side,
    }  # fmt: skip


def who_show(desk: Desk, who: str) -> JsonValue:
    """The name that decisions of this caller are kept under: a server with accounts puts its own in place of `who`."""
    return {"who": who}


# ---- what may be changed in an action -------------------------------------------------------------------------------


def review_fields_list(desk: Desk, id: str) -> JsonValue:
    """The arguments of the action that a review asks for, each with the bounds that hold at this site."""
    review = desk.ledger.get_review(id)
    if review.proposal is None:
        return []
    action = review.proposal.action
    return [
        _field(arg, desk.site, action.args[arg.name])
        for arg in spec_of(action.name).args
        if arg.name in action.args
    ]


def _field(arg: ArgSpec, site: Site, value: JsonValue) -> JsonValue:
    low, high = arg.bounds(site)
    return {
        "name": arg.name, "type": arg.type, "unit": arg.unit, "doc": arg.doc, "value": value, "choices": list(arg.choices),
        "least": low if math.isfinite(low) else None, "most": high if math.isfinite(high) else None,
    }  # fmt: skip
