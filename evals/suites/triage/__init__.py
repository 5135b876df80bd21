"""Suite `triage`: is each event ranked as a good operator would?

One sample is one wording (numbers masked) of a labelled public set, one text by hand, or one line of a generated
night. Public sets that are absent are skipped and named. Figures of the sets stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from inspect_ai.dataset import Sample

from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from evals.figures import Figure
from evals.registry import Ask, Prepared, Row, Split
from evals.running.contenders import System
from evals.running.tasks import suite_task
from evals.suites.triage.cases import BY_HAND, FAULTS, ROUTINE, cases, event_in, notes, played
from evals.suites.triage.figures import brier, ece, of_sets, right
from evals.suites.triage.texts import event_of
from evals.triage_score import severity_words
from knowledge.rulebook import RuleBook
from setpoint.contracts import Event, Triage

__all__ = ["brier", "ece", "figures", "prepare"]
_SHOWN_TAGS = {BY_HAND: ("family",), FAULTS: ("channel", "fault"), ROUTINE: ("log",)}


def prepare(ask: Ask) -> Prepared:
    """The task over whatever data there is."""
    samples, skipped = cases(ask)
    system = ask.contender.system

    def rank_it(case: Row) -> Row:
        return ranked(case, system)

    task = suite_task("triage", samples, rank_it, as_labelled, ("exact", "accepted"))
    return Prepared(task, partial(figures, split=ask.split), tuple(skipped), labels=_leaks)


def _leaks(sample: Sample) -> Sequence[str]:
    """How a line would tell its rank. The bare letters do not: P1 is also a pump or a plug."""
    return [f"{word}{mark}{sample.target}" for word in ("priority", "gold") for mark in (" ", "=", ": ")]


def ranked(case: Row, system: System) -> Row:
    """The product's own ranking, or the baseline's; no model is called."""
    said: dict[str, Any] = {}
    if "raw" in case:
        event, said["as_it_stands"] = event_of(case["raw"])
        if not said["as_it_stands"]:
            return said | {"text": "P3", "confidence": None, "decided_by": ["quarantine: nobody is told"]}
    else:
        event = event_in(case) if "night" in case else Event.model_validate(case["event"])
    if system == "severity":
        return said | {"text": severity_words(event), "confidence": None, "decided_by": ["severity words"]}
    triage = _triage(case, event)
    return said | {
        "text": triage.priority,
        "confidence": triage.confidence,
        "decided_by": list(triage.decided_by),
    }


def _triage(case: Row, event: Event) -> Triage:
    """Within a night an event is ranked in its context; alone, by what it says."""
    if "night" in case:
        return played(*case["night"]).triages[event.id]
    return _engine().rank(event)


@cache
def _engine() -> SymbolicEngine:
    return SymbolicEngine(RuleBook.load(), None, TextRanker.load())


def as_labelled(case: Row, said: Row) -> Row:
    """Exact, and within the tolerated answers."""
    row = {key: case[key] for key in ("set", "gold", "accept", "tags")} | {"rows": case.get("rows", 1)}
    row |= {"got": said["text"], "confidence": said["confidence"], "decided_by": said["decided_by"]}
    row |= {key: said[key] for key in ("as_it_stands",) if key in said}
    row |= {"exact": row["got"] == row["gold"], "accepted": bool(right(row))}
    wrong = f"ranked {row['got']}, is {row['gold']}; decided by {', '.join(said['decided_by'])}"
    return row | {"problems": [] if row["accepted"] else [wrong]}


def figures(rows: Sequence[Row], split: Split = "dev") -> list[Figure]:
    """Of each set: quality of the ranks, of the pages, and of the confidence."""
    return of_sets(rows, notes(split), _SHOWN_TAGS)
