"""Signing in: who fits, who waits, and what becomes of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters

from setpoint.app import identity
from setpoint.app.access import digest_of
from setpoint.app.identity import FREE_TRIES, LocalIdentity, Passwords, Refused, Throttle
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.setpoint.app.served import Served, csrf, serving

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(empty: Ledger, clock: Clock) -> LocalIdentity:
    passwords = Passwords(QUICK)
    empty.add_user("Ada", passwords.hash(PASSWORD), ["approver"], "root")
    return LocalIdentity(empty, passwords, clock)


def test_passwords_are_hashed_as_stated() -> None:
    found = extract_parameters(Passwords().hash(PASSWORD))
    assert (found.type.name, found.time_cost, found.memory_cost, found.parallelism) == ("ID", 3, 65_536, 1)


@pytest.mark.parametrize("password", ["", "short", "x" * 1001])
def test_a_password_has_a_length(password: str) -> None:
    with pytest.raises(UsageError, match="10 to 1000 characters"):
        Passwords(QUICK).hash(password)


def test_only_the_right_password_fits(provider: LocalIdentity) -> None:
    assert provider.identify("  ADA ", PASSWORD, "10.0.0.1") == "Ada"
    for name, password in (("Ada", "correct horse batterY"), ("Ada", ""), ("nobody", PASSWORD), ("", "")):
        with pytest.raises(Refused, match="do not belong together"):
            provider.identify(name, password, "10.0.0.2")


def test_a_disabled_account_hears_the_same_as_a_wrong_password(
    provider: LocalIdentity, empty: Ledger
) -> None:
    empty.set_disabled("Ada", True, "root")
    with pytest.raises(Refused, match="do not belong together"):
        provider.identify("Ada", PASSWORD, "10.0.0.1")


def test_an_unknown_name_costs_a_hash_too(provider: LocalIdentity, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    fits = Passwords.fits
    monkeypatch.setattr(Passwords, "fits", lambda self, password, hashed: tried.append(hashed) or fits(self, password, hashed))  # fmt: skip
    with pytest.raises(Refused):
        provider.identify("nobody", PASSWORD, "10.0.0.1")
    assert tried == [""], "verified against a hash of its own"


def test_guessing_is_held_up_and_the_record_holds_nothing_that_was_typed(
    provider: LocalIdentity, empty: Ledger, clock: Clock
) -> None:
    for _ in range(FREE_TRIES):
        with pytest.raises(Refused, match="do not belong together"):
            provider.identify("Ada", "hunter2-typed-by-mistake", "10.0.0.1")
    with pytest.raises(Refused, match="too many wrong tries") as held:
        provider.identify("ada", PASSWORD, "10.0.0.1")
    assert held.value.wait_s > 0
    assert provider.identify("Ada", PASSWORD, "10.0.0.2") == "Ada", "others are not locked out"
    clock.now += held.value.wait_s
    assert provider.identify("Ada", PASSWORD, "10.0.0.1") == "Ada"
    assert [row.what for row in empty.list_audit()].count("sign-in-held") == 1
    assert "hunter2" not in str(empty.list_audit())


def test_the_wait_doubles_and_ends(clock: Clock) -> None:
    throttle, waits = Throttle(clock), []
    for _ in range(FREE_TRIES + 12):
        throttle.tried("ada", "10.0.0.1")
        waits.append(throttle.wait_s("ada", "10.0.0.1"))
    assert waits[: FREE_TRIES - 1] == [0.0] * (FREE_TRIES - 1)
    assert waits[FREE_TRIES - 1 :][:3] == [2.0, 4.0, 8.0]
    assert max(waits) == identity.LONGEST_WAIT_S
    clock.now += identity.FORGET_S + 1
    throttle.tried("ada", "10.0.0.1")
    assert throttle.wait_s("ada", "10.0.0.1") == 0.0


def test_an_address_that_tries_many_names_waits_and_memory_is_bounded(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttle = Throttle(clock)
    for number in range(identity.TRIES_OF_ONE_ADDRESS):
        throttle.tried(f"name {number}", "10.0.0.1")
    assert throttle.wait_s("a new name", "10.0.0.1") > 0
    assert throttle.wait_s("a new name", "10.0.0.2") == 0
    monkeypatch.setattr(identity, "MOST_REMEMBERED", 10)
    for number in range(100):
        throttle.tried(f"name {number}", f"10.0.1.{number}")
    assert len(throttle._tries) <= 10


# ---- in a browser -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("signin"), accounts=True) as made:
        made.runtime.ledger.add_user("Ada Lovelace", QUICK.hash(PASSWORD), ["approver"], "root")
        yield made


async def sign_in(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    return await client.post("/signin", data={"name": "Ada Lovelace", "password": PASSWORD, **fields})


async def test_from_a_page_to_the_form_and_back_to_the_page(served: Served) -> None:
    async with served.client(accept="text/html") as client:
        sent_on = await client.get("/incidents?state=open")
        assert (sent_on.status_code, sent_on.headers["location"]) == (
            303,
            "/signin?next=%2Fincidents%3Fstate%3Dopen",
        )
        form = await client.get(sent_on.headers["location"])
        assert 'value="/incidents?state=open"' in form.text
        back = await sign_in(client, next="/incidents?state=open")
        assert (back.status_code, back.headers["location"]) == (303, "/incidents?state=open")
        cookie = back.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert "Secure" not in cookie, "loopback without TLS"
        assert (await client.get("/incidents")).status_code == 200
        assert served.runtime.ledger.find_session(digest_of(client.cookies["setpoint"]), 60.0) is not None
        assert client.cookies["setpoint"] not in str(served.runtime.ledger.list_audit())


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/signout", "\n/x", "/" + "x" * 3000, ""])  # fmt: skip
async def test_signing_in_leads_nowhere_else(served: Served, next: str) -> None:
    async with served.client() as client:
        assert (await sign_in(client, next=next)).headers["location"] == "/"


async def test_a_wrong_password_keeps_the_name_and_says_so(served: Served) -> None:
    async with served.client() as client:
        answer = await sign_in(client, name="<script>alert(1)</script>", password="wrong wrong wrong")
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "<script>alert" not in answer.text
    assert "set-cookie" not in answer.headers


async def test_signing_out_here_and_everywhere(served: Served) -> None:
    async with served.client() as one, served.client() as other:
        for client in (one, other):
            await sign_in(client)
        value = one.cookies["setpoint"]
        assert (await one.post("/signout", data={"csrf": await csrf(one)})).headers["location"] == "/signin"
        kept = {"cookie": f"setpoint={value}"}
        assert (await one.get("/v1/stats", headers=kept)).status_code == 401, (
            "the server forgot it, whatever the browser keeps"
        )
        assert (await other.get("/v1/stats")).status_code == 200
        await sign_in(one)
        await one.post("/signout", data={"csrf": await csrf(one), "where": "everywhere"})
        assert (await other.get("/v1/stats")).status_code == 401


async def test_a_session_that_ends_in_mid_edit_is_told_in_words_and_changes_nothing(served: Served) -> None:
    async with served.client() as client:
        await sign_in(client)
        right = await csrf(client)
        served.runtime.ledger.end_sessions("Ada Lovelace", "root")
        before = served.runtime.ledger.last_audit()
        body, headers = {"why": "a long text", "minutes": 5, "asset": "gpu-1"}, {"x-csrf-token": right}
        script = await client.post("/v1/silences", json=body, headers=headers)
        assert script.status_code == 401
        assert "what you typed is kept" in script.json()["error"]
        form = await client.post("/signout", data={"csrf": right}, headers={"accept": "text/html"})
        assert form.status_code == 401
        assert 'href="/signin?next=%2F"' in form.text
        assert served.runtime.ledger.last_audit() == before


async def test_another_session_has_another_token_of_the_page(served: Served) -> None:
    async with served.client() as client:
        await sign_in(client)
        old = await csrf(client)
        await client.post("/signout", data={"csrf": old})
        await sign_in(client)
        refused = await client.post(
            "/v1/autonomy/revoke", json={"why": "x", "all": True}, headers={"x-csrf-token": old}
        )
        assert refused.status_code == 403
        assert "load it once more" in refused.json()["error"]


async def test_over_tls_the_cookie_is_bound_to_tls_and_this_host(tmp_path: Path) -> None:
    serve = {"accounts": True, "behind_proxy": True, "public_url": "https://setpoint.example"}
    with serving(tmp_path, **serve) as made:
        made.url = "http://setpoint.example"
        made.runtime.ledger.add_user("Ada Lovelace", QUICK.hash(PASSWORD), ["viewer"], "root")
        async with made.client(origin="https://setpoint.example") as client:
            answer = await sign_in(client)
            assert answer.headers["set-cookie"].startswith("__Host-setpoint=")
            assert "Secure" in answer.headers["set-cookie"]
            assert "strict-transport-security" in answer.headers
        async with made.client(origin="http://setpoint.example") as client:
            assert (await sign_in(client)).status_code == 403
