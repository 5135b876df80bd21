"""The page of a person's own: password, browsers, tokens; with accounts, and without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from setpoint.app.access import digest_of
from setpoint.app.identity import Passwords
from tests.setpoint.app.console.words import Page
from tests.setpoint.app.served import Served, csrf, serving

OLD, NEW = "correct horse battery", "a better staple, really"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("you"), accounts=True) as made:
        made.runtime.ledger.add_user("Ada Lovelace", Passwords().hash(OLD), ["operator"], "root")
        made.runtime.ledger.add_user("Grace Hopper", Passwords().hash(OLD), ["approver"], "root")
        yield made


async def look(client: httpx.AsyncClient, way: str = "/you") -> Page:
    answer = await client.get(way)
    assert answer.status_code == 200, answer.text[:400]
    return Page(answer.text)


async def send(client: httpx.AsyncClient, way: str, **fields: object) -> httpx.Response:
    return await client.post(way, data={"csrf": await csrf(client), **fields})


def audited(served: Served, what: str) -> int:
    return sum(row.what == what for row in served.runtime.ledger.list_audit(limit=1000))


async def test_it_says_who_one_is_and_every_page_leads_there(served: Served) -> None:
    async with served.browser("Ada Lovelace") as ada:
        page = await look(ada)
        assert "Ada Lovelace" in page.words
        assert "roles operator" in page.words
        assert "this browser" in page.words
        assert "/you" in (await look(ada, "/knowledge")).links


async def test_another_password_needs_the_present_one_and_signs_every_other_browser_out(
    served: Served,
) -> None:
    async with served.browser("Ada Lovelace") as ada, served.browser("Ada Lovelace") as elsewhere:
        fields = {"present": OLD, "wanted": NEW, "again": NEW}
        for wrong, says in (
            ({"present": "guessed it wrong"}, "not your present password"),
            ({"again": "something else"}, "differ"),
            ({"wanted": "short", "again": "short"}, "10 to 1000"),
        ):
            answer = await send(ada, "/you/password", **(fields | wrong))
            assert (answer.status_code, says in answer.text) == (422, True)
            assert OLD not in answer.text
        assert (await elsewhere.get("/you")).status_code == 200
        name = served.app.state.access.cookie
        before = ada.cookies[name]
        answer = await send(ada, "/you/password", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/you?done=password")
        assert (await elsewhere.get("/v1/stats")).status_code == 401
        ada.cookies.clear()
        ada.cookies.set(name, answer.cookies[name])
        assert answer.cookies[name] != before, "the session is a new one"
        assert "Your password is changed" in (await look(ada, "/you?done=password")).words
        found = served.runtime.ledger.find_user("Ada Lovelace")
        assert found is not None
        assert Passwords().fits(NEW, found[1])
        assert audited(served, "user-password") == 1


async def test_guessing_the_present_password_is_held_up(served: Served) -> None:
    async with served.browser("Grace Hopper") as grace:
        fields = {"present": "a wild guess", "wanted": NEW, "again": NEW}
        codes = [(await send(grace, "/you/password", **fields)).status_code for _ in range(6)]
    assert codes == [422] * 5 + [429]


async def test_browsers_are_signed_out_one_by_one_or_all_others(served: Served) -> None:
    ledger = served.runtime.ledger
    async with (
        served.browser("Kay", "viewer") as kay,
        served.browser("Kay") as two,
        served.browser("Kay") as three,
    ):
        ways = re.findall(r'action="(/you/sessions/[0-9a-f]+/end)"', (await look(kay)).text)
        assert len(ways) == 3
        second = digest_of(two.cookies[served.app.state.access.cookie])
        (of_two,) = (way for way in ways if second.startswith(way.split("/")[3]))
        async with served.browser("Mallory", "admin") as mallory:
            stolen = await send(mallory, of_two)
        assert (stolen.status_code, "signed out already" in stolen.text) == (422, True)
        assert (await send(kay, of_two)).status_code == 303
        assert [(await client.get("/you")).status_code for client in (kay, two, three)] == [200, 401, 200]
        assert (await send(kay, "/you/sessions/end-others")).status_code == 303
        assert [(await client.get("/you")).status_code for client in (kay, three)] == [200, 401]
        assert len(ledger.list_sessions("Kay", 3600.0)) == 1
    assert (audited(served, "session-ended"), audited(served, "sessions-ended")) == (1, 1)


async def test_a_token_is_shown_once_works_and_is_revoked(served: Served) -> None:
    async with served.browser("Lin", "operator") as lin:
        page = await look(lin)
        assert 'value="operator"' in page.text
        assert 'value="approver"' not in page.text, "no more than one may oneself"
        beyond = await send(lin, "/you/tokens", label="night", scope="approver")
        assert (beyond.status_code, "may not give a token approver" in beyond.text) == (422, True)
        for wrong in ({"label": ""}, {"days": "0"}, {"days": "nan"}, {"days": "soon"}, {"scope": "king"}):
            answer = await send(lin, "/you/tokens", **({"label": "night", "scope": "viewer"} | wrong))
            assert (answer.status_code, 'role="alert"' in answer.text) == (422, True), wrong
        made = Page((await send(lin, "/you/tokens", label="<b>night</b>", scope="viewer", days="7")).text)
        value = re.findall(r"spt_[\w-]+", made.text)[0]
        assert value not in (await look(lin)).text
        assert "<b>night" not in made.text
        async with served.client(authorization=f"Bearer {value}") as program:
            assert (await program.get("/v1/stats")).status_code == 200
            body = {"label": "more", "scope": "operator"}
            assert (await program.post("/you/tokens", data=body)).status_code == 403, "tokens make no tokens"
            (way,) = re.findall(r'action="(/you/tokens/TOK-\w+/revoke)"', (await look(lin)).text)
            async with served.browser("Mallory", "admin") as mallory:
                assert (await send(mallory, way)).status_code == 422
            assert (await send(lin, way)).status_code == 303
            assert (await program.get("/v1/stats")).status_code == 401
        assert "revoked" in (await look(lin)).words


async def test_without_accounts_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as alone:
        async with alone.client() as client:
            page = await look(client)
            assert "without accounts" in page.words
            assert "/you/" not in page.text
            token = page.text.partition('name="csrf" content="')[2].partition('"')[0]
            for way in ("/you/password", "/you/tokens", "/you/sessions/end-others"):
                assert (await client.post(way, data={"csrf": token})).status_code == 403
