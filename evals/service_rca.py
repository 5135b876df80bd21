"""How often root causes of services without a plant are right: `python -m evals.service_rca --data DIR [--json]`.

DIR holds case folders, each with an answer.yml (root_cause_category, and where given failure_mode, required and
forbidden keywords, required sources). The answer is read here alone, after the findings are made. `--closed` gives the
method the categories that occur over all cases of DIR as its closed list; without it our own list is used.
`--half even|odd` takes every other case, so that a method can be tuned on one half and reported on the other.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agents.service_causes import ServiceFindings, explain_case, render
from agents.service_causes.choosing import kind_of
from evals.figures import Better, Figure, rate, table
from knowledge.service_causes import HEALTHY, load_catalog, plain
from tools.case_files import read_case

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures" / "service_cases"
LEAST_LIST = 3
"""A closed list taken from the answers has to hold so many categories: fewer would give the answer away."""
LEAST_WORD, STEM = 3, 6
"""Words of a mode shorter than the first say nothing; of longer ones so many letters have to be found."""


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


Row = dict[str, Any]


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


def judged_row(truth: Truth, found: ServiceFindings) -> Row:
    """One case against its truth: each value 1 good to 0 bad, None where the case does not ask for it."""
    text = render(found).lower()
    right = plain(found.category) == plain(truth.category)
    healthy = HEALTHY in (kind_of(truth.category, ""), plain(truth.mode))
    missed = [word for word in truth.required if word.lower() not in text]
    said_healthy = found.mode == HEALTHY
    mode = mode_right(truth, found, right) if truth.mode else None
    return {
        "category": right, "mode": mode, "healthy": healthy, "healthy_found": right if healthy else None,
        "fault_called_healthy": None if healthy else said_healthy,
        "sources": _part(truth.sources, lambda source: any(source in file for file in found.cited_files)),
        "required": _part(truth.required, lambda word: word not in missed),
        "ruling_out": _part(truth.ruling_out, lambda word: word.lower() in text),
        "forbidden": _part(truth.forbidden, lambda word: word.lower() not in text),
        "wrong_category": _part(truth.wrong_categories, lambda one: plain(one) not in (plain(found.category), found.mode)),
        "brier": (found.share - right) ** 2,
        "problems": _problems(truth, found, right, mode, missed),
    }  # fmt: skip


def mode_right(truth: Truth, found: ServiceFindings, category_right: bool) -> bool:
    """The id, or another name of the same thing. Where the author named the mode in words of their own, the category
    has to be right and most of those words have to stand in what the findings say."""
    modes, wanted = load_catalog().modes, plain(truth.mode)
    known = modes.get(found.mode)
    if wanted == found.mode or (known is not None and wanted in known.also):
        return True
    if any(wanted in (mode.id, *mode.also) for mode in modes.values()) or wanted == HEALTHY:
        return False
    words = [word for word in wanted.split("_") if len(word) >= LEAST_WORD]
    said = plain(render(found))
    return category_right and sum(word[:STEM] in said for word in words) > len(words) / 2


def _part(wanted: Sequence[str], met: Callable[[str], bool]) -> float | None:
    return sum(map(met, wanted)) / len(wanted) if wanted else None


def _problems(
    truth: Truth, found: ServiceFindings, right: bool, mode: bool | None, missed: Sequence[str]
) -> list[str]:
    said = f"said {found.category}, {found.mode} ({found.share:.0%}); is {truth.category}, {truth.mode}"
    problems = [] if right else [f"wrong category: {said}"]
    problems += [f"wrong mode: {said}"] if right and mode is False else []
    return problems + ([f"words missed: {', '.join(missed)}"] if missed else [])


def judge(folders: Sequence[Path], closed: bool) -> list[Row]:
    """Findings first, then the truth beside them."""
    choices: tuple[str, ...] = ()
    if closed:
        names = sorted({truth_of(folder).category for folder in folders})
        choices = tuple(names) if len(names) >= LEAST_LIST else ()
    rows = []
    for folder in folders:
        found = explain_case(read_case([folder], choices=choices))
        rows.append({"case": folder.name, **judged_row(truth_of(folder), found)})
    return rows


def figures(rows: Sequence[Mapping[str, Any]], name: str, note: str = "") -> list[Figure]:
    """The figures of one set; what no case of it asks for is left out."""
    found = []
    for key, what, better in _FIGURES:
        asked = [row for row in rows if row[key] is not None]
        if asked:
            found.append(rate(name, what, asked, _reading(key), better=better, note=note))
    return found


def _reading(key: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda row: float(row[key])


_FIGURES: tuple[tuple[str, str, Better], ...] = (
    ("category", "category right", "higher"),
    ("mode", "failure mode right", "higher"),
    ("healthy_found", "healthy recall", "higher"),
    ("fault_called_healthy", "faults called healthy", "lower"),
    ("sources", "required sources cited", "higher"),
    ("required", "required keywords", "higher"),
    ("ruling_out", "ruling-out keywords", "higher"),
    ("forbidden", "forbidden keywords avoided", "higher"),
    ("wrong_category", "forbidden categories avoided", "higher"),
    ("brier", "Brier score of the confidence", "lower"),
)


def _yaml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = yaml.safe_load(path.read_text("utf-8"))
    return content if isinstance(content, dict) else {}


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
        rows = judge(folders, options.closed)
        found += figures(rows, folder.name)
        wrong += [f"{row['case']}: {'; '.join(row['problems'])}" for row in rows if row["problems"]]
    if options.json:
        print(json.dumps({"figures": [one.as_json() for one in found], "misses": wrong}, indent=2))
        return
    print(table(found))
    print("\n".join(wrong))


if __name__ == "__main__":
    main()
