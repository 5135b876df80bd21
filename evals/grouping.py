"""How well events are grouped into incidents, against an oracle that knows nothing of the correlator.

    python -m evals.grouping shared/data/events/titan_gpu.csv

The file is the record of GPU failures of one large machine: time, place (cabinet, cage, slot, node) and serial
number. The oracle, by place and serial alone: at least three different GPUs of one cabinet failing within ten
minutes are one incident (a burst); every other failure belongs to the incident of its serial number. A second
oracle calls five different GPUs anywhere on the machine within ten minutes a burst as well (a storm).

Homogeneity falls when different troubles are thrown together, completeness when one trouble is torn apart;
collapsing everything makes the first 0, an incident for each event makes the second poor.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agents.correlation.hotspots import SPAN_DAYS, HotPlace
from agents.correlator import Correlator
from setpoint.contracts import Correlated, Event
from setpoint.errors import InputError

_PLACE = re.compile(r"(c\d+-\d+)c(\d)s(\d+)n(\d)")
_WINDOW_S = 600.0


@dataclass(frozen=True, slots=True)
class Failure:
    """One line of the record."""

    id: str
    time_s: float
    host: str
    cabinet: str
    cage: int
    serial: str
    kind: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well a grouping agrees with the oracle; each number from 0 to 1."""

    purity: float
    """Share of events that belong to the main trouble of their incident."""
    inverse_purity: float
    """Share of events that are in the main incident of their trouble."""
    homogeneity: float
    completeness: float

    @property
    def v_measure(self) -> float:
        total = self.homogeneity + self.completeness
        return 2 * self.homogeneity * self.completeness / total if total else 0.0


def read_failures(path: Path) -> list[Failure]:
    """Read the record. Raises InputError naming the first line that is not of this shape."""
    failures = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            place = _PLACE.fullmatch(row.get("host") or "")
            _, found, serial = (row.get("message") or "").partition("gpu_serial=")
            if not place or not found:
                remedy = (
                    "Columns id, ts, host, source, message; host like c3-0c1s2n3; gpu_serial= in the message"
                )
                raise InputError("not a record of GPU failures", where=f"{path}:{number}", remedy=remedy)
            time_s = datetime.fromisoformat(row["ts"]).replace(tzinfo=UTC).timestamp()
            kind = row.get("native_label") or ""
            failures.append(
                Failure(row["id"], time_s, row["host"], place[1], int(place[2]), serial.strip(), kind)
            )
    return failures


def to_event(failure: Failure) -> Event:
    """The failure as intake would hand it over."""
    text = (
        "GPU has fallen off the bus" if failure.kind == "OTB" else "GPU double bit ECC error (uncorrectable)"
    )
    moment = datetime.fromtimestamp(failure.time_s, UTC)
    return Event(
        id=failure.id,
        time=moment,
        received=moment,
        asset=failure.host,
        source="titan-gpu",
        kind="",
        message=f"{text} gpu_serial={failure.serial}",
        format="csv",
        dedup_key=f"{failure.host}|{text}",
    )


def oracle(failures: Sequence[Failure], storms: bool = False) -> dict[str, str]:
    """Failure id -> true incident."""
    truth = {failure.id: f"serial {failure.serial}" for failure in failures}
    if storms:
        _mark_bursts(failures, truth, lambda _: "machine", least=5)
    _mark_bursts(failures, truth, lambda failure: failure.cabinet, least=3)
    return truth


def _mark_bursts(
    failures: Sequence[Failure], truth: dict[str, str], place_of: Callable[[Failure], str], least: int
) -> None:
    """Runs of failures of `least` different GPUs within the window in one place get one label."""
    places: dict[str, list[Failure]] = defaultdict(list)
    for failure in sorted(failures, key=lambda one: one.time_s):
        places[place_of(failure)].append(failure)
    for place, rows in places.items():
        start, label, covered = 0, "", -1
        for end, row in enumerate(rows):
            while row.time_s - rows[start].time_s > _WINDOW_S:
                start += 1
            if len({one.serial for one in rows[start : end + 1]}) < least:
                continue
            label = label if start <= covered else f"burst {place} {rows[start].id}"
            for one in rows[start : end + 1]:
                truth[one.id] = label
            covered = end


def agreement(truth: Sequence[Hashable], found: Sequence[Hashable]) -> Agreement:
    """Compare two labelings of the same events.

    >>> agreement("aabb", "xxyy").v_measure, agreement("aabb", "xxxx").homogeneity
    (1.0, 0.0)
    """
    joint = Counter(zip(truth, found, strict=True))
    classes, clusters = Counter(truth), Counter(found)
    total = len(truth)
    h_class, h_cluster = _entropy(classes.values(), total), _entropy(clusters.values(), total)
    h_joint = _entropy(joint.values(), total)
    return Agreement(
        purity=_main_share(((cluster, count) for (_, cluster), count in joint.items()), total),
        inverse_purity=_main_share(((label, count) for (label, _), count in joint.items()), total),
        homogeneity=1.0 - max(0.0, h_joint - h_cluster) / h_class if h_class else 1.0,
        completeness=1.0 - max(0.0, h_joint - h_class) / h_cluster if h_cluster else 1.0,
    )


