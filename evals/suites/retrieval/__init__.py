"""Suite `retrieval`: is the runbook section found from what people ask and from what machines print?

The texts are by another hand, who had seen neither glossary nor runbooks' words (evals/texts). Each is put to the real
index by every retriever there is; the place of the first accepted section among the sections found is what counts. Texts
that no runbook answers must find nothing. The same again with a hundred foreign manuals beside ours, where they are at
hand: do ours stay in front?
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from inspect_ai.dataset import Sample

from evals.figures import Figure, rate
from evals.registry import Ask, Prepared, Row
from evals.running.tasks import interleaved, suite_task
from evals.suites.retrieval.texts import Text, read_texts
from evals.suites.retrieval.ways import PRODUCT, Way, ways_of

SEEN = "sayings were written with this half in view"
DEEP = 40
"""Passages looked at: some thirty sections, so that a place beyond the first few is known too."""
NO_MATCH = 0
"""Place of a section that is not among the sections found."""


def prepare(ask: Ask) -> Prepared:
    """The task. `data` adds the foreign manuals."""
    ways, skipped = ways_of(ask.data)
    samples = [_sample(text) for text in read_texts(ask.split)]
    task = suite_task(
        "retrieval", interleaved(samples, _pile), partial(find, ways), judge, ("found_first", "found_in_5")
    )
    return Prepared(task, partial(figures, split=ask.split), tuple(skipped), labels=_ids)


def _pile(sample: Sample) -> str:
    """Kind of text, those that nothing answers apart."""
    case = sample.metadata or {}
    return f"{case['kind']} {bool(case['sections'])}"


def _sample(text: Text) -> Sample:
    return Sample(
        id=text.id,
        input=text.text,
        target=list(text.sections),
        metadata={"id": text.id, "kind": text.kind, "text": text.text, "sections": list(text.sections)},
    )


def _ids(sample: Sample) -> Sequence[str]:
    """Section ids of several words; one of a single word (congestion) may well be what somebody asks about."""
    return [section for section in (sample.metadata or {})["sections"] if "-" in section]


def find(ways: Mapping[str, Way], case: Row) -> Row:
    """What each retriever finds: sections, best first."""
    found = {name: _sections(way, case["text"]) for name, way in ways.items()}
    return {"text": "\n".join(found[PRODUCT][:5]) or "nothing found", "found": found}


def _sections(way: Way, text: str) -> list[str]:
    return list(dict.fromkeys(passage.section for passage in way(text, DEEP)))


def judge(case: Row, said: Row) -> Row:
    """The place of the first accepted section by each retriever."""
    accepted = set(case["sections"])
    places = {name: place(sections, accepted) for name, sections in said["found"].items()}
    silent = {name: not sections for name, sections in said["found"].items()}
    mine, first = places[PRODUCT], (said["found"][PRODUCT] or ["nothing"])[0]
    row: dict[str, Any] = {
        "kind": case["kind"],
        "answerable": bool(accepted),
        "places": places,
        "silent": silent,
        "found_first": mine == 1 if accepted else silent[PRODUCT],
        "found_in_5": NO_MATCH < mine <= 5 if accepted else silent[PRODUCT],
    }
    return row | {"problems": list(_problems(row, first, case["sections"]))}


def _problems(row: Row, first: str, accepted: Sequence[str]) -> Iterator[str]:
    if row["found_in_5"]:
        return
    if not row["answerable"]:
        yield f"found {first}, where nothing answers"
    else:
        yield f"{accepted[0]} is not among the first five; {first} comes first"


def place(sections: Sequence[str], accepted: set[str]) -> int:
    """From 1; NO_MATCH where none of them is found.

    >>> place(["psu-failure", "feed-lost"], {"feed-lost", "ups-on-battery"})
    2
    """
    return next((number for number, one in enumerate(sections, 1) if one in accepted), NO_MATCH)


# ---- figures ---------------------------------------------------------------------------------------------------


def figures(rows: Sequence[Row], split: str) -> list[Figure]:
    """By kind of text and retriever."""
    found: list[Figure] = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        of_kind = [row for row in rows if row["kind"] == kind]
        for name in of_kind[0]["places"]:
            found += _of(f"{split} {kind}s, {name}", name, of_kind, SEEN if split == "dev" else "")
    return found


def _of(title: str, name: str, rows: Sequence[Row], note: str) -> Iterator[Figure]:
    answered = [row for row in rows if row["answerable"]]
    others = [row for row in rows if not row["answerable"]]
    if answered:
        for most in (1, 3, 5):
            by_name = note if name == PRODUCT and most == 1 else ""
            yield rate(
                title, f"recall@{most}", answered, partial(_within, name=name, most=most), note=by_name
            )
        yield rate(title, "mean reciprocal rank", answered, partial(_reciprocal, name=name))
        yield rate(
            title, "silent where a runbook answers", answered, partial(_silent, name=name), better="lower"
        )
    if others:
        yield rate(title, "silent where none answers", others, partial(_silent, name=name))


def _within(row: Row, *, name: str, most: int) -> bool:
    return NO_MATCH < int(row["places"][name]) <= most


def _reciprocal(row: Row, *, name: str) -> float:
    return 1.0 / row["places"][name] if row["places"][name] else 0.0


def _silent(row: Row, *, name: str) -> bool:
    return bool(row["silent"][name])
