"""Who fails next: failures in public records, by place and by what failed before.

Two records list failures only: disks of one storage system over five years (Ann-Geo/Disk-failures-in-HPC-2024) and GPUs
of one machine over five and a half (olcf/TitanGPULife, SC20). Who never failed is not in them, so the population is
taken from the size of the machine, and it is taken as whole from the first day to the last. Of a disk's model, age or
load, and of a GPU's replacement, nothing is said.

Every unit is looked at once a month; what is asked is whether it fails (again) within 30 and 90 days. Both machines had
good and bad years, so time is counted in failures that the whole machine's last 90 days would bring to each unit; a
Weibull regression learns from the earlier part of the record how much more or less each unit has to expect, and is
judged on the later one. Baselines: the same rate for all, that of the earlier part; and that of the last 90 days.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plant.control.maintenance.fit import PENALTY
from plant.control.maintenance.judge import Share
from setpoint.errors import UsageError

FloatArray = NDArray[np.float64]
Row = Mapping[str, str]
DAY_S = 86400.0
EVERY_DAYS = 30.0
FIRST_LOOK_DAYS = 180.0
"""History that the first look has behind it."""
HORIZONS = (30.0, 90.0)
RATE_DAYS = 90.0
FRESH_DAYS = 20.0
MOST_ROWS = 3000
BOOTSTRAPS = 60
REFIT_DAYS, LEARN_DAYS = 90.0, 540.0
SLOTS = 106
TITAN_GPUS = 18_688
_PLACE = re.compile(r"(c\d+-\d+)c(\d)s(\d+)n(\d)")


@dataclass(frozen=True)
class Record:
    """Failures of units: days from the first failure in the record, by unit."""

    name: str
    units: Mapping[str, FloatArray]
    """Failure times of each unit that failed, rising."""
    place: Mapping[str, str]
    """Of each unit that failed: what it shares heat, power and vibration with."""
    total: Mapping[str, float]
    """Units of each place, failed or not."""
    days: float
    assumed: str


def data_dir(given: Path | None = None) -> Path:
    """The folder with `events/`: as given, else SETPOINT_SHARED_DATA, else ../shared/data. Raises UsageError."""
    named = os.environ.get("SETPOINT_SHARED_DATA")
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    path = given or (Path(named) if named else beside)
    if not (path / "events").is_dir():
        raise UsageError(
            f"no public data at {path}", remedy="Name its folder with --data or SETPOINT_SHARED_DATA"
        )
    return path


def alpine(data: Path) -> Record:
    """Disk enclosures, in their racks."""
    return _alpine(
        data,
        "disk enclosures",
        lambda row: f"{row['Rack id']}/{row['Unique enclosure']}",
        lambda row: row["Rack id"],
        0,
    )


def alpine_slots(data: Path) -> Record:
    """Single disk slots, in their enclosures: 106 slots each, as far as failures show."""
    return _alpine(
        data, "disk slots", lambda row: f"{row['Rack id']}/{row['Unique enclosure']}/{row['Slot']}",
        lambda row: f"{row['Rack id']}/{row['Unique enclosure']}", SLOTS,
    )  # fmt: skip


def _alpine(
    data: Path, name: str, unit_of: Callable[[Row], str], place_of: Callable[[Row], str], slots: int
) -> Record:
    """`slots`: units of each place; 0: those that failed."""
    rows = _rows(data / "events" / "alpine_disk_failures.csv", "Timestamp")
    failures, place = _failures(rows, unit_of, place_of)
    places = Counter(place.values())
    total = {where: float(slots or many) for where, many in places.items()}
    assumed = (
        f"{sum(total.values()):,.0f} {name}, all in service throughout; a failed disk is replaced at once"
    )
    return Record(name, failures, place, total, _span_days(rows), assumed)


def titan(data: Path) -> Record:
    """GPUs by serial number, in the cage of the cabinet where they first failed."""
    rows = _rows(data / "events" / "titan_gpu.csv", "ts")

    def serial(row: Row) -> str:
        return row["message"].rpartition("gpu_serial=")[2]

    def cage(row: Row) -> str:
        found = _PLACE.search(row["host"])
        return f"{found[1]}c{found[2]}" if found else ""

    failures, place = _failures(rows, serial, cage)
    spare = TITAN_GPUS / 600.0
    total = {f"c{x}-{y}c{z}": spare for x in range(25) for y in range(8) for z in range(3)}
    for where, many in Counter(place.values()).items():
        total[where] = max(total.get(where, 0.0), float(many))
    assumed = f"{sum(total.values()):,.0f} GPUs, the same ones throughout, {spare:.0f} in each cage, or as many as failed there"
    return Record("GPUs", failures, place, total, _span_days(rows), assumed)


def _failures(
    rows: Sequence[tuple[float, Row]], unit_of: Callable[[Row], str], place_of: Callable[[Row], str]
) -> tuple[dict[str, FloatArray], dict[str, str]]:
    times: dict[str, list[float]] = {}
    place: dict[str, str] = {}
    for time, row in rows:
        unit = unit_of(row)
        times.setdefault(unit, []).append((time - rows[0][0]) / DAY_S)
        place.setdefault(unit, place_of(row))
    return {unit: np.array(found) for unit, found in times.items()}, place


def _span_days(rows: Sequence[tuple[float, Row]]) -> float:
    return (rows[-1][0] - rows[0][0]) / DAY_S


@dataclass(frozen=True)
class Table:
    """Looks at units: what was known, what came, how many alike."""

    known: FloatArray
    """[looks, covariates], see COVARIATES."""
    rate_per_day: FloatArray
    """Of one unit, by the whole machine's last RATE_DAYS."""
    left_days: FloatArray
    failed: NDArray[np.bool_]
    weight: FloatArray
    unit: NDArray[np.int64]
    """-1: those that are in no line."""
    moment: FloatArray

    def taken(self, places: NDArray[np.int64], weight: FloatArray) -> Table:
        return Table(
            self.known[places], self.rate_per_day[places], self.left_days[places], self.failed[places], weight,
            self.unit[places], self.moment[places],
        )  # fmt: skip


