"""What commands print for a person: sentences that wrap at words, and tables that turn on their side where the
terminal is narrow. In a pipe nothing is wrapped or cut.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import zip_longest

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 10_000
Cell = str | Text


def console() -> Console:
    """Wide where nobody looks: a pipe has no edge to cut at."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(width=PIPE_WIDTH, highlight=False)


def say(screen: Console, words: str, style: str = "") -> None:
    """A sentence. Brackets in it are not markup."""
    screen.print(Text(words, style=style))


def head(screen: Console, words: str) -> None:
    """The name of the part that follows."""
    screen.print(Text(f"\n{words}", style="bold"))


def put(screen: Console, columns: Sequence[str], rows: Sequence[Sequence[Cell]], left: int = 1) -> None:
    """A table; all columns but the first `left` are numbers. Where it is too wide it is turned on its side, and where
    that is too wide too, each row becomes a paragraph."""
    endless = screen.options.update(width=PIPE_WIDTH)
    for made in (_upright(columns, rows, left), _turned(columns, rows)):
        if Measurement.get(screen, endless, made).maximum <= screen.width:
            screen.print(made)
            return
    for row in rows:
        parts = [
            f"{name} {cell}".strip() for name, cell in zip(columns[1:], row[1:], strict=True) if str(cell)
        ]
        screen.print(Text.assemble((f"{row[0]}\n", "bold"), "  ", "; ".join(parts)))


def _plain_table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))


def _upright(columns: Sequence[str], rows: Sequence[Sequence[Cell]], left: int) -> Table:
    made = _plain_table()
    for place, name in enumerate(columns):
        made.add_column(name, justify="left" if place < left else "right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def _turned(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """Columns as rows."""
    made = _plain_table()
    made.add_column(columns[0], no_wrap=True)
    for row in rows:
        made.add_column(str(row[0]), justify="right", no_wrap=True)
    for name, *cells in zip_longest(columns[1:], *(row[1:] for row in rows), fillvalue=""):
        made.add_row(str(name), *cells)
    return made


class Ticker:
    """The share of a run that is done, on stderr where that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what, self._drawn = what, -1

    def __call__(self, share: float) -> None:
        percent = int(100 * share)
        if sys.stderr.isatty() and percent != self._drawn:
            self._drawn = percent
            print(f"\r\x1b[K{self._what} {percent} %", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Wipes the line."""
        if self._drawn >= 0:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = -1
