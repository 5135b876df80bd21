"""Roles by configuration: bundled, a GGUF of one's own, a server, none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from prompts import AlertInput, render
from setpoint.contracts import Fact, FactSheet
from setpoint.errors import ModelFailed, ModelMissing
from setpoint.llm import BUNDLED, RoleModel, load_role
from setpoint.settings import ModelSettings

SHEET = FactSheet(
    condition="coolant pump failed",
    facts=(Fact(slot="asset", kind="asset", text="pump-1", evidence_id="e", required=True),),
)
PROMPT = render("alert", AlertInput(priority="P0", sheet=SHEET))


class Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that follows a script of (status, content)."""

    script: list[tuple[int, str]]
    seen: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append({"path": self.path, "key": self.headers["authorization"], **body})
        status, content = self.script.pop(0)
        answer = {
            "id": "1", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
        }  # fmt: skip
        raw = json.dumps(answer if status == 200 else {"error": {"message": content}}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Server]]]:
    handler = type("Scripted", (Server,), {"script": [], "seen": []})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/v1", handler
    http.shutdown()
    http.server_close()
    thread.join()


def at(url: str, timeout_s: float = 10.0) -> RoleModel:
    return load_role(ModelSettings(kind="openai", url=url, model="big", timeout_s=timeout_s), "heavy")


def test_a_gguf_role_writes_words_of_the_sheet(tiny_gguf: Path) -> None:
    role = load_role(ModelSettings(kind="gguf", path=tiny_gguf, context_tokens=512))
    words = role.words(PROMPT, SHEET, timeout_s=10)
    assert (role.name, role.mode, role.terse, len(role.sha256)) == ("tiny", "facts", False, 64)
    assert words.tokens > 0
    assert words.seconds > 0
    assert not any(char.isdigit() for char in words.text)


async def test_another_attempt_gives_other_words(tiny_gguf: Path) -> None:
    role = load_role(ModelSettings(kind="gguf", path=tiny_gguf, context_tokens=512))
    first, again, other = [(await role.awords(PROMPT, SHEET, attempt=number)).text for number in (0, 0, 1)]
    assert first == again != other


def test_no_model_says_so_at_the_first_call() -> None:
    role = load_role(ModelSettings(kind="none"))
    with pytest.raises(ModelMissing, match=r"models\.light\.kind"):
        role.words(PROMPT, SHEET)
    assert (role.name, role.sha256) == ("none", "")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ModelSettings(kind="gguf"), r"models\.heavy\.path is empty"),
        (ModelSettings(kind="gguf", path=Path("/nowhere/m.gguf")), r"/nowhere/m\.gguf.*models\.heavy\.path"),
        (ModelSettings(kind="openai", model="m"), r"models\.heavy\.url is empty"),
        (ModelSettings(kind="openai", url="http://127.0.0.1:9"), r"models\.heavy\.model is empty"),
    ],
)
def test_a_wrong_setting_names_the_setting(settings: ModelSettings, said: str) -> None:
    role = load_role(settings, "heavy")
    with pytest.raises(ModelMissing, match=said):
        role.words(PROMPT, SHEET)


@pytest.mark.skipif(BUNDLED.is_file(), reason="the bundled model is in this checkout")
def test_a_missing_bundled_model_says_how_to_make_it() -> None:
    with pytest.raises(ModelMissing, match="make train"):
        load_role(ModelSettings()).words(PROMPT, SHEET)


def test_a_server_is_asked_with_its_model_and_key(
    server: tuple[str, type[Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handler = server
    handler.script = [(200, "The pump \u2014 on {asset} \u2014 it\u2019s down.")]
    monkeypatch.setenv("SETPOINT_API_KEY", "k1")
    words = at(url).words(PROMPT, SHEET)
    assert (words.text, words.tokens) == ("The pump - on {asset} - it's down.", 12)
    (seen,) = handler.seen
    assert seen["path"] == "/v1/chat/completions"
    assert seen["key"] == "Bearer k1"
    assert seen["model"] == "big"
    assert [message["role"] for message in seen["messages"]] == ["system", "user"]


async def test_a_passing_failure_is_tried_again(server: tuple[str, type[Server]]) -> None:
    url, handler = server
    handler.script = [(503, "busy"), (429, "slow down"), (200, "The pump is down.")]
    assert (await at(url).awords(PROMPT, SHEET)).text == "The pump is down."


@pytest.mark.parametrize(
    ("status", "error", "said", "calls"),
    [
        (401, ModelMissing, "refuses the key.*api_key_env", 1),
        (404, ModelMissing, "no model 'big'", 1),
        (400, ModelFailed, "the server answered", 1),
        (500, ModelFailed, "the server answered", 3),
    ],
)
def test_a_refusal_is_explained(
    server: tuple[str, type[Server]], status: int, error: type[Exception], said: str, calls: int
) -> None:
    url, handler = server
    handler.script = [(status, "no")] * calls
    with pytest.raises(error, match=said):
        at(url).words(PROMPT, SHEET)
    assert len(handler.seen) == calls


def test_an_empty_answer_is_a_failure(server: tuple[str, type[Server]]) -> None:
    url, handler = server
    handler.script = [(200, "  ")]
    with pytest.raises(ModelFailed, match="answered nothing"):
        at(url).words(PROMPT, SHEET)


def test_an_unreachable_server_is_missing() -> None:
    with pytest.raises(ModelMissing, match=r"127\.0\.0\.1:9.*Start the server"):
        at("http://127.0.0.1:9/v1", timeout_s=1.0).words(PROMPT, SHEET)


SCHEMA = {
    "type": "object",
    "properties": {"cause": {"enum": ["a", "b"]}},
    "required": ["cause"],
    "additionalProperties": False,
}


def test_a_schema_is_filled_in_process(tiny_gguf: Path) -> None:
    role = load_role(ModelSettings(kind="gguf", path=tiny_gguf, context_tokens=512))
    answer, tokens = role.structured("choose", "a or b", SCHEMA)
    assert answer["cause"] in ("a", "b")
    assert tokens > 0


def test_a_schema_is_filled_by_a_server(server: tuple[str, type[Server]]) -> None:
    url, handler = server
    handler.script = [(200, '{"cause": "b"}')]
    assert at(url).structured("choose", "a or b", SCHEMA) == ({"cause": "b"}, 12)
    assert handler.seen[0]["response_format"]["json_schema"]["schema"]["required"] == ["cause"]


def test_an_answer_beside_the_schema_is_a_failure(server: tuple[str, type[Server]]) -> None:
    url, handler = server
    handler.script = [(200, "I think b.")]
    with pytest.raises(ModelFailed, match="does not fit"):
        at(url).structured("choose", "a or b", SCHEMA)
