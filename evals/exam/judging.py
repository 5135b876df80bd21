"""One case of the diagnosis exam put to Setpoint: what each way of diagnosing says of every fault some minutes in.

The night is played up to the moment of diagnosis and no further, for each fault anew, so that nothing later can show:
lines that had not arrived are not read, and the history of readings ends there. The moment is ten minutes after the
first line of the fault that Setpoint ranked as high as any of its lines.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache

from agents.decider import decide
from agents.evidence import Case, gather
from agents.troubleshooter import Finding, by_signature, by_trial, weigh_causes
from evals.exam.cases import ExamCase, Sort
from evals.exam.grouping import NO_STORY
from evals.exam.site import with_fields
from evals.playing import Played, play
from knowledge.causes import load_causes
from plant.faults.place import FaultPlan
from setpoint.contracts import Evidence, Hypothesis
from setpoint.llm import load_role
from setpoint.settings import ModelSettings
from tools.diagnosis import diagnose
from tools.windows import Gridded

AFTER_S = 600.0
"""A diagnosis is made so long after a fault showed its worst."""
FRESH_S = 60.0
Diagnose = Callable[[Case, Gridded], Sequence[Hypothesis]]
"""From an incident and all readings up to now to causes, most likely first; `history.until` is now."""


@dataclass(frozen=True)
class Answer:
    """What one way of diagnosing said of one fault."""

    ranked: tuple[tuple[str, float], ...]
    """Causes with their shares, most likely first."""
    asset: str
    """Where it puts the first cause; "" where it does not say."""
    also: str
    """The second fault it sees, as cause@asset; "" where it sees one."""
    seconds: float
    """On the clock."""
    cpu_s: float
    """Of this process: what it takes on a machine that does nothing else."""

    @property
    def first(self) -> str:
        return self.ranked[0][0]

    @property
    def near(self) -> tuple[str, ...]:
        """The first three causes."""
        return tuple(cause for cause, _ in self.ranked[:3])


@dataclass(frozen=True)
class Judged:
    """One fault of one night, and what was said of it."""

    seed: int
    fault: str
    sort: Sort
    area: str
    truth: str
    asset: str
    double: bool
    """Another fault began within minutes of it."""
    noticed: str
    """Priority of its incident at the moment of diagnosis; "" where no line of it was ranked above P3."""
    mixed: bool
    """Another fault has as many events in that incident."""
    after_s: float | None
    """From its onset to the diagnosis; None where it was not noticed."""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    """By way of diagnosing; empty where it was not noticed."""


def judge(case: ExamCase, ways: Mapping[str, Diagnose]) -> list[Judged]:
    """Every fault of the case by every way."""
    whole = play(lines=case.night.events, site=case.site)
    return [_judged(case, plan, whole, ways) for plan in case.night.plans]


@dataclass(frozen=True)
class Seat:
    """All that may be known of one fault when it is diagnosed, and no more."""

    moment: datetime
    told: Case
    """The incident as it was then, with the readings of then."""
    history: Gridded
    mixed: bool
    """Another fault has as many events in that incident."""


def seat_of(case: ExamCase, plan: FaultPlan, whole: Played) -> Seat | None:
    """The seat of one fault of a case; None where nothing of it was ranked above P3. `whole`: the night, played."""
    moment = moment_of(whole, plan.story)
    told, mixed = (None, False) if moment is None else incident_at(case, plan.story, moment)
    if told is None or moment is None:
        return None
    telemetry = case.night.telemetry
    history = Gridded(telemetry.start, telemetry.times_s, telemetry.series, until=moment)
    return Seat(moment, _with_readings(told, history, moment), history, mixed)


def _judged(case: ExamCase, plan: FaultPlan, whole: Played, ways: Mapping[str, Diagnose]) -> Judged:
    seat = seat_of(case, plan, whole)
    answers = {name: _answer(way, seat.told, seat.history) for name, way in ways.items()} if seat else {}
    return Judged(
        seed=case.night.seed, fault=plan.fault.id, sort=case.sorts[plan.story], area=plan.fault.area,
        truth=plan.fault.cause, asset=plan.asset, double=plan.story in case.doubles,
        noticed=seat.told.incident.priority if seat else "", mixed=seat.mixed if seat else False,
        after_s=(seat.moment - case.night.start).total_seconds() - plan.at_s if seat else None, answers=answers,
    )  # fmt: skip


def moment_of(played: Played, story: str) -> datetime | None:
    """When the story's incident is diagnosed; None where Setpoint ranked none of its lines above P3."""
    ranked = [
        (played.triages[event.id].priority, event.received)
        for event in played.events
        if played.truth[event.id].story == story and event.status == "firing"
    ]
    worst = min((priority for priority, _ in ranked if priority < "P3"), default=None)
    if worst is None:
        return None
    return min(received for priority, received in ranked if priority == worst) + timedelta(seconds=AFTER_S)


