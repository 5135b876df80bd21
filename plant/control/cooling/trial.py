"""One controller through days of a simulated site that is not quite what its file says.

The plant carries what a controller does not know: fouled exchangers and chillers, worn pumps, weak handlers, GPUs with a
worse interface, loads that flicker, sensors that err. Requests, jobs and weather come from `plant.control.days`; the
schedule a controller sees is what the scheduler has announced, and, where asked, is wrong on top of that.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np

from plant.control.cooling.controller import Controller, Decision, Setpoints, Tuning
from plant.control.cooling.layers import Job
from plant.control.cooling.layout import FloatArray, layout_of
from plant.control.cooling.predictor import Predictor, Snapshot
from plant.control.cooling.reactive import Gains, ReactivePI, fixed
from plant.control.days import Days, Requests, rng_of
from plant.control.days_jobs import JobDays
from plant.jobs.schedule import ScheduledJob
from plant.sim import Plant
from plant.site import Site

MINUTE_S, PLANT_STEP_S = 60.0, 10.0
LOOK_AHEAD_S = 3600.0
SCHEDULE_EVERY_S = 300.0
"""How often the schedule is read."""
FLICKER, FLICKER_KEEP = 0.04, 0.7
"""Of a job's load from minute to minute."""
NOISE = {"gpu_c": 0.5, "heat_pu": 0.01, "inlet_c": 0.2, "water_c": 0.1, "flow_pu": 0.01}
"""Standard deviations of the sensors."""


@dataclass(frozen=True)
class Wrong:
    """How wrong the schedule is, on top of what comes unannounced or ends early anyway."""

    shift_pu: float = 0.0
    """Starts and ends off by up to this share of the job's length, at most half an hour, early or late."""
    hidden: float = 0.0
    """Share of the jobs that are not in it until they run."""
    load_pu: float = 0.0
    """Loads off by up to this share."""


@dataclass(frozen=True)
class Policy:
    """A controller under trial: "fixed", "pi" or "proactive"."""

    name: str
    kind: str
    gains: Gains = field(default_factory=Gains)
    tuning: Tuning = field(default_factory=Tuning)


@dataclass
class Meter:
    """What a trial came to, by day of the trial."""

    pump_kwh: list[float] = field(default_factory=list)
    fan_kwh: list[float] = field(default_factory=list)
    chiller_kwh: list[float] = field(default_factory=list)
    """Chillers with their tower fans."""
    water_kwh: list[float] = field(default_factory=list)
    """Pumps of the facility water."""
    worst_gpu_c: float = -273.0
    worst_inlet_c: float = -273.0
    worst_rise_k: float = 0.0
    over_gpu_s: float = 0.0
    over_inlet_s: float = 0.0
    over_rise_s: float = 0.0
    decide_s: float = 0.0
    decisions: int = 0
    held_local: int = 0

    @property
    def total_kwh(self) -> FloatArray:
        """By day."""
        parts = np.array([self.pump_kwh, self.fan_kwh, self.chiller_kwh, self.water_kwh], dtype=np.float64)
        return np.asarray(parts.sum(axis=0), np.float64)


class Jobs(Protocol):
    """What runs when, as far as a trial asks."""

    def pass_to(self, moment: datetime) -> object: ...

    def on_nodes(self) -> dict[str, tuple[int, float, bool]]: ...

    def spans(self, start: datetime, end: datetime) -> list[ScheduledJob]: ...


