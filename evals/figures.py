"""Figures of an eval suite, each with its interval, and the table a person reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

from evals.intervals import bootstrap, wilson

T = TypeVar("T")
Better = Literal["higher", "lower", ""]
"""Which way is good; "" where a figure only informs."""


@dataclass(frozen=True)
class Figure:
    """One measured number of one set."""

    set: str
    name: str
    value: float
    low: float
    high: float
    """95 % interval."""
    n: int
    """How many things it was measured on."""
    note: str = ""
    better: Better = "higher"
    hard: bool = False
    """No fall at all is allowed: what must never happen."""
    cases: Mapping[str, float] = field(default_factory=dict)
    """Its value in each case, where it is their mean: two runs over the same cases are compared case by case."""

    @property
    def key(self) -> str:
        """Its name among all figures of a suite."""
        return f"{self.set}: {self.name}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def rate(
    set: str, name: str, rows: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], float | bool], *,
    better: Better = "higher", note: str = "", hard: bool = False,
) -> Figure:  # fmt: skip
    """The mean of a value over cases, epochs of a case counted as one case. Wilson's interval where every case is 0 or
    1, else a bootstrap over cases."""
    seen: dict[str, list[float]] = {}
    for number, row in enumerate(rows):
        seen.setdefault(str(row.get("case", number)), []).append(float(value(row)))
    cases = {case: sum(values) / len(values) for case, values in seen.items()}
    values = list(cases.values())
    low, high = (
        wilson(round(sum(values)), len(values)) if {0.0, 1.0} >= {*values} else bootstrap(values, mean)
    )
    return Figure(set, name, mean(values), low, high, len(values), note, better, hard, cases)


def mean(values: Sequence[float]) -> float:
    """0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def share(
    set: str,
    name: str,
    hits: int,
    total: int,
    note: str = "",
    *,
    better: Better = "higher",
    hard: bool = False,
) -> Figure:
    """A share with Wilson's interval."""
    low, high = wilson(hits, total)
    return Figure(set, name, hits / total if total else 0.0, low, high, total, note, better, hard)


def resampled(
    set: str,
    name: str,
    items: Sequence[T],
    figure: Callable[[Sequence[T]], float],
    *,
    better: Better = "higher",
) -> Figure:
    """Any figure of the items with a bootstrap interval."""
    low, high = bootstrap(items, figure)
    return Figure(set, name, figure(items) if items else 0.0, low, high, len(items), better=better)


def table(figures: Sequence[Figure], skipped: Sequence[str] = ()) -> str:
    """Aligned columns; what was skipped, and why, comes last."""
    head = ("set", "figure", "value", "95 % interval", "n", "")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([*lines, *(f"skipped: {reason}" for reason in skipped)])


def _row(figure: Figure) -> tuple[str, str, str, str, str, str]:
    between = f"{_number(figure.low)} to {_number(figure.high)}"
    return figure.set, figure.name, _number(figure.value), between, str(figure.n), figure.note


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"
