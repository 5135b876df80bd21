"""Runs one suite for one contender on Inspect, without a model of Inspect's: our solver calls the product's own code.

Inspect itself returns 0 even when a solver raises, so the samples' errors are counted here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.figures import Figure, mean, rate
from evals.registry import Ask, Prepared, SuiteModule
from evals.running.calls import missing_models
from evals.running.progress import told
from evals.running.provenance import without_folders
from evals.running.record import Cost, Outcome, Ran

if TYPE_CHECKING:
    from inspect_ai.dataset import Sample
    from inspect_ai.log import EvalLog, EvalSample

Tell = Callable[[int, int], None]
"""Is told how many cases are done, of how many."""


def run_suite(
    name: str,
    module: SuiteModule,
    ask: Ask,
    *,
    logs: Path,
    epochs: int = 1,
    tell: Tell = lambda done, of: None,
) -> Ran:
    """The suite's figures and what became of each case. `logs` takes Inspect's log.

    Raises what the suite raises while it is prepared; what a case raises is an error of that case.
    """
    began = time.monotonic()
    prepared = module.prepare(ask)
    samples = list(prepared.task.dataset)[: ask.limit]
    leaks = {str(sample.id): leak for sample in samples if (leak := leaked(sample, prepared))}
    fair = [sample for sample in samples if str(sample.id) not in leaks]
    found = Ran(name, ask.contender.name, skipped=tuple(map(without_folders, prepared.skipped)))
    if fair:
        log, missing, interrupted = _on_inspect(prepared, fair, ask, logs, epochs, tell)
        found = _ran(found, prepared, log, missing, interrupted)
    return _finished(found, leaks, time.monotonic() - began)


def leaked(sample: Sample, prepared: Prepared) -> str:
    """Which label of the case stands as a word in its input; "" where none does."""
    told = sample.input if isinstance(sample.input, str) else "\n".join(one.text for one in sample.input)
    labels = [label for label in prepared.labels(sample) if label]
    return next((label for label in labels if re.search(rf"(?<!\w){re.escape(label)}(?!\w)", told, re.I)), "")


def _on_inspect(
    prepared: Prepared, samples: Sequence[Sample], ask: Ask, logs: Path, epochs: int, tell: Tell
) -> tuple[EvalLog, list[str], bool]:
    """Inspect's log, the models that were not there, and whether somebody stopped it."""
    from inspect_ai import eval as inspect_eval
    from inspect_ai.dataset import MemoryDataset

    logs.mkdir(parents=True, exist_ok=True)
    task, done, total = prepared.task, [0], len(samples) * epochs
    task.dataset = MemoryDataset(list(samples), name=task.name)

    def count() -> None:
        done[0] += 1
        tell(done[0], total)

    tell(0, total)
    with told(count), missing_models() as missing:
        try:
            written = inspect_eval(
                task, model="none", epochs=epochs, log_dir=str(logs), display="none", fail_on_error=False,
                log_format="eval", max_samples=1, tags=[ask.contender.name], metadata={"split": ask.split, "seed": ask.seed},
            )  # fmt: skip
        except KeyboardInterrupt:
            written = []
    # Stopped by hand, Inspect returns nothing, and leaves the cases that were done in its log.
    log = written[0] if written else _newest(logs)
    return log, missing, log.status == "cancelled"


def _newest(logs: Path) -> EvalLog:
    """What Inspect wrote before it was stopped."""
    from inspect_ai.log import read_eval_log

    written = sorted(logs.glob("*.eval"), key=lambda path: path.stat().st_mtime)
    if not written:
        raise KeyboardInterrupt
    return read_eval_log(str(written[-1]))


def _ran(found: Ran, prepared: Prepared, log: EvalLog, missing: Sequence[str], interrupted: bool) -> Ran:
    samples = [sample for sample in log.samples or [] if sample.scores or not interrupted]
    errors = [f"{sample.id}: {without_folders(sample.error.message)}" for sample in samples if sample.error]
    if log.status != "success":
        reason = log.error.message if log.error else "no reason given"
        errors.append("interrupted" if interrupted else f"the run ended {log.status}: {reason}")
    rows = _rows(samples)
    figures = prepared.figures(rows) if rows else []
    return replace(
        found,
        figures=(*figures, *_whole(rows)),
        errors=tuple(dict.fromkeys(errors)),
        failed_gate=prepared.gate(figures),
        cases=_outcomes(samples),
        cost=_cost(rows),
        log=Path(log.location).name,
        model_missing=missing[0] if missing else "",
        interrupted=interrupted,
    )


def _whole(rows: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Over all sets of the suite: what is too little in one small set can be enough in all of them."""
    known = [row for row in rows if "problems" in row]
    return [rate("all cases", "nothing wrong", known, lambda row: not row["problems"])] if known else []


def _rows(samples: Iterable[EvalSample]) -> list[Mapping[str, Any]]:
    """The scorer's row of each sample that was scored."""
    return [_row(sample) for sample in samples if sample.scores]


def _row(sample: EvalSample) -> Mapping[str, Any]:
    return next(iter((sample.scores or {}).values())).metadata or {}


def _outcomes(samples: Iterable[EvalSample]) -> dict[str, Outcome]:
    ordered = sorted(samples, key=lambda sample: str(sample.id))
    return {case: _outcome(list(epochs)) for case, epochs in groupby(ordered, lambda sample: str(sample.id))}


def _outcome(epochs: Sequence[EvalSample]) -> Outcome:
    """Problems of all its epochs, each once."""
    rows = [_row(sample) for sample in epochs if sample.scores]
    problems = dict.fromkeys(without_folders(str(one)) for row in rows for one in row.get("problems", ()))
    error = next((without_folders(sample.error.message) for sample in epochs if sample.error), "")
    seconds = mean([row["spent"]["seconds"] for row in rows if row.get("spent")])
    return Outcome(tuple(problems), error, round(seconds, 4))


def _cost(rows: Iterable[Mapping[str, Any]]) -> Cost:
    spent = [row["spent"] for row in rows if row.get("spent")]
    total = partial(_total, spent)
    return Cost(
        answers=len(spent),
        calls=int(total("calls")),
        failed_calls=int(total("failed_calls")),
        tokens=int(total("tokens")),
        model_seconds=round(total("model_seconds"), 3),
        wall_seconds=round(total("seconds"), 3),
    )


def _total(spent: Sequence[Mapping[str, float]], name: str) -> float:
    return sum(one.get(name, 0) for one in spent)


def _finished(found: Ran, leaks: Mapping[str, str], seconds: float) -> Ran:
    """With the cases that were refused."""
    words = {case: f"refused: the answer {label!r} stands in its input" for case, label in leaks.items()}
    errors = (*found.errors, *(f"{case}: {why}" for case, why in words.items()))
    cases = {**found.cases, **{case: Outcome(error=why) for case, why in words.items()}}
    return replace(found, errors=errors, cases=cases, seconds=round(seconds, 2))
