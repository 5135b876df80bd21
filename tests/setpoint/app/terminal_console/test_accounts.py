"""The console in the terminal against a real `setpoint serve` where people have accounts: one's own token decides who one is."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from evals.bench_service import free_port
from setpoint.app.access import digest_of
from setpoint.app.client import OWN_TOKEN, find_running
from setpoint.contracts.accounts import ApiToken, Role
from setpoint.ledger import Ledger
from setpoint.settings import Settings
from tests.setpoint.app.terminal import DEMO, NO_MODEL
from tests.setpoint.app.terminal_console.conftest import HIGH, LOW, console

PATIENCE_S = 90.0


@pytest.fixture
def guarded(
    settings: Settings, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A server with accounts over that night's store."""
    monkeypatch.delenv(OWN_TOKEN, raising=False)
    store = settings.store.dir
    command = [sys.executable, "-m", "setpoint.app", "serve", "--store", str(store), "--site", str(DEMO),
               "--port", str(free_port()), *NO_MODEL, "--set", "serve.accounts=true"]  # fmt: skip
    token_of(ledger, "Ada", "approver")
    with closing((tmp_path / "serve.log").open("wb")) as log:
        server = subprocess.Popen(
            command, env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)}, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while find_running(store) is None:
            assert server.poll() is None, (tmp_path / "serve.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield
    finally:
        server.kill()
        server.wait()


def token_of(ledger: Ledger, name: str, role: Role) -> tuple[str, ApiToken]:
    """A token's value, and the token."""
    if ledger.find_user(name) is None:
        ledger.add_user(name, "no password of this test is ever typed", [role], "root")
    value = secrets.token_urlsafe(24)
    return value, ledger.add_token("test", name, [role], digest_of(value), timedelta(hours=1), "root")


@pytest.mark.usefixtures("guarded")
async def test_ones_own_token_decides_who_one_is(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One server for all of it: starting one is most of the time this takes."""
    await without_a_token_one_may_look_and_a_revoked_one_is_said(settings, ledger, monkeypatch)
    await two_people_decide_and_a_viewer_is_told_why_not(settings, ledger, monkeypatch)


async def without_a_token_one_may_look_and_a_revoked_one_is_said(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(settings) as screen:
        await screen.sees("you are nobody yet: you may look", "SETPOINT_TOKEN", "live")
        await screen.write("what is wrong?")
        await screen.press("enter")
        await screen.sees("with accounts on, this needs an operator")
    value, token = token_of(ledger, "Ada", "approver")
    monkeypatch.setenv(OWN_TOKEN, value)
    async with console(settings) as screen:
        await screen.sees("as Ada")
        ledger.revoke_token(token.id, "root")
        await screen.sees(
            "NOT LET IN since", "this token is not known, is over, or was revoked", "Stopping works"
        )
        assert "SERVER LOST" not in screen.text
        await asyncio.sleep(1.5)
        await screen.sees("NOT LET IN since")


async def two_people_decide_and_a_viewer_is_told_why_not(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by themselves, whatever name the command was given."""
    for name, ends in (("Ada", "1 of 2 have agreed; another person has to agree"), ("Grace", "approved")):
        monkeypatch.setenv(OWN_TOKEN, token_of(ledger, name, "approver")[0])
        async with console(settings, "somebody else") as screen:
            await screen.sees(f"as {name}", "live")
            await screen.until(lambda: screen.app.picture.review(HIGH) is not None)  # awaited at once
            screen.choose("reviews", HIGH)
            await screen.press("f2")
            await screen.sees("High risk", "type r-05")
            screen.field("asset").value = "r-05"
            await screen.press("enter", "enter")
            await screen.sees(ends)
    assert ledger.approvals(HIGH) == (("Ada", "Grace"), 2)

    monkeypatch.setenv(OWN_TOKEN, token_of(ledger, "Vera", "viewer")[0])
    async with console(settings, "somebody else") as screen:
        await screen.sees("as Vera")
        await screen.write("what is wrong?")
        await screen.press("enter")
        await screen.sees("this needs an operator; roles of Vera: viewer")
        screen.choose("reviews", LOW)
        await screen.press("f4")
        await screen.sees("Reject? Cap the GPUs")
        await screen.write("no")
        await screen.press("enter")
        await screen.sees("this needs an approver")
        assert screen.field("reason").value == "no"
    assert ledger.get_review(LOW).state == "pending"