COVARIATES = ("one", "recent", "earlier", "ever", "fresh", "near")
"""Own failures of the last 30 days, of the 150 before, of all time, and how fresh the last is; failures of others in the
same place within 30 days. Counts as the logarithm of the count + 1."""


def looks(record: Record, first: float, last: float, seen_until: float) -> Table:
    """Monthly looks from `first` on up to `last`, what came of them until `seen_until`. Days of the record."""
    moments = np.arange(first, last, EVERY_DAYS)
    everything = np.sort(np.concatenate(list(record.units.values())))
    rate = (_count(everything, moments - RATE_DAYS, moments) + 0.5) / RATE_DAYS / sum(record.total.values())
    near = _near(record, moments)
    failed_here = Counter(record.place.values())
    units = [
        (times, record.place[unit], 1.0, number) for number, (unit, times) in enumerate(record.units.items())
    ]
    units += [
        (np.zeros(0), place, many - failed_here[place], -1)
        for place, many in record.total.items() if many > failed_here[place]
    ]  # fmt: skip
    known, left, failed, weight, unit = [], [], [], [], []
    for times, place, many, number in units:
        own = _count(times, moments - 30.0, moments)
        known.append(np.column_stack([_history(times, moments), np.log1p(near.get(place, 0.0 * own) - own)]))
        following = np.append(times, np.inf)[np.searchsorted(times, moments, side="right")]
        failed.append(following <= seen_until)
        left.append(np.minimum(following, seen_until) - moments)
        weight.append(np.full(len(moments), many))
        unit.append(np.full(len(moments), number))
    return Table(
        np.concatenate(known), np.tile(rate, len(units)), np.maximum(np.concatenate(left), 0.25),
        np.concatenate(failed), np.concatenate(weight), np.concatenate(unit), np.tile(moments, len(units)),
    )  # fmt: skip


