"""Pulling models: a hub that redirects, a mirror, cut connections, wrong hashes, and what is pinned."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from setpoint.errors import BackendError, UsageError
from setpoint.llm import pulling
from setpoint.llm.pulling import known_models, pins, pull
from setpoint.llm.registry import Registry

NAME = "qwen2.5-0.5b"
KNOWN = known_models()[NAME]
RESOLVE = f"/{KNOWN.repository}/resolve/main/{KNOWN.file}"
RAW = f"/{KNOWN.repository}/raw/main/{KNOWN.file}"


@dataclass
class Hub:
    """What the server has and how it behaves."""

    model: bytes
    sha256: str
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Of the answer to HEAD and GET at the resolve path; it is a redirect to /cdn."""
    texts: dict[str, str] = field(default_factory=dict)
    flat: bool = False
    """Its files lie beside each other, as on a plain mirror."""
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which each next transfer breaks off."""
    ranges: bool = True
    refuses: int = 0
    """Status of every answer; 0: none."""
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Range."""


class Handler(BaseHTTPRequestHandler):
    """A hub as far as a client sees it."""

    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        hub = self.hub
        hub.seen.append((self.command, self.path, self.headers.get("range", "")))
        if hub.refuses:
            self._send(hub.refuses, b"no", body)
        elif self.path == RESOLVE and not hub.flat:
            self.send_response(302)
            for name, value in {"location": "/cdn/the-file", "content-length": "0", **hub.headers}.items():
                self.send_header(name, value)
            self.end_headers()
        elif self.path in ("/cdn/the-file", f"/{KNOWN.file}") and (hub.flat or self.path.startswith("/cdn")):
            self._file(body)
        elif self.path in hub.texts:
            self._send(200, hub.texts[self.path].encode(), body)
        else:
            self._send(404, b"not here", body)

    def _file(self, body: bool) -> None:
        hub, start = self.hub, 0
        asked = self.headers.get("range", "")
        if asked and hub.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(hub.model):
                return self._send(416, b"", body)
        part = hub.model[start:]
        self.send_response(206 if asked and hub.ranges else 200)
        self.send_header("content-length", str(len(part)))
        if asked and hub.ranges:
            self.send_header("content-range", f"bytes {start}-{len(hub.model) - 1}/{len(hub.model)}")
        self.end_headers()
        if body:
            self.wfile.write(part[: hub.cut_after.pop(0)] if hub.cut_after else part)
        return None

    def _send(self, status: int, raw: bytes, body: bool) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        if body:
            self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hub(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(pulling, "_CHUNK", 1000)
    monkeypatch.setattr(pulling, "_SPARE_BYTES", 0)
    model = tiny_gguf.read_bytes()
    made = Hub(model, hashlib.sha256(model).hexdigest())
    made.headers = {
        "x-linked-etag": f'"{made.sha256}"',
        "x-linked-size": str(len(model)),
        "x-repo-commit": "c0ffee",
    }
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Handler,), {"hub": made}))
    made.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield made
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def got(hub: Hub, registry: Registry, **more: Any) -> dict[str, Any]:
    return pull(NAME, registry, hub=hub.url, wait_s=0.0, **more)


def test_the_list_names_no_hash_and_every_licence() -> None:
    assert len(known_models()) >= 4
    for one in known_models().values():
        assert one.licence in ("Apache-2.0", "MIT")
        assert one.file.endswith(".gguf")
        assert "/" in one.repository


def test_a_hub_is_followed_to_the_file_and_its_hash_is_pinned(hub: Hub, registry: Registry) -> None:
    told: list[tuple[str, int, int]] = []
    found = got(hub, registry, tell=lambda *one: told.append(one))
    assert registry.entry(NAME).path.read_bytes() == hub.model
    assert (found["sha256"], found["commit"], found["fetched"]) == (hub.sha256, "c0ffee", True)
    assert "X-Linked-ETag" in found["hash_said_by"]
    assert pins(registry)[NAME]["sha256"] == hub.sha256
    assert registry.entry(NAME).card["licence"] == KNOWN.licence
    assert told
    assert not list((registry.folder / ".pulling").iterdir())


def test_what_is_there_is_not_fetched_again(hub: Hub, registry: Registry) -> None:
    got(hub, registry)
    hub.seen.clear()
    assert got(hub, registry)["fetched"] is False
    assert hub.seen == []


def test_a_cut_connection_is_taken_up_where_it_broke(hub: Hub, registry: Registry) -> None:
    hub.cut_after = [5000, 7000]
    got(hub, registry)
    ranges = [asked for method, path, asked in hub.seen if method == "GET" and path.startswith("/cdn")]
    assert ranges == ["", "bytes=5000-", "bytes=12000-"]
    assert registry.entry(NAME).sha256 == hub.sha256


def test_a_server_without_ranges_starts_over(hub: Hub, registry: Registry) -> None:
    hub.ranges, hub.cut_after = False, [5000]
    got(hub, registry)
    assert registry.entry(NAME).sha256 == hub.sha256


def test_after_too_many_cuts_the_part_is_kept_for_the_next_run(hub: Hub, registry: Registry) -> None:
    hub.cut_after = [1000] * pulling.ATTEMPTS
    with pytest.raises(BackendError, match="cut off at"):
        got(hub, registry)
    (part,) = (registry.folder / ".pulling").iterdir()
    assert part.stat().st_size == 1000 * pulling.ATTEMPTS
    hub.seen.clear()
    got(hub, registry)
    assert ("GET", "/cdn/the-file", f"bytes={1000 * pulling.ATTEMPTS}-") in hub.seen


