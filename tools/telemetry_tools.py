"""Tools over the readings of the past: what an asset read, and whether the readings can carry a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated

from langchain_core.tools import BaseTool
from pydantic import Field

from setpoint.contracts.site import Site
from tools.telemetry import NEEDS, History, Purpose, Series, quality, within
from tools.typed import Answer, Args, ToolError, typed_tool

MOST_POINTS = 60
Asset = Annotated[str, Field(max_length=120, description="Name from the site file, e.g. gpu-03 or cdu-1")]
Minutes = Annotated[int, Field(ge=1, le=14 * 1440, description="How far back")]


class HistoryArgs(Args):
    asset: Asset
    metric: Annotated[
        str, Field(max_length=80, description="e.g. flow_lpm; empty: list the metrics there are")
    ] = ""
    minutes: Minutes = 60


class HistoryAnswer(Answer):
    asset: str
    metric: str
    metrics: list[str]
    """All metrics kept of the asset."""
    readings: int
    least: float | None = None
    mean: float | None = None
    greatest: float | None = None
    last: float | None = None
    points: list[tuple[str, float]] = Field(default_factory=list)
    """At most 60 of the readings, evenly over the span: time and value."""
    note: str = ""


class QualityArgs(Args):
    asset: Asset
    purpose: Annotated[Purpose, Field(description="What a plan wants to use them for")] = "thermal_control"
    minutes: Minutes = 60


class MetricQuality(Answer):
    metric: str
    readings: int
    step_s: float
    coverage_pu: float
    gaps: list[tuple[str, float]]
    """Begin and length in seconds of the longest five."""
    stuck_s: float
    fit: bool
    why: str


class QualityAnswer(Answer):
    asset: str
    purpose: Purpose
    needs_step_s: float
    metrics: list[MetricQuality]
    fit: bool
    """All of its metrics can carry it."""
    note: str = ""


def telemetry_tools(site: Site, history: History, clock: Callable[[], datetime]) -> list[BaseTool]:
    """History and quality, bound to this site and these readings."""
    return [
        typed_tool(
            "telemetry_history", "Past readings of one metric of one asset, with least, mean and greatest.",
            HistoryArgs, lambda args: _history(site, history, clock(), args),
        ),
        typed_tool(
            "telemetry_quality",
            "Whether an asset's readings are dense and whole enough for a purpose: coverage, resolution, gaps.",
            QualityArgs, lambda args: _quality(site, history, clock(), args),
        ),
    ]  # fmt: skip


def _history(site: Site, history: History, now: datetime, args: HistoryArgs) -> HistoryAnswer:
    asset, metrics = _known(site, history, args.asset)
    if not args.metric:
        return HistoryAnswer(
            asset=asset, metric="", metrics=metrics, readings=0, note="name one of the metrics"
        )
    if args.metric not in metrics:
        raise ToolError(
            f"{asset} has no readings of {args.metric!r}; there are {', '.join(metrics) or 'none'}"
        )
    start, _ = within(args.minutes, now)
    series = _series(history, asset, args.metric).since(start)
    values = series.values
    if not values:
        return HistoryAnswer(
            asset=asset, metric=args.metric, metrics=metrics, readings=0, note=f"none in the last {args.minutes} minutes"
        )  # fmt: skip
    return HistoryAnswer(
        asset=asset, metric=args.metric, metrics=metrics, readings=len(values), least=min(values),
        mean=sum(values) / len(values), greatest=max(values), last=values[-1], points=_thinned(series),
    )  # fmt: skip


def _quality(site: Site, history: History, now: datetime, args: QualityArgs) -> QualityAnswer:
    asset, metrics = _known(site, history, args.asset)
    start, end = within(args.minutes, now)
    rated = []
    for metric in metrics:
        found = quality(_series(history, asset, metric), start, end)
        fit, why = found.fit_for(args.purpose)
        longest = sorted(found.gaps, key=lambda gap: -gap[1])[:5]
        rated.append(
            MetricQuality(
                metric=metric,
                readings=found.readings,
                step_s=found.step_s,
                coverage_pu=round(found.coverage_pu, 4),
                gaps=[(_iso(begin), length) for begin, length in longest],
                stuck_s=found.stuck_s,
                fit=fit,
                why=why,
            )
        )
    fit = bool(rated) and all(one.fit for one in rated)
    note = "" if rated else "no readings of this asset are kept; a plan about it has nothing to rest on"
    return QualityAnswer(
        asset=asset, purpose=args.purpose, needs_step_s=NEEDS[args.purpose], metrics=rated, fit=fit, note=note
    )


def _known(site: Site, history: History, asset: str) -> tuple[str, list[str]]:
    found = site.find(asset)
    if found is None:
        raise ToolError(f"no asset {asset!r} on this site; use a name from the site file")
    return found.name, list(history.metrics(found.name))


def _series(history: History, asset: str, metric: str) -> Series:
    return history.series(asset, metric) or Series(asset, metric, (), ())


def _thinned(series: Series) -> list[tuple[str, float]]:
    every = max(1, -(-len(series.values) // MOST_POINTS))
    pairs: Sequence[tuple[datetime, float]] = list(zip(series.times, series.values, strict=True))[::every]
    return [(_iso(time), value) for time, value in pairs]


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
