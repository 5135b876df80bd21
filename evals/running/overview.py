"""The few figures of a run that tell most, suite by suite: what a person reads first, and the README's table.

    python -m evals.running.overview RECORD... [--slim FILE]

prints the table of one or more records as Markdown. `--slim` writes the first record to FILE without its cases, small
enough to be committed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from evals.figures import Figure
from evals.registry import SUITES
from evals.running.record import Ran, Record, find, read, write


@dataclass(frozen=True)
class Headline:
    """One figure of one suite, by contender in the order of the record; None where a contender did not run there."""

    suite: str
    figures: tuple[Figure | None, ...]

    @property
    def named(self) -> Figure:
        return next(figure for figure in self.figures if figure)


def headlines(record: Record) -> Iterator[Headline]:
    """What `Suite.headlines` asks for, as far as it was measured."""
    for suite in record.suites:
        columns = {one.contender: one for one in record.of(suite)}
        for pattern in SUITES[suite].headlines if suite in SUITES else ():
            found = tuple(_first(columns.get(name), pattern) for name in record.contenders)
            if any(found):
                yield Headline(suite, found)


def _first(ran: Ran | None, pattern: str) -> Figure | None:
    return next((one for one in ran.figures if fnmatchcase(one.key, pattern)), None) if ran else None


def slim(record: Record) -> Record:
    """Without the cases: figures, intervals and how they came about."""
    ran = [
        replace(one, cases={}, log="", figures=tuple(replace(figure, cases={}) for figure in one.figures))
        for one in record.ran
    ]
    return replace(record, ran=tuple(ran))


def markdown(records: Sequence[Record]) -> str:
    """One table; the columns are the contenders of the first record."""
    names = list(records[0].contenders)
    lines = [
        f"| suite | figure | n | {' | '.join(names)} |",
        f"|---|---|---|{'---|' * len(names)}",
    ]
    for record in records:
        for line in headlines(record):
            by_name = dict(zip(record.contenders, line.figures, strict=True))
            cells = [_cell(by_name.get(name)) for name in names]
            named = line.named
            lines.append(f"| {line.suite} | {named.key} | {named.n} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(figure: Figure | None) -> str:
    return f"{_number(figure.value)} ({_number(figure.low)} to {_number(figure.high)})" if figure else ""


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:,.0f}"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m evals.running.overview", description=__doc__)
    parser.add_argument("records", nargs="+", help="record files, run folders or names")
    parser.add_argument("--slim", type=Path, help="write the first record here, without its cases")
    options = parser.parse_args(argv)
    records = [read(find(name)) for name in options.records]
    if options.slim:
        write(slim(records[0]), options.slim)
    print(markdown(records))


if __name__ == "__main__":
    main()
