"""A simulated site with its days: requests, jobs and weather move it, and it answers to actions.

One clock, plant time: readings are stamped with it and history ends with it. Time passes in whole steps of ten seconds
from the begin, and everything else is drawn by seed; what was done to the site is kept with its moment. So the same
site, seed and acts are the same days to the last bit, and that list is all there is to save (`to_dict`).

The days before `start` run without any loop and fill the history.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plant.control.days import Days, Requests
from plant.control.days_jobs import JobDays
from plant.control.days_wear import HOUR_S, DaysWear, WearPart, WornPart
from plant.jobs.schedule import ScheduledJob
from plant.sim import Plant
from setpoint.contracts import Action
from setpoint.contracts.site import Site
from setpoint.errors import BackendError, InputError, UsageError
from tools.loops.days_history import SITE, STEP_S, DaysHistory
from tools.loops.days_meters import DemandMeter, Meters
from tools.loops.maintenance_site import parts_of
from tools.loops.ports import LoopPorts
from tools.readings import Reading

MINUTE_S = 60.0
SAVED_VERSION = 1
MOST_WARM_DAYS = 60.0


class DaysSite:
    """`tools.adapter.SiteAdapter` of a simulated site in its days. It stands at `start` until time is let pass."""

    def __init__(
        self,
        site: Site,
        start: datetime,
        *,
        seed: int = 7,
        warm_days: float = 7.0,
        rates: str | Path | None = None,
        wear: bool = False,
    ) -> None:
        """`rates`: a file of request rates (t_s, rps) in place of drawn ones. `wear`: parts age, fail and are renewed
        (`plant.control.days_wear`), by the seed as well.

        Raises UsageError for a start without a zone or an impossible number of days, InputError for rates that cannot
        be read.
        """
        if start.tzinfo is None:
            raise UsageError(
                f"the start {start.isoformat()} has no zone", remedy="Write it as 2026-03-14T21:00:00Z"
            )
        if not 0.0 <= warm_days <= MOST_WARM_DAYS:
            raise UsageError(f"{warm_days:g} days of history", remedy=f"Give 0 to {MOST_WARM_DAYS:g}")
        self.site, self.seed, self._warm_days = site, seed, warm_days
        self._rates = None if rates is None else Path(rates)
        self.start = start.astimezone(UTC).replace(second=0, microsecond=0)
        """On the minute."""
        self._lock = RLock()
        self.begin = self.start - timedelta(minutes=round(warm_days * 1440))
        self.plant = Plant.start(site, self.begin)
        self._requests, self._weather = Requests(site, seed, self._rates), Days(site, seed)
        self._jobs = JobDays(site, self.begin, seed)
        pools = [name for name, (kind, _) in self.plant.store.rows.items() if kind == "pool"]
        self._capacity_rps = {pool: self.plant.number(pool, "rate_rps") for pool in pools}
        self._outside = tuple(n.name for n in site.of_kind("gpu_node") if not _pooled(self.plant, n.name))
        self._out: set[str] = set()
        self._steps = 0
        self._moves: list[dict[str, Any]] = []
        self._acts: list[tuple[datetime, Action]] = []
        self._wear = _wear_of(site, self.begin, seed) if wear else None
        self._wear_hour = -1
        self.history = DaysHistory(self.plant, self._wear.sensors if self._wear else ())
        self._blurred = (
            [self.history.places[a.lower(), m] for a, m in self._wear.blurred] if self._wear else []
        )
        self._blur = np.zeros(len(self._blurred))
        self._demand = DemandMeter(site.zone)
        self._grid_at = self.history.places[SITE, "grid_kw"]
        self._meters: Meters | None = None
        self._show_jobs()
        self._go_to(self.start)
        self._meters, self._done_before_h = Meters(site, self.history, self._demand), self._jobs.done_node_h()

    # ---- the adapter --------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """Where the days stand."""
        return self.begin + timedelta(seconds=STEP_S * self._steps)

    def pass_to(self, moment: datetime) -> None:
        """Let time pass until then, in whole steps of ten seconds. A moment that has passed changes nothing."""
        with self._lock:
            self._go_to(moment)

    def settle(self, seconds: float) -> None:
        """Let so much time pass, to the next whole step."""
        with self._lock:
            self._go_to(self.now + timedelta(seconds=STEP_S * math.ceil(seconds / STEP_S - 1e-9)))

    def read(self, asset: str) -> Reading | None:
        """What telemetry shows of an asset now, of the whole site under "site"; None where nothing is read."""
        with self._lock:
            if asset.lower() == SITE and self.site.find(asset) is None:
                hottest = max(
                    (self.plant.number(n, "gpu_temp_c") for n in self.plant.each("gpu_node")), default=0.0
                )
                values = {name: round(value, 3) for name, value in self.plant.totals().items()}
                return Reading(SITE, self.now, values | {"gpu_temp_max_c": round(hottest, 3)})
            if self.site.find(asset) is None:
                return None
            reading = self.plant.telemetry(asset)
            if self._wear is not None:
                reading = Reading(reading.asset, reading.time, self._with_wear(reading))
            return reading if reading.values else None

    def apply(self, action: Action, key: str) -> None:
        """Do it, once a key. Raises BackendError where the scheduler does not take it."""
        with self._lock:
            if key and key in self.plant.journal:
                return
            self._move({"action": action.model_dump(mode="json"), "key": key})

    def applied(self, key: str) -> bool | None:
        return key in self.plant.journal

    def inject(self, fault: str, asset: str, **values: float) -> None:
        """Start a fault or turn a knob (`plant.sim.Plant.inject`), for demos and tests."""
        with self._lock:
            self._move({"fault": fault, "asset": asset, "values": values})

    def twin(self) -> Plant:
        """A copy of the plant as it is now."""
        with self._lock:
            return self.plant.copy()

    @property
    def acts(self) -> tuple[tuple[datetime, Action], ...]:
        """What was done and when, the first first."""
        with self._lock:
            return tuple(self._acts)

    def jobs(self, start: datetime, end: datetime) -> Sequence[ScheduledJob]:
        """What ran, runs and is announced within a span; jobs that will come unannounced are not in it, and those that
        will end early end as planned."""
        with self._lock:
            return self._jobs.spans(start, end)

    def meters(self) -> dict[str, float]:
        """What the time since `start` came to (`tools.loops.days_meters.Meters.read`), with the work of jobs."""
        with self._lock:
            assert self._meters is not None
            done_h = self._jobs.done_node_h() - self._done_before_h
            return self._meters.read() | {
                "job_node_h": done_h,
                "jobs_late": float(len(self._jobs.late(self.now))),
                **self._worn_out(),
            }

    def worn(self) -> tuple[WornPart, ...]:
        """The truth of every part that wears: when it fails or would have. For judging, never for a loop. Empty where
        nothing wears."""
        with self._lock:
            return () if self._wear is None else self._wear.truth()

    def _worn_out(self) -> dict[str, float]:
        """Parts that failed since the start, and those that were renewed in good time."""
        if self._wear is None:
            return {}
        worn = self._wear.truth()
        return {
            "parts_failed": float(sum(one.failed and one.fails_at >= self.start for one in worn)),
            "parts_renewed": float(
                sum(
                    not one.failed and one.renewed_at is not None and one.renewed_at >= self.start
                    for one in worn
                )
            ),
        }

    def ports(self, horizon_s: float | None = None) -> LoopPorts:
        """What a loop reaches of it."""
        return LoopPorts(
            site=self.site, read=self.read, history=self.history, clock=lambda: self.now, jobs=self.jobs,
            twin=self.twin, horizon_s=horizon_s,
        )  # fmt: skip

    # ---- saving -------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain values from which `from_dict` makes the same days again."""
        with self._lock:
            return {
                "version": SAVED_VERSION, "site": self.site.name, "start": self.start.isoformat(), "seed": self.seed,
                "warm_days": self._warm_days, "rates": None if self._rates is None else str(self._rates),
                "wear": self._wear is not None, "now": self.now.isoformat(), "moves": [dict(move) for move in self._moves],
            }  # fmt: skip

    @classmethod
    def from_dict(cls, site: Site, saved: Mapping[str, Any]) -> Self:
        """The days as they stood: run again from the begin, with what was done to them.

        A day of hall-1024 takes about half a second. Raises InputError where it is not a saved run of this site.
        """
        try:
            version, name, moves = int(saved["version"]), str(saved["site"]), list(saved["moves"])
            start, now = datetime.fromisoformat(saved["start"]), datetime.fromisoformat(saved["now"])
            seed, warm_days, rates = int(saved["seed"]), float(saved["warm_days"]), saved["rates"]
            wear, times = bool(saved.get("wear")), [datetime.fromisoformat(move["at"]) for move in moves]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the saved days of a site: {error}", where="days",
                             remedy="Remove them; the days begin anew") from error  # fmt: skip
        if version != SAVED_VERSION or name != site.name:
            raise InputError(f"saved by version {version} for site {name!r}; this is version {SAVED_VERSION} and site "
                             f"{site.name!r}", where="days", remedy="Remove them; the days begin anew")  # fmt: skip
        days = cls(site, start, seed=seed, warm_days=warm_days, rates=rates, wear=wear)
        for at, move in zip(times, moves, strict=True):
            days.pass_to(at)
            days._move({name: value for name, value in move.items() if name != "at"})
        days.pass_to(now)
        return days

    # ---- time ---------------------------------------------------------------------------------------------------

    def _go_to(self, moment: datetime) -> None:
        until = math.floor((moment - self.begin).total_seconds() / STEP_S + 1e-9)
        per_minute = round(MINUTE_S / STEP_S)
        while self._steps < until:
            into = self._steps % per_minute
            if into == 0:
                self._turn_minute()
            steps = min(per_minute - into, until - self._steps)
            rows = self.history.whole(self.plant.sample(steps * STEP_S, self.history.probes, STEP_S, STEP_S))
            self._steps += steps
            self._as_sensed(rows)
            if self._wear is not None:
                rows[:, self._blurred] = np.clip(rows[:, self._blurred] + self._blur, *self._wear.bounds)
            self.history.take(rows, self.now, minute=self._steps % per_minute == 0)
            quarter_kw = self._demand.add(rows[:, self._grid_at], self.now)
            if self._meters is not None:
                self._meters.add(rows, self.now, quarter_kw)

    def _turn_minute(self) -> None:
        """What the minute brings: requests, weather, jobs."""
        now, tables = self.now, self.plant.store.tables
        for pool, capacity_rps in self._capacity_rps.items():
            self.plant.state[pool]["arrival_rps"] = capacity_rps * self._requests.share_pu(pool, now)
        self._age()
        air = self._weather.air(now)
        tables.site["dry_mean_c"], tables.site["wet_mean_c"] = air.dry_mean_c, air.wet_mean_c
        tables.site["swing_k"] = air.swing_k
        lost = self._lose_nodes()
        if self._jobs.pass_to(now) or lost:
            self._show_jobs()

    def _age(self) -> None:
        """Wear goes on; each hour its sensors are read."""
        if self._wear is None:
            return
        self._wear.pass_to(self.now, self.plant)
        hour = int(self.now.timestamp() // HOUR_S)
        if hour != self._wear_hour:
            self._wear_hour, self._blur = hour, self._wear.blur(self.now)
            self.history.take_hour(self._wear.shown(self.now), self.now)

    def _with_wear(self, reading: Reading) -> dict[str, float]:
        """What is read of an asset, with the sensors on its worn parts and the errors that history has, too."""
        values = dict(reading.values) | self.history.sensed(reading.asset)
        assert self._wear is not None
        for (asset, metric), off, least, most in zip(
            self._wear.blurred, self._blur, *self._wear.bounds, strict=True
        ):
            if asset == reading.asset and metric in values:
                values[metric] = round(float(np.clip(values[metric] + off, least, most)), 3)
        return values

    def _lose_nodes(self) -> bool:
        """Tell the scheduler of nodes that went or came back; returns whether any did. Those of pools are not its own."""
        nodes, names = self.plant.store.tables.gpu_node, self.plant.store.names["gpu_node"]
        broken = np.flatnonzero((nodes["up"] < 0.5) | (nodes["gpus_ok"] < nodes["gpus"]))
        out = {names[row] for row in broken if names[row] in self._outside}
        for node in sorted(out - self._out):
            self._jobs.lose(node)
        for node in sorted(self._out - out):
            self._jobs.bring_back(node)
        changed, self._out = out != self._out, out
        return changed

    def _show_jobs(self) -> None:
        """The scheduler's work on the plant's nodes."""
        held = self._jobs.on_nodes()
        for node in self._outside:
            number, load_pu, runs = held.get(node, (-1, 0.0, False))
            self.plant.state[node] |= {
                "job": float(number),
                "job_load_pu": load_pu,
                "job_running": float(runs),
            }

    def _as_sensed(self, rows: NDArray[np.float64]) -> None:
        """What sensor faults make of the rows, in place: a lost sensor gives nothing."""
        for name, state in self.plant.state.items():
            if state.notes:
                reading = self.plant.telemetry(name)
                for metric in self.history.metrics(name):
                    place = self.history.places.get((name.lower(), metric))
                    if place is None:
                        continue  # a sensor that is read by the hour
                    shown = reading.values.get(metric, np.nan) if reading.time >= self.plant.now else np.nan
                    rows[:, place] = shown

    # ---- moves --------------------------------------------------------------------------------------------------

    def _move(self, move: dict[str, Any]) -> None:
        """Act or inject, and keep it with its moment."""
        if "action" in move:
            action = Action.model_validate(move["action"])
            try:
                if action.asset in self._outside:
                    _SCHEDULED.get(action.name, _nothing)(self._jobs, action.asset)
            except UsageError as error:
                raise BackendError(error.what, where="scheduler", remedy=error.remedy) from error
            self.plant.apply(action.name, action.asset, action.args, move["key"])
            self._show_jobs()
            if self._wear is not None and action.name == "open_ticket":
                self._wear.ticket(action.asset, str(action.args.get("queue", "")), self.now)
            self._acts.append((self.now, action))
        else:
            self.plant.inject(move["fault"], move["asset"], **move["values"])
        self._moves.append({"at": self.now.isoformat(), **move})


def _wear_of(site: Site, begin: datetime, seed: int) -> DaysWear:
    """The parts that the maintenance loop knows, at the ages that it would find."""
    parts = [WearPart(part.asset, part.kind, part.count, part.age_days) for part in parts_of(site, begin)]
    return DaysWear(site, parts, begin, seed)


def _pooled(plant: Plant, node: str) -> bool:
    return plant.number(node, "pooled") > 0.5


def _nothing(_jobs: JobDays, _node: str) -> None:
    return None


_SCHEDULED: Mapping[str, Callable[[JobDays, str], object]] = {
    "pause_job": JobDays.pause, "resume_job": JobDays.resume, "migrate_job": JobDays.migrate,
    "drain_node": JobDays.drain, "cordon_node": lambda jobs, node: jobs.scheduler.cordon(node),
}  # fmt: skip
"""Actions that the scheduler does, by the node they name."""