class World:
    """The plant with its days. `minute` lets one minute pass under setpoints."""

    def __init__(self, site: Site, start: datetime, seed: int, *, economiser: bool = False) -> None:
        self.site, self.seed, self.layout = site, seed, layout_of(site)
        self.plant = Plant.start(site, start)
        self.requests, self.weather = Requests(site, seed), Days(site, seed)
        self.jobs: Jobs = JobDays(site, start, seed)
        self._rng = rng_of(seed, "cooling", "sensors")
        self._flicker: dict[int, float] = {}
        self._worn(rng_of(seed, "cooling", "worn"))
        if economiser:
            self.plant.store.tables.chiller["economiser"] = 1.0
        self._probes()

    def _worn(self, rng: np.random.Generator) -> None:
        """What the site file does not say."""
        t = self.plant.store.tables
        t.cdu["fouling_pu"], t.pump["wear_pu"] = (
            rng.uniform(0, 0.15, len(t.cdu)),
            rng.uniform(0, 0.08, len(t.pump)),
        )
        t.crah["fan_pu"], t.chiller["fouling_pu"] = (
            rng.uniform(0.9, 1.0, len(t.crah)),
            rng.uniform(0, 0.1, len(t.chiller)),
        )
        t.gpu["thermal_pu"] = 1.0 + np.minimum(rng.exponential(0.03, len(t.gpu)), 0.2)

    def _probes(self) -> None:
        names = self.plant.store.names
        self._columns = {
            "gpu": [f"{n}.gpu_temp_c" for n in names["gpu_node"]],
            "inlet": [f"{n}.inlet_temp_c" for n in names["rack"] if n],
            "back": [f"{n}.return_temp_c" for n in names["cdu"]], "supply": [f"{n}.supply_temp_c" for n in names["cdu"]],
        }  # fmt: skip
        offsets = [self.plant.probes(columns) for columns in self._columns.values()]
        store = self.plant.store
        self._powers = {
            kind: np.array([store.offset(kind, i, column) for i in range(len(names[kind]))], dtype=np.int64)
            for kind, column in (("pump", "power_kw"), ("crah", "power_kw"), ("chiller", "power_kw"), ("water", "pump_kw"))
        }  # fmt: skip
        self._all = np.concatenate([*offsets, *self._powers.values()])
        self._cuts = np.cumsum([len(o) for o in (*offsets, *self._powers.values())])[:-1]
        self._hall_of = [int(store.tables.rack["hall"][i]) for i, n in enumerate(names["rack"]) if n]

    @property
    def now(self) -> datetime:
        return self.plant.now

    def minute(self, setpoints: Setpoints) -> dict[str, FloatArray]:
        """One minute; arrays of its six samples by column group, and of powers."""
        self._drive()
        self._set(setpoints)
        rows = self.plant.sample(MINUTE_S, self._all, PLANT_STEP_S, PLANT_STEP_S)
        parts = np.split(rows, self._cuts, axis=1)
        return dict(zip((*self._columns, *self._powers), parts, strict=True))

    def _drive(self) -> None:
        """Weather, requests and jobs of this minute."""
        now, t = self.now, self.plant.store.tables
        air = self.weather.air(now)
        t.site["dry_mean_c"], t.site["wet_mean_c"], t.site["swing_k"] = (
            air.dry_mean_c,
            air.wet_mean_c,
            air.swing_k,
        )
        for i, name in enumerate(self.plant.store.names["pool"]):
            nodes = len(self.plant.pool_nodes(name))
            t.pool["arrival_rps"][i] = self.requests.share_pu(name, now) * nodes * t.pool["node_rps"][i]
        self.jobs.pass_to(now)
        held = self.jobs.on_nodes()
        for number in {number for number, _, _ in held.values()}:
            shock = FLICKER * np.sqrt(1 - FLICKER_KEEP**2) * self._rng.standard_normal()
            self._flicker[number] = FLICKER_KEEP * self._flicker.get(number, 0.0) + shock
        n = t.gpu_node
        for i, name in enumerate(self.layout.nodes.names):
            if n["pooled"][i] > 0.5:
                continue
            pool = self.site.pool_of(name)
            if pool is not None:
                n["job_running"][i], n["job_load_pu"][i] = 1.0, self.requests.share_pu(pool.name, now)
            elif name in held and held[name][2]:
                number, load_pu, _ = held[name]
                n["job_running"][i] = 1.0
                n["job_load_pu"][i] = min(1.0, max(0.0, load_pu * (1.0 + self._flicker[number])))
            else:
                n["job_running"][i] = 0.0

    def _set(self, setpoints: Setpoints) -> None:
        t = self.plant.store.tables
        t.cdu["flow_setpoint_lpm"], t.cdu["supply_setpoint_c"] = setpoints.flow_lpm, setpoints.supply_c
        t.chiller["water_setpoint_c"] = setpoints.water_c[t.chiller["water"].astype(int)]

    def snapshot(self) -> Snapshot:
        """What the sensors say now."""
        t, layout, r = self.plant.store.tables, self.layout, self._rng
        dies = t.gpu_node["gpu_temp_c"]
        gpu_c = np.array([dies[layout.nodes.loop == i].max() for i in range(len(layout.loops.names))])
        aired = layout.nodes.loop < 0
        air_gpu = np.array([
            dies[aired & (layout.nodes.hall == i)].max(initial=-273.0) for i in range(len(layout.halls.names))
        ])  # fmt: skip
        air_kw = np.array(
            [t.crah["heat_kw"][t.crah["hall"] == i].sum() for i in range(len(layout.halls.names))]
        )
        inlet = np.array([
            max((t.rack["inlet_temp_c"][k] for k, h in enumerate(self._hall_of) if h == i), default=np.nan)
            for i in range(len(layout.halls.names))
        ])  # fmt: skip

        def noisy(values: FloatArray, sigma: float | FloatArray) -> FloatArray:
            return np.asarray(values + sigma * r.standard_normal(len(values)), np.float64)

        liquid, flow = t.cdu["heat_kw"].copy(), t.cdu["flow_lpm"].copy()
        return Snapshot(
            self.now, t.gpu_node["load_pu"].copy(), noisy(liquid, NOISE["heat_pu"] * liquid),
            noisy(flow, NOISE["flow_pu"] * flow), noisy(t.cdu["supply_temp_c"], NOISE["water_c"]),
            noisy(gpu_c, NOISE["gpu_c"]), noisy(air_kw, NOISE["heat_pu"] * air_kw), noisy(inlet, NOISE["inlet_c"]),
            noisy(air_gpu, NOISE["gpu_c"]), noisy(t.water["temp_c"], NOISE["water_c"]), float(t.site["wet_bulb_c"][0]),
        )  # fmt: skip

    def schedule(self, wrong: Wrong) -> list[Job]:
        """What the scheduler says of the next hour, as wrong as asked."""
        now = self.now
        spans = self.jobs.spans(now - timedelta(hours=1), now + timedelta(seconds=LOOK_AHEAD_S))
        return [told for span in spans if (told := _told(span, now, wrong, self.seed)) is not None]


