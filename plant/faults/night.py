"""Nights composed from one seed on any site: telemetry, events and the truth about both.

The simulated plant runs through the night with the faults' effects. Its sensors are sampled, monitoring speaks where a
reading passes a limit, equipment logs what it would log, and the routine of a healthy site goes on beneath.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from plant.faults import routine, wire
from plant.faults.alarms import crossings
from plant.faults.catalog import Fault, load_catalog
from plant.faults.course import Course
from plant.faults.ground import Ground
from plant.faults.place import FaultPlan, fitting, reach, scheduler
from plant.faults.sensors import Sampler, Series
from plant.faults.telling import SETTLE_S, Reached, Teller, belongs
from plant.faults.wire import Line
from plant.site import Site
from setpoint.errors import UsageError

START = datetime(2026, 3, 14, 21, 0, tzinfo=UTC)
QUIET_S = 600.0
"""No fault begins in the first and the last ten minutes."""
TRIES = 60
DUPLICATES, DAMAGED = 0.012, 0.004
"""Shares of lines that arrive twice or broken; how many come late is the ground's."""


@dataclass(frozen=True)
class Telemetry:
    """Readings at fixed times."""

    start: datetime
    times_s: Any
    """Seconds since the start, shape (samples,)."""
    series: Series

    def values(self, asset: str, metric: str) -> Any:
        """Readings of one sensor, shape (samples,), NaN where none came. Raises KeyError where there is no such sensor."""
        return self.series[asset, metric]

    def rows(self, every_s: float = 60.0) -> Iterator[tuple[str, str, str, float]]:
        """(time, asset, metric, value) as a historian keeps them: states on change, measured values every `every_s`."""
        stamps = [wire.iso(self.start + timedelta(seconds=float(s))) for s in self.times_s]
        step_s = float(self.times_s[1] - self.times_s[0]) if len(self.times_s) > 1 else every_s
        each = max(1, round(every_s / step_s))
        kept = {key: _kept(values, each) for key, values in self.series.items()}
        for number, stamp in enumerate(stamps):
            for (asset, metric), values in self.series.items():
                if kept[asset, metric][number]:
                    yield stamp, asset, metric, float(values[number])


@dataclass(frozen=True)
class Night:
    """What a site's sources wrote in one night, what its sensors read, and what was really the matter."""

    site: Site
    seed: int
    hours: float
    telemetry: Telemetry
    events: tuple[Line, ...]
    """In the order of arrival."""
    plans: tuple[FaultPlan, ...]
    crossed: tuple[tuple[str, str], ...] = ()
    """(story, rule) of every reading past its limit."""

    def rules_of(self, plan: FaultPlan) -> list[str]:
        """Threshold rules that saw the fault, in the order of the rule file."""
        return list(dict.fromkeys(rule for story, rule in self.crossed if story == plan.story))

    @property
    def start(self) -> datetime:
        return self.telemetry.start

    def truth(self) -> dict[str, Any]:
        """The faults with their onset, effects and expected detection, and the truth of each line by its number."""
        lines = [
            {"line": number, "story": e.story, "priority": e.priority, "cause": e.cause, "root": e.root}
            for number, e in enumerate(self.events, start=1)
        ]
        return {
            "site": self.site.name, "seed": self.seed, "start": wire.iso(self.start), "hours": self.hours,
            "faults": [self._told(plan) for plan in self.plans], "lines": lines,
        }  # fmt: skip

    def _told(self, plan: FaultPlan) -> dict[str, Any]:
        own = [line for line in self.events if line.story == plan.story]
        onset = self.start + timedelta(seconds=plan.at_s)
        serious = [line.time for line in own if line.priority in ("P0", "P1", "P2")]
        return {
            "story": plan.story, "fault": plan.fault.id, "title": plan.fault.title, "cause": plan.fault.cause,
            "root": plan.asset, "onset": wire.iso(onset), "severity": round(plan.severity, 3),
            "full_effect": wire.iso(self.start + timedelta(seconds=plan.full_s)),
            "mended": None if plan.end_s is None else wire.iso(self.start + timedelta(seconds=plan.end_s)),
            "touches": list(plan.fault.touches), "lines": len(own),
            "effects": [e.model_dump(mode="json", exclude_defaults=True) for e in plan.fault.effects],
            "signals": [s.model_dump(mode="json", exclude_defaults=True) for s in plan.fault.signals],
            "expected_detection": {
                "rules": list(plan.fault.detect),
                "rules_crossed": self.rules_of(plan),
                "first_serious_s": round((serious[0] - onset).total_seconds(), 1) if serious else None,
                "priority": min((line.priority for line in own if line.priority), default=None),
            },
        }  # fmt: skip

    def write(self, folder: Path) -> list[Path]:
        """events.log (raw lines), telemetry.csv and truth.json in `folder`, which is made. Returns the paths."""
        folder.mkdir(parents=True, exist_ok=True)
        events, table, truth = (folder / name for name in ("events.log", "telemetry.csv", "truth.json"))
        events.write_text("".join(line.text + "\n" for line in self.events), encoding="utf-8")
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("time", "asset", "metric", "value"))
            writer.writerows((t, a, m, "" if v != v else f"{v:g}") for t, a, m, v in self.telemetry.rows())
        truth.write_text(json.dumps(self.truth(), indent=1) + "\n", encoding="utf-8")
        return [events, table, truth]


