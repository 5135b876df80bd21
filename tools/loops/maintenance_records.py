"""What was read of each part, as means of a day, kept for longer than the site's history reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from plant.control.maintenance.parts import Signal
from plant.control.maintenance.survival import Record
from plant.control.maintenance.trend import FloatArray, window_days
from plant.control.watch import AHEAD_S
from plant.diagnosis.words import span
from setpoint.contracts.loops import Trouble
from tools.loops.maintenance_site import DAY_S, Part
from tools.loops.ports import LoopPorts
from tools.loops.sensing import Sensing

FINE_DAYS, COARSE = 30.0, 3
"""Of what is older than so many days, one mean of so many is kept."""
STALE_DAYS = 3.0
"""A part whose last reading is older counts as not read."""
FALL_NOISES, LEAST_FALL = 8.0, 0.1
"""A fall of the damage by so many noises, and by no less than that, is a new part."""
REACH_DAYS = 21.0
"""How far back the site's history is asked."""


class Records:
    """Means by asset and metric, by day since 1970 (UTC). `Signal.noise` is that of such a mean."""

    def __init__(self, ports: LoopPorts) -> None:
        self._ports = ports
        self._means: dict[str, dict[int, float]] = {}
        self._at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether the site was read for that moment."""
        return self._at == now

    def read(self, parts: Sequence[Part], sensing: Sensing) -> None:
        """Take in what the history holds of the parts' signals up to now. Impossible readings are left out and told."""
        self._at = sensing.now
        for part in parts:
            told = set(self._ports.history.metrics(part.asset))
            for signal in part.kind.signals:
                if signal.metric in told:
                    self._take(f"{part.asset}.{signal.metric}", part, signal.metric, sensing)

    def of(self, part: Part, now: datetime) -> Record:
        """Days relative to now and values, by metric."""
        found = {}
        for signal in part.kind.signals:
            kept = self._means.get(f"{part.asset}.{signal.metric}", {})
            upto = [(number, mean) for number, mean in sorted(kept.items()) if _days(number, now) <= 0.0]
            if upto and _days(upto[-1][0], now) >= -STALE_DAYS:
                days = np.array([_days(number, now) for number, _ in upto])
                means = np.array([mean for _, mean in upto])
                own = since_renewed(signal, means)
                found[signal.metric] = days[own:], means[own:]
        return found

    def state(self) -> dict[str, object]:
        return {
            name: {str(number): mean for number, mean in kept.items()} for name, kept in self._means.items()
        }

    def restore(self, state: Mapping[str, object]) -> None:
        for name, kept in state.items():
            if isinstance(kept, Mapping):
                means = {
                    int(n): float(m)
                    for n, m in kept.items()
                    if str(n).isdigit() and isinstance(m, int | float)
                }
                self._means[str(name)] = {n: m for n, m in means.items() if np.isfinite(m)}

    def _take(self, name: str, part: Part, metric: str, sensing: Sensing) -> None:
        series = self._ports.history.series(part.asset, metric)
        if series is None or not series.times:
            return
        signal = part.kind.by_metric[metric]
        stamps = np.array([time.timestamp() for time in series.times])
        values = np.array(series.values)
        now_s = sensing.now.timestamp()
        recent = (stamps <= now_s + AHEAD_S) & (stamps > now_s - REACH_DAYS * DAY_S)
        for trouble in _of_the_clock(part.asset, metric, stamps, now_s):
            sensing.add(trouble)
        possible = np.array([signal.possible(value) for value in values[recent].tolist()], bool)
        if (~possible).any():
            sensing.add(
                _impossible(
                    part.asset, metric, int((~possible).sum()), len(possible), signal.least, signal.most
                )
            )
        numbers = np.floor(stamps[recent][possible] / DAY_S).astype(int)
        kept = self._means.setdefault(name, {})
        for number in np.unique(numbers):
            kept[int(number)] = round(float(np.mean(values[recent][possible][numbers == number])), 6)
        today = int(now_s / DAY_S)
        oldest = today - int(window_days(part.kind))
        fine = today - int(FINE_DAYS)
        for number in [n for n in kept if n < oldest or (n < fine and n % COARSE)]:
            del kept[number]
        if possible.any():
            sensing.readings[name] = float(values[recent][possible][-1])


def since_renewed(signal: Signal, means: FloatArray) -> int:
    """Where the readings of the part that is in place begin: wear does not heal, so that after a fall of more than noise
    it is another part."""
    damage = (means - signal.usual) / (signal.limit - signal.usual)
    least_fall = max(FALL_NOISES * signal.noise, LEAST_FALL)
    for place in range(len(damage) - 1, 1, -1):
        before, after = np.median(damage[max(0, place - 3) : place]), np.max(damage[place : place + 2])
        if before - after > least_fall:
            return place
    return 0


def _days(number: int, now: datetime) -> float:
    """Days from now of the end of a day, at most 0 for the one that runs."""
    end = number + 1 - now.timestamp() / DAY_S
    return min(end, 0.0) if end < 1.0 else end


def _of_the_clock(asset: str, metric: str, stamps: FloatArray, now_s: float) -> list[Trouble]:
    """Readings from the future, and records that have stopped."""
    ahead_s = float(stamps.max()) - now_s
    if ahead_s > AHEAD_S:
        return [
            Trouble(
                kind="clock_jump", asset=asset, metric=metric, blocks=False,
                what=f"{asset} {metric} is stamped up to {span(ahead_s)} ahead of now",
                instead="Those readings are left out", remedy="Set the clocks",
            )
        ]  # fmt: skip
    if -ahead_s > STALE_DAYS * DAY_S:
        return [
            Trouble(
                kind="stale", asset=asset, metric=metric, blocks=False,
                what=f"{asset} {metric} was last read {span(-ahead_s)} ago",
                instead="The part counts as not read: its kind's rate is all that is said of it",
                remedy="Check the sensor's path",
            )
        ]  # fmt: skip
    return []


def _impossible(asset: str, metric: str, many: int, of: int, least: float, most: float) -> Trouble:
    return Trouble(
        kind="impossible", asset=asset, metric=metric,
        what=f"{many} of {of} readings of {asset} {metric} lie outside {least:g} to {most:g}",
        instead="They are left out", remedy="Check the sensor, its unit and its scaling", blocks=False,
    )  # fmt: skip
