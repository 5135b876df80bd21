"""Cases of the suite `rca`: every fault of generated nights at its moment of diagnosis, with what makes it hard as tags.

A night has one twist, by its seed in turn: none, unrelated changes before each fault, sensors that fail beside each
fault, late lines, or two faults at once. So a figure by tag says what that one thing costs. Faults of all three sorts
(known, of a kind nobody knows, harmless) come in every night.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

from evals.exam.cases import VERSION, ExamCase, Mix, exam_case
from evals.exam.judging import Seat, seat_of
from evals.playing import Played, play
from evals.registry import Split
from plant import load_site
from plant.faults.place import FaultPlan, reach
from plant.faults.wire import Line
from setpoint.contracts import Event
from setpoint.contracts.site import Site

SITE = "demo"
NIGHTS = 60
"""Of a full run: about 190 faults."""
DEV_SEEDS = 100
"""1 to this may be looked at."""
FIRST_HELD_OUT = 5001
FOR_A_POOL = 12
"""So many nights are worth starting processes for."""
LATE_S = 30.0
"""A line later than this is told as late; relays and pollers need less."""
SENSOR_BEFORE_S = 600.0
"""A sensor that failed so long before a fault, or later, hides something of it."""
MOST_LINES, MOST_CHARS = 40, 220
_PLAIN = Mix(herring=0.0, late=0.0, troubled=0.0, double=0.0)
TWISTS: tuple[tuple[str, Mix], ...] = (
    ("plain", _PLAIN),
    ("two at once", Mix(herring=0.0, late=0.0, troubled=0.0, double=1.0)),
    ("unrelated changes", Mix(herring_each=True, late=0.0, troubled=0.0, double=0.0)),
    ("failing sensors", Mix(herring=0.0, late=0.0, troubled=1.0, double=0.0, blinded=True)),
    ("late lines", Mix(herring=0.0, late=1.0, late_pu=0.35, troubled=0.0, double=0.0)),
)
"""By the night's seed modulo their number."""
GENERATOR = f"cases {VERSION}"
DOUBLE, HERRING, SENSORS, LATE, SHUFFLED = (
    "two at once", "unrelated change", "failing sensors", "late lines", "lines out of order",
)  # fmt: skip


@dataclass(frozen=True)
class RcaFault:
    """One fault of one night, or one harmless story."""

    plan: FaultPlan
    seat: Seat | None
    """None: nothing of it was ranked above P3, so nobody is asked for its cause."""
    tags: tuple[str, ...]
    due: bool
    """A good operator would have been told of it."""

    @property
    def story(self) -> str:
        return self.plan.story


@dataclass(frozen=True)
class RcaNight:
    """One composed night with every fault at its moment."""

    seed: int
    case: ExamCase
    played: Played
    faults: tuple[RcaFault, ...]

    def fault(self, story: str) -> RcaFault:
        """Raises StopIteration where the night has no such story."""
        return next(fault for fault in self.faults if fault.story == story)

    @property
    def asked(self) -> tuple[RcaFault, ...]:
        """Those that are cases: noticed, or due to be noticed."""
        return tuple(fault for fault in self.faults if fault.seat or fault.due)

    def story_of(self, event: Event | str) -> str:
        """Which story an event belongs to."""
        return self.played.truth[event if isinstance(event, str) else event.id].story


# ---- which nights ---------------------------------------------------------------------------------------------------


def seeds_of(split: Split, seed: int) -> tuple[int, ...]:
    """Seeds of a full run's nights. Dev seeds go round within 1 to DEV_SEEDS; held-out ones are never among them.

    >>> seeds_of("dev", 2)[0], seeds_of("held-out", 1)[0]
    (61, 5001)
    """
    first = (seed - 1) * NIGHTS
    if split == "held-out":
        return tuple(FIRST_HELD_OUT + first + number for number in range(NIGHTS))
    return tuple((first + number) % DEV_SEEDS + 1 for number in range(NIGHTS))