def compose(
    site: Site,
    seed: int,
    hours: float = 8.0,
    faults: int | Sequence[str | FaultPlan] = 12,
    start: datetime = START,
    noise: int | None = None,
    sample_s: float = 30.0,
    overlap: bool = False,
    ground: Ground | None = None,
) -> Night:
    """One night. The same arguments give the same bytes.

    `faults` is how many are drawn, or which: catalog ids (placed by the seed) or plans of one's own. Unless `overlap`,
    no two faults reach the same asset at the same time. `noise` is the number of routine lines; None: about 40 an hour
    and one for each four nodes. `ground` is the real site where it is not as `site` says. Raises UsageError where a
    named fault fits nothing on the site.
    """
    if not (hours > 0 and 1.0 <= sample_s <= 3600.0):
        raise UsageError(
            f"a night of {hours} h sampled every {sample_s} s", remedy="Take hours > 0 and 1 to 3600 s"
        )
    rng = random.Random(f"{seed}-{site.name}-plans")
    plans = _placed(site, rng, hours * 3600, faults, overlap)
    ground = ground or Ground()
    real = ground.site(site)
    times_s = np.arange(0.0, hours * 3600 + 1e-9, sample_s)
    sampler = Sampler(real, times_s, start)
    _run(ground, sampler, plans, seed)
    series = sampler.finish(seed, plans, ground)
    ground.read(series, times_s, plans)
    teller = Teller(real, sampler, series, seed)
    crossed = _tell(teller, plans, series, times_s)
    quiet = _routine(site, seed, start, hours, noise)
    lines = _disturbed([*teller.lines(), *quiet], random.Random(f"{seed}-wire"), ground)
    return Night(site, seed, hours, Telemetry(start, times_s, series), tuple(lines), plans, crossed)


def retell(night: Night, sampler: Sampler, series: Mapping[tuple[str, str], Any], taken: int) -> list[Line]:
    """What the site's sources write of the faults when its readings went another way, since somebody acted: `series`
    holds the readings, of which the first `taken` are known. Routine lines are not among them."""
    times_s = sampler.times_s
    known = {key: np.where(np.arange(len(times_s)) < taken, values, np.nan) for key, values in series.items()}
    teller = Teller(night.site, sampler, known, night.seed)
    _tell(teller, night.plans, {key: values[:taken] for key, values in known.items()}, times_s[:taken])
    return teller.lines()


def _tell(
    teller: Teller, plans: Sequence[FaultPlan], series: Series, times_s: Any
) -> tuple[tuple[str, str], ...]:
    """Equipment and monitoring speak of the faults; returns what `_watch` does."""
    for plan in plans:
        teller.fault(plan)
    reached = [Reached.of(plan, teller.site) for plan in plans]
    return _watch(teller, teller.site, series, times_s, reached)


