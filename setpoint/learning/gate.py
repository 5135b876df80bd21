"""The gate: a candidate against the model in service, text by text. What it lets through may be promoted by a person.

Three things are held: the lessons' own exam must come out better; nothing that words touch may fall, on real incidents
of generated nights and on the product's phrases; and what no lesson was about must not be forgotten. Both models write
the same texts, so each figure is a paired difference with its 95 % interval.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np

from evals.running.compare import paired_interval
from evals.written import Written, write
from prompts import TASKS, PlanInput, Task, WordInput, template_hash
from prompts.filling import phrases
from setpoint.errors import ActionRefused, BackendError, UsageError
from setpoint.learning.lessons import read_lessons
from setpoint.learning.pairs import Pair, Parts, parts
from setpoint.learning.product import product_example
from setpoint.llm import RoleModel, load_role
from setpoint.llm.registry import InService, Registry, hash_of
from setpoint.settings import ModelSettings

TaughtInput = WordInput | PlanInput
"""Inputs of the tasks that the bundled model is taught."""
GATE_FILE = "gate.json"
NIGHTS, PRODUCT_TEXTS, BASE_TEXTS = 8, 40, 60
MARGIN = 0.03
"""A share may not fall by more than this, even where so few texts could have come out so by chance."""
LOSS_MARGIN = 0.15
"""Nats a token by which the loss on what was not corrected may rise."""
EXAM, BASE = "lessons kept back", "base corpus"
MAY_MOVE = "corrected, it may move"
Verdict = Literal["better", "same", "worse"]
Listener = Callable[[str, float], None]


@dataclass(frozen=True)
class Figure:
    """One thing measured of both models on the same texts."""

    set: str
    name: str
    texts: int
    before: float
    after: float
    low: float
    """95 % interval of after minus before, over the texts one by one."""
    high: float
    verdict: Verdict


@dataclass(frozen=True)
class Gate:
    """What the gate says of one file, against one other."""

    candidate: str
    sha256: str
    against: str
    against_sha256: str
    time: str
    figures: tuple[Figure, ...]
    refused: tuple[str, ...]
    """Each reason in a sentence; empty where it may be promoted."""

    @property
    def passed(self) -> bool:
        return not self.refused


def compare(
    registry: Registry,
    name: str,
    against: InService,
    now: datetime,
    listener: Listener = lambda what, share: None,
) -> Gate:
    """Holds candidate `name` against the model in service, set by set; the first set in which something falls ends it.
    Raises UsageError where the candidate has no lessons of its own."""
    entry = registry.entry(name)
    lessons = entry.path.with_name("lessons.jsonl")
    if not lessons.is_file():
        raise UsageError(
            f"{name!r} was not made from lessons, so there is no exam to hold it to",
            where=str(entry.path.parent),
            remedy="`setpoint model try` says what a model from elsewhere is good for",
        )
    refused = list(_file_problems(entry.path, against))
    figures: list[Figure] = []
    if not refused:
        taught = parts(read_lessons(lessons))
        try:
            for some in _sets(against.path, entry.path, taught, listener):
                figures += some
                refused += _refusals(some)
                if refused:
                    break
        except BackendError as error:
            refused.append(f"the candidate does not run: {error}")
    return Gate(
        name, entry.sha256, against.name, against.sha256, now.isoformat(timespec="seconds"), tuple(figures), tuple(refused)
    )  # fmt: skip


def write_gate(folder: Path, gate: Gate) -> Path:
    """Beside the candidate, whole or not at all."""
    path = folder / GATE_FILE
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps({**asdict(gate), "passed": gate.passed}, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def require_passed(registry: Registry, name: str, against: InService) -> dict[str, Any]:
    """gate.json of a candidate that may be promoted now. Raises ActionRefused in every other case: not held, refused,
    another file than the one held, or held against a model that is no longer in service."""
    entry = registry.entry(name)
    path = entry.path.with_name(GATE_FILE)
    again = f"Run `setpoint learn compare {name}`"
    try:
        gate: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        held, other, passed = gate["sha256"], gate["against_sha256"], gate["passed"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ActionRefused(
            "the gate has not looked at this candidate", where=str(path), remedy=again
        ) from error
    if held != entry.sha256:
        raise ActionRefused(
            "the file is not the one that the gate looked at", where=str(entry.path), remedy=again
        )
    if other != against.sha256:
        raise ActionRefused(
            f"the gate held it against {gate.get('against')}, and {against.name} is in service now",
            where=str(path),
            remedy=again,
        )
    if passed is not True or gate.get("refused"):
        why = "; ".join(gate.get("refused") or ["no reason is given"])
        raise ActionRefused(
            f"the gate refuses it: {why}", where=str(path), remedy="The model in service stays"
        )
    return gate


# ---- figures -------------------------------------------------------------------------------------------------------


def _sets(before: Path, after: Path, taught: Parts, listener: Listener) -> Iterator[list[Figure]]:
    """Set by set, the quickest first: a bad candidate is seen soon."""
    both = (_role(before), _role(after))
    exam = [(pair.lesson.task, pair.inputs) for pair in taught.exam]
    yield [_accepted(taught.exam, _written(EXAM, both, exam, listener))]
    listener("looking for what was forgotten", 0.0)
    yield list(_forgotten(before, after, frozenset(pair.lesson.task for pair in taught.train)))
    product = list(_product())
    yield _of_set("product", product, _written("product", both, product, listener))

    from evals.word_inputs import told  # loads the whole evaluation: only where nights are played

    listener("playing nights", 0.0)
    incidents: list[tuple[Task, TaughtInput]] = [(one.task, one.inputs) for one in told("gate", NIGHTS)]
    yield _of_set("incidents", incidents, _written("incidents", both, incidents, listener))


def _written(
    name: str,
    both: tuple[RoleModel, RoleModel],
    asked: Sequence[tuple[Task, TaughtInput]],
    listener: Listener,
) -> list[tuple[Written, Written]]:
    """What both models make of each prompt."""
    found = []
    for number, (task, inputs) in enumerate(asked, 1):
        found.append((write(both[0], task, inputs), write(both[1], task, inputs)))
        listener(f"writing: {name}", number / len(asked))
    return found


def _of_set(
    name: str, asked: Sequence[tuple[Task, TaughtInput]], written: Sequence[tuple[Written, Written]]
) -> list[Figure]:
    return [*_passing(name, asked, written), *_first_said(name, asked, written)]


def _accepted(exam: Sequence[Pair], written: Sequence[tuple[Written, Written]]) -> Figure:
    """Share of texts that stand word for word as the person wanted them."""
    pairs = [
        tuple(float(_plain(one.words) == _plain(pair.chosen)) for one in both)
        for pair, both in zip(exam, written, strict=True)
    ]
    return _figure(EXAM, "as people wanted it", pairs)


def _passing(
    name: str, asked: Sequence[tuple[Task, TaughtInput]], written: Sequence[tuple[Written, Written]]
) -> Iterator[Figure]:
    """Share that the verifier lets through at once, by task."""
    for task in dict.fromkeys(task for task, _ in asked):
        of_task = [both for (one, _), both in zip(asked, written, strict=True) if one == task]
        pairs = [(float(old.at_once), float(new.at_once)) for old, new in of_task]
        yield _figure(name, f"{task}: passes the verifier at once", pairs)


def _first_said(
    name: str, asked: Sequence[tuple[Task, TaughtInput]], written: Sequence[tuple[Written, Written]]
) -> Iterator[Figure]:
    """Share that says what to do first and why it matters, where that was given."""
    for slot, said in (("first", "says what to do first"), ("why", "says why it matters")):
        given = [both for (_, inputs), both in zip(asked, written, strict=True) if slot in phrases(inputs)]
        pairs = [tuple(float(f"{{{slot}}}" in one.words) for one in both) for both in given]
        if pairs:
            yield _figure(name, said, pairs)


def _forgotten(before: Path, after: Path, corrected: frozenset[Task]) -> Iterator[Figure]:
    """Loss on answers of the base corpus: of tasks that no lesson was about, and, for information, of the others."""
    from setpoint.learning.corpus import task_example
    from setpoint.learning.losses import losses

    for task in TASKS:
        rng = Random(f"gate-{task}")
        examples = [task_example(rng, "dev", task) for _ in range(BASE_TEXTS)]
        pairs = list(zip(losses(before, examples), losses(after, examples), strict=True))
        about = MAY_MOVE if task in corrected else "not corrected"
        yield _figure(BASE, f"{task}: loss a token, {about}", pairs, lower_is_better=True)


def _figure(
    name: str, what: str, pairs: Sequence[tuple[float, ...]], *, lower_is_better: bool = False
) -> Figure:
    """The mean of both and the interval of their difference."""
    if not pairs:
        return Figure(name, what, 0, 0.0, 0.0, 0.0, 0.0, "same")
    values = np.array(pairs, dtype=float)
    low, high = paired_interval(values[:, 1] - values[:, 0])
    worse, better = (low > 0, high < 0) if lower_is_better else (high < 0, low > 0)
    verdict: Verdict = "worse" if worse else "better" if better else "same"
    before, after = values.mean(axis=0)
    return Figure(
        name, what, len(pairs), round(before, 4), round(after, 4), round(low, 4), round(high, 4), verdict
    )


# ---- what refuses --------------------------------------------------------------------------------------------------


def _file_problems(path: Path, against: InService) -> Iterator[str]:
    """What needs no text to be seen."""
    from setpoint.learning.from_gguf import load

    if hash_of(path) == against.sha256:
        yield "it is the very file that is in service"
        return
    try:
        loaded = load(path)
    except BackendError as error:
        yield str(error)
        return
    moved = [task for task in TASKS if loaded.prompt_hashes.get(task) != template_hash(task)]
    if moved:
        yield f"it was trained on other prompts of {', '.join(moved)} than this version has"
    if not all(bool(tensor.isfinite().all()) for tensor in loaded.model.state_dict().values()):
        yield "it holds weights that are no numbers"


def _refusals(figures: Sequence[Figure]) -> Iterator[str]:
    for figure in figures:
        change = figure.after - figure.before
        if figure.set == EXAM:
            if not figure.texts:
                yield "no lesson was kept back to hold it to"
            elif figure.verdict != "better":
                yield f"the texts people corrected do not come out better: {_said(figure)}"
        elif figure.set == BASE:
            if figure.verdict == "worse" and change > LOSS_MARGIN and not figure.name.endswith(MAY_MOVE):
                yield f"what no lesson was about is forgotten: {_said(figure)}"
        elif figure.verdict == "worse" or change < -MARGIN:
            yield f"it falls: {_said(figure)}"


def _said(figure: Figure) -> str:
    return (
        f"{figure.set}, {figure.name}: {figure.before:.3f} -> {figure.after:.3f} "
        f"(95 % interval of the change {figure.low:+.3f} to {figure.high:+.3f}, {figure.texts} texts)"
    )


def _role(path: Path) -> RoleModel:
    return load_role(ModelSettings(kind="gguf", path=path))


def _product() -> Iterator[tuple[Task, TaughtInput]]:
    rng = Random("gate")
    for task in TASKS:
        for _ in range(PRODUCT_TEXTS):
            inputs = product_example(rng, task, unseen=False).inputs
            assert inputs is not None  # only the copying curriculum has none
            yield task, inputs


def _plain(words: str) -> str:
    return " ".join(words.lower().split())
