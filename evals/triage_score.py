"""How good the ranking is: `python -m evals.triage_score --data DIR [--json]`.

Per labelled set and per way of ranking (rules and ranker, rules alone, ranker alone, severity words): macro-F1 of
the exact priority over the classes present, the share within the tolerated answers, precision and recall of P0+P1,
and on routine logs the false pages per 10,000 lines. Rows that repeat a wording count once in the figures "by wording".
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from evals import triage_data
from evals.triage_data import Labelled
from knowledge.rulebook import RuleBook
from setpoint.contracts import Event, Priority

PAGES: frozenset[Priority] = frozenset({"P0", "P1"})
Ranker = Callable[[Event], Priority]
_URGENT = re.compile(r"\b(fatal|panic|critical|emerg\w*|alert|fail\w*|down|lost|dead|uncorrect\w*)\b", re.I)
_WARNING = re.compile(
    r"\b(err\w*|warn\w*|timeout|timed out|refused|denied|degraded|exceed\w*|invalid)\b", re.I
)


@dataclass(frozen=True)
class Score:
    """Figures of one way of ranking on one set."""

    texts: int
    macro_f1: float
    """Mean F1 of the exact priority over the classes present in the gold."""
    accepted: float
    """Share within the tolerated answers."""
    accepted_macro_f1: float
    """Macro-F1 where a tolerated answer counts as the gold one."""
    page_precision: float
    page_recall: float
    """Recall of P0+P1; 1.0 where the set has none."""


def score(gold: Sequence[Labelled], ranked: Sequence[Priority]) -> Score:
    """`ranked[i]` is the answer to `gold[i]`."""
    exact = [item.gold for item in gold]
    tolerant = [item.gold if got in item.accept else got for item, got in zip(gold, ranked, strict=True)]
    paged = sum(got in PAGES for got in ranked)
    due = sum(item.gold in PAGES for item in gold)
    hit = sum(item.gold in PAGES and got in PAGES for item, got in zip(gold, ranked, strict=True))
    fair = sum(bool(PAGES & item.accept) and got in PAGES for item, got in zip(gold, ranked, strict=True))
    return Score(
        texts=len(gold),
        macro_f1=macro_f1(exact, ranked),
        accepted=sum(got in item.accept for item, got in zip(gold, ranked, strict=True)) / len(gold),
        accepted_macro_f1=macro_f1(exact, tolerant),
        page_precision=fair / paged if paged else 1.0,
        page_recall=hit / due if due else 1.0,
    )


def macro_f1(gold: Sequence[Priority], got: Sequence[Priority]) -> float:
    """Mean F1 over the classes that the gold holds.

    >>> macro_f1(["P1", "P3"], ["P1", "P1"])
    0.3333333333333333
    """
    pairs = Counter(zip(gold, got, strict=True))
    values = []
    for name in sorted(set(gold)):
        true = pairs[name, name]
        claimed = sum(count for (_, g), count in pairs.items() if g == name)
        present = sum(count for (g, _), count in pairs.items() if g == name)
        values.append(2 * true / (claimed + present) if claimed + present else 0.0)
    return sum(values) / len(values)


def severity_words(event: Event) -> Priority:
    """The baseline: alarming words, the source's own level among them."""
    level = "" if event.severity == "unknown" else event.severity
    text = f"{level} {event.kind} {event.message}"
    return "P1" if _URGENT.search(text) else "P2" if _WARNING.search(text) else "P3"


def rankers() -> dict[str, Ranker]:
    """Each way of ranking, over Setpoint's own rules and weights."""
    book, text = RuleBook.load(), TextRanker.load()
    both = SymbolicEngine(book, None, text)
    rules = SymbolicEngine(book, None, None)
    learned = SymbolicEngine(RuleBook((), book.verdicts), None, text)
    return {
        "rules+ranker": lambda event: both.rank(event).priority,
        "rules alone": lambda event: rules.rank(event).priority,
        "ranker alone": lambda event: learned.rank(event).priority,
        "severity words": severity_words,
    }


def by_wording(items: Iterable[Labelled]) -> list[Labelled]:
    """One row of each wording and gold."""
    return list({(item.message, item.gold): item for item in items}.values())


def labelled_sets(data: Path) -> dict[str, list[Labelled]]:
    return {
        "mercury (rows)": triage_data.mercury(data),
        "mercury (wordings)": by_wording(triage_data.mercury(data)),
        "titan (rows)": triage_data.titan(data),
        "redfish (with its severity)": triage_data.redfish(data, severity=True),
        "redfish (text alone)": triage_data.redfish(data),
        "prometheus (text alone)": triage_data.prometheus(data),
    }


def false_pages(data: Path, rank: Ranker) -> dict[str, dict[str, float]]:
    """Per routine log: P0 and P1 per 10,000 lines, and P2 per 10,000 lines."""
    found = {}
    for name in triage_data.LOGHUB:
        got = Counter(rank(item.event) for item in triage_data.loghub(data, name))
        total = sum(got.values())
        found[name] = {
            "pages_per_10k": round(1e4 * (got["P0"] + got["P1"]) / total, 1),
            "tickets_per_10k": round(1e4 * got["P2"] / total, 1),
        }
    return found


def report(data: Path) -> dict[str, object]:
    """All figures, ready for JSON."""
    ways = rankers()
    sets = labelled_sets(data)
    scores = {
        name: {way: asdict(score(items, [rank(item.event) for item in items])) for way, rank in ways.items()}
        for name, items in sets.items()
    }
    return {"sets": scores, "routine": {way: false_pages(data, rank) for way, rank in ways.items()}}


def calibration(items: Sequence[Labelled], engine: SymbolicEngine) -> list[tuple[float, float, int]]:
    """Reliability table: mean confidence, share right (within the tolerated), count; by tenths of confidence."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for item in items:
        triage = engine.rank(item.event)
        bins.setdefault(min(9, int(triage.confidence * 10)), []).append(
            (triage.confidence, triage.priority in item.accept)
        )
    return [
        (sum(c for c, _ in rows) / len(rows), sum(ok for _, ok in rows) / len(rows), len(rows))
        for _, rows in sorted(bins.items())
    ]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Score the ranking on the labelled public sets")
    parser.add_argument("--data", type=Path, default=None, help="folder of the public data")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    data = triage_data.data_dir(options.data)
    found = report(data)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, ways in found["sets"].items():  # type: ignore[attr-defined]
        print(f"\n{name}")
        for way, s in ways.items():
            print(
                f"  {way:15s} macro-F1 {s['macro_f1']:.2f}  tolerant F1 {s['accepted_macro_f1']:.2f}"
                f"  accepted {s['accepted']:.2f}  P0+P1 recall {s['page_recall']:.2f} precision {s['page_precision']:.2f}"
                f"  n {s['texts']}"
            )
    print("\nroutine logs: pages / tickets per 10,000 lines")
    for way, logs in found["routine"].items():  # type: ignore[attr-defined]
        print(
            f"  {way:15s} "
            + "  ".join(f"{n} {v['pages_per_10k']:g}/{v['tickets_per_10k']:g}" for n, v in logs.items())
        )
    engine = SymbolicEngine(RuleBook.load(), None, TextRanker.load())
    pooled = [
        item for items in (triage_data.redfish(data), by_wording(triage_data.mercury(data))) for item in items
    ]
    print("\ncalibration on redfish and mercury wordings: confidence, share right, count")
    for confidence, right, count in calibration(pooled, engine):
        print(f"  {confidence:.2f}  {right:.2f}  {count}")


if __name__ == "__main__":
    main()
