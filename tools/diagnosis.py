"""Diagnosis on the plant model, from what Setpoint holds: a history of readings, events, their ranks, a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from plant.diagnosis.observed import Observed, Sign
from plant.diagnosis.results import SensorProblem
from plant.diagnosis.words import span
from setpoint.contracts import Event, Triage
from setpoint.contracts.site import Site
from tools.telemetry import History
from tools.windows import last_read, readings

if TYPE_CHECKING:
    from plant.diagnosis.trial import Tried

BEFORE_S = 7200.0
"""Readings of so long before the first event of note."""
LEAST_BEFORE_S = 900.0
"""With less than this the state before the trouble is not known."""
STEP_S, FINE_STEP_S = 30.0, 10.0
YOUNG_S = 900.0
"""An incident younger than this is looked at in fine steps, where readings come so often."""
LEAST_SIGNALS = 4
LEAST_TIMED, CLOCK_S = 4, 120.0
LIVE_S = 900.0
"""In a recording all events arrive long after they happened, and their lag says nothing of clocks."""


def observe(
    site: Site, history: History, events: Sequence[Event], triages: Mapping[str, Triage], as_of: datetime
) -> Observed | None:
    """The window of one incident, up to `as_of`; None where too little was read before it to compare with."""
    first = first_of_note(events, triages)
    if first is None:
        return None
    as_of = min(as_of, last_read(history, site, as_of))
    first = min(first, as_of)
    start = first - timedelta(seconds=BEFORE_S)
    times_s, series = readings(history, site, start, as_of, STEP_S)
    if (as_of - first).total_seconds() < YOUNG_S and _often_read(history, site, as_of):
        start = first - timedelta(seconds=BEFORE_S / 2)
        times_s, series = readings(history, site, start, as_of, FINE_STEP_S)
    skip = _empty_rows(times_s, series)
    before_s = (first - start).total_seconds() - float(times_s[skip]) if len(times_s) > skip else 0.0
    if len(series) < LEAST_SIGNALS or before_s < LEAST_BEFORE_S:
        return None
    start += timedelta(seconds=float(times_s[skip]))
    series = {key: values[skip:] for key, values in series.items()}
    signs = tuple(
        sign_of(event, triages.get(event.id), start, site) for event in events if event.time <= as_of
    )
    return Observed(start, times_s[skip:] - times_s[skip], series, signs)


def diagnose(
    site: Site, history: History, events: Sequence[Event], triages: Mapping[str, Triage],
    scores: Mapping[str, float], as_of: datetime,
) -> Tried | None:  # fmt: skip
    """Test the causes of one incident on the plant model; None where no telemetry covers it.

    `scores` is the log evidence of the event pattern by cause (agents.troubleshooter).
    """
    from plant.diagnosis.trial import try_causes  # compiled code takes half a second to load

    observed = observe(site, history, events, triages, as_of)
    return None if observed is None else try_causes(site, observed, scores, clock_doubts(events))


def clock_doubts(events: Sequence[Event]) -> list[SensorProblem]:
    """Assets whose events carry a clock that stands still, or that runs apart from the others'."""
    lags_s = [(event.received - event.time).total_seconds() for event in events]
    by_asset: dict[str, list[Event]] = {}
    for event in events:
        by_asset.setdefault(event.asset, []).append(event)
    found = []
    for asset, own in by_asset.items():
        if len(own) < LEAST_TIMED:
            continue
        spread_s = (max(e.received for e in own) - min(e.received for e in own)).total_seconds()
        if len({event.time for event in own}) == 1 and spread_s > CLOCK_S:
            text = f"all {len(own)} events of {asset} carry the time {own[0].time:%H:%M:%SZ}, though they came over {span(spread_s)}"
            found.append(SensorProblem(kind="clock", asset=asset, text=text))
            continue
        apart_s = median((e.received - e.time).total_seconds() for e in own) - median(lags_s)
        if abs(apart_s) > CLOCK_S and median(lags_s) < LIVE_S:
            text = f"the clock of {asset} is {span(abs(apart_s))} {'behind' if apart_s > 0 else 'ahead of'} the others'"
            found.append(SensorProblem(kind="clock", asset=asset, text=text))
    return found


def first_of_note(events: Sequence[Event], triages: Mapping[str, Triage]) -> datetime | None:
    """Time of the first firing event above P3; of the first at all where none is."""
    serious = [
        e.time for e in events if e.status == "firing" and (t := triages.get(e.id)) and t.priority < "P3"
    ]
    return min(serious or [event.time for event in events], default=None)


def _often_read(history: History, site: Site, as_of: datetime) -> bool:
    """Whether readings come at least as often as the fine step."""
    _, recent = readings(history, site, as_of - timedelta(seconds=120), as_of, FINE_STEP_S)
    changed = [np.count_nonzero(np.diff(values[np.isfinite(values)])) for values in recent.values()]
    return any(count >= 8 for count in changed)


def _empty_rows(
    times_s: np.ndarray[tuple[int], np.dtype[np.float64]], series: Mapping[tuple[str, str], object]
) -> int:
    """Rows before the first reading of any sensor."""
    if not series:
        return len(times_s)
    firsts = [int(np.argmax(np.isfinite(np.asarray(values, dtype=float)))) for values in series.values()]
    return min(firsts)


def sign_of(event: Event, triage: Triage | None, start: datetime, site: Site) -> Sign:
    """What diagnosis needs of one event, its time counted from `start`."""
    asset = site.find(event.asset)
    return Sign(
        id=event.id, at_s=(event.time - start).total_seconds(), asset=asset.name if asset else event.asset,
        priority=triage.priority if triage else "P3", hints=triage.cause_hints if triage else (),
        condition=triage.condition if triage else "", firing=event.status == "firing",
        metric=event.metric or "", value=event.value,
    )  # fmt: skip
