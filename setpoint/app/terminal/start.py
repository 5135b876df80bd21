"""Opens the console in the terminal."""

from __future__ import annotations

from setpoint.app.desk_calls import person
from setpoint.app.terminal.app import ConsoleApp
from setpoint.app.terminal.link import Link
from setpoint.settings import Settings


def open_console(settings: Settings, who: str) -> None:
    """Run it until the person leaves. `who` is empty for the user of this machine."""
    link = Link(settings)
    try:
        ConsoleApp(link, person(who)).run()
    finally:
        link.close()
