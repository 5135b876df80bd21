"""Sets of service incidents for suite `rca-text`: where their folders lie, and a case as text a reader understands."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from evals.registry import Split
from evals.service_rca import FIXTURES, LEAST_LIST, Truth, cases_in, truth_of
from evals.triage_data import data_dir
from knowledge.service_causes import plain
from setpoint.errors import UsageError
from tools.case_files import read_case
from tools.case_types import Readings, ServiceCase

BY_HAND = FIXTURES.parent / "rca_text"
TUNED, OWN, OTHER_WORDS = "rds_postgres, tuned on", "own fixtures, flatter", "own in other words"
OWN_LISTS = "own with lists, flatter"
LISTS = Path(__file__).parents[2] / "texts" / "service-lists.yaml"
LIST_LENGTH = 8
"""Answers of a list in other words: as many as cases by another hand have."""
MOST_OF_FILE = 40
"""Lines, and single values, of one file that a case's input shows; a log may have thousands."""
LONGEST_LINE = 300
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class CaseFolder:
    """One case: where it lies, which set it belongs to, and the set's closed list where the case names none."""

    set: str
    path: Path
    choices: tuple[str, ...] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.set.partition(',')[0]}/{self.family}/{self.path.name}"

    @property
    def family(self) -> str:
        return self.path.parent.name

    @property
    def difficulty(self) -> str:
        """How hard its author calls it; "" where nobody said."""
        told: Any = {}
        if (self.path / "scenario.yml").exists():
            told = yaml.load((self.path / "scenario.yml").read_text("utf-8"), Loader=_LOADER)
        given = told.get("difficulty", told.get("scenario_difficulty")) if isinstance(told, dict) else None
        return "" if given is None else str(given)

    def read(self) -> ServiceCase:
        """What the method may see."""
        case = read_case([self.path], choices=self.choices)
        return replace(case, meanings=dict(self.meanings)) if self.meanings else case

    def truth(self) -> Truth:
        """What its author says; in a list in other words, the word for it."""
        truth = truth_of(self.path)
        if self.set != OTHER_WORDS:
            return truth
        word = next(one.answer for one in other_words() if plain(truth.mode or truth.category) in one.modes)
        return replace(truth, category=word, wrong_categories=())


def sets_of(
    split: Split, data: Path | None, more: Sequence[Path]
) -> tuple[list[list[CaseFolder]], list[str]]:
    """The sets of a split, and why one is left out. What was tuned on is never held out."""
    places = [(f"by hand, {split}", BY_HAND / split)]
    found, skipped = list[list[CaseFolder]](), list[str]()
    if split == "dev":
        places += [(OTHER_WORDS, FIXTURES), (OWN_LISTS, BY_HAND / "own"), (OWN, FIXTURES)]
        try:
            places.append((TUNED, data_dir(data) / "rca" / "rds_postgres"))
        except UsageError as error:
            skipped.append(f"{TUNED}: {error}")
    theirs = [(f"yours, {folder.name}", folder) for folder in more if cases_in(folder)]
    for name, place in [*places, *theirs]:
        cases = _cases(name, place)
        if cases:
            found.append(cases)
        else:
            skipped.append(f"{name}: no case folders with an answer.yml there")
    return found, skipped


def _cases(name: str, place: Path) -> list[CaseFolder]:
    """A set's folders. Cases without a list of their own get the categories of the whole set, where they are enough
    that the list gives nothing away."""
    folders = cases_in(place)
    if name == OTHER_WORDS:
        return [_in_other_words(folder) for folder in folders]
    if name == OWN or not folders:
        return [CaseFolder(name, folder) for folder in folders]
    listed = sorted({truth_of(folder).category for folder in folders})
    own = bool(read_case([folders[0]]).choices)
    choices = () if own or len(listed) < LEAST_LIST else tuple(listed)
    return [CaseFolder(name, folder, choices) for folder in folders]


@dataclass(frozen=True)
class OtherWord:
    """One answer in words that are not our catalog's."""

    answer: str
    meaning: str
    modes: frozenset[str]


@cache
def other_words() -> tuple[OtherWord, ...]:
    """The whole list, of which each case gets a part."""
    listed = yaml.load(LISTS.read_text("utf-8"), Loader=_LOADER)["answers"]
    return tuple(OtherWord(one["answer"], one["meaning"], frozenset(one["modes"])) for one in listed)


def _in_other_words(folder: Path) -> CaseFolder:
    """The case with a list of its right answer, "no fault" and others, in an order that tells nothing."""
    truth = truth_of(folder)
    told = other_words()
    right = next(one for one in told if plain(truth.mode or truth.category) in one.modes)
    rng = random.Random(folder.name)
    kept = [one for one in told if one is right or "healthy" in one.modes]
    kept += rng.sample([one for one in told if one not in kept], LIST_LENGTH - len(kept))
    rng.shuffle(kept)
    return CaseFolder(
        OTHER_WORDS, folder, tuple(one.answer for one in kept), {one.answer: one.meaning for one in kept}
    )


def case_text(case: ServiceCase) -> str:
    """The case as it reaches the method: alert, question, and of each file what stands in it."""
    alert = case.alert
    parts = [f"ALERT\n{alert.text}" if alert else "ALERT\nnone", f"QUESTION\n{case.question}"]
    if case.choices:
        parts.append(
            "ANSWERS\n"
            + "\n".join(f"{one}: {case.meanings.get(one, '')}".rstrip(": ") for one in case.choices)
        )
    parts += [f"FILE {file}\n" + "\n".join(_of_file(case, file)) for file in case.files]
    return "\n\n".join(parts)


def _of_file(case: ServiceCase, file: str) -> Iterator[str]:
    for one in case.readings:
        if one.file == file:
            yield _series(one)
    rows = [f"{c.table}: {c.name}, {c.measure} {c.weight:g}" for c in case.consumers if c.file == file]
    lines = [
        f"{line.time:%H:%M:%S} {line.text}" if line.time else line.text
        for line in case.lines
        if line.file == file
    ]
    facts = [f"{fact.of} {fact.key}: {fact.text}".strip() for fact in case.facts if fact.file == file]
    for many in (rows, lines, facts):
        yield from (text[:LONGEST_LINE] for text in many[:MOST_OF_FILE])
        if len(many) > MOST_OF_FILE:
            yield f"({len(many) - MOST_OF_FILE} more)"


def _series(one: Readings) -> str:
    values, times = one.values, one.times
    few = ", ".join(f"{value:.5g}" for value in values[:: max(1, len(values) // 12)])
    whose = f" of {one.of}" if one.of else ""
    return f"{one.name}{whose} [{one.unit}] {len(values)} readings {times[0]:%Y-%m-%d %H:%M} to {times[-1]:%H:%M}: {few}"
