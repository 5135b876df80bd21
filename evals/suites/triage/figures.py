"""Figures of ranked events: quality of the ranks, of the pages and of the confidence; each set apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evals.figures import Figure, mean, rate, resampled, share
from evals.intervals import bootstrap, wilson
from evals.triage_score import PAGES, macro_f1
from setpoint.contracts import PRIORITIES

Row = Mapping[str, Any]
BINS = 10
PER = 10_000
LEAST_OF_A_TAG = 10
"""Fewer cases of a tag give no figure of its own."""


def of_sets(rows: Sequence[Row], notes: Mapping[str, str], tags: Mapping[str, Sequence[str]]) -> list[Figure]:
    """Of each set in its order. `tags`: by which tags a set is shown as well."""
    found: list[Figure] = []
    for name in dict.fromkeys(row["set"] for row in rows):
        mine, note = [row for row in rows if row["set"] == name], notes.get(name, "")
        found += [*_ranks(name, mine, note), *_pages(name, mine), *_confidence(name, mine)]
        found += [figure for tag in tags.get(name, ()) for figure in _by_tag(name, mine, tag)]
        if any("as_it_stands" in row for row in mine):
            found.append(
                rate(name, "read by intake as it stands", mine, lambda row: row["as_it_stands"], better="")
            )
    return found


def _ranks(name: str, rows: Sequence[Row], note: str) -> list[Figure]:
    classes = [p for p in PRIORITIES if any(row["gold"] == p for row in rows)]
    found = [rate(name, "within the tolerated answers", rows, right, note=note)]
    if len(classes) > 1:
        found.insert(0, resampled(name, f"macro-F1 ({', '.join(classes)})", rows, _macro_f1))
    return found


def _macro_f1(rows: Sequence[Row]) -> float:
    return macro_f1([row["gold"] for row in rows], [row["got"] for row in rows])


def _pages(name: str, rows: Sequence[Row]) -> list[Figure]:
    due = [row for row in rows if row["gold"] in PAGES]
    paged = [row for row in rows if row["got"] in PAGES]
    quiet = [row for row in rows if not PAGES & set(row["accept"])]
    found: list[Figure] = []
    if due:
        found += [
            rate(name, "P0+P1 recall", due, lambda row: row["got"] in PAGES),
            rate(name, "P0+P1 ranked P3: nobody told", due, lambda row: row["got"] == "P3", better="lower"),
        ]
    if paged:
        # Which cases are paged differs from run to run, so that this one is not compared case by case.
        fair = sum(bool(PAGES & set(row["accept"])) for row in paged)
        found.append(share(name, "P0+P1 precision", fair, len(paged)))
    if quiet:
        found.append(per_10k(name, "false pages per 10,000 events", quiet))
    return found


def per_10k(name: str, figure: str, rows: Sequence[Row]) -> Figure:
    """Pages per 10,000 events. A case stands for as many events as its `rows`; cases are resampled, not events, since
    all events of a wording are ranked alike. Where none is paged the bound is Wilson's over cases."""
    weight = [float(row.get("rows", 1)) for row in rows]
    usual = mean(weight)
    scaled = [PER * (row["got"] in PAGES) * one / usual for row, one in zip(rows, weight, strict=True)]
    low, high = bootstrap(scaled, mean)
    if not any(scaled):
        low, high = (PER * bound for bound in wilson(0, len(rows)))
    told = f"{sum(weight):.0f} events" if sum(weight) != len(rows) else ""
    cases = {
        str(row.get("case", number)): one for number, (row, one) in enumerate(zip(rows, scaled, strict=True))
    }
    return Figure(name, figure, mean(scaled), low, high, len(rows), told, "lower", cases=cases)  # fmt: skip


def _confidence(name: str, rows: Sequence[Row]) -> list[Figure]:
    """Of those who say how sure they are: words alone do not."""
    sure = [row for row in rows if row["confidence"] is not None]
    if not sure:
        return []
    return [
        resampled(name, "ECE", sure, ece, better="lower"),
        rate(name, "Brier score", sure, missed_by, better="lower"),
    ]


def _by_tag(name: str, rows: Sequence[Row], tag: str) -> list[Figure]:
    found: list[Figure] = []
    for value in sorted({row["tags"].get(tag, "") for row in rows} - {""}):
        some = [row for row in rows if row["tags"].get(tag) == value]
        if len(some) >= LEAST_OF_A_TAG:
            found.append(rate(name, f"within the tolerated answers, {tag} {value}", some, right))
    return found


def ece(rows: Sequence[Row]) -> float:
    """Expected calibration error: mean distance of confidence and share right, over tenths of confidence, by size.

    >>> ece([{"confidence": 0.8, "got": "P1", "accept": ["P1"]}, {"confidence": 0.8, "got": "P3", "accept": ["P1"]}])
    0.3
    """
    bins: dict[int, list[Row]] = {}
    for row in rows:
        bins.setdefault(min(BINS - 1, int(row["confidence"] * BINS)), []).append(row)
    apart = [abs(sum(float(row["confidence"]) - right(row) for row in some)) for some in bins.values()]
    return round(sum(apart) / len(rows), 6)


def missed_by(row: Row) -> float:
    """Squared distance of the confidence from what came true; its mean is the Brier score."""
    return (float(row["confidence"]) - right(row)) ** 2


def brier(rows: Sequence[Row]) -> float:
    return mean([missed_by(row) for row in rows])


def right(row: Row) -> float:
    return 1.0 if row["got"] in row["accept"] else 0.0
