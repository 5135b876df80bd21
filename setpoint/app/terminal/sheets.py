"""The sheets of the console in the terminal that are no decisions: help, details, acknowledge, silence, stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from rich.text import Text

from setpoint.app.formatting import visible
from setpoint.app.terminal.forms import Field, Form, Sheet, needed
from setpoint.app.terminal.picture import Call, Row
from setpoint.app.terminal.words import moment, viewed
from setpoint.app.views import DONE
from tools.stop import StopSwitch

GO_ON = "go on"
HELP = """\
Everywhere
  F9 or Ctrl+S   stop every action at once; Enter confirms. While stopped: let them go on
  F1             this help
  Ctrl+N         next pane; Tab and Shift+Tab move through everything
  Ctrl+Q         quit; nothing that waits is lost

The chosen approval (arrow keys choose; letters count while a list has the focus)
  F2 or a        approve, after reading it in full
  F3 or e        approve with other values
  F4 or r        reject
  F5 or n        answer without deciding; it is asked again with your answer

The chosen incident
  F6 or k        acknowledge: you have it, it no longer escalates
  F7 or s        silence what it is about for a while; it is still recorded
  F8, o, Enter   open the chosen incident or approval in full

Conversation
  Enter          ask        Up, Down   questions asked before
  Escape         stop the answer that is being written
  Ctrl+R         go on with your last conversation
  Enter on a line with > unfolds what the answer rests on
"""


def said(text: str) -> Callable[[int], Text]:
    """A page that says the same at every width."""
    return lambda _width: Text(visible(text))


def details(view: str, id: str, value: Any, zone: str) -> Sheet:
    """An incident or a review in full."""
    return Sheet(id, lambda width: viewed(view, value, width, zone))


def acknowledging(row: Row, call: Call, who: str) -> Form:
    return Form(
        f"Acknowledge {row['id']}?", said(f"{row['priority']}  {row['title']}\n\nYou have it: it no longer escalates."),
        [Field("why", "reason", hint="may stay empty")],
        lambda typed: call("incidents_ack", id=row["id"], who=who, why=typed["why"]), yes="Acknowledge", small=True,
    )  # fmt: skip


def silencing(row: Row, call: Call, who: str) -> Form:
    """Silence the incident's first asset."""

    def send(typed: Mapping[str, str]) -> Any:
        return call(
            "silence_add", who=who, why=typed["why"], minutes=float(typed["minutes"]), asset=typed["asset"], kind=typed["kind"]
        )  # fmt: skip

    return Form(
        f"Silence what {row['id']} is about?",
        said(f"{row['priority']}  {row['title']}\n\nMatching events are recorded and ranked, but nobody is told of them."),
        [
            Field("asset", "asset", str(row["assets"][0]) if row["assets"] else "", "a name, or a pattern as gpu-*", needed("an asset")),
            Field("kind", "kind of event", "*", "* for every kind", needed("a kind")),
            Field("minutes", "minutes", "60", "then it is told of again", _minutes),
            Field("why", "reason", problem=needed("a reason")),
        ],
        send, yes="Silence", small=True,
    )  # fmt: skip


def _minutes(typed: str) -> str:
    try:
        return "" if float(typed) > 0 else "minutes have to be more than 0"
    except ValueError:
        return "minutes have to be a number"


def silenced_words(value: Row, zone: str) -> str:
    until = moment(value["until"]).astimezone(ZoneInfo(zone))
    return f"{value['asset']} notifies nobody until {until:%H:%M}; it is still recorded ({value['id']})"


class Stopping(Form):
    """The stop switch: opened by one key from everywhere, confirmed by Enter."""


def stopping(switch: StopSwitch, who: str) -> Stopping:
    def send(typed: Mapping[str, str]) -> bool:
        switch.engage(who, typed["why"] or "no reason given")
        return True

    return Stopping(
        "STOP every action?", said("Nothing is executed any more, approved or not, until somebody lets it go on.\nEnter stops."),
        [Field("why", "reason", hint="may stay empty")], send, yes="STOP", danger=True, small=True,
    )  # fmt: skip


def releasing(switch: StopSwitch, stopped: str) -> Stopping:
    def send(_typed: Mapping[str, str]) -> bool:
        switch.release()
        return True

    def problem(typed: str) -> str:
        return "" if typed.lower() == GO_ON else f"type {GO_ON} to let actions run again"

    return Stopping(
        "Let actions run again?", said(f"Stopped {stopped}.\nWhat was approved meanwhile may then be executed."),
        [Field("go", f"type {GO_ON}", problem=problem)], send, yes="Let them go on", small=True,
    )  # fmt: skip


def decided_words(value: Row) -> str:
    """What came of a decision."""
    review = value["review"]
    if not value["final"]:
        return (
            f"{review['id']}: {len(value['approvals'])} of {value['needed']} have agreed; another person has to agree before "
            "anything happens"
        )
    return f"{review['id']} {DONE[review['decision']['type']]}: {review['subject']}"