def _near(record: Record, moments: FloatArray) -> dict[str, FloatArray]:
    """Failures of the last 30 days in each place."""
    by_place: dict[str, list[FloatArray]] = {}
    for unit, times in record.units.items():
        by_place.setdefault(record.place[unit], []).append(times)
    return {
        place: _count(np.sort(np.concatenate(found)), moments - 30.0, moments) for place, found in by_place.items()
    }  # fmt: skip


def _history(times: FloatArray, moments: FloatArray) -> FloatArray:
    """Rows of COVARIATES."""
    past = np.searchsorted(times, moments, side="right")
    last = np.concatenate([[-np.inf], times])[past]
    return np.column_stack([
        np.ones(len(moments)),
        np.log1p(_count(times, moments - 30.0, moments)),
        np.log1p(_count(times, moments - 180.0, moments - 30.0)),
        np.log1p(past),
        np.exp(-(moments - last) / FRESH_DAYS),
    ])  # fmt: skip


def _count(times: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Failures after `low` and up to `high`."""
    return np.asarray(np.searchsorted(times, high, "right") - np.searchsorted(times, low, "right"), float)


@dataclass(frozen=True)
class Recurrence:
    """One record judged: learned on its earlier part, tested on its later one."""

    name: str
    assumed: str
    failures: int
    units: float
    failed_units: int
    split_day: float
    days: float
    concordance: Share
    """Chance that of two looks of one month, one with a failure within 90 days, the forecast puts it higher."""
    brier: dict[float, float]
    skill_fixed: dict[float, float]
    """Over the same rate for all, that of the months learned from."""
    skill_recent: dict[float, float]
    """Over the same rate for all, that of the last 90 days."""
    ici: dict[float, float]
    ici_fixed: dict[float, float]
    ici_recent: dict[float, float]
    came: dict[float, float]
    """Share that failed within so many days."""
    top: dict[float, float]
    """Of the failures within 90 days, the share that falls on so many of the units, the riskiest ones."""
    again: dict[float, float]
    """After a failure, failures of others in the same place within so many days, over what the whole machine's rate of
    these days would bring (1: no bursts in a place)."""
    coefficients: dict[str, float]
    """Of the logarithm of time to failure; below 0: sooner."""


def judge(record: Record, split: float = 0.6, seed: int = 5) -> Recurrence:
    """Learn on the first `split` of the record's days; go through the rest and learn anew each REFIT_DAYS, always from
    the LEARN_DAYS before, whose outcomes are known by then."""
    cut = split * record.days
    last = record.days - max(HORIZONS)
    blocks: list[Table] = []
    risks: list[FloatArray] = []
    chances: list[dict[float, FloatArray]] = []
    start_rate = {days: _flat(looks(record, FIRST_LOOK_DAYS, cut - days, cut), days) for days in HORIZONS}
    scale: dict[str, float] = {}
    for begin in np.arange(cut, last, REFIT_DAYS):
        train = looks(record, max(FIRST_LOOK_DAYS, begin - LEARN_DAYS), begin - EVERY_DAYS, begin)
        scale, shape = _weibull(_thinned(train, seed))
        block = looks(record, begin, min(begin + REFIT_DAYS, last), record.days)
        risk = -(block.known @ np.array([scale[name] for name in COVARIATES]))
        blocks.append(block)
        risks.append(risk)
        chances.append({days: _within(days * block.rate_per_day * np.exp(risk), shape) for days in HORIZONS})
    test = _joined(blocks)
    risk, w = np.concatenate(risks), test.weight
    said = {days: np.concatenate([chance[days] for chance in chances]) for days in HORIZONS}
    came = {days: test.failed & (test.left_days <= days) for days in HORIZONS}
    flat = {days: np.full(len(risk), start_rate[days]) for days in HORIZONS}
    recent = {days: _within(days * test.rate_per_day, 1.0) for days in HORIZONS}
    briers = [{days: _brier(c[days], came[days], w) for days in HORIZONS} for c in (said, flat, recent)]
    icis = [{days: _ici(c[days], came[days], w) for days in HORIZONS} for c in (said, flat, recent)]
    return Recurrence(
        record.name, record.assumed, sum(map(len, record.units.values())), sum(record.total.values()),
        len(record.units), cut, record.days, _concordance(test, risk, seed), briers[0],
        {days: 1.0 - briers[0][days] / briers[1][days] for days in HORIZONS},
        {days: 1.0 - briers[0][days] / briers[2][days] for days in HORIZONS},
        icis[0], icis[1], icis[2], {days: _mean(came[days], w) for days in HORIZONS},
        {share: _caught(risk, came[90.0], test, share) for share in (0.01, 0.1)}, {days: bursts(record, days) for days in (2.0, 7.0)}, scale,
    )  # fmt: skip


def bursts(record: Record, days: float) -> float:
    """How many times as many failures follow one in its own place within so many days as elsewhere."""
    everything = np.sort(np.concatenate(list(record.units.values())))
    total, seen, usual = sum(record.total.values()), 0.0, 0.0
    by_place: dict[str, list[tuple[float, str]]] = {}
    for unit, times in record.units.items():
        by_place.setdefault(record.place[unit], []).extend((float(t), unit) for t in times)
    for place, found in by_place.items():
        times = np.array([time for time, _ in found])
        owners = np.array([unit for _, unit in found])
        after = (times[None, :] > times[:, None]) & (times[None, :] <= times[:, None] + days)
        seen += float((after & (owners[None, :] != owners[:, None])).sum())
        anywhere = _count(everything, times, times + days)
        usual += float(anywhere.sum()) * (record.total[place] - 1.0) / total
    return seen / max(usual, 1e-12)


def _joined(blocks: Sequence[Table]) -> Table:
    return Table(*(np.concatenate([getattr(block, f.name) for block in blocks]) for f in fields(Table)))


def _thinned(table: Table, seed: int) -> Table:
    """All looks that end soon in a failure and a sample of the others, weighed up to the whole (case-cohort)."""
    soon = table.failed & (table.left_days <= 90.0)
    rest = np.flatnonzero(~soon)
    kept_soon, kept_rest = np.flatnonzero(soon), rest
    rng = np.random.default_rng(seed)
    if len(kept_soon) > MOST_ROWS:
        kept_soon = rng.choice(kept_soon, MOST_ROWS, replace=False)
    if len(rest) > MOST_ROWS:
        share = table.weight[rest] / table.weight[rest].sum()
        kept_rest = rng.choice(rest, MOST_ROWS, replace=True, p=share)
    each_soon = np.full(len(kept_soon), table.weight[soon].sum() / max(len(kept_soon), 1))
    each_rest = (
        np.full(MOST_ROWS, table.weight[rest].sum() / MOST_ROWS)
        if len(rest) > MOST_ROWS
        else table.weight[rest]
    )
    return table.taken(np.concatenate([kept_soon, kept_rest]), np.concatenate([each_soon, each_rest]))


def _weibull(table: Table) -> tuple[dict[str, float], float]:
    """Coefficients of the logarithm of the time to failure, in failures to expect, and the shape."""
    import warnings

    from lifelines import WeibullAFTFitter
    from pandas import DataFrame

    frame = DataFrame(table.known, columns=list(COVARIATES))
    frame["left"], frame["failed"] = table.left_days * table.rate_per_day, table.failed
    frame["many"] = table.weight / table.weight.mean()
    fitter = WeibullAFTFitter(fit_intercept=False, penalizer=PENALTY)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # weights that are no counts spoil its standard errors, which nobody reads
        fitter.fit(
            frame, "left", "failed", weights_col="many", formula=" + ".join((*COVARIATES, "0")), ancillary="one + 0"
        )  # fmt: skip
    scale = {name: float(fitter.params_["lambda_", name]) for name in COVARIATES}
    return scale, math.exp(float(fitter.params_["rho_", "one"]))


def _within(expected: FloatArray, shape: float) -> FloatArray:
    """Chance of a failure, by the number to expect."""
    return np.asarray(-np.expm1(-(expected**shape)))


def _flat(table: Table, days: float) -> float:
    """Share that failed within so many days, of looks that could be followed as long."""
    told = table.failed | (table.left_days >= days)
    return _mean((table.failed & (table.left_days <= days))[told], table.weight[told])


def _caught(risk: FloatArray, event: NDArray[np.bool_], table: Table, share: float) -> float:
    """Share of the failures that fall on the riskiest `share` of the units, looked up anew each month; units of one
    risk share what they have."""
    caught = 0.0
    for moment in np.unique(table.moment):
        now = table.moment == moment
        weight, hits = table.weight[now], (table.weight * event)[now]
        values, at = np.unique(-risk[now], return_inverse=True)
        many = np.bincount(at, weights=weight, minlength=len(values))
        found = np.bincount(at, weights=hits, minlength=len(values))
        before = np.cumsum(many) - many
        taken = np.clip((share * weight.sum() - before) / many, 0.0, 1.0)
        caught += float((taken * found).sum())
    return caught / max(float((table.weight * event).sum()), 1e-12)


def _concordance(table: Table, risk: FloatArray, seed: int) -> Share:
    """Weighted AUC at 90 days over pairs of one month, units drawn again."""
    event = table.failed & (table.left_days <= 90.0)
    rng = np.random.default_rng(seed)
    units = int(table.unit.max()) + 1
    months = [table.moment == moment for moment in np.unique(table.moment)]

    def share(weight: FloatArray) -> float:
        each = [
            (_weighted_auc(risk[m], event[m], weight[m]), float((weight * event)[m].sum())) for m in months
        ]
        told = [(value, many) for value, many in each if math.isfinite(value)]
        return sum(value * many for value, many in told) / sum(many for _, many in told)

    drawn = []
    for _ in range(BOOTSTRAPS):
        times = rng.multinomial(units, np.full(units, 1.0 / units)).astype(float)
        drawn.append(share(table.weight * np.where(table.unit >= 0, times[np.maximum(table.unit, 0)], 1.0)))
    low, high = np.quantile(drawn, [0.05, 0.95])
    return Share(share(table.weight), float(low), float(high))


def _weighted_auc(score: FloatArray, event: NDArray[np.bool_], weight: FloatArray) -> float:
    """Chance that an event scores above a non-event, by weight, ties half."""
    values, at = np.unique(score, return_inverse=True)
    pos = np.bincount(at, weights=weight * event, minlength=len(values))
    neg = np.bincount(at, weights=weight * ~event, minlength=len(values))
    below = np.cumsum(neg) - neg
    total = pos.sum() * neg.sum()
    return float((pos * (below + 0.5 * neg)).sum() / total) if total > 0 else float("nan")


def _brier(chance: FloatArray, event: NDArray[np.bool_], weight: FloatArray) -> float:
    return _mean((chance - event) ** 2, weight)


def _ici(chance: FloatArray, event: NDArray[np.bool_], weight: FloatArray, groups: int = 10) -> float:
    """As judge.ici, with weights: groups of like chance hold like numbers of units."""
    order = np.argsort(chance, kind="stable")
    place = np.cumsum(weight[order]) / weight.sum() * groups
    total = 0.0
    for group in range(groups):
        part = order[(place > group) & (place <= group + 1)]
        if len(part):
            total += float(weight[part].sum()) * abs(
                _mean(chance[part], weight[part]) - _mean(event[part], weight[part])
            )
    return total / float(weight.sum())


def _mean(values: FloatArray | NDArray[np.bool_], weight: FloatArray) -> float:
    return float((values * weight).sum() / max(float(weight.sum()), 1e-12))


def _rows(path: Path, column: str) -> list[tuple[float, Row]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[tuple[float, Row]] = [
            (datetime.fromisoformat(row[column]).timestamp(), row) for row in csv.DictReader(file)
        ]
    return sorted(rows, key=lambda pair: pair[0])
