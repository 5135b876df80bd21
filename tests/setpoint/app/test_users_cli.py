"""`setpoint user` and `setpoint token`, as typed."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from setpoint.app import identity
from setpoint.app.access import digest_of
from setpoint.app.identity import Passwords
from setpoint.ledger import Ledger
from tests.setpoint.app.terminal import Ran, Terminal

PASSWORD = "correct horse battery"
STORE = ("--store", "kept")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing is slow on purpose; its cost is tested elsewhere."""
    monkeypatch.setattr(identity, "PASSES", 1)
    monkeypatch.setattr(identity, "MEMORY_KIB", 8)


def add(terminal: Terminal, name: str, *roles: str, stdin: str = PASSWORD) -> Ran:
    given = [part for role in roles for part in ("--role", role)]
    return terminal("user", "add", name, *given, "--password-stdin", *STORE, stdin=f"{stdin}\n")


def rows(terminal: Terminal, what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = terminal(what, "list", "--json", *STORE).data
    return found


def test_an_account_from_first_day_to_last(terminal: Terminal) -> None:
    assert "may sign in: approver" in add(terminal, "Ada  Lovelace", "approver").out
    assert add(terminal, "ada lovelace").code == 2
    assert [(row["name"], row["roles"]) for row in rows(terminal, "user")] == [("Ada Lovelace", ["approver"])]
    assert terminal("user", "roles", "ADA LOVELACE", "--role", "viewer", "--role", "admin", *STORE).code == 0
    assert terminal("user", "password", "ada lovelace", "--password-stdin", *STORE, stdin="another one, longer\n").code == 0  # fmt: skip
    assert terminal("user", "disable", "ada lovelace", *STORE).code == 0
    (row,) = rows(terminal, "user")
    assert (sorted(row["roles"]), row["disabled"]) == (["admin", "viewer"], True)
    assert "disabled" in terminal("user", "list", *STORE).out
    assert terminal("user", "enable", "ada lovelace", *STORE).code == 0
    with Ledger.open(terminal.folder / "kept" / "ledger.db") as ledger:
        found = ledger.find_user("ada lovelace")
        assert found is not None
        assert Passwords().fits("another one, longer", found[1])
        assert not Passwords().fits(PASSWORD, found[1])
        assert {row.who for row in ledger.list_audit()} == {"ana"}
        assert PASSWORD not in str(ledger.list_audit())


@pytest.mark.parametrize(
    ("name", "roles", "stdin", "said"),
    [("executor", (), PASSWORD, "no person's name"), ("Ada", ("boss",), PASSWORD, "One of: viewer"), ("Ada", (), "short", "10 to 1000"), ("Ada", (), "", "10 to 1000"), ("Ad\u0430", (), PASSWORD, "look alike")],
)  # fmt: skip
def test_what_is_refused_says_why(
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    roles: tuple[str, ...],
    stdin: str,
    said: str,
) -> None:
    ran = add(terminal, name, *roles, stdin=stdin)
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert rows(terminal, "user") == []


def test_a_password_is_never_an_argument_nor_read_without_being_asked(terminal: Terminal) -> None:
    ran = terminal("user", "add", "Ada", *STORE)
    assert ran.code == 2
    assert "--password-stdin" in ran.err
    assert not sys.stdin.isatty()


def test_a_token_is_shown_once_and_works_until_revoked(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(terminal, "Ada", "operator")
    made = terminal("token", "add", "night report", "--owner", "ada", "--scope", "operator", *STORE)
    value = made.out.strip()
    assert value.startswith("spt_")
    assert value not in made.err
    (row,) = rows(terminal, "token")
    assert (row["owner"], row["scopes"], row["label"]) == ("Ada", ["operator"], "night report")
    assert value not in terminal("token", "list", *STORE).out
    with Ledger.open(terminal.folder / "kept" / "ledger.db") as ledger:
        assert ledger.find_token(digest_of(value)) is not None
    assert terminal("token", "revoke", row["id"], *STORE).code == 0
    with Ledger.open(terminal.folder / "kept" / "ledger.db") as ledger:
        assert ledger.find_token(digest_of(value)) is None
        assert value not in str(ledger.list_audit())
    assert "revoked" in terminal("token", "list", *STORE).out


@pytest.mark.parametrize("arguments", [("--scope", "approver"), ("--scope", "everything"), ("--days", "0"), ("--days", "nan"), ("--days", "9999")])  # fmt: skip
def test_tokens_that_are_not_made(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    add(terminal, "Ada", "operator")
    ran = terminal("token", "add", "x", "--owner", "Ada", *arguments, *STORE)
    assert (ran.code, ran.out) == (2, "")
    assert rows(terminal, "token") == []


def test_with_accounts_on_nobody_decides_beside_the_server(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--as` is a claim; with accounts, who acts is asked for by the server."""
    monkeypatch.setenv("SETPOINT_SERVE__ACCOUNTS", "true")
    refused = terminal(
        "silence", "add", "--asset", "gpu-1", "--why", "x", "--minutes", "5", "--as", "mallory", *STORE
    )
    assert refused.code == 2
    assert "SETPOINT_TOKEN" in refused.err
    assert terminal("silence", "list", *STORE).code == 0, "reading stays"
