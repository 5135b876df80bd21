"""What the long measurements stand on: a real `setpoint serve` process, and a real HTTP sink in a process of its own."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from setpoint.errors import BackendError

START_S = 90.0
"""Patience with a server that starts."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ---- the sink ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Receipt:
    """One notice as the sink got it."""

    at: float
    """Seconds since the epoch at which it was accepted."""
    key: str
    """Idempotency key."""
    incident_id: str
    stage: str
    priority: str
    text: str
    """Title and text."""


class HttpSink:
    """Accepts every POST and remembers it. A process of its own: it must not share the sender's interpreter."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve_sink, args=(self.port,), daemon=True
        )

    def __enter__(self) -> HttpSink:
        self._process.start()
        _until_answers(self.url, self._process.is_alive)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join(5)

    def receipts(self) -> list[Receipt]:
        """All it got, in the order it came."""
        return [Receipt(*row) for row in httpx.get(self.url, timeout=30).json()]


def _serve_sink(port: int) -> None:
    got: list[tuple[float, str, str, str, str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            method, headers = head
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            if method == "POST":
                notice = json.loads(body)
                got.append((time.time(), headers.get("idempotency-key", ""), notice["incident_id"], notice["stage"],
                            notice["priority"], f"{notice['title']}\n{notice['text']}"))  # fmt: skip
            said = json.dumps(got).encode() if method == "GET" else b"{}"
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                         % (len(said), said))  # fmt: skip
            await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=1024)
        await server.serve_forever()

    asyncio.run(run())


async def _head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    """Method and headers of the next request; None where the client has gone."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    pairs = (line.partition(":") for line in lines[1:] if ":" in line)
    return lines[0].split(" ")[0], {name.strip().lower(): value.strip() for name, _, value in pairs}


# ---- the server -------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """`setpoint serve` as a process of its own, over one store."""

    store: Path
    site: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further settings by dotted key, as --set takes them."""
    log: Path | None = None
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start it and return at once."""
        sets = [part for key, value in self.settings.items() for part in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "setpoint.app", "serve", "--store", str(self.store), "--site", str(self.site),
                   "--port", str(self.port), *sets]  # fmt: skip
        with open(self.log or os.devnull, "ab") as said:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def start(self) -> float:
        """Start it and wait until it takes events. Returns the seconds that took."""
        begun = time.monotonic()
        self.spawn()
        _until_answers(f"{self.url}/readyz", self.alive)
        return time.monotonic() - begun

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        self._signal(signal.SIGKILL, 10)

    def stop(self) -> None:
        """The orderly end."""
        self._signal(signal.SIGTERM, 60)

    def _signal(self, number: signal.Signals, patience_s: float) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(patience_s)

    def desk(self, name: str, client: httpx.Client | None = None, **arguments: Any) -> Any:
        """One desk call, with the token that the server left in its store. Raises httpx.HTTPError, OSError."""
        token = json.loads((self.store / "serve.json").read_text())["token"]
        post = client.post if client else httpx.post
        answer = post(f"{self.url}/v1/desk/{name}", json=arguments, timeout=30,
                      headers={"Authorization": f"Bearer {token}"})  # fmt: skip
        answer.raise_for_status()
        return answer.json()

    def cpu_s(self) -> float:
        """Processor time it has used so far."""
        if self.process is None:
            return 0.0
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _until_answers(url: str, alive: Any) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass
        if not alive():
            raise BackendError("the process ended before it answered", where=url, remedy="Look into its log")
        time.sleep(0.02)
    raise BackendError(f"no answer within {START_S:g} s", where=url)


def load_now() -> str:
    """What else the machine does, for the record."""
    one, five, _ = os.getloadavg()
    return f"load {one:.1f} (1 min), {five:.1f} (5 min), {os.cpu_count()} cores"
