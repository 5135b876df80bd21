"""Figures of the diagnosis exam from what was judged, and how people read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evals.exam.grouping import Grouped
from evals.exam.judging import Answer, Judged
from evals.figures import Figure, share, table
from evals.reliability import Bin, bins_of, brier, brier_of_first, calibration_error
from knowledge.causes import NO_FAULT, UNKNOWN

Pick = Callable[[Judged], bool]


@dataclass(frozen=True)
class Wrong:
    """One kind of wrong first cause."""

    fault: str
    truth: str
    said: str
    times: int
    mixed: int
    """Of these, in an incident that was mostly another fault's."""


@dataclass(frozen=True)
class Report:
    """All figures of one way of diagnosing."""

    way: str
    figures: tuple[Figure, ...]
    families: tuple[Figure, ...]
    """Top-1 of known single faults by area."""
    bins: tuple[Bin, ...]
    seconds: tuple[float, float]
    cpu_s: tuple[float, float]
    """Median and 95th percentile of one diagnosis, on the clock and of the processor."""
    wrong: tuple[Wrong, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def report(way: str, judged: Sequence[Judged]) -> Report:
    """Figures of one way; faults nobody noticed are counted apart, double faults too."""
    seen = [one for one in judged if way in one.answers]
    single = [one for one in seen if not one.double]
    known = [one for one in single if one.truth not in (NO_FAULT, UNKNOWN)]
    stated = [one.answers[way].ranked[0][1] for one in single]
    right = [_is_right(one, way) for one in single]
    return Report(
        way=way, figures=tuple(_figures(way, judged, single, known)), families=tuple(_families(way, known)),
        bins=bins_of(stated, right), seconds=_quantiles([one.answers[way].seconds for one in seen]),
        cpu_s=_quantiles([one.answers[way].cpu_s for one in seen]),
        wrong=_wrong(way, single),
    )  # fmt: skip


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile; zeros of nothing."""
    ordered = sorted(values) or [0.0]
    return ordered[len(ordered) // 2], ordered[int(0.95 * (len(ordered) - 1))]


def _figures(
    way: str, judged: Sequence[Judged], single: Sequence[Judged], known: Sequence[Judged]
) -> Iterable[Figure]:
    own = [one for one in known if not one.mixed]
    harmless = [one for one in single if one.truth == NO_FAULT]
    strange = [one for one in single if one.truth == UNKNOWN]
    hits = [one for one in known if _is_right(one, way)]
    yield _share("known, single", "top-1", known, lambda one: _is_right(one, way))
    yield _share("known, single", "top-3", known, lambda one: one.truth in one.answers[way].near)
    yield _share("known, single", "top-1 in its own incident", own, lambda one: _is_right(one, way))
    yield _share("known, single", "falsely unknown", known, lambda one: one.answers[way].first == UNKNOWN)
    yield _share("known, single", "falsely no fault", known, lambda one: one.answers[way].first == NO_FAULT)
    if any(one.answers[way].asset for one in hits):
        yield _share(
            "known, single", "right asset where right", hits, lambda one: one.answers[way].asset == one.asset
        )
    yield _share("no fault", "recall", harmless, lambda one: _is_right(one, way))
    yield _share("no fault", "among three", harmless, lambda one: one.truth in one.answers[way].near)
    yield _share("unknown", "recall", strange, lambda one: _is_right(one, way))
    yield _share("unknown", "among three", strange, lambda one: one.truth in one.answers[way].near)
    yield _share("all single", "top-1", single, lambda one: _is_right(one, way))
    yield from _doubles(way, judged)
    yield from _probabilities([(one, one.answers[way]) for one in single])


def _probabilities(answers: Sequence[tuple[Judged, Answer]]) -> Iterable[Figure]:
    """What the stated shares are worth."""
    first = [answer.ranked[0][1] for _, answer in answers]
    right = [answer.first == one.truth for one, answer in answers]
    every = brier([dict(answer.ranked) for _, answer in answers], [one.truth for one, _ in answers])
    error, n = calibration_error(bins_of(first, right)), len(answers)
    note = "range in place of an interval"
    yield Figure("all single", "Brier, all causes", every, 0.0, 2.0, n, f"0 best, 2 worst; {note}")
    yield Figure(
        "all single",
        "Brier, first cause",
        brier_of_first(first, right),
        0.0,
        1.0,
        n,
        f"0 best, 1 worst; {note}",
    )
    yield Figure("all single", "calibration error", error, 0.0, 1.0, n, "stated against right, ten bins")


def _doubles(way: str, judged: Sequence[Judged]) -> Iterable[Figure]:
    """By pair: is one of the two named first, and are both named at all?"""
    pairs: dict[int, list[Judged]] = {}
    for one in judged:
        if one.double and way in one.answers:
            pairs.setdefault(one.seed, []).append(one)
    faults = [(one, frozenset(each.truth for each in pair)) for pair in pairs.values() for one in pair]
    hits = sum(one.answers[way].first in truths for one, truths in faults)
    yield share("double", "one of the two first", hits, len(faults))
    whole = [pair for pair in pairs.values() if len(pair) == 2]
    both = sum({one.truth for one in pair} <= _named(way, pair) for pair in whole)
    yield share("double", "both named between them", both, len(whole))


def _named(way: str, pair: Sequence[Judged]) -> set[str]:
    """Causes that the pair's incidents name first or as a second fault."""
    answers = [one.answers[way] for one in pair]
    return {answer.first for answer in answers} | {answer.also.split("@")[0] for answer in answers}


def _families(way: str, known: Sequence[Judged]) -> Iterable[Figure]:
    for area in sorted({one.area for one in known}):
        mine = [one for one in known if one.area == area]
        near = sum(one.truth in one.answers[way].near for one in mine)
        found = _share(area, "top-1", mine, lambda one: _is_right(one, way))
        yield Figure(
            area, "top-1", found.value, found.low, found.high, found.n, f"top-3 {near / len(mine):.2f}"
        )


def _share(set_: str, name: str, judged: Sequence[Judged], pick: Pick) -> Figure:
    return share(set_, name, sum(map(pick, judged)), len(judged))


def _is_right(one: Judged, way: str) -> bool:
    return one.answers[way].first == one.truth


def _wrong(way: str, single: Sequence[Judged]) -> tuple[Wrong, ...]:
    missed = [
        (one.fault, one.truth, one.answers[way].first, one.mixed) for one in single if not _is_right(one, way)
    ]
    times = Counter(one[:3] for one in missed)
    mixed = Counter(one[:3] for one in missed if one[3])
    return tuple(Wrong(*key, count, mixed[key]) for key, count in times.most_common())


# ---- for people -------------------------------------------------------------------------------------------


def noticed_table(judged: Sequence[Judged], grouped: Grouped) -> str:
    """What does not hang on the way of diagnosing: which faults were noticed at all, and how events are grouped."""
    figures = [
        share(sort, "noticed above P3", sum(bool(one.noticed) for one in mine), len(mine))
        for sort in ("known", "strange", "harmless")
        if (mine := [one for one in judged if one.sort == sort])
    ]
    seen = [one for one in judged if one.noticed]
    per = grouped.events / grouped.groups if grouped.groups else 0.0
    figures += [
        share("all", "in another fault's incident", sum(one.mixed for one in seen), len(seen)),
        Figure("grouping", "events per incident", per, per, per, grouped.groups, "above P3, without routine"),
        share("grouping", "purity", grouped.with_most, grouped.events),
        share("grouping", "P0, P1 alarms under another fault", grouped.under_another, grouped.alarms),
        share(
            "grouping",
            "P0, P1 alarms that nobody sees",
            grouped.hidden,
            grouped.alarms,
            "their fault leads no incident",
        ),
    ]
    silent = Counter(one.fault for one in judged if not one.noticed and one.sort != "harmless")
    lines = [f"not noticed {times:>3} x  {fault}" for fault, times in silent.most_common()]
    return "\n".join([table(figures), *lines])


def way_table(found: Report, most_wrong: int = 25) -> str:
    """One way's figures, its families, its bins and what it gets wrong."""
    (median_s, slow_s), (median_cpu_s, slow_cpu_s) = found.seconds, found.cpu_s
    lines = [
        f"== {found.way} ==", table((*found.figures, *found.families)),
        f"time of one diagnosis: p50 {median_s:.2f} s, p95 {slow_s:.2f} s on the clock; "
        f"p50 {median_cpu_s:.2f} s, p95 {slow_cpu_s:.2f} s of processor",
        "stated  right  95 % interval   answers",
        *(f"{b.stated:6.2f} {b.observed:6.2f}  {b.low:.2f} to {b.high:.2f} {b.n:>9}" for b in found.bins),
        *(
            f"wrong {one.times:>3} x  {one.fault}: said {one.said}, is {one.truth}"
            + (f" ({one.mixed} in another fault's incident)" if one.mixed else "")
            for one in found.wrong[:most_wrong]
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def curves(reports: Sequence[Report]) -> Mapping[str, Sequence[Bin]]:
    """Reliability bins by way, for the picture."""
    return {found.way: found.bins for found in reports}