def _entropy(counts: Iterable[int], total: int) -> float:
    return -sum(count / total * math.log(count / total) for count in counts)


def _main_share(parts: Iterable[tuple[Hashable, int]], total: int) -> float:
    largest: dict[Hashable, int] = {}
    for group, count in parts:
        largest[group] = max(largest.get(group, 0), count)
    return sum(largest.values()) / total


@dataclass(frozen=True, slots=True)
class Workload:
    """What an operator gets out of it, every failure taken as a P1."""

    incidents: int
    first_pages: int
    """One an incident."""
    updates: int
    """Further news of an open incident (an offender's second failure, one more GPU in a burst)."""
    offenders: int
    """Incidents that say "recommend replacement"."""
    shared: int
    """Incidents that hold failures of several GPUs: bursts and storms."""


def workload(results: Sequence[Correlated]) -> Workload:
    """Count incidents, pages and what they are about."""
    incidents: dict[str, list[Correlated]] = defaultdict(list)
    for result in results:
        incidents[result.incident_id].append(result)
    loud = sum(not result.repeat for result in results)
    return Workload(
        incidents=len(incidents),
        first_pages=len(incidents),
        updates=loud - len(incidents),
        offenders=sum(any("recommend" in one.grouped_by for one in group) for group in incidents.values()),
        shared=sum(len({_serial(one.event) for one in group}) > 1 for group in incidents.values()),
    )


def _serial(event: Event) -> str:
    return event.message.rpartition("gpu_serial=")[2]


def cage_levels(failures: Sequence[Failure]) -> tuple[dict[int, int], float]:
    """Failures by cage level (0 is the lowest) and the chi-square of all levels being alike."""
    counts = Counter(failure.cage for failure in failures)
    mean = len(failures) / max(1, len(counts))
    return dict(sorted(counts.items())), sum((count - mean) ** 2 / mean for count in counts.values())


def observe_months(
    correlator: Correlator, failures: Sequence[Failure]
) -> tuple[list[Correlated], list[tuple[str, HotPlace]]]:
    """Run the record through the correlator, asking for hot places every 30 days."""
    results: list[Correlated] = []
    hot: list[tuple[str, HotPlace]] = []
    months: dict[int, list[Failure]] = defaultdict(list)
    for failure in failures:
        months[int((failure.time_s - failures[0].time_s) // (30 * 86_400))].append(failure)
    for rows in months.values():
        results += correlator.observe([to_event(failure) for failure in rows])
        until = datetime.fromtimestamp(rows[-1].time_s, UTC).strftime("%Y-%m-%d")
        hot += [(until, place) for place in correlator.hot_places()]
    return results, hot


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures for one file."""
    parser = argparse.ArgumentParser(prog="python -m evals.grouping", description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="record of GPU failures (CSV)")
    try:
        failures = read_failures(parser.parse_args(arguments).file)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    correlator = Correlator()
    begun = time.process_time()
    results, hot = observe_months(correlator, failures)
    seconds = time.process_time() - begun
    print("\n".join(_report(failures, results, hot)))
    print(f"\nspeed        {len(failures) / seconds:,.0f} events per CPU second")
    return 0


def _report(
    failures: Sequence[Failure], results: Sequence[Correlated], hot: Sequence[tuple[str, HotPlace]]
) -> list[str]:
    work = workload(results)
    levels, chi2 = cage_levels(failures)
    found = [result.incident_id for result in results]
    lines = [
        f"failures     {len(failures)}",
        f"incidents    {work.incidents}  (repeat offenders {work.offenders}, several GPUs at once {work.shared})",
        f"pages        {work.first_pages} first notices, {work.updates} updates, "
        f"{len(failures) - work.first_pages - work.updates} only counted",
        "",
    ]
    for name, storms in (("serial + cabinet bursts", False), ("... + machine-wide storms", True)):
        truth = oracle(failures, storms)
        lines += _compare(name, [truth[failure.id] for failure in failures], found)
    lines += ["", "failures by cage level " + ", ".join(f"{cage}: {count}" for cage, count in levels.items())]
    lines += [f"chi-square {chi2:.0f} with {len(levels) - 1} degrees of freedom against all levels alike"]
    lines += [
        f"hot place    {place.place}: {place.parts} GPUs in the {SPAN_DAYS} days to {until}, {place.expected:.1f} usual"
        for until, place in hot
    ]
    return lines


def _compare(name: str, truth: Sequence[str], found: Sequence[str]) -> list[str]:
    rows = [f"oracle: {name}: {len(set(truth))} incidents"]
    rivals: tuple[tuple[str, Sequence[Hashable]], ...] = (
        ("setpoint", found),
        ("each event alone", range(len(truth))),
        ("all in one", [0] * len(truth)),
    )
    for label, groups in rivals:
        got = agreement(truth, groups)
        rows.append(
            f"  {label:<17} purity {got.purity:.4f}  inverse purity {got.inverse_purity:.4f}"
            f"  homogeneity {got.homogeneity:.4f}  completeness {got.completeness:.4f}  V {got.v_measure:.4f}"
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
