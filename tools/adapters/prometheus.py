"""Prometheus: telemetry in. Instant queries for readings, range queries for the past; it moves nothing.

A sample's age is asked for with `timestamp()`, since an instant query alone answers with the time of asking for
samples up to five minutes old.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from setpoint.errors import BackendError
from tools.adapters.config import PrometheusReading, PrometheusSource
from tools.adapters.ports import Health
from tools.adapters.web import JsonApi, secret
from tools.readings import Reading
from tools.telemetry import Series

FRESH_S = 2.0
"""One round of queries serves all assets that are read within this long."""
LONGEST_POINTS = 11_000
"""Prometheus refuses more points a series in one range query."""
PAST = timedelta(days=21)
STEP_S = 60.0
Sample = tuple[str, float, float]
"""Asset, UTC seconds, value."""


class Prometheus:
    """Readings of the assets that its queries name. `clock` is the wall clock."""

    def __init__(self, config: PrometheusSource, clock: Callable[[], datetime]) -> None:
        self.name = f"prometheus {config.url}"
        self._config, self._clock = config, clock
        token = secret(config.token_env)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._api = JsonApi("Prometheus", config.url, timeout_s=config.timeout_s, headers=headers)
        self._read_at: datetime | None = None
        self._latest: dict[str, dict[str, tuple[float, float]]] = {}
        """By asset and metric: UTC seconds and value."""

    def read(self, asset: str) -> Reading | None:
        now = self._clock()
        if self._read_at is None or (now - self._read_at).total_seconds() > FRESH_S:
            self._latest = self._round(now)
            self._read_at = now
        found = self._latest.get(asset)
        if not found:
            return None
        oldest = min(at for at, _ in found.values())
        return Reading(
            asset,
            datetime.fromtimestamp(oldest, UTC),
            {metric: value for metric, (_, value) in found.items()},
        )

    def assets(self) -> Sequence[str]:
        """Those that are named, and those that answered to a query by label."""
        return sorted({one.asset for one in self._config.readings if one.asset} | set(self._latest))

    def check(self) -> Health:
        try:
            found = self._api.get("/api/v1/status/buildinfo")
            read = self._round(self._clock())
        except BackendError as error:
            return Health(self.name, False, str(error))
        version = found.get("data", {}).get("version", "of unknown version")
        values = sum(len(metrics) for metrics in read.values())
        return Health(self.name, True, f"Prometheus {version}; {values} readings of {len(read)} assets")

    def close(self) -> None:
        self._api.close()

    # ---- the past ---------------------------------------------------------------------------------------------------

    def metrics(self, asset: str) -> Sequence[str]:
        return sorted({one.metric for one in self._config.readings if one.by or one.asset == asset})

    def series(self, asset: str, metric: str) -> Series | None:
        """The last 21 days by the minute, in as many queries as that takes; None where nothing answers."""
        mapped = [
            one for one in self._config.readings if one.metric == metric and (one.by or one.asset == asset)
        ]
        if not mapped:
            return None
        end = self._clock()
        points = sorted(
            (at, value)
            for one in mapped
            for name, at, value in self._past(one, end - PAST, end)
            if name == asset
        )
        if not points:
            return None
        times = tuple(datetime.fromtimestamp(at, UTC) for at, _ in points)
        return Series(asset, metric, times, tuple(value for _, value in points))

    def _past(self, one: PrometheusReading, start: datetime, end: datetime) -> Iterable[Sample]:
        span_s = LONGEST_POINTS * STEP_S
        at = start.timestamp()
        while at < end.timestamp():
            upto = min(at + span_s, end.timestamp())
            answer = self._api.get(
                "/api/v1/query_range",
                query=one.query,
                start=f"{at:.0f}",
                end=f"{upto:.0f}",
                step=f"{STEP_S:.0f}",
            )
            for row in _rows(answer, "matrix"):
                asset = one.asset or str(row["metric"].get(one.by, ""))
                yield from ((asset, s, one.ours(v)) for s, v in _numbers(row["values"]))
            at = upto + STEP_S

    # ---- now --------------------------------------------------------------------------------------------------------

    def _round(self, now: datetime) -> dict[str, dict[str, tuple[float, float]]]:
        found: dict[str, dict[str, tuple[float, float]]] = {}
        at = f"{now.timestamp():.3f}"
        for one in self._config.readings:
            taken = {asset: stamp for asset, _, stamp in self._instant(one, f"timestamp({one.query})", at)}
            for asset, asked_at, value in self._instant(one, one.query, at):
                found.setdefault(asset, {})[one.metric] = (taken.get(asset, asked_at), one.ours(value))
        return found

    def _instant(self, one: PrometheusReading, query: str, at: str) -> list[Sample]:
        answer = self._api.get("/api/v1/query", query=query, time=at)
        return [
            (one.asset or str(row["metric"].get(one.by, "")), stamp, value)
            for row in _rows(answer, "vector")
            for stamp, value in _numbers([row["value"]])
        ]


def _rows(answer: Any, kind: str) -> list[Any]:
    """Rows of an answer. Raises BackendError where it is not of that kind."""
    data = answer.get("data", {}) if isinstance(answer, dict) else {}
    if answer.get("status") != "success" or data.get("resultType") != kind:
        raise BackendError(
            f"Prometheus answered {data.get('resultType', 'nothing')} where a {kind} was asked",
            remedy="Use a query that gives an instant vector",
        )
    return list(data["result"])


def _numbers(pairs: Iterable[Sequence[Any]]) -> Iterable[tuple[float, float]]:
    """Finite samples only: Prometheus writes NaN and +Inf as text."""
    for stamp, text in pairs:
        value = float(text)
        if math.isfinite(value):
            yield float(stamp), value
