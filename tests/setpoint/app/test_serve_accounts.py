"""A real `setpoint serve` with accounts and TLS: a browser signs in, a command shows its person's token, a stream is open
when the server is asked to stop."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from evals.bench_service import free_port
from setpoint.app.access import digest_of
from setpoint.app.client import OWN_TOKEN, call_remote, find_running
from setpoint.app.identity import Passwords
from setpoint.errors import SetpointError
from setpoint.ledger import Ledger
from tests.setpoint.app.served import SITE

PASSWORD, TOKEN = "correct horse battery", "spt_a-token-of-this-test"
PATIENCE_S = 90.0


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    store: Path
    url: str
    trust: ssl.SSLContext

    def browser(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self.trust, headers={"accept": "text/html"}, timeout=30)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tls-serve")
    cert, key, store, port = folder / "cert.pem", folder / "key.pem", folder / "store", free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True,
    )  # fmt: skip
    with Ledger.open(store / "ledger.db") as ledger:
        ledger.add_user("Ada Lovelace", Passwords().hash(PASSWORD), ["approver"], "root")
        ledger.add_token("test", "Ada Lovelace", ["operator"], digest_of(TOKEN), timedelta(hours=1), "root")
    sets = {"serve.accounts": "true", "serve.tls_cert": f'"{cert}"', "serve.tls_key": f'"{key}"',
            "models.light.kind": "none", "models.heavy.kind": "none"}  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "setpoint.app",
        "serve",
        "--store",
        store,
        "--site",
        SITE,
        "--port",
        str(port),
    ]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *(part for name, value in sets.items() for part in ("--set", f"{name}={value}"))], stdout=log, stderr=log
        )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_S
        while find_running(store) is None:
            assert process.poll() is None, (folder / "serve.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield Running(process, store, f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=cert))
    finally:
        process.kill()
        process.wait(10)


def test_a_browser_signs_in_over_tls_and_is_known(running: Running) -> None:
    with running.browser() as client:
        assert client.get("/approvals").headers["location"] == "/signin?next=%2Fapprovals"
        answer = client.post("/signin", data={"name": "ada lovelace", "password": PASSWORD})
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].startswith("__Host-setpoint=")
        assert client.get("/v1/stats").status_code == 200
        assert "Ada Lovelace" in client.get("/").text


def test_commands_read_with_the_servers_token_and_act_with_their_persons(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(OWN_TOKEN, raising=False)
    wanted = {"who": "somebody else", "why": "cabling", "minutes": 5, "asset": "gpu-1"}
    found = find_running(running.store)
    assert found is not None
    assert isinstance(call_remote(found, "stats", {}), dict)
    with pytest.raises(SetpointError, match="SETPOINT_TOKEN"):
        call_remote(found, "silence_add", wanted)
    monkeypatch.setenv(OWN_TOKEN, TOKEN)
    own = find_running(running.store)
    assert own is not None
    made = call_remote(own, "silence_add", wanted)
    assert isinstance(made, dict)
    assert made["who"] == "Ada Lovelace"


def test_another_certificate_is_not_taken_for_the_servers(running: Running, tmp_path: Path) -> None:
    left = json.loads((running.store / "serve.json").read_text())
    other = tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", os.devnull, "-out", other, "-subj", "/CN=localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "serve.json").write_text(json.dumps(left | {"cert": str(other)}))
    assert find_running(tmp_path) is None


def test_the_server_stops_at_once_though_a_page_listens(running: Running) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.stream(
        "GET", f"{running.url}/v1/stream", headers=headers, verify=running.trust, timeout=30
    ) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        with Ledger.open(running.store / "ledger.db") as ledger:
            ledger.audit("another process", "silence-added", "SIL-from-elsewhere")
        written = time.monotonic()
        while "SIL-from-elsewhere" not in next(lines):
            assert time.monotonic() - written < PATIENCE_S
        took_s = time.monotonic() - written
        running.process.terminate()
        began = time.monotonic()
        for _ in lines:
            pass
    running.process.wait(PATIENCE_S)
    assert time.monotonic() - began < 15.0
    assert took_s < 3.0, "a row of another process is told too"
    assert not (running.store / "serve.json").exists()
