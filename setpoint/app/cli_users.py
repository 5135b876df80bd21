"""`setpoint user` and `setpoint token`: who may sign in, and what programs may do in a person's name.

They work on the ledger itself, beside a running server too: whoever owns the store folder manages accounts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from setpoint.app.desk_calls import Json, Store, Who, group, person
from setpoint.errors import UsageError

if TYPE_CHECKING:
    from setpoint.ledger import Ledger

user = group("Accounts of people. They count once serve.accounts is on.")
token = group("API tokens: what a program may do in a person's name.")
Name = Annotated[str, typer.Argument(help='The person, as "Ada Lovelace".', metavar="NAME")]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        help="viewer, operator, approver or admin; repeatable. An approver is an operator and a viewer too, "
        "an admin a viewer alone.",
    ),
]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")
]


# ---- people ----------------------------------------------------------------------------------------------------


@user.command("add")
def user_add(
    name: Name, role: Roles = None, password_stdin: FromStdin = False, who: Who = "", store: Store = None
) -> None:
    """A new account; asks for its password twice. Without --role it is a viewer.

    Example: `setpoint user add "Ada Lovelace" --role approver`
    """
    from setpoint.app.identity import Passwords
    from setpoint.contracts.accounts import account_name

    wanted, kept = _roles(role or ["viewer"]), account_name(name)
    with _ledger(store) as ledger:
        if ledger.find_user(kept):
            raise UsageError(
                f"there is an account of {kept} already", remedy="`setpoint user list` shows all"
            )
        made = ledger.add_user(kept, Passwords().hash(_password(password_stdin)), wanted, person(who))
        typer.echo(f"{made.name} may sign in: {', '.join(sorted(made.roles))}")


@user.command("list")
def user_list(as_json: Json = False, store: Store = None) -> None:
    """Every account with its roles.

    Example: `setpoint user list`
    """
    with _ledger(store) as ledger:
        found = ledger.list_users()
    rows = [(one.name, ", ".join(sorted(one.roles)), "disabled" if one.disabled else "", f"{one.created:%Y-%m-%d}") for one in found]  # fmt: skip
    _tell(found, rows, ("name", "roles", "state", "since"), as_json)


@user.command("roles")
def user_roles(name: Name, role: Roles = None, who: Who = "", store: Store = None) -> None:
    """Give an account these roles and no others. They count from the next request on.

    Example: `setpoint user roles "Ada Lovelace" --role approver --role admin`
    """
    if not role:
        raise UsageError("no role given", remedy="--role viewer, operator, approver or admin")
    with _ledger(store) as ledger:
        made = ledger.set_roles(name, _roles(role), person(who))
        typer.echo(f"{made.name}: {', '.join(sorted(made.roles))}")


@user.command("password")
def user_password(name: Name, password_stdin: FromStdin = False, who: Who = "", store: Store = None) -> None:
    """Another password. Every session of this person ends.

    Example: `setpoint user password "Ada Lovelace"`
    """
    from setpoint.app.identity import Passwords

    with _ledger(store) as ledger:
        if ledger.find_user(name) is None:
            raise UsageError(f"no account of {name!r}", remedy="`setpoint user list` shows all")
        ended = ledger.set_password(name, Passwords().hash(_password(password_stdin)), person(who))
        typer.echo(f"password changed; {ended} sessions ended")


@user.command("disable")
def user_disable(name: Name, who: Who = "", store: Store = None) -> None:
    """Shut an account out at once: its sessions end and its tokens stop working. Its past stays.

    Example: `setpoint user disable "Ada Lovelace"`
    """
    with _ledger(store) as ledger:
        typer.echo(f"{ledger.set_disabled(name, True, person(who)).name} is shut out")


@user.command("enable")
def user_enable(name: Name, who: Who = "", store: Store = None) -> None:
    """Let a disabled account in again. Its tokens that are neither over nor revoked work again too.

    Example: `setpoint user enable "Ada Lovelace"`
    """
    with _ledger(store) as ledger:
        typer.echo(f"{ledger.set_disabled(name, False, person(who)).name} may sign in again")


# ---- tokens ----------------------------------------------------------------------------------------------------


@token.command("add")
def token_add(
    label: Annotated[str, typer.Argument(help="What it is for, as night-report.", metavar="LABEL")],
    owner: Annotated[str, typer.Option("--owner", help="The account it acts for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="viewer, operator, approver, admin or intake; repeatable."),
    ] = None,
    days: Annotated[float, typer.Option(help="It works for so many days.")] = 30.0,
    who: Who = "",
    store: Store = None,
) -> None:
    """Make a token and print it, this once. It can do no more than its owner can; "intake" only sends events in.

    Example: `setpoint token add alertmanager --owner "Ada Lovelace" --scope intake --days 90`
    """
    from setpoint.app.tokens import new_token
    from setpoint.contracts.accounts import SCOPES

    wanted: Any = _known("scope", scope or ["viewer"], SCOPES)
    with _ledger(store) as ledger:
        made, value = new_token(ledger, label, owner, wanted, days, person(who))
    typer.echo(
        f"{made.id} acts for {made.owner} ({', '.join(sorted(made.scopes))}) until {made.expires:%Y-%m-%d}. "
        "The token, shown this once:",
        err=True,
    )
    typer.echo(value)


@token.command("list")
def token_list(
    owner: Annotated[str, typer.Option("--owner", help="Of this account alone.")] = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Every token, without its value: nobody has that but whoever noted it.

    Example: `setpoint token list`
    """
    from datetime import UTC, datetime

    with _ledger(store) as ledger:
        found = ledger.list_tokens(owner)
    now = datetime.now(UTC)
    rows = [
        (one.id, one.label, one.owner, ", ".join(sorted(one.scopes)),
         "revoked" if one.revoked else "over" if one.expires <= now else f"until {one.expires:%Y-%m-%d}",
         f"{one.last_used:%Y-%m-%d %H:%M}" if one.last_used else "never")
        for one in found
    ]  # fmt: skip
    _tell(found, rows, ("token", "label", "owner", "scopes", "works", "last used (UTC)"), as_json)


