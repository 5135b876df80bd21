"""The jobs of a site's days: which come when, who knows of them beforehand, and what the scheduler makes of them.

Drawn by the day they come on and by seed, over the nodes that no pool holds:
- the site file's own: a flexible or short one comes again each day, a long one runs in legs that start and stop;
- each night a flexible batch; fine-tunes through the days; on most weekdays a big synchronous run.
Some come unannounced, and some end before the time they were planned for, as on real clusters.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from plant.control.days import at_hour, rng_of
from plant.jobs.on_site import scheduler_of
from plant.jobs.schedule import ScheduledJob
from plant.jobs.scheduler import Scheduler
from plant.jobs.work import Task, Work, job_work
from plant.site import Site
from plant.specs import JobSpec
from setpoint.errors import UsageError

DAY_S, HOUR_S = 86400.0, 3600.0
LONG_S = 2 * DAY_S
"""A job of the site file that takes longer runs in legs."""
LEG_H, PAUSE_H = (10.0, 40.0), (0.4, 2.5)
"""How long a leg of a long job lasts, and the stop after it: evaluation, other data, a restart from a checkpoint."""
CUT_OFF, CUT_PU = 0.15, (0.3, 0.9)
"""Share of jobs that end before their planned time, and after which part of it. Of Llama 3's 54 days with 16,384 GPUs one
in three hours was cut off (`plant.jobs.reliability`); smaller jobs mostly end early for reasons of their owners."""
FINE_TUNES_A_DAY, FINE_TUNE_H, FINE_TUNE_SIGMA = 2.0, 2.5, 0.6
SYNC_CHANCE = 0.6
RESTART_S = 300.0


@dataclass(frozen=True)
class Coming:
    """A job that comes."""

    work: Work
    """Its `limit_s` is what is planned with; its `duration_s` is what it will really take."""
    at: datetime
    announced: datetime
    """From when on the schedule has it; `at` where it comes unannounced."""
    due: datetime | None = None
    """By when it has to be done; None: whenever."""


def coming(site: Site, seed: int, day: date, since: datetime) -> Iterator[Coming]:
    """The jobs that come on that day of the site's time. `since`: when the site's own jobs began to count."""
    for spec in site.jobs:
        yield from _of_file(spec, seed, day, since, site)
    spare = _spare_nodes(site)
    if spare > 0:
        yield from _night_batch(site, seed, day, spare)
        yield from _fine_tunes(site, seed, day, spare)
        yield from _synchronous(site, seed, day, spare)


def _spare_nodes(site: Site) -> int:
    """Nodes outside pools that no long job of the file holds."""
    outside = sum(not site.pool_of(node.name) for node in site.of_kind("gpu_node"))
    return outside - sum(job.nodes for job in site.jobs if job.duration_s > LONG_S)


def _of_file(spec: JobSpec, seed: int, day: date, since: datetime, site: Site) -> Iterator[Coming]:
    first = since + timedelta(seconds=spec.start_s)
    if spec.duration_s > LONG_S:
        for number, at, hours in _legs(spec, seed, first, at_hour(day, 24.0, site)):
            if at.astimezone(site.zone).date() == day:
                work = job_work(spec).model_copy(
                    update={
                        "name": f"{spec.name}-{number}",
                        "duration_s": hours * HOUR_S,
                        "limit_s": hours * HOUR_S,
                    }
                )
                yield _planned(work, at, seed, ahead_h=24.0)
        return
    every = max(1, math.ceil(spec.duration_s / (0.9 * DAY_S)))
    number, over = divmod(day.toordinal() - first.astimezone(site.zone).toordinal(), every)
    if number >= 0 and not over:
        late_min = 0.0 if number == 0 else rng_of(seed, spec.name, day.toordinal()).uniform(-20.0, 20.0)
        at = first + timedelta(days=number * every, minutes=late_min)
        work = job_work(spec).model_copy(update={"name": f"{spec.name}-{number}"})
        yield _planned(work, at, seed, ahead_h=12.0, due_h=20.0 if spec.flexible else None)


def _legs(
    spec: JobSpec, seed: int, first: datetime, until: datetime
) -> Iterator[tuple[int, datetime, float]]:
    """Number, begin and planned hours of the legs of a long job, until that moment."""
    rng, at, number = rng_of(seed, spec.name, "legs"), first, 0
    while at < until:
        hours, pause_h = rng.uniform(*LEG_H), rng.uniform(*PAUSE_H)
        yield number, at, hours
        at, number = at + timedelta(hours=hours + pause_h), number + 1


def _night_batch(site: Site, seed: int, day: date, spare: int) -> Iterator[Coming]:
    """Each night from ten: embedding, scoring, evaluation; has to be done by eight."""
    rng = rng_of(seed, day.toordinal(), "batch")
    hours = rng.uniform(4.0, 8.0)
    work = _work(f"batch-{day:%m%d}", max(1, round(0.35 * spare)), hours, rng.uniform(0.55, 0.8), True, 30)
    yield _planned(work, at_hour(day, 22.0 + rng.uniform(-0.3, 0.3), site), seed, 24.0, due_h=hours + 4.0)


def _fine_tunes(site: Site, seed: int, day: date, spare: int) -> Iterator[Coming]:
    rng = rng_of(seed, day.toordinal(), "tunes")
    for number in range(rng.poisson(FINE_TUNES_A_DAY * (0.4 if day.weekday() >= 5 else 1.0))):
        nodes = min(max(1, spare // 4), 2 ** int(rng.integers(0, 4)))
        hours = min(FINE_TUNE_H * math.exp(FINE_TUNE_SIGMA * rng.standard_normal()), 20.0)
        at = at_hour(day, 8.0 + 12.0 * rng.beta(2.0, 2.0), site)
        known_h = rng.uniform(0.5, 3.0) if rng.random() < 0.5 else 0.0
        work = _work(f"tune-{day:%m%d}-{number}", nodes, hours, rng.uniform(0.8, 0.95), True, 20)
        yield _planned(work, at, seed, known_h, due_h=hours + 12.0)


def _synchronous(site: Site, seed: int, day: date, spare: int) -> Iterator[Coming]:
    rng = rng_of(seed, day.toordinal(), "sync")
    if rng.random() < (0.2 if day.weekday() >= 5 else SYNC_CHANCE):
        hours, at = rng.uniform(4.0, 14.0), at_hour(day, rng.uniform(8.0, 12.0), site)
        known_h = 14.0 if rng.random() < 0.8 else 0.0
        work = _work(f"train-{day:%m%d}", max(1, spare // 2), hours, 0.92, False, 40)
        yield _planned(work, at, seed, known_h)


def _work(name: str, nodes: int, hours: float, load_pu: float, flexible: bool, priority: int) -> Work:
    return Work(
        name=name, nodes=nodes, priority=priority, duration_s=hours * HOUR_S, limit_s=hours * HOUR_S,
        load_pu=load_pu, preemptible=flexible, checkpoint_s=1800.0,
    )  # fmt: skip


def _planned(work: Work, at: datetime, seed: int, ahead_h: float, due_h: float | None = None) -> Coming:
    """With what the schedule says of it, and what comes of it."""
    rng = rng_of(seed, work.name, at.toordinal(), "cut")
    really = rng.uniform(*CUT_PU) if rng.random() < CUT_OFF else 1.0
    planned_s = max(work.limit_s, work.duration_s)
    whole = work.model_copy(update={"duration_s": max(60.0, planned_s * really), "limit_s": planned_s})
    due = None if due_h is None else at + timedelta(hours=due_h)
    return Coming(whole, at, at - timedelta(hours=ahead_h), due)


# ---- on the site -------------------------------------------------------------------------------------------------


@dataclass
class JobDays:
    """The scheduler of a site through its days. Times are moments; the scheduler counts seconds from `start`."""

    site: Site
    start: datetime
    seed: int
    scheduler: Scheduler = field(init=False)
    jobs: dict[str, Coming] = field(init=False, default_factory=dict)
    """All that have come or are known to come, by name."""
    held: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict)
    """Paused jobs and the nodes kept for them."""

    def __post_init__(self) -> None:
        self.scheduler = scheduler_of(self.site.model_copy(update={"jobs": ()}), restart_s=RESTART_S)
        self._drawn_until = self.start.astimezone(self.site.zone).date()
        self._numbers: dict[str, int] = {}
        self._foreseen: tuple[object, list[ScheduledJob]] = (None, [])
        self._draw(self.start)

    @property
    def now(self) -> datetime:
        return self._at(self.scheduler.now_s)

    @property
    def next_s(self) -> float:
        """Seconds from `start` at which something next begins or ends."""
        return self.scheduler.next_event_s()

    def pass_to(self, moment: datetime) -> bool:
        """Let time pass; returns whether anything began or ended."""
        self._draw(moment)
        before = len(self.scheduler.decisions)
        self.scheduler.advance(self._seconds(moment))
        return len(self.scheduler.decisions) != before

    def on_nodes(self) -> dict[str, tuple[int, float, bool]]:
        """By node that a job holds: the job's number, its load, and whether it runs."""
        found = {}
        for task in self._alive():
            for node in task.nodes:
                found[node] = (task.number, task.work.load_pu, True)
        for name, nodes in self.held.items():
            task = self.scheduler.tasks[name]
            found |= dict.fromkeys(nodes, (task.number, task.work.load_pu, False))
        return found

    def job_on(self, node: str) -> str:
        """Name of the job that runs or is paused there; "" where none does."""
        running = (task.work.name for task in self._alive() if node in task.nodes)
        return next(running, "") or next((name for name, nodes in self.held.items() if node in nodes), "")

    def spans(self, start: datetime, end: datetime) -> list[ScheduledJob]:
        """Jobs within a span: those that were, as they were; those that run and those that are announced as they are
        planned, which may turn out otherwise. What will come unannounced is not in it."""
        past = [
            span
            for task in self.scheduler.tasks.values()
            if not task.work.service
            for span in self._past(task)
        ]
        return [span for span in (*past, *self._ahead(end)) if span.start < end and span.end > start]

    # ---- what people and loops do -----------------------------------------------------------------------

    def pause(self, node: str) -> str:
        """Pause the whole job on that node; its nodes are kept for it. Returns its name. Raises UsageError where no job
        runs there or it may not be stopped."""
        name = self._running_on(node)
        nodes = self.scheduler.tasks[name].nodes
        if not self.scheduler.tasks[name].work.preemptible:
            raise UsageError(
                f"{name} on {node} may not be stopped", remedy="Pause a job that is marked flexible"
            )
        for one in nodes:
            self.scheduler.cordon(one, f"kept for {name}")
        self.scheduler.pause(name)
        self.held[name] = nodes
        return name

    def resume(self, node: str) -> str:
        """Let the paused job that this node is kept for go on. Raises UsageError where there is none."""
        name = next((name for name, nodes in self.held.items() if node in nodes), "")
        if not name:
            raise UsageError(f"no paused job on {node}", remedy="Name a node of a paused job")
        self.scheduler.resume(name, kept=self.held.pop(name))
        return name

    def migrate(self, node: str) -> None:
        """Move the job off the node, which takes no new work. Raises UsageError where it has no room elsewhere."""
        name = self._running_on(node)
        self.scheduler.relocate(name, (node,))
        self.scheduler.cordon(node)

    def drain(self, node: str) -> None:
        """Take the node's work off it; what may not be moved is cut off."""
        if self.scheduler.drain(node):
            self.scheduler.node_lost(node, "drained")

    def lose(self, node: str) -> None:
        """The node cannot work: its job falls back to its last checkpoint and waits."""
        self.scheduler.node_lost(node)

    def bring_back(self, node: str) -> None:
        """The node works again."""
        self.scheduler.node_back(node)

    def done_node_h(self) -> float:
        """Work done and kept, node-hours."""
        return self.scheduler.metrics().useful_node_s / HOUR_S

    def late(self, now: datetime) -> tuple[str, ...]:
        """Jobs that were or are not done when they were due."""
        return tuple(
            name for name, job in self.jobs.items()
            if job.due and job.due <= now and (task := self.scheduler.tasks.get(name))
            and (task.ended_s is None or self._at(task.ended_s) > job.due)
        )  # fmt: skip

    # ---- inside ---------------------------------------------------------------------------------------

    def _running_on(self, node: str) -> str:
        name = next((task.work.name for task in self._alive() if node in task.nodes), "")
        if not name:
            raise UsageError(f"no job runs on {node}", remedy="Name a node that a job runs on")
        return name

    def _alive(self) -> list[Task]:
        return [t for t in self.scheduler.tasks.values() if t.state == "running" and not t.work.service]

    def _draw(self, upto: datetime) -> None:
        """Submit what comes until three days after that moment, each day once."""
        last = upto.astimezone(self.site.zone).date() + timedelta(days=3)
        while self._drawn_until <= last:
            for job in coming(self.site, self.seed, self._drawn_until, self.start):
                self._submit(job)
            self._drawn_until += timedelta(days=1)

    def _submit(self, job: Coming) -> None:
        if job.at >= self.start and job.work.nodes <= len(self.scheduler.floor.places):
            number = self._numbers[job.work.name] = self._numbers.get(job.work.name, -1) + 1
            name = f"{job.work.name}.{number}" if number else job.work.name
            work = job.work.model_copy(update={"name": name})
            self.jobs[name] = Coming(work, job.at, job.announced, job.due)
            self.scheduler.submit(work, self._seconds(job.at))

    def _past(self, task: Task) -> Iterator[ScheduledJob]:
        for start_s, end_s, nodes in task.runs:
            yield self._span(task.work, nodes, start_s, end_s)

    def _ahead(self, end: datetime) -> list[ScheduledJob]:
        """A copy of the scheduler that knows what is announced, and takes each job for as long as it was planned."""
        key = (len(self.scheduler.decisions), len(self.jobs), int(self.scheduler.now_s // 900), end)
        if self._foreseen[0] != key:
            self._foreseen = (key, self._projected(end))
        return self._foreseen[1]

    def _projected(self, end: datetime) -> list[ScheduledJob]:
        now_s = self.scheduler.now_s
        twin = copy.copy(self.scheduler)
        twin.tasks = {t.work.name: _as_planned(t) for t in self.scheduler.tasks.values() if t.ended_s is None}
        twin.decisions, twin._out, twin._cordoned = [], set(twin._out), set(twin._cordoned)
        twin._future = [
            (at_s, number, _for_its_limit(work)) for at_s, number, work in self.scheduler._future
            if work.service or self.jobs[work.name].announced <= self.now
        ]  # fmt: skip
        twin.advance(max(now_s, self._seconds(end)))
        jobs = [task for task in twin.tasks.values() if not task.work.service]
        spans = [self._span(t.work, nodes, a, b) for t in jobs for a, b, nodes in t.runs if b > now_s]
        spans += [
            self._span(t.work, t.nodes, t.started_s, t.planned_end_s) for t in jobs if t.state == "running"
        ]
        spans += [
            self._span(self.scheduler.tasks[name].work, nodes, now_s, now_s + DAY_S, paused=True)
            for name, nodes in self.held.items()
        ]
        return spans

    def _span(
        self, work: Work, nodes: tuple[str, ...], start_s: float, end_s: float, *, paused: bool = False
    ) -> ScheduledJob:
        return ScheduledJob(
            work.name, nodes, self._at(start_s), self._at(end_s), work.load_pu, work.preemptible, paused
        )

    def _at(self, seconds: float) -> datetime:
        return (self.start + timedelta(seconds=seconds)).astimezone(UTC)

    def _seconds(self, moment: datetime) -> float:
        return (moment - self.start).total_seconds()


def _for_its_limit(work: Work) -> Work:
    """As the schedule has it: it takes all the time it was planned for."""
    return work.model_copy(update={"duration_s": max(work.limit_s, work.duration_s)})


def _as_planned(task: Task) -> Task:
    """A copy to go on with."""
    work = task.work if task.work.service else _for_its_limit(task.work)
    return replace(task, work=work, runs=list(task.runs))
