"""One case of a run with all that was asked and said in it, from Inspect's log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.running.record import Ran
from setpoint.errors import UsageError

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample


@dataclass(frozen=True)
class Story:
    """What happened in one case."""

    suite: str
    contender: str
    case: str
    epoch: int
    input: str
    calls: tuple[Mapping[str, Any], ...]
    """As `evals.running.calls.Call`: prompt, answer, tokens, seconds."""
    said: Mapping[str, Any]
    row: Mapping[str, Any]
    """The judgement."""
    problems: tuple[str, ...]
    error: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the judge knew of the case."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def story(ran: Ran, folder: Path, case: str, epoch: int = 1) -> Story:
    """Raises UsageError where the run has no such case, or its log is not there."""
    from inspect_ai.log import read_eval_log_sample

    if case not in ran.cases:
        raise UsageError(f"no case {case!r} in {ran.key}", remedy="setpoint eval show RUN --all lists them")
    log = folder / ran.log
    if not ran.log or not log.is_file():
        remedy = "Run it again; a committed record has no transcripts"
        raise UsageError(f"the log of {ran.key} is not here", where=str(log), remedy=remedy)
    try:
        sample = read_eval_log_sample(str(log), id=case, epoch=epoch, resolve_attachments=True)
    except IndexError as error:
        why = ran.cases[case].error or "it did not run"
        raise UsageError(f"no transcript of {case!r}, epoch {epoch}: {why}", where=str(log)) from error
    score = next(iter((sample.scores or {}).values()), None)
    row = dict(score.metadata or {}) if score else {}
    problems = tuple(map(str, row.pop("problems", ())))
    told = sample.input if isinstance(sample.input, str) else "\n".join(one.text for one in sample.input)
    return Story(
        ran.suite, ran.contender, case, epoch, told, calls_in(sample), sample.store.get("said", {}), row,
        problems, sample.error.message if sample.error else "", sample.metadata,
    )  # fmt: skip


def calls_in(sample: EvalSample) -> tuple[Mapping[str, Any], ...]:
    """The model calls of a case, in their order."""
    return tuple(
        event.data for event in sample.events if event.event == "info" and isinstance(event.data, dict)
    )
