"""One case of the diagnosis exam: a night on a site that is not what its file says, with faults of three sorts.

Known faults come from the plant's catalog, strange ones from strange_faults.yaml (right answer: unknown), harmless
stories from harmless.yaml (right answer: no fault). On top of that a case may have two faults at once, unrelated
changes shortly before a fault, sensors in trouble, and late lines.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

from evals.exam.effects import Trouble
from evals.exam.site import CaseSite, with_fields
from plant.faults import wire
from plant.faults.catalog import Fault, load_catalog, read_catalog
from plant.faults.ground import Ground
from plant.faults.night import START, Night, compose, place_fault
from plant.faults.place import FaultPlan, scheduler
from plant.faults.wire import Line
from plant.site import Change, Site

Sort = Literal["known", "strange", "harmless"]
HERE = Path(__file__).parent
FIRST_DAY = START + timedelta(days=2)
"""Behind the demo site's maintenance window."""
VERSION = 2
"""Of what makes the cases. The same version, site, seed and mix give the same case; 2 added what a night's default mix
does not have: sensors that fail beside a fault, an unrelated change for each fault, the share of late lines."""
LATE_PU = 0.1
DOUBLE_S = 600.0
"""The second of two faults begins within so long of the first."""
HERRING_S = (300.0, 2400.0)
_HERRINGS: Mapping[str, Sequence[str]] = {
    "gpu_node": ("BMC password rotated", "NIC firmware updated to 28.41.1000", "asset label replaced", "rail kit inspected"),
    "cdu": ("display firmware updated", "sight glass cleaned", "drip tray inspected"),
    "pump": ("grease cap replaced", "name plate replaced"),
    "rack": ("blanking panel moved", "door handle replaced", "cable tray tidied"),
    "service": ("log level changed", "dashboard renamed", "access token rotated"),
    "ups": ("fan filter exchanged", "web card firmware updated"),
    "pdu": ("outlet labels printed", "web card firmware updated"),
    "switch": ("SNMP community rotated", "cable labels replaced"),
    "storage": ("spare drive restocked", "quota report enabled"),
}  # fmt: skip


@dataclass(frozen=True)
class Mix:
    """What cases are made of."""

    faults: int = 3
    """A night; a double fault adds one."""
    hours: float = 3.0
    strange: float = 0.17
    harmless: float = 0.22
    """Shares of the faults that are not of the plant's catalog."""
    double: float = 0.15
    herring: float = 0.3
    late: float = 0.25
    troubled: float = 0.7
    """Shares of nights with each of these."""
    as_written: bool = False
    """The control: the site is what its file says."""
    late_pu: float = LATE_PU
    """Share of lines that come late, in nights where they do."""
    blinded: bool = False
    """Sensors near each fault fail just then."""
    herring_each: bool = False
    """Every fault has its unrelated change."""


@dataclass(frozen=True)
class ExamCase:
    """A composed night, what diagnosis may know of its site, and the truth."""

    night: Night
    site: Site
    """As its file says, with its records of changes."""
    sorts: Mapping[str, Sort]
    """Of each story."""
    doubles: frozenset[str]
    """Stories that begin together with another one."""
    notes: tuple[str, ...]
    """What differs on the real site, sensors in trouble, changes that mean nothing."""
    real: Site
    """As it is: what stands on what in truth."""
    troubles: tuple[Trouble, ...] = ()
    """Sensors that are not to be trusted, and when."""
    herrings: Mapping[str, Change] = field(default_factory=dict)
    """By story the unrelated change shortly before it."""


def exam_case(site: Site, seed: int, mix: Mix | None = None) -> ExamCase:
    """The case of this seed. The same arguments give the same one."""
    mix = mix or Mix()
    rng = random.Random(f"{seed}-{site.name}-case")
    plans, doubles = _plans(site, seed, mix, rng)
    start = FIRST_DAY + timedelta(hours=seed * 7 % 24)
    herrings = _herrings(site, start, plans, rng, seed, mix)
    late_pu = mix.late_pu if rng.random() < mix.late else Ground.late_pu
    ground = None
    if not mix.as_written:
        ground = CaseSite(site, seed, rng.random() < mix.troubled, late_pu, mix.blinded)
    night = compose(site, seed, mix.hours, plans, start, ground=ground)
    real = ground.site(site) if ground else site
    troubles = ground.troubles if ground else ()
    notes = (*ground.differs, *map(str, troubles)) if ground else ()
    if herrings:
        site = with_fields(site, changes=(*site.changes, *herrings.values()))
        told = [_told(site, herring) for herring in herrings.values()]
        night = replace(
            night, events=tuple(sorted((*night.events, *told), key=lambda line: (line.time, line.text)))
        )
        notes += tuple(f"{herring.what} on {herring.assets}" for herring in herrings.values())
    sorts = {plan.story: sort_of(plan.fault) for plan in plans}
    return ExamCase(night, site, sorts, doubles, notes, real, troubles, herrings)


