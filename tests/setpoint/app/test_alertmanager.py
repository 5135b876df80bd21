"""A real Prometheus with a real rule, a real Alertmanager, a real `setpoint serve`: firing and resolved arrive."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

BINARIES = ("prometheus", "prometheus-alertmanager")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in BINARIES),
        reason="needs Debian's packages prometheus and prometheus-alertmanager",
    ),
]
PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}
rule_files: [{folder}/rules.yml]
scrape_configs:
  - {{job_name: dcgm, static_configs: [{{targets: ['127.0.0.1:{target}'], labels: {{node: gpu-03}}}}]}}
"""
RULES = """
groups:
  - name: nodes
    rules:
      - alert: GpuExporterDown
        expr: up{job="dcgm"} == 0
        labels: {severity: critical}
        annotations: {summary: "GPU exporter of {{ $labels.node }} does not answer"}
"""
ALERTMANAGER = """
route: {{receiver: setpoint, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: setpoint
    webhook_configs: [{{url: 'http://127.0.0.1:{setpoint}/v1/alertmanager', send_resolved: true}}]
"""


def test_a_firing_rule_becomes_an_incident_and_its_end_resolves_it(tmp_path: Path) -> None:
    ports = {name: _free_port() for name in ("prometheus", "alertmanager", "setpoint", "target")}
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS.format(folder=tmp_path, **ports))
    (tmp_path / "alertmanager.yml").write_text(ALERTMANAGER.format(**ports))
    with ExitStack() as stack:
        stack.enter_context(_setpoint(tmp_path, ports["setpoint"]))
        stack.enter_context(_alertmanager(tmp_path, ports["alertmanager"]))
        stack.enter_context(_prometheus(tmp_path, ports["prometheus"]))
        incident = _until(lambda: _first_incident(ports["setpoint"]), "an incident of the firing rule")
        assert "gpu-03" in incident["assets"]
        assert incident["state"] == "open"
        stack.enter_context(_exporter(ports["target"]))
        ended = _until(
            lambda: _first_incident(ports["setpoint"], state="resolved"), "its resolution", limit_s=60
        )
        assert ended["id"] == incident["id"]


def _first_incident(port: int, state: str = "open") -> dict[str, Any] | None:
    found = httpx.get(f"http://127.0.0.1:{port}/v1/incidents", params={"state": state}).json()
    return next((incident for incident in found if "gpu-03" in incident["assets"]), None)


@contextmanager
def _setpoint(folder: Path, port: int) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "setpoint.app.cli",
        "serve",
        "--store",
        str(folder / "store"),
        "--port",
        str(port),
    ]
    command += ["--set", "models.light.kind=none", "--set", "models.heavy.kind=none"]
    with _process(command, folder / "setpoint.log", f"http://127.0.0.1:{port}/readyz"):
        yield


@contextmanager
def _alertmanager(folder: Path, port: int) -> Iterator[None]:
    command = ["prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/am",
               f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]  # fmt: skip
    with _process(command, folder / "alertmanager.log", f"http://127.0.0.1:{port}/-/ready"):
        yield


@contextmanager
def _prometheus(folder: Path, port: int) -> Iterator[None]:
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
               f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    with _process(command, folder / "prometheus.log", f"http://127.0.0.1:{port}/-/ready"):
        yield


@contextmanager
def _process(command: list[str], log: Path, ready: str) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _until(lambda: _answers(ready), f"{command[0]} ready", detail=log)
            yield
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def _exporter(port: int) -> Iterator[None]:
    """The scrape target comes back."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b"DCGM_FI_DEV_GPU_TEMP 61\n")

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False


def _until(look: Callable[[], Any], what: str, limit_s: float = 45.0, detail: Path | None = None) -> Any:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.2)
    said = detail.read_text()[-2000:] if detail and detail.exists() else ""
    raise AssertionError(f"{what} did not come within {limit_s:g} s. {said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
