"""What `setpoint eval` prints for a person: figures of a run, contenders side by side, and where they fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from evals.figures import Figure
from evals.running.compare import Compared, Difference, judge
from evals.running.gate import Verdict
from evals.running.overview import headlines
from evals.running.record import Outcome, Ran, Record
from setpoint.app.formatting import one_line, visible

PIPE_COLUMNS = 100
"""Where no terminal tells its width."""
WORST = 5
"""Cases told below a suite's table."""
_LONG_NAME = 16
"""A contender whose name is longer gets a letter as its column's head."""
_SIGNS = {"better": "▲", "worse": "▼", "differs": "~", "not comparable": "?"}
_PLAIN_SIGNS = {"better": "+", "worse": "-", "differs": "~", "not comparable": "?"}
_STYLES = {"better": "green", "worse": "red", "differs": "yellow"}


def screen() -> Console:
    """As wide as the terminal; colour where the terminal has it and NO_COLOR does not forbid it."""
    console = Console(highlight=False, emoji=False)
    return console if console.is_terminal else Console(width=PIPE_COLUMNS, highlight=False, emoji=False)


def sign(verdict: str) -> Text:
    """The verdict as a sign, never as a colour alone."""
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower()
    known = _SIGNS if "utf" in encoding else _PLAIN_SIGNS
    return Text(known.get(verdict, " "), style=_STYLES.get(verdict, ""))


def number(value: float) -> str:
    """Three digits behind the point of a share, none of what is large.

    >>> number(0.95), number(43.21), number(12345.6)
    ('0.950', '43.2', '12,346')
    """
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def signed(value: float) -> str:
    """The same with its sign."""
    return f"{'-' if value < 0 else '+'}{number(abs(value))}"


# ---- a run -----------------------------------------------------------------------------------------------------------


def show_run(console: Console, record: Record, suites: Sequence[str] = ()) -> None:
    """Every suite with its table, costs and worst cases, and how to see more."""
    _head(console, record)
    for suite in suites or record.suites:
        _suite(console, record, suite)
    if len(suites or record.suites) > 1:
        _overview(console, record, suites or record.suites)
    for line in record.not_run:
        console.print(Text(f"not run: {line}", style="dim"))
    if record.interrupted:
        console.print(Text("interrupted: what is above is what was done", style="bold"))
    console.print(
        f"\nrecord: {record.name} (again: setpoint eval show {record.name}; in a browser: setpoint eval view {record.name})"
    )


def _head(console: Console, record: Record) -> None:
    asked, made = record.asked, record.made
    limit = "all cases" if asked.limit is None else f"at most {asked.limit} cases a suite"
    epochs = f", {asked.epochs} epochs" if asked.epochs > 1 else ""
    tree = f"commit {made.commit}{' and changes' if made.dirty else ''}" if made.commit else "no commit"
    console.print(
        Text(
            f"{asked.split} split, seed {asked.seed}, {limit}{epochs}; {made.date} UTC, {tree}, code {made.code}"
        )
    )
    for name, about in record.contenders.items():
        if about.get("system") == "model":
            roles = [f"{role} {_model(about[role])}" for role in ("light", "heavy") if role in about]
            console.print(Text(f"{name}: {', '.join(roles)}", style="dim"))


def _model(about: Mapping[str, str]) -> str:
    digest = f" sha256 {about['sha256'][:12]}" if about.get("sha256") else ""
    return f"{about['name']} ({about['mode']}{digest})"


def _suite(console: Console, record: Record, suite: str) -> None:
    columns = record.of(suite)
    console.print(Text(f"\n{suite}", style="bold underline"))
    heads = _heads(console, [one.contender for one in columns])
    if any(one.figures for one in columns):
        for tall in (False, True):
            table = _figures(columns, heads, tall=tall)
            endless = console.options.update(width=10_000)
            if tall or Measurement.get(console, endless, table).maximum <= console.width:
                console.print(table)
                break
        if len(columns) > 1:
            console.print(Text.assemble(
                "  ", sign("better"), " better, ", sign("worse"), " worse, ", sign("differs"),
                f" other than {heads[0]}, beyond the 95 % interval of the difference", style="dim",
            ))  # fmt: skip
        console.print(_costs(columns, heads))
    _reasons(console, columns)
    _worst(console, record, columns)