def incident_at(case: ExamCase, story: str, moment: datetime) -> tuple[Case | None, bool]:
    """The incident above P3 that holds most of the story's events, as it was at that moment, and whether another story
    has as many in it; None where no incident holds any."""
    lines = [line for line in case.night.events if line.time <= moment]
    known = tuple(change for change in case.site.changes if change.time <= moment)
    site = case.site if len(known) == len(case.site.changes) else with_fields(case.site, changes=known)
    played = play(lines=lines, site=site)
    told = [one for one in played.cases if one.incident.priority < "P3"]
    stories = [Counter(played.truth[event.id].story for event in one.events) for one in told]
    if not any(counts[story] for counts in stories):
        return None, False
    best = max(range(len(told)), key=lambda number: stories[number][story])
    others = [count for other, count in stories[best].items() if other not in (*NO_STORY, story)]
    return told[best], max(others, default=0) >= stories[best][story]


def _with_readings(case: Case, history: Gridded, now: datetime) -> Case:
    """The incident with the present readings of its assets, as an adapter gives them."""
    block = history.block(now - timedelta(seconds=FRESH_S), now)
    readings: dict[str, dict[str, float]] = {}
    for (asset, metric), value in zip(block.keys, block.values[-1], strict=True) if len(block.values) else ():
        if asset in case.incident.assets and not math.isnan(value):
            readings.setdefault(asset, {})[metric] = float(value)
    return replace(case, telemetry=readings)


def _answer(way: Diagnose, case: Case, history: Gridded) -> Answer:
    began, cpu_began = time.perf_counter(), time.process_time()
    hypotheses = way(case, history)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    tested = hypotheses[0].tested
    return Answer(
        ranked=tuple((one.cause, round(one.score, 5)) for one in hypotheses),
        asset=tested.asset if tested else "", also=tested.also if tested else "", seconds=round(seconds, 3),
        cpu_s=round(cpu_s, 3),
    )  # fmt: skip


# ---- ways of diagnosing -----------------------------------------------------------------------------------


def by_symbols(case: Case, history: Gridded) -> Sequence[Hypothesis]:
    """Event signatures alone."""
    return by_signature(_weighed(case)[1])


def by_plant(case: Case, history: Gridded) -> Sequence[Hypothesis]:
    """Event signatures, then every candidate tried on the plant model."""
    _, weighed = _weighed(case)
    scores = {finding.cause.id: finding.score for finding in weighed}
    now = history.until or case.incident.updated
    tried = diagnose(case.site, history, case.events, case.triages, scores, now)
    return by_signature(weighed) if tried is None else by_trial(weighed, tried.trial, load_causes())


def by_model(case: Case, history: Gridded) -> Sequence[Hypothesis]:
    """Event signatures, then the bundled model orders the causes they give (mode assisted)."""
    evidence, weighed = _weighed(case)
    decider = load_role(ModelSettings(kind="bundled"), "heavy")
    return decide("assisted", decider, by_signature(weighed), evidence, load_causes()).hypotheses


def _weighed(case: Case) -> tuple[Sequence[Evidence], Sequence[Finding]]:
    evidence, evidence_of = gather(case)
    return evidence, weigh_causes(case, load_causes(), evidence_of, evidence)


@cache
def ways_of(names: tuple[str, ...]) -> Mapping[str, Diagnose]:
    """Those of WAYS with these names."""
    return {name: WAYS[name] for name in names}


WAYS: Mapping[str, Diagnose] = {"symbols": by_symbols, "plant": by_plant, "model": by_model}
"""With a trial on the plant its shares order the causes whatever a model says, so a way "plant and model" would differ
from "plant" in words alone."""
