"""Runs suites on Inspect without a model hub, prints their figures, and fails where a sample failed.

Inspect itself returns 0 even when a solver raises, so the samples' errors are counted here. Its logs can be read with
`inspect view --log-dir var/evals`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.figures import Figure, table
from evals.registry import SUITES, Ask, Prepared, SuiteModule
from setpoint.errors import BackendError, UsageError

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

OUTPUTS = ("text", "json")


@dataclass(frozen=True)
class Ran:
    """What one suite gave."""

    suite: str
    figures: tuple[Figure, ...]
    skipped: tuple[str, ...]
    errors: tuple[str, ...]
    """Samples that raised, with their message."""
    failed_gate: str
    log: str


def run_suites(names: Sequence[str], ask: Ask, *, output: str, logs: Path, epochs: int = 1) -> int:
    """Run them and print what was found. Returns 1 where a sample failed or a gate was missed, else 0."""
    if output not in OUTPUTS:
        raise UsageError(f"no output format {output!r}", remedy=f"One of: {', '.join(OUTPUTS)}")
    if unknown := [name for name in names if name not in SUITES]:
        raise UsageError(f"no eval suite {unknown[0]!r}", remedy=f"One of: {', '.join(SUITES)}")
    if find_spec("inspect_ai") is None:
        raise BackendError("the eval suites need Inspect", remedy="Install it: pip install 'setpoint[eval]'")
    ran = [run_suite(name, SUITES[name].load(), ask, logs=logs, epochs=epochs) for name in names]
    sys.stdout.write(_json(ran) if output == "json" else "\n\n".join(map(_text, ran)) + "\n")
    return 1 if any(one.errors or one.failed_gate for one in ran) else 0


def run_suite(name: str, module: SuiteModule, ask: Ask, *, logs: Path, epochs: int = 1) -> Ran:
    """One suite on Inspect, with no model of Inspect's: our solver calls the product's own code."""
    from inspect_ai import eval as inspect_eval

    prepared = module.prepare(ask)
    logs.mkdir(parents=True, exist_ok=True)
    log = inspect_eval(
        prepared.task, model="none", limit=ask.limit, epochs=epochs, log_dir=str(logs), display="none",
        fail_on_error=False, log_format="eval", max_samples=1,
    )[0]  # fmt: skip
    return _ran(name, prepared, log)


def _ran(name: str, prepared: Prepared, log: EvalLog) -> Ran:
    samples = log.samples or []
    errors = [f"{sample.id}: {sample.error.message}" for sample in samples if sample.error]
    if log.status != "success":
        errors.append(f"the run ended {log.status}: {log.error.message if log.error else 'no reason given'}")
    figures = prepared.figures(_rows(log))
    return Ran(
        suite=name,
        figures=tuple(figures),
        skipped=prepared.skipped,
        errors=tuple(errors),
        failed_gate=prepared.gate(figures),
        log=log.location,
    )


def _rows(log: EvalLog) -> list[Mapping[str, Any]]:
    """The scorer's row of each sample that was scored."""
    scores = [next(iter(sample.scores.values())) for sample in log.samples or [] if sample.scores]
    return [score.metadata or {} for score in scores]


def _text(ran: Ran) -> str:
    lines = [f"suite {ran.suite}", table(ran.figures, ran.skipped)]
    lines += [f"sample failed: {error}" for error in ran.errors]
    if ran.failed_gate:
        lines.append(f"gate failed: {ran.failed_gate}")
    lines.append(f"log: {ran.log} (read it with: inspect view)")
    return "\n".join(lines)


def _json(ran: Sequence[Ran]) -> str:
    found = {
        one.suite: {
            "figures": [figure.as_json() for figure in one.figures],
            "skipped": list(one.skipped),
            "errors": list(one.errors),
            "gate": one.failed_gate,
            "log": one.log,
        }
        for one in ran
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
