"""How often root causes of services without a plant are right: `python -m evals.service_rca --data DIR [--json]`.

DIR holds case folders, each with an answer.yml (root_cause_category, and where given failure_mode, required and
forbidden keywords, required sources). The answer is read here alone, after the findings are made. `--closed` gives the
method the categories that occur over all cases of DIR as its closed list; without it our own list is used.
`--half even|odd` takes every other case, so that a method can be tuned on one half and reported on the other.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agents.service_causes import ServiceFindings, explain_case, render
from evals.figures import Figure, share, table
from knowledge.service_causes import HEALTHY, load_catalog, plain
from tools.case_files import read_case

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures" / "service_cases"
LEAST_LIST = 3
"""A closed list taken from the answers has to hold so many categories: fewer would give the answer away."""


@dataclass(frozen=True)
class Truth:
    """What a case's own answer says."""

    category: str
    mode: str
    required: tuple[str, ...]
    forbidden: tuple[str, ...]
    ruling_out: tuple[str, ...]
    sources: tuple[str, ...]
    wrong_categories: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """One case against its truth."""

    name: str
    truth: Truth
    found: ServiceFindings

    @property
    def text(self) -> str:
        return render(self.found).lower()

    @property
    def category_right(self) -> bool:
        return plain(self.found.category) == plain(self.truth.category)

    @property
    def mode_right(self) -> bool:
        """The id, or another name of the same thing."""
        catalog, wanted = load_catalog(), plain(self.truth.mode)
        known = catalog.modes.get(self.found.mode)
        return wanted == self.found.mode or (known is not None and wanted in known.also)

    def missed(self) -> list[str]:
        return [word for word in self.truth.required if word.lower() not in self.text]


def cases_in(folder: Path) -> list[Path]:
    """Case folders below `folder`, by name."""
    return sorted(answer.parent for answer in folder.rglob("answer.yml"))


def truth_of(folder: Path) -> Truth:
    """The answer of one case. A mode that answer.yml does not name is taken from scenario.yml."""
    answer = _yaml(folder / "answer.yml")
    mode = answer.get("failure_mode") or _yaml(folder / "scenario.yml").get("failure_mode") or ""

    def words(key: str) -> tuple[str, ...]:
        return tuple(str(one) for one in answer.get(key) or ())

    return Truth(
        str(answer["root_cause_category"]), str(mode), words("required_keywords"), words("forbidden_keywords"),
        words("ruling_out_keywords"), words("required_evidence_sources"), words("forbidden_categories"),
    )  # fmt: skip


def judge(folders: Sequence[Path], closed: bool) -> list[Judged]:
    """Findings first, then the truth beside them."""
    choices: tuple[str, ...] = ()
    if closed:
        names = sorted({truth_of(folder).category for folder in folders})
        choices = tuple(names) if len(names) >= LEAST_LIST else ()
    return [
        Judged(folder.name, truth_of(folder), explain_case(read_case([folder], choices=choices)))
        for folder in folders
    ]


def figures(judged: Sequence[Judged], name: str) -> list[Figure]:
    """The figures of one set, each a share with Wilson's interval."""
    sick = [one for one in judged if plain(one.truth.category) != HEALTHY]
    well = [one for one in judged if plain(one.truth.category) == HEALTHY]
    named = [one for one in judged if one.truth.mode]

    def counted(
        what: str, wanted: Callable[[Truth], tuple[str, ...]], met: Callable[[Judged, str], bool]
    ) -> Figure:
        pairs = [(one, word) for one in judged for word in wanted(one.truth)]
        return share(name, what, sum(met(one, word) for one, word in pairs), len(pairs))

    return [
        share(name, "category right", sum(one.category_right for one in judged), len(judged)),
        share(name, "failure mode right", sum(one.mode_right for one in named), len(named)),
        share(name, "healthy recall", sum(one.category_right for one in well), len(well)),
        share(
            name, "faults called healthy", sum(one.found.mode == HEALTHY for one in sick), len(sick), "aim 0"
        ),
        counted("required sources cited", lambda t: t.sources, _cites),
        counted("required keywords", lambda t: t.required, lambda one, word: word.lower() in one.text),
        counted("ruling-out keywords", lambda t: t.ruling_out, lambda one, word: word.lower() in one.text),
        counted(
            "forbidden keywords avoided",
            lambda t: t.forbidden,
            lambda one, word: word.lower() not in one.text,
        ),
        counted("forbidden categories avoided", lambda t: t.wrong_categories, _avoids),
    ]


def _cites(one: Judged, source: str) -> bool:
    return any(source in file for file in one.found.cited_files)


def _avoids(one: Judged, category: str) -> bool:
    return plain(category) not in (plain(one.found.category), one.found.mode)


def _yaml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = yaml.safe_load(path.read_text("utf-8"))
    return content if isinstance(content, dict) else {}


def misses(judged: Sequence[Judged]) -> list[str]:
    """What went wrong, a line a case."""
    lines = []
    for one in judged:
        if not (one.category_right and one.mode_right):
            said = f"said {one.found.category}, {one.found.mode} ({one.found.share:.0%})"
            lines.append(f"wrong: {one.name}: {said}; is {one.truth.category}, {one.truth.mode}")
        elif missed := one.missed():
            lines.append(f"words missed: {one.name}: {', '.join(missed)}")
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Score root causes of services without a plant")
    parser.add_argument("--data", type=Path, action="append", help="folder of case folders; repeatable")
    parser.add_argument(
        "--half", choices=("even", "odd"), help="every other case by name, from the first or second on"
    )
    parser.add_argument(
        "--closed", action="store_true", help="give the categories of all cases as the closed list"
    )
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    options = parser.parse_args(argv)
    found: list[Figure] = []
    wrong: list[str] = []
    for folder in options.data or [FIXTURES]:
        folders = cases_in(folder)[options.half == "odd" :: 2 if options.half else 1]
        judged = judge(folders, options.closed)
        found += figures(judged, folder.name)
        wrong += misses(judged)
    if options.json:
        print(json.dumps({"figures": [one.as_json() for one in found], "misses": wrong}, indent=2))
        return
    print(table(found))
    print("\n".join(wrong))


if __name__ == "__main__":
    main()
