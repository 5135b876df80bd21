"""Who may do what over HTTP: every route, every role, with and without the page's token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import RouteContext

from setpoint.app.access import OPEN, SAFE, check_rules, routes_of, rules_of
from setpoint.app.api_table import NEEDS, OFFERED
from setpoint.app.desk import DESK, READS
from setpoint.contracts.accounts import ROLES, SCOPES, Role, holds
from setpoint.errors import SafetyViolation
from tests.setpoint.app.served import COMMAND, Served, csrf, serving

ENDLESS = ("/stream", "/mcp")
"""Addresses whose answer goes on until the reader leaves: only that they are refused is asked here."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("accounts"), accounts=True) as made:
        yield made


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Without accounts, on loopback."""
    with serving(tmp_path_factory.mktemp("loopback")) as made:
        yield made


def asked(served: Served) -> Iterator[tuple[RouteContext, str]]:
    """Every address with every method it takes, but those that are open to all."""
    for route in routes_of(served.app):
        if route.path not in OPEN:
            yield from ((route, method) for method in sorted(route.methods))


def address(route: RouteContext) -> str:
    return route.path.replace("{", "").replace("}", "").replace(":path", "")


def endless(route: RouteContext) -> bool:
    return route.path.endswith(ENDLESS)


async def send(client: httpx.AsyncClient, route: RouteContext, method: str, **headers: str) -> int:
    body = {} if method in SAFE else {"json": {}}
    print(method, route.path)  # whose turn it was, where a test stops
    async with asyncio.timeout(20):
        return (await client.request(method, address(route), headers=headers, **body)).status_code


def rule_of(route: RouteContext) -> str:
    (rule,) = rules_of(route)
    return rule


def test_every_route_asks_for_exactly_one_thing(served: Served) -> None:
    rules = {route.path: rules_of(route) for route, _ in asked(served)}
    assert len(rules) > 40
    assert {path: rule for path, rule in rules.items() if len(rule) != 1} == {}
    assert {*rules.values()} <= {frozenset({rule}) for rule in (*ROLES, "intake", "command", "session")}


def test_a_route_that_asks_for_nothing_is_not_served(served: Served) -> None:
    router = APIRouter()
    router.add_api_route("/forgotten", lambda: "secret", methods=["GET"])
    served.app.include_router(router)
    try:
        with pytest.raises(SafetyViolation, match="/forgotten"):
            check_rules(served.app)
    finally:
        served.app.router.routes.pop()
    check_rules(served.app)


async def test_nobody_is_let_in_anywhere(served: Served) -> None:
    async with served.client() as client:
        for headers in ({}, {"authorization": "Bearer guess"}, {"authorization": "Basic YWRhOmFkYQ=="}):
            let_in = [route.path for route, method in asked(served) if await send(client, route, method, **headers) != 401]  # fmt: skip
            assert let_in == [], headers


@pytest.mark.parametrize("role", [*ROLES, None])
async def test_sessions_do_what_their_role_may_and_mean_it(served: Served, role: Role | None) -> None:
    """No token of the page, a wrong one, and the right one, in header and form."""
    name = f"{role or 'without'} person"
    roles = [role] if role else []
    async with served.browser(name, *roles) as client, served.browser("other person", "viewer") as other:
        right = await csrf(client) if role else "0" * 64
        wrong = await csrf(other)
        holes = []
        for route, method in asked(served):
            rule = rule_of(route)
            least = {"intake": "operator", "session": "viewer"}.get(rule, rule)
            may = holds(roles, least) if rule != "command" else False  # type: ignore[arg-type]
            refused = 401 if rule == "command" else 403
            for given in (None,) if method in SAFE else (None, wrong, right):
                if may and (endless(route) or route.path == "/signout"):
                    continue
                got = await send(client, route, method, **({"x-csrf-token": given} if given else {}))
                let_in = got not in (401, 403)
                if let_in != (may and (method in SAFE or given == right)) or not (
                    let_in or got in (refused, 403)
                ):
                    holes.append((method, route.path, given == right, got))
        assert holes == []


@pytest.mark.parametrize("scope", SCOPES)
async def test_tokens_do_what_their_scope_may(served: Served, scope: Role) -> None:
    value = served.token("token owner", [scope], "approver", "admin")
    async with served.client(authorization=f"Bearer {value}") as client:
        holes = []
        for route, method in asked(served):
            rule = rule_of(route)
            own = [scope] if scope in ROLES else []
            may = scope == "intake" or holds(own, "operator") if rule == "intake" else rule == "command" or (rule in ROLES and holds(own, rule))  # type: ignore[arg-type]  # fmt: skip
            if may and endless(route):
                continue
            if (await send(client, route, method) not in (401, 403)) != may:
                holes.append((method, route.path))
        assert holes == []


async def test_commands_need_a_persons_own_token_once_there_are_accounts(served: Served) -> None:
    async with served.client(authorization=f"Bearer {COMMAND}") as client:
        assert (await client.post("/v1/desk/stats", json={})).status_code == 200
        body = {"id": "INC-1", "who": "ada", "why": "x"}
        refused = await client.post("/v1/desk/incidents_close", json=body)
    assert refused.status_code == 403
    assert "SETPOINT_TOKEN" in refused.json()["error"]
    value = served.token("Grace", ["operator"], "operator")
    async with served.client(authorization=f"Bearer {value}") as client:
        body = {"who": "mallory", "why": "x", "minutes": 5, "asset": "gpu-1"}
        made = await client.post("/v1/desk/silence_add", json=body)
        assert made.json()["who"] == "Grace", "who says so is who asks, whatever was written"
        assert (await client.post("/v1/desk/review_decide", json={})).status_code == 403


async def test_a_token_of_a_form_counts_as_one_in_the_header(served: Served) -> None:
    async with served.browser("Form Person", "operator") as client:
        right = await csrf(client)
        for given, status in ((right, 303), ("0" * 64, 403)):
            answer = await client.post("/signout", data={"csrf": given, "where": "elsewhere"})
            assert answer.status_code in (status, 401)
            if status == 303:
                client.cookies.set(served.app.state.access.cookie, served.session("Form Person"))


# ---- the table --------------------------------------------------------------------------------------------------


def test_every_function_of_the_desk_has_its_route_and_role() -> None:
    assert {one.name for one in OFFERED} == set(DESK), "add a line to setpoint/app/api_table.py"
    assert len({(one.method, one.path) for one in OFFERED}) == len(OFFERED)
    assert {one.name for one in OFFERED if one.method == "GET"} == READS | {"feedback_export", "chat_follow"}


def test_what_decides_asks_for_an_approver_and_admin_decides_nothing() -> None:
    assert NEEDS["autonomy_revoke"] == "operator", "taking it back is the safe direction"
    deciding = {name for name, role in NEEDS.items() if role == "approver"}
    assert deciding == {
        "review_decide", "review_approve_recommended", "autonomy_set", "autonomy_sign", "learning_sign",
    }  # fmt: skip
    assert not holds(["admin"], "approver")
    assert not holds(["admin"], "operator")


def test_the_schema_names_every_argument_and_never_who(served: Served) -> None:
    described = served.app.openapi()
    paths, shapes = described["paths"], described["components"]["schemas"]
    for one in OFFERED:
        assert one.method.lower() in paths[f"/v1{one.path}"], one.name
    assert set(shapes["ReviewDecide"]["properties"]) == {
        "type",
        "reason",
        "digest",
        "args",
        "answer",
        "asset",
    }
    assert "who" not in str([shape.get("properties", {}).keys() for shape in shapes.values()])


# ---- without accounts -------------------------------------------------------------------------------------------


async def test_without_accounts_loopback_is_this_machines_user(
    alone: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETPOINT_USER", "ana")
    async with alone.client() as client:
        right = await csrf_of_page(client)
        body = {"why": "cabling", "minutes": 5, "asset": "gpu-1"}
        assert (await client.post("/v1/silences", json=body)).status_code == 403
        made = await client.post("/v1/silences", json=body, headers={"x-csrf-token": right})
        assert made.json()["who"] == "ana"
        assert (await client.post("/v1/events", content=b"<4>disk full")).status_code in (202, 422)


async def csrf_of_page(client: httpx.AsyncClient) -> str:
    return (await client.get("/")).text.partition('name="csrf" content="')[2].partition('"')[0]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8321", "127.0.0.1.evil.example", "10.0.0.7", "localhost.evil.example", ""])  # fmt: skip
async def test_another_name_for_this_machine_is_not_answered_to(alone: Served, host: str) -> None:
    """DNS rebinding: a page of that name would be taken for our own by the browser."""
    async with alone.client() as client:
        for path in ("/", "/v1/incidents", "/healthz", "/static/console.css"):
            assert (await client.get(path, headers={"host": host})).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8321", "127.0.0.1:9", "127.9.9.9", "[::1]:8321", "LOCALHOST."])  # fmt: skip
async def test_loopback_names_are_answered_to(alone: Served, host: str) -> None:
    async with alone.client() as client:
        assert (await client.get("/healthz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8321"])  # fmt: skip
async def test_pages_of_others_may_not_use_this_server(alone: Served, origin: str) -> None:
    async with alone.client(origin=origin) as client:
        right = await csrf_of_page(
            httpx.AsyncClient(transport=httpx.ASGITransport(alone.app), base_url=alone.url)
        )
        assert (await client.post("/v1/events", content=b"<4>disk full")).status_code == 403
        body = {"why": "x", "minutes": 5, "asset": "gpu-1"}
        assert (await client.post("/v1/silences", json=body, headers={"x-csrf-token": right})).status_code == 403  # fmt: skip
    async with alone.client(**{"sec-fetch-site": "cross-site"}) as client:
        assert (await client.post("/v1/events", content=b"<4>disk full")).status_code == 403


async def test_a_wrong_token_is_not_made_good_by_loopback(alone: Served) -> None:
    async with alone.client(authorization="Bearer guess") as client:
        answer = await client.get("/v1/incidents")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/", "/v1/incidents", "/signin", "/healthz", "/nowhere", "/static/console.css"])  # fmt: skip
async def test_every_answer_has_the_headers_that_keep_browsers_careful(alone: Served, path: str) -> None:
    async with alone.client() as client:
        headers = (await client.get(path)).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert (headers.get("cache-control") == "no-store") != path.startswith("/static/")