def _watch(
    teller: Teller, site: Site, series: Series, times_s: Any, reached: Sequence[Reached]
) -> tuple[tuple[str, str], ...]:
    """Monitoring's lines; returns (story, rule) of each reading past its limit. What is over belongs to the fault that
    began it, however late."""
    crossed: list[tuple[str, str]] = []
    owner: dict[tuple[str, str, str, int], FaultPlan | None] = {}
    for crossing in crossings(site, series, times_s):
        key = (crossing.rule.id, crossing.asset, crossing.metric, crossing.began)
        if crossing.state == "past":
            owner[key] = belongs(crossing, reached, float(times_s[crossing.began]))
            crossed.append((plan.story if (plan := owner[key]) else "ambient", crossing.rule.id))
        teller.crossing(crossing, owner[key])
    return tuple(crossed)


def _run(ground: Ground, sampler: Sampler, plans: Sequence[FaultPlan], seed: int) -> None:
    """The plant through the night: to each move and each sample in turn."""
    plant = ground.plant(sampler.site, sampler.start)
    sampler.attach(plant)
    course = Course(plant, plans, seed, float(sampler.times_s[-1]))
    for number, at_s in enumerate(sampler.times_s):
        course.go_to(float(at_s))
        course.demand.move(float(at_s))
        ground.drift(course.hand, float(at_s))
        sampler.sample(number, plant)


# ---- which faults, where and when -----------------------------------------------------------------------


def _placed(
    site: Site, rng: random.Random, length_s: float, faults: int | Sequence[str | FaultPlan], overlap: bool
) -> tuple[FaultPlan, ...]:
    plans: list[FaultPlan] = []
    if isinstance(faults, int):
        pool = [fault for fault in load_catalog().values() if fitting(fault, site)]
        rng.shuffle(pool)
        for fault in pool:
            if len(plans) >= faults:
                break
            plans += place_fault(fault, site, rng, length_s, plans, overlap)
    else:
        plans += [given for given in faults if isinstance(given, FaultPlan)]
        for name in (given for given in faults if isinstance(given, str)):
            plans += _named(name, site, rng, length_s, plans, overlap)
    return tuple(sorted(plans, key=lambda plan: (plan.at_s, plan.story)))


def _named(
    name: str, site: Site, rng: random.Random, length_s: float, plans: Sequence[FaultPlan], overlap: bool
) -> list[FaultPlan]:
    fault = load_catalog().get(name)
    if fault is None or not fitting(fault, site):
        known = ", ".join(f.id for f in load_catalog().values() if fitting(f, site))
        raise UsageError(f"fault {name!r} fits nothing on site {site.name!r}", remedy=f"Choose among {known}")
    placed = place_fault(fault, site, rng, length_s, plans, overlap)
    if not placed:
        raise UsageError(
            f"no room for {name!r} beside the others in {length_s / 3600:g} h",
            remedy="Give more hours, or overlap",
        )
    return placed


def place_fault(
    fault: Fault,
    site: Site,
    rng: random.Random,
    length_s: float,
    plans: Sequence[FaultPlan] = (),
    overlap: bool = False,
) -> list[FaultPlan]:
    """One plan of the fault that none of `plans` masks, unless they may overlap; none where there is no room."""
    places = fitting(fault, site)
    if not places:
        return []
    earliest = QUIET_S + min(fault.lead_s, 0.25 * length_s)
    latest = length_s - QUIET_S - min(fault.ramp_s + 900.0, 0.5 * length_s)
    if latest <= earliest:
        return []
    for _ in range(TRIES):
        at = rng.uniform(earliest, latest)
        low, high = fault.severity
        lasts = None if fault.lasts_s is None else rng.uniform(*fault.lasts_s)
        end = None if lasts is None else at + fault.ramp_s + lasts
        plan = FaultPlan(fault, rng.choice(places), round(at, 1), rng.uniform(low, high), end)
        if overlap or not any(_masks(plan, other, site) for other in plans):
            return [plan]
    return []


