"""How commands of the command line call the desk, in this process or in the running `setpoint serve`, and show its
answer."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Store = Annotated[Path | None, typer.Option("--store", help="Folder of the ledger.")]
Who = Annotated[
    str, typer.Option("--as", help="Who says so (default: your login name).", envvar="SETPOINT_USER")
]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept.")]
Desk = Callable[..., Any]


def group(text: str) -> typer.Typer:
    """A noun of the command line."""
    return typer.Typer(
        help=text, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
    )


def desk_of(store: Path | None, site: Path | None = None) -> Desk:
    """Calls of the desk, of the running server where there is one; `site` in place of the configured one where not."""
    from setpoint.app.cli import settings_from
    from setpoint.app.client import caller

    loaded = settings_from(None, site, store)

    def here() -> Any:
        from setpoint.app.opening import local_desk  # a running server spares loading it

        _say_where_from(loaded.settings)
        return local_desk(loaded.settings)

    return caller(loaded.settings.store.dir, here)


def _say_where_from(settings: Any) -> None:
    """An empty answer from a store nobody has written yet would mislead."""
    if not settings.store.url and not (settings.store.dir / "ledger.db").exists():
        typer.echo(
            f"setpoint: there is no ledger in {settings.store.dir} yet; --store or store.dir names another",
            err=True,
        )


def tell(store: Path | None, as_json: bool, view: str, name: str, **arguments: Any) -> Any:
    """Make the call and print its value. Returns the value."""
    desk = desk_of(store)
    value = desk(name, **arguments)
    show(value, as_json, view, lambda: desk("site_info")["timezone"])
    return value


def person(who: str) -> str:
    """Who is asking: as given, or the login name."""
    return who or getpass.getuser()


def show(value: Any, as_json: bool, view: str, zone: Callable[[], str] = lambda: "UTC") -> None:
    """As JSON, or by the view of that name."""
    if as_json:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    from setpoint.app.views import VIEWS, make_screen

    VIEWS[view](make_screen(zone()), value)