def nights(split: Split, seed: int, limit: int | None) -> Iterator[RcaNight]:
    """As many nights as so many cases need; all of them for None."""
    seeds = seeds_of(split, seed)
    if limit is None or limit > 3 * FOR_A_POOL:
        compose_all(seeds if limit is None else seeds[: limit // 3])
    left = limit
    for one in seeds:
        if left is not None and left <= 0:
            return
        night = night_of(one)
        left = None if left is None else left - len(night.asked)
        yield night


@cache
def _site() -> Site:
    return load_site(SITE)


_composed: dict[int, RcaNight] = {}


def night_of(seed: int) -> RcaNight:
    """The night of this seed, composed once."""
    if seed not in _composed:
        _composed[seed] = compose_night(seed)
    return _composed[seed]


def compose_all(seeds: Sequence[int]) -> None:
    """Compose those that are not there yet, in two processes where they are many."""
    todo = [seed for seed in seeds if seed not in _composed]
    if len(todo) < FOR_A_POOL:
        return
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        _composed.update(zip(todo, pool.map(compose_night, todo), strict=True))


def compose_night(seed: int) -> RcaNight:
    """Compose and play one night, and seat every fault of it."""
    _, mix = twist_of(seed)
    case = exam_case(_site(), seed, mix)
    played = play(lines=case.night.events, site=case.site)
    return RcaNight(seed, case, played, tuple(_fault(case, plan, played) for plan in case.night.plans))


def twist_of(seed: int) -> tuple[str, Mix]:
    """What makes this night hard, in words and as a mix."""
    return TWISTS[seed % len(TWISTS)]


# ---- tags -----------------------------------------------------------------------------------------------------------


def _fault(case: ExamCase, plan: FaultPlan, played: Played) -> RcaFault:
    seat = seat_of(case, plan, played)
    own = [line for line in case.night.events if line.story == plan.story]
    due = any(line.priority in ("P0", "P1", "P2") for line in own) and plan.fault.cause != "no_fault"
    return RcaFault(plan, seat, tuple(_tags(case, plan, seat, own)) if seat else (), due)


def _tags(case: ExamCase, plan: FaultPlan, seat: Seat, own: Sequence[Line]) -> Iterator[str]:
    """What really touches this fault by its moment, not what its night was meant to have."""
    if plan.story in case.doubles:
        yield DOUBLE
    if plan.story in case.herrings and case.herrings[plan.story].time <= seat.moment:
        yield HERRING
    kinds = _failing(case, plan, seat)
    if kinds:
        yield SENSORS
        yield from (f"{kind} sensor" for kind in kinds)
    sent = [line for line in own if line.time.timestamp() - line.late_s <= seat.moment.timestamp()]
    if any(line.late_s > LATE_S for line in sent):
        yield LATE
    if _out_of_order([line for line in sent if line.time <= seat.moment]):
        yield SHUFFLED


def _failing(case: ExamCase, plan: FaultPlan, seat: Seat) -> list[str]:
    """Kinds of sensor trouble where the fault shows, at its time."""
    near = reach(plan, case.real)
    until_s = (seat.moment - case.night.start).total_seconds()
    found = {
        trouble.kind
        for trouble in case.troubles
        if trouble.asset in near and trouble.from_s <= until_s and trouble.to_s >= plan.at_s - SENSOR_BEFORE_S
    }
    return sorted(found)


def _out_of_order(arrived: Sequence[Line]) -> bool:
    """Whether a line came before one that was sent more than a second earlier."""
    sent = [line.time.timestamp() - line.late_s for line in arrived]
    return any(later < before - 1.0 for before, later in itertools.pairwise(sent))


# ---- what a reader sees ---------------------------------------------------------------------------------------------


def case_text(night: RcaNight, fault: RcaFault) -> str:
    """The incident as it was at the moment of diagnosis; where there is none, the lines that made none."""
    if fault.seat is None:
        lines = [line.text for line in night.case.night.events if line.story == fault.story]
        head = "No incident above P3 came of these lines:"
        return "\n".join([head, *(_cut(line) for line in lines[:MOST_LINES])])
    seat, incident = fault.seat, fault.seat.told.incident
    events = seat.told.events
    parts = [
        f"Site {seat.told.site.name}, {seat.moment:%Y-%m-%d %H:%M:%SZ}. Incident {incident.id}, {incident.priority}: "
        f"{incident.title}",
        f"{len(events)} events:",
        *(_event_line(event) for event in events[:MOST_LINES]),
    ]
    if len(events) > MOST_LINES:
        parts.append(f"... and {len(events) - MOST_LINES} more")
    parts += [f"Announced: {_cut(event.message)}" for event in seat.told.context[:MOST_LINES]]
    parts += [
        f"Changed {change.time:%m-%d %H:%MZ}: {change.what} ({change.assets})"
        for change in seat.told.site.changes
    ]
    return "\n".join([*parts, *_reading_lines(night, seat)])


def _event_line(event: Event) -> str:
    value = f" [{event.metric} {event.value:g} {event.unit or ''}]" if event.value is not None else ""
    return _cut(
        f"{event.time:%H:%M:%SZ} {event.severity} {event.status} {event.asset}: {event.message}{value}"
    )


def _reading_lines(night: RcaNight, seat: Seat) -> Iterator[str]:
    """Which readings there are, and those of the incident's assets as they stand."""
    telemetry = night.case.night.telemetry
    minutes = (seat.moment - telemetry.start).total_seconds() / 60
    yield f"Readings: {len(telemetry.series)} sensors over {minutes:.0f} min, every {telemetry.times_s[1]:.0f} s. Now:"
    for asset, values in list(seat.told.telemetry.items())[: MOST_LINES // 4]:
        yield _cut(f"{asset}: " + ", ".join(f"{metric} {value:.4g}" for metric, value in values.items()))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 3]}..."