def _masks(one: FaultPlan, other: FaultPlan, site: Site) -> bool:
    """Do both reach one asset at one time?"""
    apart = _from_s(one) > _to_s(other) or _from_s(other) > _to_s(one)
    return not apart and not reach(one, site).isdisjoint(reach(other, site))


def _from_s(plan: FaultPlan) -> float:
    return plan.at_s - plan.fault.lead_s


def _to_s(plan: FaultPlan) -> float:
    return float("inf") if plan.end_s is None else plan.end_s + SETTLE_S


# ---- what goes on beneath -------------------------------------------------------------------------------


def _routine(site: Site, seed: int, start: datetime, hours: float, noise: int | None) -> Iterator[Line]:
    rng = random.Random(f"{seed}-routine")
    places = _places(site)
    if places is None:
        return
    nodes = sum(asset.kind == "gpu_node" for asset in site.assets)
    for _ in range(round(hours * (40 + nodes / 4)) if noise is None else noise):
        time = start + timedelta(seconds=rng.uniform(0, hours * 3600))
        text = routine.line(rng, time, places)
        yield Line(time + timedelta(milliseconds=rng.randint(5, 900)), text, wire.ROUTINE, "P3", "no_fault")


def _places(site: Site) -> routine.Places | None:
    def of(*kinds: str) -> list[str]:
        return [asset.name for asset in site.assets if asset.kind in kinds]

    nodes = of("gpu_node") or of("host")
    if not nodes:
        return None
    cdus, inlets = of("cdu"), of("sensor")
    return routine.Places(
        node=lambda rng: rng.choice(nodes),
        cdu=lambda rng: rng.choice(cdus) if cdus else rng.choice(nodes),
        inlet=lambda rng: rng.choice(inlets) if inlets else rng.choice(nodes),
        scheduler=scheduler(site),
        site=site.name,
    )


def _disturbed(lines: list[Line], rng: random.Random, ground: Ground) -> list[Line]:
    """The stream as it arrives: some lines twice, some late, some broken on the way (these beside the whole ones)."""
    lines.sort(key=lambda line: (line.time, line.text))
    out: list[Line] = []
    for line in lines:
        if rng.random() < ground.late_pu:
            line = _moved(line, rng.uniform(*ground.late_s))
        out.append(line)
        if rng.random() < DUPLICATES:
            out.append(_moved(line, rng.uniform(0.5, 45)))
        if rng.random() < DAMAGED:
            out.append(Line(line.time + timedelta(seconds=1), _broken(line.text, rng), "damaged", "", ""))
    return sorted(out, key=lambda line: (line.time, line.text))


def _moved(line: Line, seconds: float) -> Line:
    return replace(line, time=line.time + timedelta(seconds=seconds), late_s=line.late_s + seconds)


def _broken(text: str, rng: random.Random) -> str:
    """As transports break lines: cut short, with a value no JSON has, or not an event at all."""
    if text.startswith("{"):
        whole = text.replace('"value": ', '"value": NaN, "was": ', 1)
        return (
            whole if whole != text and rng.random() < 0.5 else text[: rng.randint(8, max(9, len(text) // 2))]
        )
    return rng.choice(('["not", "an", "event"]', "<999>" + text[4:60], '{"time": "'))


def _kept(values: Any, each: int) -> Any:
    """Samples a historian stores: the first, each `each`th of a value that wanders, every change of a state."""
    number = np.arange(len(values))
    same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    wanders = len(same) > 0 and np.mean(same) < 0.95
    kept = number % (each if wanders else 10 * each) == 0
    kept[1:] |= ~same & (not wanders)
    return kept


def summary(night: Night) -> list[str]:
    """One line a fault, for people: when, what, where, how many lines."""
    told = Counter(line.story for line in night.events)
    return [
        f"{night.start + timedelta(seconds=plan.at_s):%H:%M} {plan.fault.title} at {plan.asset}: {told[plan.story]} lines"
        for plan in night.plans
    ]
