"""A run against an OpenAI-compatible server: its tokens and words are in the record, and one that is gone is no result."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evals.running.plan import Wanted, exit_code, plan, run
from evals.running.story import story
from setpoint.errors import ModelMissing, UsageError

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
)
WORDS = "Something is wrong on {asset}."
TOKENS_IN, TOKENS_OUT = 7, 5


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


class Server(BaseHTTPRequestHandler):
    """Says the same to everybody, `answers` times; then it knows the model no more."""

    answers: int
    prompts: list[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        kind = type(self)
        kind.prompts.append(body["messages"][-1]["content"])
        kind.answers -= 1
        known = kind.answers >= 0
        self._send(
            200 if known else 404, self._said(body) if known else {"error": {"message": "no such model"}}
        )

    def _said(self, body: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": WORDS}
        usage = {
            "prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT,
        }  # fmt: skip
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return {
            "id": "1", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [choice], "usage": usage,
        }  # fmt: skip

    def _send(self, status: int, said: dict[str, Any]) -> None:
        raw = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Server]]]:
    handler = type("Counting", (Server,), {"answers": 1000, "prompts": []})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/v1", handler
    http.shutdown()
    http.server_close()
    thread.join()


def wanted(url: str, folder: Path) -> Wanted:
    return Wanted(("alert",), (f"light={url}#big,heavy=none",), limit=2, out=folder, name="r")


def test_calls_tokens_and_transcripts_are_kept(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    url, handler = server
    record = run(plan(wanted(url, tmp_path)))
    assert (exit_code(record), record.errors) == (0, ())
    (ran,) = record.ran
    assert ran.contender == "light=big,heavy=none"
    assert ran.cost.calls == len(handler.prompts) - 1  # the first asks whether it is there
    assert ran.cost.tokens == ran.cost.calls * (TOKENS_IN + TOKENS_OUT)
    assert "127.0.0.1" not in (tmp_path / "r" / "record.json").read_text("utf-8")
    told = story(ran, tmp_path / "r", next(iter(ran.cases)))
    assert {call["answer"] for call in told.calls} == {WORDS}
    assert told.calls[0]["prompt"][-1][1] in handler.prompts
    assert told.said["text"]
    with pytest.raises(UsageError, match="no case 'x'"):
        story(ran, tmp_path / "r", "x")
    with pytest.raises(UsageError, match="is not here"):
        story(ran, tmp_path / "elsewhere", next(iter(ran.cases)))


def test_a_server_that_goes_away_is_no_result(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """The product falls back to its templates; the run must not take them for the model's."""
    url, handler = server
    handler.answers = 2
    record = run(plan(wanted(url, tmp_path)))
    assert exit_code(record) == 3
    assert "no model 'big'" in record.model_missing
    assert record.ran[0].cost.failed_calls > 0


def test_a_server_that_is_not_there_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no model server answers"):
        run(plan(wanted("http://127.0.0.1:9/v1", tmp_path)))
    assert not (tmp_path / "r").exists()
