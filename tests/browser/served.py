"""A real `setpoint serve` over a store of its own, as a person would start it, with a night's worth of trouble in it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

import plant

DEMO = Path(plant.__file__).parent / "sites" / "demo.yaml"
QUIET = (
    "models.light.kind=none",
    "models.heavy.kind=none",
    'alerts.sinks=["console"]',
    "act.dry_run=false",
    "models.look_again_s=[]",
)
"""Settings of every server here: no model, so that what is measured is the console."""
UP_S, SETTLED_S = 180.0, 300.0
"""Long enough for a machine that does other things too."""


def free_port() -> int:
    """One that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Served:
    """One server. `start` it, `post` events, `stop` it; the store outlives it."""

    store: Path
    port: int = field(default_factory=free_port)
    sets: Sequence[str] = ()
    user: str = "ada"
    """Who starts it: the person at the browser, while accounts are off."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Served:
        command = [sys.executable, "-m", "setpoint.app", "serve", "--site", str(DEMO), "--store", str(self.store),
                   "--port", str(self.port)]  # fmt: skip
        for one in (*QUIET, *self.sets):
            command += ["--set", one]
        self.store.mkdir(parents=True, exist_ok=True)
        with (self.store / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=os.environ | {"SETPOINT_USER": self.user, "NO_COLOR": "1"},
            )
        until(self._is_up, UP_S, lambda: f"the server did not come up: {self.log()[-2000:]}")
        return self

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the server ended: {self.log()[-4000:]}")
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2.0).is_success
        except httpx.HTTPError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def log(self) -> str:
        return (self.store / "serve.log").read_text(errors="replace")

    def post(self, *events: dict[str, Any]) -> None:
        """As an exporter would: JSON lines."""
        body = "\n".join(json.dumps(event) for event in events)
        httpx.post(f"{self.url}/v1/events", content=body.encode(), timeout=30).raise_for_status()

    def desk(self, name: str, **arguments: Any) -> Any:
        """What the `setpoint` commands call."""
        token = json.loads((self.store / "serve.json").read_text())["token"]
        answer = httpx.post(
            f"{self.url}/v1/desk/{name}",
            json=arguments,
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )
        answer.raise_for_status()
        return answer.json()

    def reviews(self) -> list[dict[str, Any]]:
        """What waits for a person."""
        found: list[dict[str, Any]] = [one for one in self.desk("review_list") if one["kind"] == "action"]
        return found

    def propose(self, asset: str, cap_w: float = 450.0, who: str = "grace") -> str:
        """Something harmless and editable that waits for a decision, asked for by another person. Returns its id."""
        made = self.desk(
            "review_propose",
            action="cap_gpu_power",
            asset=asset,
            args={"cap_w": cap_w},
            who=who,
            why="it runs hot",
        )
        return str(made["review"]["id"])

    def came(self, what: str, subject: str) -> bool:
        """Whether the audit holds this about that subject."""
        return any(row["what"] == what for row in self.desk("audit_list", subject=subject))

    def outcome(self, review: str) -> str:
        """How the action of an approved review ended; "" while it has not."""
        key = self.desk("review_show", id=review)["incident_id"]
        rows = self.desk("audit_list", limit=400)
        ended = [row for row in rows if row["what"] == "action-ended" and row["subject"] == key]
        return str(ended[-1]["data"]["state"]) if ended else ""

    def settled(self) -> bool:
        """Every event is ranked and every incident that is analysed has its analysis."""
        counts = self.desk("stats")
        busy = [name for name in counts["jobs_by_state"] if name.endswith((":queued", ":running"))]
        return not counts["events_waiting"] and not busy


def until(true: Callable[[], bool], limit_s: float, said: Callable[[], str]) -> None:
    """Wait for it. Raises TimeoutError with what is said."""
    end = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(said())
        time.sleep(0.1)


def event(
    asset: str, message: str, *, severity: str = "critical", ago_s: float = 5.0, **more: Any
) -> dict[str, Any]:
    """A line as a building management system or an exporter writes it."""
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    source = more.pop("source", "bms")
    return {
        "time": at.isoformat(),
        "host": asset,
        "source": source,
        "severity": severity,
        "message": message,
        **more,
    }


def trouble() -> list[dict[str, Any]]:
    """A pump that tripped, a GPU that fell off the bus, a leak, a hot node, and something doubtful."""
    return [
        event("pump-1a", "Pump tripped on overcurrent", metric="running", value=0),
        event("cdu-1", "Coolant flow below minimum", metric="flow_lpm", value=12.0, unit="lpm", threshold=60.0),
        event("gpu-19", "NVRM: Xid (PCI:0000:3b:00): 79, pid=0, GPU has fallen off the bus.", source="kernel"),
        event("leak-r-05", "Leak detected", metric="wet", value=1),
        event("gpu-05", "GPU temperature above limit, clocks throttled", severity="error", source="dcgm",
              metric="gpu_temp_c", value=91.0, unit="C", threshold=87.0),
        event("store-1", "Write latency above its limit", severity="warning", metric="write_ms", value=41.0),
    ]  # fmt: skip