@cache
def catalog_of(sort: Sort) -> dict[str, Fault]:
    """Faults of one sort by id. Raises ConfigError where a file is wrong."""
    if sort == "known":
        return load_catalog()
    name = "strange_faults.yaml" if sort == "strange" else "harmless.yaml"
    return {fault.id: fault for fault in read_catalog(HERE / name).faults}


def sort_of(fault: Fault) -> Sort:
    """Which of the three catalogs the fault is from."""
    sorts: tuple[Sort, ...] = ("strange", "harmless")
    return next((sort for sort in sorts if fault.id in catalog_of(sort)), "known")


# ---- what happens -----------------------------------------------------------------------------------------


def _plans(site: Site, seed: int, mix: Mix, rng: random.Random) -> tuple[list[FaultPlan], frozenset[str]]:
    plans: list[FaultPlan] = []
    for slot in range(mix.faults):
        draw = rng.random()
        sort: Sort = (
            "strange" if draw < mix.strange else "harmless" if draw < mix.strange + mix.harmless else "known"
        )
        plans += _from_deck(site, sort, seed * mix.faults + slot, mix, rng, plans)
    doubles: frozenset[str] = frozenset()
    known = [plan for plan in plans if sort_of(plan.fault) == "known"]
    if known and rng.random() < mix.double:
        first = rng.choice(known)
        second = _beside(site, first, seed, mix, rng, plans)
        if second is not None:
            plans.append(second)
            doubles = frozenset((first.story, second.story))
    return sorted(plans, key=lambda plan: (plan.at_s, plan.story)), doubles


def _from_deck(
    site: Site, sort: Sort, number: int, mix: Mix, rng: random.Random, plans: Sequence[FaultPlan]
) -> list[FaultPlan]:
    """The next fault of its sort that finds room: over many nights each comes about equally often."""
    deck, there = _deck(sort), {plan.fault.id for plan in plans}
    for turn in range(len(deck)):
        fault = deck[(number + turn) % len(deck)]
        if fault.id in there:
            continue
        if placed := place_fault(fault, site, rng, mix.hours * 3600, plans):
            return placed
    return []


@cache
def _deck(sort: Sort) -> tuple[Fault, ...]:
    faults = list(catalog_of(sort).values())
    random.Random(f"deck-{sort}").shuffle(faults)
    return tuple(faults)


def _beside(
    site: Site, first: FaultPlan, seed: int, mix: Mix, rng: random.Random, plans: Sequence[FaultPlan]
) -> FaultPlan | None:
    """A second known fault of another cause on another asset, within DOUBLE_S of the first."""
    taken = {plan.story for plan in plans}
    deck = _deck("known")
    for turn in range(len(deck)):
        fault = deck[(seed + turn) % len(deck)]
        if fault.cause == first.fault.cause:
            continue
        for plan in place_fault(fault, site, rng, mix.hours * 3600, overlap=True):
            later_s = first.at_s + rng.uniform(0, DOUBLE_S) - plan.at_s
            end_s = None if plan.end_s is None else plan.end_s + later_s
            if plan.asset != first.asset and plan.story not in taken:
                return replace(plan, at_s=round(plan.at_s + later_s, 1), end_s=end_s)
    return None


def _herrings(
    site: Site, start: datetime, plans: Sequence[FaultPlan], rng: random.Random, seed: int, mix: Mix
) -> dict[str, Change]:
    """By story the changes that mean nothing."""
    if mix.herring_each:
        own = random.Random(f"{seed}-{site.name}-herrings")
        return {plan.story: _herring(site, start, plan, own) for plan in plans}
    if rng.random() >= mix.herring or not plans:
        return {}
    plan = rng.choice(plans)
    return {plan.story: _herring(site, start, plan, rng)}


def _herring(site: Site, start: datetime, plan: FaultPlan, rng: random.Random) -> Change:
    """A change that has nothing to do with a fault, on its asset or on another of the kind, shortly before it."""
    kind = site.by_name[plan.asset.lower()].kind
    asset = (
        plan.asset
        if rng.random() < 0.5
        else rng.choice([one.name for one in site.assets if one.kind == kind])
    )
    what = rng.choice(_HERRINGS.get(kind, ("inspection sticker renewed", "name plate replaced")))
    at_s = max(0.0, plan.at_s - rng.uniform(*HERRING_S))
    return Change(time=start + timedelta(seconds=at_s), assets=asset, what=what)


def _told(site: Site, change: Change) -> Line:
    text = wire.syslog(
        change.time, scheduler(site), "changed", f"change closed: {change.what} on {change.assets}"
    )
    return Line(change.time + timedelta(seconds=1), text, "herring", "P3", "no_fault")
