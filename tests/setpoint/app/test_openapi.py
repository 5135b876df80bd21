"""What the description of the API promises, tried by a machine: no request makes the server fail."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import GenerationMode

from setpoint.app.api_table import OFFERED
from tests.setpoint.app.sample import build
from tests.setpoint.app.served import COMMAND, Served, serving

HEADERS = {"authorization": f"Bearer {COMMAND}"}
TRIES = 8
ENDLESS = "/v1/stream"
LONGEST_ADDRESS = 20_000
"""Longer ones no client sends."""
MACHINE = settings(
    max_examples=TRIES, deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A night in its ledger, so that reads find something."""
    folder = tmp_path_factory.mktemp("openapi")
    build(folder).ledger.close()
    with serving(folder) as made:
        yield made


def operations(served: Served) -> dict[str, Any]:
    """All that the description offers, by method and path."""
    described = schemathesis.openapi.from_dict(served.app.openapi())
    found = [one.ok() for one in described.get_all_operations()]
    return {f"{one.method.upper()} {one.path}": one for one in found}


def try_out(operation: Any, served: Served, client: TestClient) -> list[tuple[int, str]]:
    """Status and story of each answer to requests that fit the description, and to some that do not."""
    answers: list[tuple[int, str]] = []
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @MACHINE
    @given(operation.as_strategy() | wrong)
    def ask(case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url=served.url, headers=HEADERS)
        sent.pop("cookies", None)  # it names none
        assume(len(str(sent.get("params"))) < LONGEST_ADDRESS)
        if isinstance(sent.get("data"), bytes | str):
            sent["content"] = sent.pop("data")
        answer = client.request(**sent)
        answers.append((answer.status_code, f"{sent}: {answer.text[:300]}"))

    ask()
    return answers


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Do not use the .random. module")  # schemathesis itself does
def test_no_request_makes_the_server_fail(served: Served) -> None:
    client = TestClient(served.app, served.url, raise_server_exceptions=False)
    failed: dict[str, str] = {}
    counts: Counter[int] = Counter()
    for name, operation in operations(served).items():
        if operation.path != ENDLESS:
            answers = try_out(operation, served, client)
            counts.update(status for status, _ in answers)
            failed.update((name, story) for status, story in answers if status >= 500)
    assert failed == {}
    assert counts.total() > TRIES * len(OFFERED) // 2
    assert counts[200] > 50, "some requests must have been good ones"


def test_the_machine_tries_every_function_of_the_desk(served: Served) -> None:
    assert {f"{one.method} /v1{one.path}" for one in OFFERED} <= set(operations(served))


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "x" * 30_000, "\u202e<b>", "'; DROP TABLE users; --"])
async def test_text_that_no_store_could_keep_is_refused_in_words(served: Served, text: str) -> None:
    body = {"why": text, "minutes": 5, "asset": "gpu-01"}
    async with served.client(**HEADERS) as client:
        answer = await client.post("/v1/silences", content=json.dumps(body))
        assert answer.status_code in (200, 422)
        if answer.status_code == 200:
            assert answer.json()["why"] == text
        else:
            assert answer.json()["error"]


def test_every_function_says_what_it_does(served: Served) -> None:
    described = served.app.openapi()
    for one in OFFERED:
        told = described["paths"][f"/v1{one.path}"][one.method.lower()]
        assert told.get("description"), f"{one.name} needs a docstring"


async def test_a_manual_is_sent_as_content_and_no_path_of_the_server_is_read(served: Served) -> None:
    content = b"# Pump P-77\n\n## Bearing noise\n\nStop the pump, then call the vendor of pump P-77.\n"
    async with served.client(**HEADERS) as client:
        made = await client.post("/v1/knowledge", params={"name": "../../../etc/p77.md"}, content=content)
        assert made.json()["added"] == "p77.md"
        assert not [name for name in ("..", "/", "n" * 250 + ".md") if (await client.post("/v1/knowledge", params={"name": name}, content=content)).status_code != 422]  # fmt: skip
        found = (await client.get("/v1/knowledge/search", params={"query": "pump P-77 bearing"})).json()
        assert "vendor of pump P-77" in found[0]["text"]
        assert (await client.post("/v1/knowledge/p77.md/remove")).status_code == 200
        rows = (await client.get("/v1/audit")).json()
    assert [row["subject"] for row in rows if row["what"] == "desk-called"] == [
        "knowledge_add",
        "knowledge_remove",
    ]
