"""What stands beside the conversation: header, incidents, approvals, plots, keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar
from zoneinfo import ZoneInfo

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from setpoint.app.terminal.picture import Picture, Row
from setpoint.app.terminal.words import NO_READINGS, now_utc, plot_text, until_words

LEAST_CELL = 34
"""Columns of a plot; with twice as many two stand side by side."""
LETTERS = {
    "a": "approve", "e": "edit", "r": "reject", "n": "respond", "k": "acknowledge", "s": "silence", "o": "details",
    "question_mark": "help",
}  # fmt: skip
"""Without an F-key: letters that count while a list has the focus."""


class Side(OptionList):
    """A list that stands still while it is read: the same entry stays chosen when the list is written anew."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, f"app.{what}", what, show=False) for key, what in LETTERS.items()
    ]

    class Entered(Message):
        """The focus came to this list."""

        def __init__(self, side: Side) -> None:
            super().__init__()
            self.side = side

    def __init__(self, name: str, empty: str) -> None:
        super().__init__(id=name, markup=False)
        self._empty = empty
        self._shown: dict[str, Text] = {}

    def on_focus(self) -> None:
        self.post_message(self.Entered(self))

    @property
    def chosen(self) -> str:
        """The id of the chosen entry; "" where the list is empty."""
        option = self.highlighted_option
        return (option.id or "") if option else ""

    def show(self, rows: Sequence[Row], text: Callable[[Row], Text]) -> None:
        """Write the list; the chosen entry stays chosen, or the one that came into its place."""
        ids = [str(row["id"]) for row in rows]
        texts = {str(row["id"]): text(row) for row in rows}
        if ids and ids == list(self._shown):
            for id in ids:
                if texts[id] != self._shown[id]:
                    self.replace_option_prompt(id, texts[id])
            self._shown = texts
            return
        chosen, place = self.chosen, self.highlighted
        self.clear_options()
        self._shown = texts
        if not ids:
            self.add_option(Option(Text(self._empty, "dim"), disabled=True))
            return
        self.add_options([Option(texts[id], id=id) for id in ids])
        self.highlighted = ids.index(chosen) if chosen in ids else min(place or 0, len(ids) - 1)


class Plots(Static):
    """Small plots, as many side by side as there is room for."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="plots")
        self._picture = Picture()

    def show(self, picture: Picture) -> None:
        self._picture = picture
        self.set_class(not any(v is not None for plot in picture.plots for v in plot["values"]), "-unread")
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        width, height = self.content_size
        if width < 10 or height < 1:
            return
        zone = ZoneInfo(self._picture.zone)
        said = until_words(self._picture.plots, now_utc(), zone)
        if said == NO_READINGS:
            names = ", ".join(str(plot["name"]) for plot in self._picture.plots)
            self.update(Text(f"not read in the last hour: {names}" if names else "not read yet", "yellow"))
            return
        self.update(grid(self._picture.plots, width, height - bool(said), zone) + Text(said, "yellow"))


def grid(plots: Sequence[Row], width: int, height: int, zone: ZoneInfo) -> Text:
    """All plots in so many columns and lines."""
    columns = 2 if width >= 2 * LEAST_CELL else 1
    rows = -(-len(plots) // columns) or 1
    cell_w, cell_h = width // columns - (columns > 1), max(1, height // rows)
    text = Text(no_wrap=True, overflow="crop")
    for first in range(0, len(plots), columns):
        cells = [plot_text(plot, cell_w, cell_h, zone).split("\n") for plot in plots[first : first + columns]]
        for line in range(max(map(len, cells))):
            for cell in cells:
                part = cell[line] if line < len(cell) else Text()
                part.truncate(cell_w, pad=True)
                text.append_text(part)
                text.append(" " * (columns > 1))
            text.append("\n")
    return text


KEYS = (
    ("F1", "help", "?"), ("F2", "approve", "yes"), ("F3", "edit", "edit"), ("F4", "reject", "no"), ("F5", "respond", "answer"),
    ("F6", "acknowledge", "ack"), ("F7", "silence", "silence"), ("F8", "open", "open"), ("F9", "STOP", "STOP"),
    ("^N", "next pane", "pane"), ("^Q", "quit", "quit"),
)  # fmt: skip


class Keys(Static):
    """The keys in one line, in shorter words where it is narrow. The last ones go first where even that is too long."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="keys")
        self.release = False

    def on_resize(self) -> None:
        self.draw()

    def draw(self) -> None:
        width = self.size.width
        for words in (1, 2):
            line = self._line(words)
            if line.cell_len <= width:
                break
        self.update(line)

    def _line(self, words: int) -> Text:
        line = Text(no_wrap=True, overflow="crop")
        for key in KEYS:
            word = "LET GO ON" if self.release and key[0] == "F9" else key[words]
            line.append(key[0], "bold reverse" if key[0] == "F9" else "bold")
            line.append(f" {word} ")
        return line
