"""An OpenAI-compatible server in this process that follows a script, streamed or whole as it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = str | list[tuple[str, dict[str, Any]]] | int
"""Words, calls of tools (name and arguments), or an HTTP status to fail with."""


class BrokenOff(str):
    """Words after which the connection is gone."""


class Scripted(BaseHTTPRequestHandler):
    script: list[Said]
    seen: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append(body)
        said = self.say(body)
        if isinstance(said, int):
            self._send(
                said, json.dumps({"error": {"message": "scripted failure"}}).encode(), "application/json"
            )
        elif body.get("stream"):
            chunks = list(_chunks(said, body["model"]))
            if isinstance(said, BrokenOff):
                self._send(200, b"".join(chunks[:-2]), "text/event-stream", missing=100)
            else:
                self._send(200, b"".join(chunks), "text/event-stream")
        else:
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **_message(said)}}
            whole = {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [choice],
            }
            self._send(200, json.dumps(whole).encode(), "application/json")

    def say(self, body: dict[str, Any]) -> Said:
        """What comes next."""
        return self.script.pop(0)

    def _send(self, status: int, raw: bytes, kind: str, missing: int = 0) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(raw) + missing))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _message(said: Said) -> dict[str, Any]:
    if isinstance(said, str):
        return {"content": said}
    calls = [
        {"index": number, "id": f"call-{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for number, (name, args) in enumerate(said if isinstance(said, list) else [])
    ]  # fmt: skip
    return {"content": None, "tool_calls": calls}


def _chunks(said: Said, model: str) -> Iterator[bytes]:
    """Words come a few letters at a time, as from a real server."""
    parts: list[dict[str, Any]]
    if isinstance(said, str):
        parts = [{"role": "assistant", "content": ""}]
        parts += [{"content": said[at : at + 7]} for at in range(0, len(said), 7)]
    else:
        parts = [{"role": "assistant", **_message(said)}]
    ends = "stop" if isinstance(said, str) else "tool_calls"
    for delta, finish in [*((part, None) for part in parts), ({}, ends)]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": [choice],
        }
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    yield b"data: [DONE]\n\n"


@contextmanager
def scripted_server(
    *script: Said, kind: type[Scripted] = Scripted
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its base URL, and every request it has seen."""
    handler = type("OneScript", (kind,), {"script": list(script), "seen": []})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1", handler.seen  # type: ignore[attr-defined]  # made above
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
