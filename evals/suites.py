"""The eval suites there are. A suite is loaded when it runs, since Inspect is an extra."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from evals.figures import Figure

if TYPE_CHECKING:
    from inspect_ai import Task


@dataclass(frozen=True)
class Prepared:
    """A suite ready to run."""

    task: Task
    figures: Callable[[Sequence[Mapping[str, Any]]], list[Figure]]
    """From the scored samples' own rows (the metadata of their scores)."""
    skipped: tuple[str, ...] = ()
    """What is left out, and why."""
    gate: Callable[[Sequence[Figure]], str] = lambda _: ""
    """Why the figures are not acceptable; "" where they are."""


class SuiteModule(Protocol):
    """What a suite's module gives."""

    def prepare(self, data: Path | None) -> Prepared: ...


@dataclass(frozen=True)
class Suite:
    """One entry of `setpoint eval list`."""

    what: str
    module: str

    def load(self) -> SuiteModule:
        return cast(SuiteModule, import_module(self.module))


SUITES: dict[str, Suite] = {
    "triage": Suite(
        "how well events are ranked P0 to P3: labelled real text and a generated night, with calibration",
        "evals.triage_suite",
    ),
    "alert": Suite(
        "whether notices are faithful, complete, short and readable, and how often model words are refused",
        "evals.alert_suite",
    ),
}
