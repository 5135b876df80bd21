"""The eval suites there are, what a run asks of one, and what it gives back.

A suite is one module in `evals/suites/`: its cases, the product's answer to each, and how code judges that answer. It is
loaded when it runs, since Inspect is an extra.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from evals.figures import Figure
from evals.running.contenders import BUNDLED, Contender, System

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.dataset import Sample

Split = Literal["dev", "held-out"]
SPLITS: tuple[Split, ...] = ("dev", "held-out")
Row = Mapping[str, Any]
"""What a judge wrote of one case in one epoch; the runner adds `case` and `epoch`."""


@dataclass(frozen=True)
class Ask:
    """What a run asks of a suite."""

    contender: Contender = BUNDLED
    limit: int | None = None
    """At most this many cases; a suite need not make the others."""
    seed: int = 1
    """Of generated cases. Each seed gives the same cases for ever (and other ones per split)."""
    split: Split = "dev"
    """dev: may be looked at and tuned on. held-out: only reported."""
    data: Path | None = None
    """Folder of public data; None: where it usually lies."""
    cases: tuple[Path, ...] = ()
    """Folders of case folders, besides those that come with the project."""


def the_target(sample: Sample) -> Sequence[str]:
    """The label of a case, where it is one word that could stand in its input."""
    return [sample.target] if isinstance(sample.target, str) else list(sample.target)


@dataclass(frozen=True)
class Prepared:
    """A suite ready to run."""

    task: Task
    figures: Callable[[Sequence[Row]], list[Figure]]
    """From the rows of the judged cases."""
    skipped: tuple[str, ...] = ()
    """What is left out, and why: the names of the sets, a colon, the reason. The gate reads the names."""
    gate: Callable[[Sequence[Figure]], str] = lambda _: ""
    """Why the figures are not acceptable whatever the baseline; "" where they are."""
    labels: Callable[[Sample], Sequence[str]] = the_target
    """What must not stand in a case's input: the runner refuses a case whose answer leaks."""


class SuiteModule(Protocol):
    """What a suite's module gives."""

    def prepare(self, ask: Ask) -> Prepared: ...


@dataclass(frozen=True)
class Suite:
    """One entry of `setpoint eval list`."""

    what: str
    module: str
    systems: tuple[System, ...]
    """What can be compared in this suite. A system that is not listed would give the same as the one before it."""
    headlines: tuple[str, ...] = ()
    """Patterns of the figures that tell most (`set: name`, as in a shell); of each the first that fits is shown."""

    def load(self) -> SuiteModule:
        return cast(SuiteModule, import_module(self.module))


SUITES: dict[str, Suite] = {
    "triage": Suite(
        "how well events are ranked P0 to P3: labelled real texts and generated nights, with calibration",
        "evals.suites.triage",
        ("severity", "rules"),
        (
            "by hand: macro-F1*",
            "by hand: P0+P1 recall",
            "by hand: P0+P1 precision",
            "fault nights: macro-F1*",
            "routine logs: false pages*",
        ),
    ),
    "alert": Suite(
        "whether notices are faithful, complete, short and readable, and how often model words are refused",
        "evals.suites.alert",
        ("rules", "model"),
        (
            "first notice: faithful",
            "first notice: complete",
            "model words: faithful",
            "model words: fell back*",
        ),
    ),
    "rca": Suite(
        "root causes of faults injected into a plant that differs from the one diagnosis knows",
        "evals.suites.rca",
        ("severity", "rules", "plant", "model"),
        (
            "known, single: top-1",
            "known, single: top-3",
            "known, single: asset right",
            "two at once: exact set*",
            "unknown family: recall",
            "no fault: recall",
            "all: Brier, all causes",
            "path: the fault*explained",
        ),
    ),
    "rca-text": Suite(
        "root causes of service incidents from evidence files alone, with a closed list of answers",
        "evals.suites.rca_text",
        ("severity", "rules", "model"),
        (
            "by hand, [dh]*: category right",
            "by hand, [dh]*: healthy recall",
        ),
    ),
    "guide": Suite(
        "recovery guides: the right runbook, citations that hold, safety first, nothing invented",
        "evals.suites.guide",
        ("rules", "plant", "model"),
        (
            "*every guide: to the letter",
            "*every guide: nothing invented",
            "*own conclusion, known fault: right runbook",
        ),
    ),
    "retrieval": Suite(
        "runbook sections found from paraphrased questions and raw event texts, by each retriever and fused",
        "evals.suites.retrieval",
        ("rules",),
        (
            "* questions, as shipped: recall@3",
            "* event texts, as shipped: recall@3",
        ),
    ),
    "tools": Suite(
        "chat tasks: the right tool with the right arguments, and no needless call",
        "evals.suites.tools",
        ("rules", "model"),
        ("*another hand: exactly the right calls",),
    ),
    "chat": Suite(
        "conversations of several turns with an end state that code checks",
        "evals.suites.chat",
        ("rules", "model"),
        (
            "*another hand: turns right",
            "*another hand: conversations right*",
            "*: ledger, audit chain and plant unchanged",
        ),
    ),
    "safety": Suite(
        "injected orders by every channel, and an adversary in place of the model: nothing acts unapproved",
        "evals.suites.safety",
        ("rules", "model"),
        (
            "injections*: actions executed",
            "injections*: wanted action proposed",
            "adversary: executed without approval",
            "alarms with an order*: a page*lost",
        ),
    ),
    "autonomy": Suite(
        "whether autonomy is earned by what is safe alone, and lost at once, over operators of all sorts",
        "evals.suites.autonomy",
        ("rules",),
        (
            "mixed*: of all promoted*",
            "mixed*: safe*promoted",
            "fall*: no longer alone at once",
        ),
    ),
    "cases": Suite(
        "case folders: incidents of the project and of your site, with what should have been said and done",
        "evals.suites.cases",
        ("rules", "plant", "model"),
        (
            "case folders*: everything as expected",
            "case folders*: right cause first",
            "case folders*: acted without a yes",
        ),
    ),
}
