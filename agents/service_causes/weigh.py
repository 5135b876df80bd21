"""Weighs every failure mode of the closed list against the evidence: what speaks for it, what against it.

Weights are log-odds. Within one kind of evidence the strongest piece counts in full and each further one less, so
that many echoes of one thing do not outweigh two different things.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agents.service_causes.changes import Movement, movement
from agents.service_causes.loads import Loads, loads_of
from agents.service_causes.meaning import quantity_of, usage_facts, words
from agents.service_causes.peers import standing_out
from agents.service_causes.signs import BEFORE, Placed, place, signs_of
from knowledge.service_causes import Mode, load_catalog
from tools.case_types import Fact, ServiceCase

FADING = (1.0, 0.6, 0.4, 0.25, 0.15)
QUIET, QUIET_BESIDE_PROOF = -1.3, -0.3
COMPLAINT, OTHER_WAITS = 0.5, -1.5
RECOVERED = 0.25
REPEATS = 1.15
"""What several lines saying one thing are worth against one line."""
STRONG = 2.0


@dataclass(frozen=True)
class Piece:
    """One piece of evidence for a mode."""

    weight: float
    source: Movement | Placed | tuple[Fact, Fact] | str
    """What it is; a text names a kind of wait."""
    at: datetime | None = None
    strong: bool = False


@dataclass
class Weighed:
    """How one mode fared."""

    mode: Mode
    pieces: list[Piece]
    score: float = 0.0
    raw: float = 0.0
    against: list[str] = field(default_factory=list)
    effect_of: str = ""
    explains: list[str] = field(default_factory=list)
    """Modes that are its effects."""

    @property
    def onset(self) -> datetime | None:
        return min((p.at for p in self.pieces if p.at is not None and p.weight >= 1.0), default=None)

    @property
    def proven(self) -> bool:
        """At least one strong piece that is not the alert's own words."""
        return any(p.strong for p in self.pieces)


@dataclass(frozen=True)
class Seen:
    """The evidence of a case, read for meaning."""

    case: ServiceCase
    movements: tuple[Movement, ...]
    signs: tuple[Placed, ...]
    loads: Loads
    first: datetime | None
    """When the first bad movement began."""
    slack: timedelta
    complaint: frozenset[str]
    """Quantities the alert names."""

    alone: frozenset[int] = frozenset()
    """Ids of the movements of one part that its many equals do not show."""

    @property
    def moved(self) -> list[Movement]:
        return [m for m in self.movements if m.events]


def see(case: ServiceCase) -> Seen:
    """Movements, signs and rankings of a case, each placed in time."""
    movements = tuple(movement(readings, case) for readings in case.readings)
    slack = timedelta(seconds=1.5 * max([60.0, *(r.step_s for r in case.readings if r.step_s <= 900)]))
    onsets = _onsets(movements)
    found = signs_of(case)
    failing = [
        s.line.time for s in found if s.sign.role == "failure" and s.line.time and not s.alert and not s.calm
    ]
    window = min((r.times[0] for r in case.readings), default=None)
    known = window or (case.alert.at if case.alert else None)
    recent = [at for at in failing if known is None or at >= known - BEFORE]
    first = (
        min(onsets, default=None)
        or min(recent, default=None)
        or (case.alert.at if case.alert else None)
        or window
    )
    return Seen(
        case,
        movements,
        tuple(place(found, first, slack)),
        loads_of(case),
        first,
        slack,
        _complaint(case),
        standing_out(movements),
    )


def _onsets(movements: Sequence[Movement]) -> list[datetime]:
    """When what hurts began; what came back is taken where nothing lasts."""
    bad = [m for m in movements if m.bad and m.onset and m.quantity.role not in ("other", "limit", "expiry")]
    lasting = [m for m in bad if not m.recovered]
    return [m.onset for m in lasting or bad if m.onset]


def _complaint(case: ServiceCase) -> frozenset[str]:
    """Quantities that title or summary of the alert name, metric by metric or in plain words."""
    if case.alert is None:
        return frozenset()
    text = words(case.alert.text)
    named = {quantity_of(r.name).id for r in case.readings if words(r.name) in text}
    spoken = {
        q.id
        for q in load_catalog().quantities
        if q.role not in ("load", "output", "other") and any(w.search(text) for w in q.words)
    }
    return frozenset(named | spoken) - {"other"}


def weigh(seen: Seen) -> dict[str, Weighed]:
    """Every mode that something speaks for, with its score before causes and effects are told apart."""
    by_event = _by_event(seen.movements, seen.alone)
    weighed = {}
    for mode in load_catalog().modes.values():
        one = _weigh(mode, seen, by_event)
        if one is not None:
            weighed[mode.id] = one
    return weighed


