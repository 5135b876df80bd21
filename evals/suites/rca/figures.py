"""Figures of the suite `rca`, by what made the cases hard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from evals.figures import Better, Figure, rate, resampled
from evals.reliability import bins_of, brier_of_first, calibration_error
from evals.suites.rca.nights import DOUBLE, HERRING, LATE, SENSORS, SHUFFLED
from knowledge.causes import NO_FAULT, UNKNOWN

Row = Mapping[str, Any]
SURE = 0.9
KNOWN, STRANGE, HARMLESS, ALL = "known, single", "unknown family", "no fault", "all"
TWISTED = (HERRING, SENSORS, LATE, SHUFFLED)
SENSOR_KINDS = ("silent sensor", "stale sensor", "lying sensor")
MIXED = "in another fault's incident"


def figures(rows: Sequence[Row], note: str = "") -> list[Figure]:
    """`note`: which set and version the cases are of."""
    seen = [row for row in rows if row["noticed"]]
    single = [row for row in seen if row["sort"] == "known" and DOUBLE not in row["tags"]]
    found = [
        *_if("noticed", "incident above P3 for a fault", [row for row in rows if row["due"]], "noticed"),
        *_all(seen, note),
        *_known(single),
        *_by_twist(single),
        *_double([row for row in seen if DOUBLE in row["tags"]]),
        *_strange([row for row in seen if row["sort"] == "strange"]),
        *_harmless([row for row in seen if row["sort"] == "harmless"]),
        *_by_area(single),
        *_model(seen),
    ]
    return [figure for figure in found if figure.n]


def _all(rows: Sequence[Row], note: str) -> Iterator[Figure]:
    if not rows:
        return
    yield rate(ALL, "top-1", rows, lambda row: row["top1"], note=note)
    yield rate(ALL, "top-3", rows, lambda row: row["top3"])
    yield rate(ALL, "exact set of causes", rows, lambda row: row["exact"])
    yield rate(
        ALL, "Brier, all causes", rows, lambda row: row["brier"], better="lower", note="0 best, 2 worst"
    )
    yield resampled(ALL, "Brier, first cause", rows, _brier_of_first, better="lower")
    yield resampled(ALL, "calibration error", rows, _calibration, better="lower")
    wrong = [row for row in rows if not row["top1"]]
    sure = [row for row in rows if row["share"] >= SURE]
    if wrong:
        name = "share given to a wrong first cause"
        yield rate(ALL, name, wrong, lambda row: row["share"], better="lower")
    if sure:
        yield rate(
            ALL, f"wrong where over {SURE:.0%} sure", sure, lambda row: not row["top1"], better="lower"
        )
    yield from _if(ALL, "causes tried on the plant", rows, "tried")
    yield resampled(ALL, "seconds a diagnosis, median", rows, _seconds, better="")


def _known(rows: Sequence[Row]) -> Iterator[Figure]:
    yield from _if(KNOWN, "top-1", rows, "top1")
    yield from _if(KNOWN, "top-3", rows, "top3")
    yield from _if(KNOWN, "top-1 in its own incident", [row for row in rows if not row["mixed"]], "top1")
    yield from _if(KNOWN, "asset right", rows, "asset_right")
    yield from _if(
        KNOWN, "asset right where the cause is", [row for row in rows if row["top1"]], "asset_right"
    )
    yield from _named(KNOWN, "called unknown", rows, UNKNOWN)
    yield from _named(KNOWN, "called no fault", rows, NO_FAULT)
    yield from _paths(rows)
    yield from _if(KNOWN, "cited event evidence is the fault's", rows, "evidence_own")
    yield from _if(KNOWN, "the fault's event evidence is cited", rows, "evidence_cited")


def _paths(rows: Sequence[Row]) -> Iterator[Figure]:
    """Of systems that show paths; a case without one counts as not shown."""
    if not any(row["path_shown"] for row in rows):
        return
    yield from _if("path", "begins at the struck asset", rows, "path_root")
    yield from _if("path", "every hop is really there", rows, "path_real")
    yield from _if("path", "the fault's alarms explained", rows, "path_found")
    yield from _if("path", "explained events are the fault's", rows, "path_own")


def _by_twist(rows: Sequence[Row]) -> Iterator[Figure]:
    plain = [row for row in rows if not row["tags"]]
    tagged = {"plain": plain} | {tag: [row for row in rows if tag in row["tags"]] for tag in TWISTED}
    tagged[MIXED] = [row for row in rows if row["mixed"]]
    for tag, some in tagged.items():
        yield from _if(f"known, {tag}", "top-1", some, "top1")
        yield from _if(f"known, {tag}", "top-3", some, "top3")
        yield from _if(f"known, {tag}", "asset right", some, "asset_right")
    for kind in SENSOR_KINDS:
        yield from _if(f"known, {kind}", "top-1", [row for row in rows if kind in row["tags"]], "top1")
    named = f"known, {HERRING}"
    yield from _if(named, "the change is cited as evidence", tagged[HERRING], "herring_cited", "lower")


def _double(rows: Sequence[Row]) -> Iterator[Figure]:
    yield from _if(DOUBLE, "one of the two first", rows, "top1")
    yield from _if(DOUBLE, "one of the two among three", rows, "top3")
    yield from _if(DOUBLE, "exact set of causes", rows, "exact")
    yield from _if(DOUBLE, "asset right", rows, "asset_right")


def _strange(rows: Sequence[Row]) -> Iterator[Figure]:
    yield from _if(STRANGE, "recall", rows, "top1")
    yield from _if(STRANGE, "among three", rows, "top3")
    yield from _named(STRANGE, "called no fault", rows, NO_FAULT)


def _harmless(rows: Sequence[Row]) -> Iterator[Figure]:
    yield from _if(HARMLESS, "recall", rows, "top1")
    yield from _if(HARMLESS, "among three", rows, "top3")
    if rows:
        name = "false alarm of a known fault"
        yield rate(HARMLESS, name, rows, lambda row: row["first"] not in (NO_FAULT, UNKNOWN), better="lower")


def _by_area(rows: Sequence[Row]) -> Iterator[Figure]:
    for area in sorted({row["area"] for row in rows}):
        yield from _if(f"known, {area}", "top-1", [row for row in rows if row["area"] == area], "top1")


def _model(rows: Sequence[Row]) -> Iterator[Figure]:
    """Its own opinion, which the trial overrules, and its words."""
    yield from _if("model", "its order of causes can be used", rows, "model_usable")
    yield from _if("model", "its own first cause is right", rows, "model_right")
    worded = [row for row in rows if row["texts"]]
    yield from _if("words", "refused by Setpoint's own verification", worded, _fell_back, "lower")


def _fell_back(row: Row) -> float:
    return float(row["fell_back"] / row["texts"])


def _named(set_: str, name: str, rows: Sequence[Row], cause: str) -> Iterable[Figure]:
    return _if(set_, name, rows, lambda row: row["first"] == cause, "lower")


def _if(
    set_: str, name: str, rows: Sequence[Row], value: str | Callable[[Row], float | bool], better: Better = "higher"
) -> list[Figure]:  # fmt: skip
    """The mean of a value over the rows that have it; nothing where none has."""
    if isinstance(value, str):
        key = value
        rows = [row for row in rows if row.get(key) is not None]
        return _if(set_, name, rows, lambda row: float(row[key]), better)
    return [rate(set_, name, rows, value, better=better)] if rows else []


def _brier_of_first(rows: Sequence[Row]) -> float:
    return brier_of_first([row["share"] for row in rows], [row["top1"] for row in rows])


def _calibration(rows: Sequence[Row]) -> float:
    return calibration_error(bins_of([row["share"] for row in rows], [row["top1"] for row in rows]))


def _seconds(rows: Sequence[Row]) -> float:
    return float(median(row["seconds"] for row in rows))