@token.command("revoke")
def token_revoke(
    id: Annotated[str, typer.Argument(help="As TOK-1f0c2a9e.", metavar="TOKEN")],
    who: Who = "",
    store: Store = None,
) -> None:
    """It works no longer, from now on.

    Example: `setpoint token revoke TOK-1f0c2a9e`
    """
    with _ledger(store) as ledger:
        made = ledger.revoke_token(id, person(who))
        typer.echo(f"{made.id} of {made.owner} no longer works")


# ---- small ------------------------------------------------------------------------------------------------------


@contextmanager
def _ledger(store: Path | None) -> Iterator[Ledger]:
    from setpoint.app.cli import settings_from
    from setpoint.app.opening import open_ledger

    with open_ledger(settings_from(None, None, store).settings) as ledger:
        yield ledger


def _roles(given: list[str]) -> Any:
    from setpoint.contracts.accounts import ROLES

    return _known("role", given, ROLES)


def _known(what: str, given: list[str], known: tuple[str, ...]) -> list[str]:
    strange = next((one for one in given if one not in known), None)
    if strange is not None:
        raise UsageError(f"no {what} {strange!r}", remedy=f"One of: {', '.join(known)}")
    return given


def _password(from_stdin: bool) -> str:
    """Never an argument: the process list shows those to everybody on the machine."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to type the password at", remedy="Use --password-stdin")
    import getpass

    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("the two passwords differ", remedy="Type it again")
    return first


def _tell(found: list[Any], rows: Sequence[tuple[str, ...]], heads: tuple[str, ...], as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2, ensure_ascii=False))
        return
    if not rows:
        typer.echo("none yet", err=True)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