def _by_event(movements: Sequence[Movement], alone: Container[int] = ()) -> dict[str, list[Movement]]:
    found: dict[str, list[Movement]] = {}
    for moved in movements:
        for event in [*moved.events, *(["alone"] if id(moved) in alone else [])]:
            found.setdefault(f"{moved.quantity.id}.{event}", []).append(moved)
    return found


def _weigh(mode: Mode, seen: Seen, by_event: Mapping[str, Sequence[Movement]]) -> Weighed | None:
    signs = _sign_pieces(mode, seen)
    moves = _move_pieces(mode, by_event)
    if mode.id in ("memory_exhaustion", "storage_full", "connection_exhaustion"):
        moves += [
            Piece(2.0, pair, strong=True)
            for pair in usage_facts(seen.case)
            if f"{quantity_of(pair[0].key).id}.full" in mode.moves
        ]
    waits = [
        Piece(mode.waits[kind] * share, kind)
        for kind, share in seen.loads.waits.items()
        if kind in mode.waits and share >= 0.3
    ]
    if not _needed(mode, signs, by_event, waits) and not any(isinstance(p.source, tuple) for p in moves):
        return None
    one = Weighed(mode, [*signs, *moves, *waits])
    one.raw = _faded(signs) + _faded(moves) + _faded(waits) + COMPLAINT * _complained(mode, seen)
    one.raw += _against(one, seen, one.proven)
    one.score = one.raw
    return one


def _sign_pieces(mode: Mode, seen: Seen) -> list[Piece]:
    best: dict[str, Piece] = {}
    for placed in seen.signs:
        base = mode.signs.get(placed.said.sign.id, 0.0) * placed.weight
        if base <= 0:
            continue
        weight = base * (REPEATS if placed.said.times > 1 else 1.0)
        at = None if placed.said.alert else placed.at
        piece = Piece(weight, placed, at, strong=base >= STRONG and not placed.said.alert)
        known = best.get(placed.said.sign.id)
        earlier = (
            known is not None
            and weight == known.weight
            and at is not None
            and (known.at is None or at < known.at)
        )
        if known is None or weight > known.weight or earlier:
            best[placed.said.sign.id] = piece
    return sorted(best.values(), key=lambda p: -p.weight)


def _move_pieces(mode: Mode, by_event: Mapping[str, Sequence[Movement]]) -> list[Piece]:
    """The weightiest event of each series."""
    best: dict[int, Piece] = {}
    for event, base in mode.moves.items():
        for moved in by_event.get(event, ()):
            weight = base * (RECOVERED if moved.recovered else 1.0)
            piece = Piece(weight, moved, moved.onset, strong=base >= STRONG and not moved.recovered)
            if id(moved) not in best or best[id(moved)].weight < weight:
                best[id(moved)] = piece
    return sorted(best.values(), key=lambda p: -p.weight)


def _faded(pieces: Sequence[Piece]) -> float:
    ordered = sorted((p.weight for p in pieces), reverse=True)
    return sum(weight * share for weight, share in zip(ordered, FADING, strict=False))


def _needed(
    mode: Mode, signs: Sequence[Piece], by_event: Mapping[str, Sequence[Movement]], waits: Sequence[Piece]
) -> bool:
    said = {p.source.said.sign.id for p in signs if isinstance(p.source, Placed)}
    waiting = {
        f"wait.{p.source}"
        for p in waits
        if isinstance(p.source, str) and p.weight >= 0.5 * mode.waits[p.source]
    }
    return bool(mode.needs & (said | set(by_event) | waiting))


def _complained(mode: Mode, seen: Seen) -> bool:
    return any(
        event.split(".")[0] in seen.complaint and weight >= 1.5 for event, weight in mode.moves.items()
    )


def _against(one: Weighed, seen: Seen, proven: bool) -> float:
    """What speaks against a mode; each reason is kept in words."""
    total = 0.0
    quiet = [m for m in seen.movements if m.quantity.id in one.mode.quiet and not m.bad]
    if quiet and not any(m.bad for m in seen.movements if m.quantity.id in one.mode.quiet):
        total += QUIET_BESIDE_PROOF if proven else QUIET
        one.against.append(_stayed(quiet[0]))
    leading = max(seen.loads.waits.items(), key=lambda pair: pair[1], default=None)
    if (
        one.mode.waits
        and leading
        and not any(seen.loads.waits.get(kind, 0.0) >= 0.25 for kind in one.mode.waits)
    ):
        row = seen.loads.wait_rows[leading[0]]
        total += OTHER_WAITS * (1.0 if any(p.weight >= 1.0 for p in one.pieces) else 0.5)
        one.against.append(
            f"most time goes to {row.name} ({leading[1]:.0%} of {row.table}, {row.file}), not to what this cause would show"
        )
    return total


def _stayed(moved: Movement) -> str:
    low, high = min(moved.readings.values), max(moved.readings.values)
    return (
        f"{moved.readings.name} stayed between {low:.6g} and {high:.6g} {moved.readings.unit}".rstrip()
        + f" ({moved.readings.file})"
    )
