"""A sheet over the console that says something in full, asks for a few words and does one thing.

What was typed stays until it is done: an error is shown beside it, never instead of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from setpoint.app.client import ServerGone
from setpoint.app.formatting import visible
from setpoint.app.terminal.picture import Picture
from setpoint.errors import SetpointError

NARROWEST = 40


@dataclass(frozen=True)
class Field:
    """One thing to type."""

    key: str
    label: str
    value: str = ""
    hint: str = ""
    problem: Callable[[str], str] = lambda _typed: ""
    """What is wrong with what was typed, in words; "" where it is right."""


def needed(what: str) -> Callable[[str], str]:
    """A field that may not stay empty."""
    return lambda typed: "" if typed.strip() else f"{what} is needed"


class Line(Input):
    """One line of text. What is pasted over several lines is kept, as one."""

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default().stop()
        self.insert_text_at_cursor(" ".join(event.text.split()))


class Page(Static):
    """Text that is made for the width it has."""

    def __init__(self, make: Callable[[int], Text], **more: Any) -> None:
        super().__init__(markup=False, **more)
        self.make = make

    def on_resize(self) -> None:
        self.again()

    def again(self) -> None:
        """Make it anew, as after a change of what it tells."""
        self.update(self.make(max(NARROWEST, self.size.width)))


class Sheet(ModalScreen[Any]):
    """Something to read, over the console."""

    AUTO_FOCUS = ""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "back")]

    def __init__(
        self, title: str, make: Callable[[int], Text], *, danger: bool = False, small: bool = False
    ) -> None:
        """`small`: no higher than what it says, which is a few lines."""
        super().__init__()
        self.heading, self.page = title, Page(make)
        self._danger = danger
        self._looks = " ".join(name for name, is_so in (("danger", danger), ("small", small)) if is_so)

    def compose(self) -> ComposeResult:
        with Vertical(id="sheet", classes=self._looks):
            yield Static(
                Text(visible(self.heading), style="bold", no_wrap=True, overflow="ellipsis"), id="heading"
            )
            with VerticalScroll(id="reading"):
                yield self.page
            yield from self.below()

    def below(self) -> Iterator[Any]:
        """What stands under the text."""
        yield Static("Escape goes back", markup=False, classes="hint")

    def on_mount(self) -> None:
        self.first().focus()

    def first(self) -> Widget:
        """What has the focus at first."""
        return self.query_one("#reading")

    def action_back(self) -> None:
        self.dismiss(None)

    def noticed(self, picture: Picture) -> None:
        """The console looked again."""


class Form(Sheet):
    """A sheet that does one thing. `send` runs in a thread with what was typed; its value is the sheet's."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "yes", "yes")]

    def __init__(
        self, title: str, make: Callable[[int], Text], fields: Sequence[Field], send: Callable[[Mapping[str, str]], Any],
        *, yes: str, danger: bool = False, small: bool = False, read_first: bool = False,
    ) -> None:  # fmt: skip
        """`yes`: what it does, on the button. `read_first`: the text has the focus at first, not the first field."""
        super().__init__(title, make, danger=danger, small=small)
        self.fields, self._send, self._yes, self._read_first = list(fields), send, yes, read_first
        self._sending = False

    def below(self) -> Iterator[Any]:
        with Vertical(id="fields"):
            for field in self.fields:
                with Horizontal(classes="field"):
                    yield Static(visible(field.label), markup=False, classes="label")
                    yield Line(field.value, id=f"field-{field.key}", compact=True, select_on_focus=False)
                if field.hint:
                    yield Static(visible(field.hint), markup=False, classes="hint under")
        yield Static("", markup=False, id="said")
        with Horizontal(id="buttons"):
            yield Button(
                Text(self._yes), id="yes", compact=True, variant="error" if self._danger else "primary"
            )
            yield Button(Text("Back"), id="back", compact=True)
            yield Static("", markup=False, id="beside")
        yield Static(self.keys_hint, markup=False, classes="hint")

    @property
    def keys_hint(self) -> str:
        if not self.fields:
            return "Enter or y: do it. Escape: back"
        read = "Arrows: read on. y: do it. " if self._read_first else ""
        return f"{read}Tab: next field. Enter in the last field: do it. Escape: back"

    def first(self) -> Widget:
        if self._read_first:
            return super().first()
        return self.lines[0] if self.lines else self.query_one("#yes")

    @property
    def lines(self) -> list[Line]:
        return list(self.query(Line))

    @property
    def typed(self) -> dict[str, str]:
        """What stands in the fields now."""
        return {field.key: self.query_one(f"#field-{field.key}", Line).value.strip() for field in self.fields}

    # ---- doing it ---------------------------------------------------------------------------------------------------

    def on_input_submitted(self, event: Input.Submitted) -> None:
        lines = self.lines
        place = next(k for k, line in enumerate(lines) if line is event.input)
        if place + 1 < len(lines):
            lines[place + 1].focus()
        else:
            self.action_yes()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "yes":
            self.action_yes()
        else:
            self.action_back()

    def action_yes(self) -> None:
        if self._sending or not self._complete():
            return
        self._sending = True
        self.say("one moment ...")
        self.run_worker(self._do(self.typed), exclusive=True)

    def _complete(self) -> bool:
        typed = self.typed
        for field in self.fields:
            if problem := field.problem(typed[field.key]):
                self.say(problem, wrong=True)
                self.query_one(f"#field-{field.key}", Line).focus()
                return False
        return True

    async def _do(self, typed: Mapping[str, str]) -> None:
        try:
            value = await asyncio.to_thread(self._send, typed)
        except ServerGone as error:
            self.say(
                f"{error}. It may have been done: look before you do it again; what you typed is kept",
                wrong=True,
            )
        except (SetpointError, OSError) as error:
            self.refused(error)
        else:
            self.dismiss(value)
        finally:
            self._sending = False

    def refused(self, error: Exception) -> None:
        """It was not done. What was typed stays."""
        self.say(str(error), wrong=True)

    def say(self, text: str, *, wrong: bool = False) -> None:
        said = self.query_one("#said", Static)
        said.update(Text(visible(text), style="bold red" if wrong else ""))