def _told(span: ScheduledJob, now: datetime, wrong: Wrong, seed: int) -> ScheduledJob | None:
    """A span as the wrong schedule has it; None where it does not have it."""
    runs = span.start <= now < span.end
    rng = rng_of(seed, "wrong", span.name)
    hidden, shift, length, load = rng.random(), rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(-1, 1)
    if hidden < wrong.hidden and not runs:
        return None
    whole_s = (span.end - span.start).total_seconds()
    off_s = min(1800.0, wrong.shift_pu * whole_s)
    start = span.start if runs else span.start + timedelta(seconds=shift * off_s)
    end = max(start + timedelta(minutes=1), span.end + timedelta(seconds=length * off_s))
    return replace(span, start=start, end=end, load_pu=min(1.0, span.load_pu * (1.0 + load * wrong.load_pu)))


class Trial:
    """Runs one policy. The first `learn_days` are not metered: every policy has them."""

    def __init__(
        self,
        site: Site,
        start: datetime,
        seed: int,
        policy: Policy,
        wrong: Wrong | None = None,
        *,
        economiser: bool = False,
    ) -> None:
        self.world = World(site, start, seed, economiser=economiser)
        self.policy, self.wrong, self.layout = policy, wrong or Wrong(), self.world.layout
        self.predictor = Predictor(self.layout, chance=policy.tuning.chance, keep_errors=True)
        self.controller = Controller(self.layout, policy.tuning)
        self.local = ReactivePI(self.layout, policy.gains)
        self.setpoints = fixed(self.layout)
        self.meter = Meter()
        self.last: Decision | None = None
        self._schedule: list[Job] = []
        self._minutes = 0

    def run(self, days: float, learn_days: float = 1.0) -> Meter:
        """Learns, then meters so many days."""
        for _ in range(round(learn_days * 1440)):
            self.step(metered=False)
        for day in range(int(np.ceil(days))):
            for kwh in (
                self.meter.pump_kwh,
                self.meter.fan_kwh,
                self.meter.chiller_kwh,
                self.meter.water_kwh,
            ):
                kwh.append(0.0)
            for _ in range(round(min(1.0, days - day) * 1440)):
                self.step(metered=True)
        return self.meter

    def step(self, metered: bool) -> dict[str, FloatArray]:
        """One minute: read, decide, let it pass."""
        seen = self.world.snapshot()
        begin = time.perf_counter()
        self._decide(seen)
        if metered:
            self.meter.decide_s += time.perf_counter() - begin
            self.meter.held_local += bool(self.last and self.last.local)
        rows = self.world.minute(self.setpoints)
        if metered:
            self._note(rows)
        self._minutes += 1
        return rows

    def _decide(self, seen: Snapshot) -> None:
        if self.policy.kind == "fixed":
            return
        local = self.local.decide(seen, self.setpoints, MINUTE_S)
        if self.policy.kind == "pi":
            self.setpoints = local
            self.meter.decisions += 1
            return
        if self._minutes % round(SCHEDULE_EVERY_S / MINUTE_S) == 0:
            self._schedule = self.world.schedule(self.wrong)
        self.predictor.observe(seen)
        if self._minutes % self.policy.tuning.cycle_steps:
            return
        ahead = self.predictor.ahead(self._schedule)
        self.last = self.controller.decide(seen, ahead, self.setpoints, local)
        self.setpoints = self.last.setpoints
        self.meter.decisions += 1

    def _note(self, rows: dict[str, FloatArray]) -> None:
        m, limits = self.meter, self.layout.limits
        hours = PLANT_STEP_S / 3600.0
        m.pump_kwh[-1] += float(rows["pump"].sum()) * hours
        m.fan_kwh[-1] += float(rows["crah"].sum()) * hours
        m.chiller_kwh[-1] += float(rows["chiller"].sum()) * hours
        m.water_kwh[-1] += float(rows["water"].sum()) * hours
        hottest, inlet = rows["gpu"].max(axis=1), rows["inlet"].max(axis=1)
        rise = (
            (rows["back"] - rows["supply"]).max(axis=1) if rows["back"].shape[1] else np.zeros(len(hottest))
        )
        m.worst_gpu_c, m.worst_inlet_c = (
            max(m.worst_gpu_c, float(hottest.max())),
            max(m.worst_inlet_c, float(inlet.max())),
        )
        m.worst_rise_k = max(m.worst_rise_k, float(rise.max()))
        m.over_gpu_s += PLANT_STEP_S * float((hottest > limits.gpu_c).sum())
        m.over_inlet_s += PLANT_STEP_S * float((inlet > limits.inlet_c).sum())
        m.over_rise_s += PLANT_STEP_S * float((rise > limits.rise_k).sum())


def start_of(site: Site, month: int) -> datetime:
    """Midnight of the site, on a Monday in that month of 2026."""
    first = datetime(2026, month, 1, tzinfo=site.zone)
    return (first + timedelta(days=(7 - first.weekday()) % 7)).astimezone(UTC)