def _overview(console: Console, record: Record, suites: Sequence[str]) -> None:
    """What tells most of each suite, on one screen, last: a terminal shows the end."""
    console.print(Text("\nin short", style="bold underline"))
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("suite", no_wrap=True)
    table.add_column("figure", overflow="fold", max_width=48)
    table.add_column("n", justify="right", no_wrap=True)
    for head in _heads(console, tuple(record.contenders)):
        table.add_column(head, no_wrap=True)
    last = ""
    for line in headlines(record):
        if line.suite in suites:
            cells = [
                _cell(line.figures[0] if place else None, figure, tall=len(line.figures) > 1)
                for place, figure in enumerate(line.figures)
            ]
            table.add_row("" if line.suite == last else line.suite, line.named.key, str(line.named.n), *cells)
            last = line.suite
    console.print(table)


def _heads(console: Console, names: Sequence[str]) -> list[str]:
    """The contenders' names; letters where one is too long for a column's head."""
    if len(names) == 1 or max(map(len, names), default=0) <= _LONG_NAME:
        return list(names)
    letters = [chr(ord("A") + place) for place in range(len(names))]
    for letter, name in zip(letters, names, strict=True):
        console.print(Text(f"{letter} = {name}"))
    return letters


def _figures(columns: Sequence[Ran], heads: Sequence[str], *, tall: bool) -> Table:
    """Figures as rows below the name of their set. `tall`: the interval stands below the value."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("figure", overflow="fold", max_width=54)
    table.add_column("n", justify="right", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="left", no_wrap=True)
    found = [{figure.key: figure for figure in one.figures} for one in columns]
    named = {key: figure for one in reversed(found) for key, figure in one.items()}
    ordered = list(dict.fromkeys(key for one in found for key in one))
    for name in dict.fromkeys(named[key].set for key in ordered):
        table.add_row(Text(name, style="bold"))
        for key in (key for key in ordered if named[key].set == name):
            row = [one.get(key) for one in found]
            cells = [_cell(row[0] if place else None, figure, tall=tall) for place, figure in enumerate(row)]
            table.add_row(_name(named[key]), _counts(row), *cells)
    return table


def _name(figure: Figure) -> Text:
    hard = " (no fall allowed)" if figure.hard else ""
    note = f" ({figure.note})" if figure.note else ""
    return Text.assemble(f"  {figure.name}", (f"{hard}{note}", "dim"))


def _counts(row: Sequence[Figure | None]) -> str:
    return "/".join(dict.fromkeys(str(figure.n) for figure in row if figure))


def _cell(first: Figure | None, figure: Figure | None, *, tall: bool) -> Text:
    if figure is None:
        return Text("-", style="dim")
    mark = sign(judge(first, figure)[0]) if first else Text(" ")
    between = f"{number(figure.low)} to {number(figure.high)}"
    return Text.assemble(number(figure.value), " ", mark, "\n" if tall else " ", (between, "dim"))


def _costs(columns: Sequence[Ran], heads: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("cost a case", "model calls", "failed", "tokens", "model s", "wall s"):
        table.add_column(name, justify="left" if name == "cost a case" else "right", no_wrap=True)
    for head, one in zip(heads, columns, strict=True):
        cost, n = one.cost, max(1, one.cost.answers)
        each = (cost.calls / n, cost.failed_calls / n, cost.tokens / n)
        cells = [f"{value:.2f}".rstrip("0").rstrip(".") if value < 10 else f"{value:,.0f}" for value in each]
        table.add_row(f"  {head}", *cells, f"{cost.model_seconds / n:.3f}", f"{cost.wall_seconds / n:.3f}")
    return table


def _reasons(console: Console, columns: Sequence[Ran]) -> None:
    """What was skipped, what failed and what the suite refuses; each once where it holds for all."""
    for word, style, lines in (
        ("skipped", "dim", [(one.contender, line) for one in columns for line in one.skipped]),
        ("gate failed", "red", [(one.contender, one.failed_gate) for one in columns if one.failed_gate]),
        ("error", "red", [(one.contender, line) for one in columns for line in one.errors]),
    ):
        for line in dict.fromkeys(line for _, line in lines):
            whose = [name for name, other in lines if other == line]
            who = "" if len(whose) == len(columns) else f" ({', '.join(whose)})"
            console.print(Text(f"{word}{who}: {one_line(line, 300)}", style=style))


def _worst(console: Console, record: Record, columns: Sequence[Ran]) -> None:
    """The cases with most problems of the first contender that has any."""
    for one in columns:
        failing = list(failing_of(one))
        if not failing:
            continue
        failing.sort(key=lambda item: (not item[1].error, -len(item[1].problems)))
        console.print(
            Text(f"{len(failing)} of {len(one.cases)} cases of {one.contender} with a problem, such as")
        )
        for case, outcome in failing[:WORST]:
            console.print(Text(f"  {visible(case)}: {one_line(said(outcome), 160)}"))
        console.print(
            Text(
                f"see them: setpoint eval show {record.name} --suite {one.suite} --case {failing[0][0]}",
                style="dim",
            )
        )
        return


def failing_of(ran: Ran) -> Iterator[tuple[str, Outcome]]:
    return ((case, outcome) for case, outcome in ran.cases.items() if not outcome.fine)


def said(outcome: Outcome) -> str:
    return outcome.error or "; ".join(outcome.problems) or "fine"


def show_cases(console: Console, ran: Sequence[Ran], *, failed: bool) -> None:
    """One line a case with its problems."""
    for one in ran:
        shown = list(failing_of(one)) if failed else list(one.cases.items())
        console.print(Text(f"\n{one.key}: {len(shown)} of {len(one.cases)} cases", style="bold"))
        for case, outcome in shown:
            console.print(Text(f"{visible(case)}: {visible(said(outcome))}"))


# ---- two runs --------------------------------------------------------------------------------------------------------


def show_compared(console: Console, found: Compared) -> None:
    """Figure by figure, then the cases that changed."""
    for warning in found.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    for suite, contender in dict.fromkeys((one.suite, one.contender) for one in found.differences):
        console.print(Text(f"\n{suite}: {contender}", style="bold"))
        console.print(
            _differences(
                [one for one in found.differences if (one.suite, one.contender) == (suite, contender)]
            )
        )
    for word, lines in (("broken", found.broken), ("fixed", found.fixed)):
        if lines:
            console.print(Text(f"\n{word} cases: {len(lines)}", style="bold"))
        for line in lines[:40]:
            console.print(Text(f"  {one_line(line, 220)}"))
        if len(lines) > 40:
            console.print(f"  and {len(lines) - 40} more (--json has all)")
    verdicts = [one.verdict for one in found.differences]
    counts = (
        ", ".join(f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts)) or "nothing in common"
    )
    console.print(
        f"\n{found.before} -> {found.after}: {counts}; intervals of 95 %, * where compared case by case"
    )


def _differences(rows: Sequence[Difference]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("figure", "before", "after", "change", "95 % interval", "n", "verdict"):
        table.add_column(
            name,
            no_wrap=name != "figure",
            overflow="fold",
            justify="left" if name in ("figure", "verdict") else "right",
        )
    for one in rows:
        before, after = ("-" if value is None else number(value) for value in (one.before, one.after))
        known = one.before is not None and one.after is not None
        change = signed(one.change) if known else ""
        between = f"{signed(one.low)} to {signed(one.high)}" if known else ""
        verdict = Text.assemble(sign(one.verdict), f" {one.verdict}", style=_STYLES.get(one.verdict, ""))
        table.add_row(
            Text(one.key), before, after, change, between, f"{one.n}{'*' if one.paired else ''}", verdict
        )
    return table


def show_gate(console: Console, found: Verdict) -> None:
    """Why the gate is shut, else that it is open."""
    for name in found.not_measured:
        console.print(Text(f"not measured here: {name} (its data is absent)", style="dim"))
    for fall in found.falls:
        who = f"{fall.suite} by {fall.contender}: " if fall.suite else ""
        console.print(Text.assemble(sign("worse"), f" {who}{visible(fall.what)}"))
        for line in fall.broken[:10]:
            console.print(Text(f"    {one_line(line, 200)}"))
        if len(fall.broken) > 10:
            console.print(f"    and {len(fall.broken) - 10} more cases")
    for rise in found.rises:
        console.print(Text.assemble(
            sign("better"), f" {rise.suite} by {rise.contender}: {rise.key}: {rise.before:.3f} -> {rise.after:.3f}"
        ))  # fmt: skip
    if found.passed and found.broken:
        console.print(f"{len(found.broken)} cases broke without a figure falling beyond its interval:")
        for line in found.broken[:10]:
            console.print(Text(f"    {one_line(line, 200)}"))
    word = "passed" if found.passed else f"failed: {len(found.falls)} reasons"
    console.print(Text(f"gate {word}; {found.held} figures held against the baseline", style="bold"))
