"""Figures of an eval suite, each with its interval, and the table a person reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from evals.intervals import bootstrap, wilson

T = TypeVar("T")


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

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def share(set: str, name: str, hits: int, total: int, note: str = "") -> Figure:
    """A share with Wilson's interval."""
    low, high = wilson(hits, total)
    return Figure(set, name, hits / total if total else 0.0, low, high, total, note)


def resampled(set: str, name: str, items: Sequence[T], figure: Callable[[Sequence[T]], float]) -> Figure:
    """Any figure of the items with a bootstrap interval."""
    low, high = bootstrap(items, figure)
    return Figure(set, name, figure(items) if items else 0.0, low, high, len(items))


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