def test_another_file_than_the_hash_says_is_thrown_away(hub: Hub, registry: Registry) -> None:
    hub.model = hub.model[:-1] + b"!"
    with pytest.raises(BackendError, match="it is deleted"):
        got(hub, registry)
    assert registry.names() == []
    assert pins(registry) == {}
    assert not list((registry.folder / ".pulling").iterdir())


def test_the_pin_is_held_to_when_the_hub_has_another_file(hub: Hub, registry: Registry) -> None:
    got(hub, registry)
    shutil.rmtree(registry.folder_of(NAME))
    hub.model += b"changed"
    changed = hashlib.sha256(hub.model).hexdigest()
    hub.headers |= {"x-linked-etag": f'"{changed}"', "x-linked-size": str(len(hub.model))}
    with pytest.raises(BackendError, match="is pinned to"):
        got(hub, registry)
    got(hub, registry, sha256=changed)
    assert pins(registry)[NAME]["sha256"] == changed


def test_a_hash_given_beforehand_must_be_the_hubs(hub: Hub, registry: Registry) -> None:
    with pytest.raises(BackendError, match="the hub has another file"):
        got(hub, registry, sha256="0" * 64)
    with pytest.raises(UsageError, match="64 hexadecimal"):
        got(hub, registry, sha256="0123")
    assert not any(method == "GET" for method, _, _ in hub.seen)


def test_without_the_header_the_lfs_pointer_says_the_hash(hub: Hub, registry: Registry) -> None:
    hub.headers = {}
    hub.texts[RAW] = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{hub.sha256}\nsize {len(hub.model)}\n"
    )
    assert "LFS pointer" in got(hub, registry)["hash_said_by"]


def test_a_plain_mirror_serves_its_files_beside_sha256sums(hub: Hub, registry: Registry) -> None:
    hub.flat = True
    hub.texts["/SHA256SUMS"] = f"{'0' * 64}  other.gguf\n{hub.sha256} *{KNOWN.file}\n"
    assert "SHA256SUMS" in got(hub, registry)["hash_said_by"]
    assert registry.entry(NAME).sha256 == hub.sha256


def test_without_any_hash_nothing_is_fetched_unless_one_is_given(hub: Hub, registry: Registry) -> None:
    hub.headers = {}
    with pytest.raises(BackendError, match="does not say the file's hash"):
        got(hub, registry)
    assert got(hub, registry, sha256=hub.sha256)["hash_said_by"] == "whoever asked for it"


def test_a_hub_without_the_file_says_so(hub: Hub, registry: Registry) -> None:
    hub.refuses = 404
    with pytest.raises(BackendError, match=f"there is no {KNOWN.file}"):
        got(hub, registry)


@pytest.mark.parametrize(("status", "remedy"), [(401, "account"), (403, "terms"), (429, "wait a little")])
def test_a_hub_that_refuses_is_explained(hub: Hub, registry: Registry, status: int, remedy: str) -> None:
    hub.refuses = status
    with pytest.raises(BackendError, match=remedy):
        got(hub, registry)


def test_a_hub_that_is_not_there_is_explained(registry: Registry) -> None:
    with pytest.raises(BackendError, match="cannot be reached"):
        pull(NAME, registry, hub="http://127.0.0.1:9", wait_s=0.0)


@pytest.mark.parametrize("address", ["mirror.example.net", "ftp://mirror.example.net", "http://"])
def test_what_is_no_hub_is_refused(registry: Registry, address: str) -> None:
    with pytest.raises(UsageError, match="no address of a hub"):
        pull(NAME, registry, hub=address)


def test_plain_http_across_a_network_needs_a_hash(registry: Registry) -> None:
    with pytest.raises(UsageError, match="anybody on the way"):
        pull(NAME, registry, hub="http://mirror.example.net")


def test_a_full_disk_is_seen_before_anything_is_fetched(
    hub: Hub, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "_SPARE_BYTES", 10**18)
    with pytest.raises(BackendError, match="are free"):
        got(hub, registry)
    assert not any(path.startswith("/cdn") for _, path, _ in hub.seen)


def test_a_file_that_is_no_model_is_not_added(hub: Hub, registry: Registry) -> None:
    hub.model = b"<html>sign in</html>"
    hub.headers = {
        "x-linked-etag": hashlib.sha256(hub.model).hexdigest(),
        "x-linked-size": str(len(hub.model)),
    }
    with pytest.raises(BackendError, match="not a GGUF"):
        got(hub, registry)
    assert registry.names() == []


def test_an_unknown_name_shows_the_known_ones(registry: Registry) -> None:
    with pytest.raises(UsageError, match="no known model"):
        pull("gpt", registry, hub="https://hub.example.net")


def test_broken_pins_stop_a_pull(hub: Hub, registry: Registry) -> None:
    registry.folder.mkdir(parents=True)
    (registry.folder / pulling.PINS_FILE).write_text(json.dumps({NAME: 1})[:-3])
    with pytest.raises(BackendError, match="pinned hashes cannot be read"):
        got(hub, registry)
