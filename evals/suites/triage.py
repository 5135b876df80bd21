"""Suite `triage`: is each event ranked as a good operator would?

One sample is one wording (numbers masked) of a labelled public set, or one line of a generated night. Public sets that are absent are
skipped and named. The sets' figures stay apart: a mean over sets of different machines would mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from inspect_ai.dataset import Sample

from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from evals import triage_data
from evals.figures import Figure, resampled, share
from evals.playing import Played, play
from evals.registry import Ask, Prepared, Row
from evals.tasks import interleaved, suite_task
from evals.triage_data import Labelled
from evals.triage_score import PAGES, macro_f1
from knowledge.rulebook import RuleBook
from knowledge.text import mask
from setpoint.contracts import PRIORITIES, Event, Triage
from setpoint.errors import UsageError

NIGHT_SEED = 7
BINS = 10
_SETS: dict[str, Callable[[Path], list[Labelled]]] = {
    "mercury": triage_data.mercury,
    "titan": triage_data.titan,
    "redfish": triage_data.redfish,
}


def prepare(ask: Ask) -> Prepared:
    """The task over whatever data there is."""
    samples, skipped = _night_samples(), list[str]()
    for name, load in _SETS.items():
        try:
            samples += _labelled_samples(name, load(triage_data.data_dir(ask.data)))
        except (UsageError, OSError) as error:
            skipped.append(f"{name}: {error}")
    ordered = interleaved(samples, _kind)
    return Prepared(
        suite_task("triage", ordered, rank_it, as_labelled, ("exact", "accepted")), figures, tuple(skipped)
    )


def _kind(sample: Sample) -> str:
    return f"{(sample.metadata or {})['set']} {sample.target}"


def _labelled_samples(name: str, items: Sequence[Labelled]) -> list[Sample]:
    rows = list({(mask(item.message), item.gold): item for item in items}.values())
    return [
        Sample(
            id=f"{name}-{number:04d}", input=item.event.message or item.event.kind, target=item.gold,
            metadata={"set": name, "gold": item.gold, "accept": sorted(item.accept), "event": item.event.model_dump(mode="json")},
        )
        for number, item in enumerate(rows)
    ]  # fmt: skip


def _night_samples() -> list[Sample]:
    """Every readable line. The night is played as a whole: an event's rank depends on what went before it."""
    played = _played()
    return [
        Sample(
            id=f"night-{number:04d}", input=played.truth[event.id].text, target=played.truth[event.id].priority,
            metadata={"set": f"night (seed {NIGHT_SEED})", "gold": played.truth[event.id].priority, "accept": [played.truth[event.id].priority], "event_id": event.id},
        )
        for number, event in enumerate(played.events)
    ]  # fmt: skip


@cache
def _played() -> Played:
    return play(NIGHT_SEED)


@cache
def _engine() -> SymbolicEngine:
    return SymbolicEngine(RuleBook.load(), None, TextRanker.load())


def rank_it(case: Row) -> Row:
    """The product's own ranking; no model is called."""
    triage = _ranked(case)
    return {"text": triage.priority, "confidence": triage.confidence, "decided_by": list(triage.decided_by)}


def _ranked(metadata: Mapping[str, Any]) -> Triage:
    if "event_id" in metadata:
        return _played().triages[metadata["event_id"]]
    return _engine().rank(Event.model_validate(metadata["event"]))


def as_labelled(case: Row, said: Row) -> Row:
    """Exact, and within the tolerated answers."""
    got = said["text"]
    return {
        "set": case["set"], "gold": case["gold"], "got": got, "accept": case["accept"], "confidence": said["confidence"],
        "exact": got == case["gold"], "accepted": got in case["accept"], "problems": _problem(case, said),
    }  # fmt: skip


def _problem(case: Row, said: Row) -> list[str]:
    if said["text"] in case["accept"]:
        return []
    return [f"ranked {said['text']}, is {case['gold']}; decided by {', '.join(said['decided_by'])}"]


def figures(rows: Sequence[Row]) -> list[Figure]:
    """Of each set: quality of the ranks, of the pages, and of the confidence."""
    found: list[Figure] = []
    for name in dict.fromkeys(row["set"] for row in rows):
        found += _of_set(name, [row for row in rows if row["set"] == name])
    return found


def _of_set(name: str, rows: Sequence[Row]) -> list[Figure]:
    due = [row for row in rows if row["gold"] in PAGES]
    paged = [row for row in rows if row["got"] in PAGES]
    quiet = [row for row in rows if not PAGES & set(row["accept"])]
    classes = ", ".join(p for p in PRIORITIES if any(row["gold"] == p for row in rows))
    found = [
        resampled(name, f"macro-F1 ({classes})", rows, lambda some: macro_f1(*_answers(some))),
        share(
            name, "within the tolerated answers", sum(row["got"] in row["accept"] for row in rows), len(rows)
        ),
    ]
    if due:
        found.append(share(name, "P0+P1 recall", sum(row["got"] in PAGES for row in due), len(due)))
    if paged:
        fair = sum(bool(PAGES & set(row["accept"])) for row in paged)
        found.append(share(name, "P0+P1 precision", fair, len(paged)))
    if quiet:
        found.append(share(name, "false pages", sum(row["got"] in PAGES for row in quiet), len(quiet)))
    return [*found, resampled(name, "ECE", rows, ece), resampled(name, "Brier score", rows, brier)]


def _answers(rows: Sequence[Row]) -> tuple[list[Any], list[Any]]:
    return [row["gold"] for row in rows], [row["got"] for row in rows]


def ece(rows: Sequence[Row]) -> float:
    """Expected calibration error: mean distance of confidence and share right, over tenths of confidence, by size.

    >>> ece([{"confidence": 0.8, "got": "P1", "accept": ["P1"]}, {"confidence": 0.8, "got": "P3", "accept": ["P1"]}])
    0.3
    """
    bins: dict[int, list[Row]] = {}
    for row in rows:
        bins.setdefault(min(BINS - 1, int(row["confidence"] * BINS)), []).append(row)
    apart = [abs(sum(float(row["confidence"]) - _right(row) for row in some)) for some in bins.values()]
    return round(sum(apart) / len(rows), 6)


def brier(rows: Sequence[Row]) -> float:
    """Mean squared distance of the confidence from what came true."""
    return sum((float(row["confidence"]) - _right(row)) ** 2 for row in rows) / len(rows)


def _right(row: Row) -> float:
    return 1.0 if row["got"] in row["accept"] else 0.0
