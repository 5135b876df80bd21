"""Suite `rca-text`: root causes of service incidents from evidence files alone, with a closed list of answers.

A case is a folder that somebody wrote: an alert, evidence of any shape, a question, and an answer the product never
reads. Sets: families by another hand that never saw our catalogs (one half looked at, one held out), fixtures by the
method's own author, the same fixtures asked with answers in other words, and public cases this method was tuned on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from pathlib import Path

from inspect_ai.dataset import Sample

from agents.service_causes import ServiceFindings, explain_case
from agents.service_causes.answers import OWN
from agents.service_causes.choosing import kind_of
from agents.service_causes.deciding import decided
from evals.figures import Figure, rate
from evals.registry import Ask, Prepared, Row
from evals.running.contenders import Contender
from evals.running.tasks import suite_task
from evals.service_rca import figures as figures_of_set
from evals.service_rca import judged_row
from evals.suites.rca_text.sets import CaseFolder, case_text, sets_of
from knowledge.service_causes import UNKNOWN, load_catalog
from knowledge.service_concepts import features
from setpoint.llm import RoleModel
from tools.case_types import ServiceCase

NOTES = {
    "by hand": "another hand, catalogs unseen",
    "own fixtures": "by the method's author: flatters",
    "own with lists": "written while the method was: flatters",
    "own in other words": "the same, with a list by meaning",
    "rds_postgres": "the method was tuned on these",
}


def prepare(ask: Ask) -> Prepared:
    """The task. Public data are used where they lie; without them their set is left out."""
    sets, skipped = sets_of(ask.split, ask.data, ask.cases)
    cases = _in_turn([_in_turn(_families(cases)) for cases in sets])[: ask.limit]
    samples = [_sample(case) for case in cases]
    task = suite_task("rca-text", samples, _answering(ask.contender, skipped), as_true, ("category",))
    return Prepared(task, figures, tuple(skipped), labels=labels)


def _in_turn(piles: Sequence[Sequence[CaseFolder]]) -> list[CaseFolder]:
    """One of each pile in turn, so that the first few are a fair picture of all."""
    return [case for case in chain.from_iterable(zip_longest(*piles)) if case is not None]


def _families(cases: Sequence[CaseFolder]) -> list[list[CaseFolder]]:
    return [
        [case for case in cases if case.family == one] for one in dict.fromkeys(case.family for case in cases)
    ]


def _sample(case: CaseFolder) -> Sample:
    read, truth = case.read(), case.truth()
    return Sample(
        id=case.id,
        input=case_text(read),
        target=truth.category,
        metadata={
            "set": case.set, "path": str(case.path), "choices": list(case.choices), "meanings": dict(case.meanings),
            "category": truth.category, "family": case.family, "difficulty": case.difficulty, "mode": truth.mode,
        },
    )  # fmt: skip


def labels(sample: Sample) -> Sequence[str]:
    """The failure mode where its author made up a name for it: the category stands in the closed list, and a usual
    name such as "replication_lag" is what equipment says."""
    mode = str((sample.metadata or {})["mode"])
    return [mode] if mode.count("_") > 1 else []


# ---- answering -------------------------------------------------------------------------------------------------------


def _answering(contender: Contender, skipped: list[str]) -> Callable[[Row], Row]:
    model = contender.role("heavy") if contender.system == "model" else None
    if contender.system == "model" and (model is None or model.mode == "facts"):
        skipped.append(
            f"model: {contender.name} has no heavy model that decides (@assisted or @free); code answers alone"
        )
        model = None

    def answer(case: Row) -> Row:
        read = _folder(case).read()
        found, problem = (loudest(read), "") if contender.system == "severity" else _explained(read, model)
        return {
            "text": f"{found.answer}. {found.conclusion}",
            "found": found.model_dump(mode="json"),
            "not_taken": problem,
        }

    return answer


def _explained(case: ServiceCase, model: RoleModel | None) -> tuple[ServiceFindings, str]:
    found = explain_case(case)
    return (found, "") if model is None else decided(found, case.choices, model.mode, model)


def loudest(case: ServiceCase) -> ServiceFindings:
    """The baseline: the answer whose words stand most in the alert. No evidence is read."""
    said = case.alert.text if case.alert else ""
    known = load_catalog().categories
    meanings = {name: one.meaning for one in known.values() for name in (one.id, *one.also)} | case.meanings
    names = case.choices or OWN
    words = {name: len(features(said) & features(f"{name} {meanings.get(name, '')}")) for name in names}
    best = max(names, key=lambda name: words[name])
    mode = kind_of(best, case.meanings.get(best, "")) or UNKNOWN
    return ServiceFindings(
        case=case.name, alert=case.alert.title if case.alert else "", question=case.question, category=best, mode=mode, title=best,
        answer=best, share=words[best] / max(1, sum(words.values())), certainty="open", conclusion=said, evidence=(), order=(), candidates=(),
    )  # fmt: skip


def _folder(case: Row) -> CaseFolder:
    return CaseFolder(case["set"], Path(case["path"]), tuple(case["choices"]), dict(case["meanings"]))


# ---- judging ---------------------------------------------------------------------------------------------------------


def as_true(case: Row, said: Row) -> Row:
    """Against the case's own answer."""
    found = ServiceFindings.model_validate(said["found"])
    tags = {key: case[key] for key in ("set", "family", "difficulty")}
    judged = judged_row(_folder(case).truth(), found)
    return tags | {"not_taken": said["not_taken"]} | judged


def figures(rows: Sequence[Row]) -> list[Figure]:
    """Of each set; of cases by another hand also per family and difficulty."""
    found: list[Figure] = []
    for name in dict.fromkeys(str(row["set"]) for row in rows):
        some = [row for row in rows if row["set"] == name]
        note = NOTES.get(name.partition(",")[0], "")
        found += figures_of_set(some, name, note)
        if name.startswith(("by hand", "yours")):
            found += _split_by(some, name, "family") + _split_by(some, name, "difficulty")
    refused = [row for row in rows if row["not_taken"]]
    if refused:
        found.append(
            rate("all", "model's answer not taken", rows, lambda row: bool(row["not_taken"]), better="lower")
        )
    return found


def _split_by(rows: Sequence[Row], name: str, tag: str) -> list[Figure]:
    found = []
    for value in sorted({str(row[tag]) for row in rows if row[tag]}):
        some = [row for row in rows if str(row[tag]) == value]
        found.append(
            rate(f"{name}, {tag} {value}", "category right", some, lambda row: bool(row["category"]))
        )
    return found
