"""The HTTP face, as other programs meet it: a real `setpoint serve` on loopback with a real webhook sink."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from evals.bench_service import HttpSink, Receipt, Server

SITE = Path(__file__).parents[3] / "plant" / "sites" / "demo.yaml"
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Served:
    """A running server and the sink it tells."""

    server: Server
    sink: HttpSink
    client: httpx.Client

    def post(self, path: str, body: str | bytes | dict[str, Any], **headers: str) -> httpx.Response:
        content = json.dumps(body) if isinstance(body, dict) else body
        return self.client.post(path, content=content, headers=headers)

    def desk(self, name: str, **arguments: Any) -> Any:
        return self.server.desk(name, self.client, **arguments)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("serve")
    with HttpSink() as sink:
        server = Server(folder / "store", SITE, log=folder / "serve.log", settings={
            "alerts.sinks": json.dumps([f"webhook+{sink.url}"]), "serve.max_body_mb": "0.2",
            "models.light.kind": "none", "models.heavy.kind": "none",
        })  # fmt: skip
        server.start()
        with httpx.Client(base_url=server.url, timeout=30) as client:
            yield Served(server, sink, client)
        server.stop()


def soon(find: Callable[[], Any]) -> Any:
    """What `find` gives once it gives something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := find()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


def line(asset: str, message: str, **more: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"time": now, "host": asset, "source": "bms", "severity": "critical", "message": message, **more}


FORMATS: dict[str, tuple[str, int]] = {
    "json lines": ("\n".join(json.dumps(line("ups-1", f"UPS on battery, phase {n}")) for n in (1, 2)), 2),
    "csv": ("time,host,severity,message\n2026-11-01T10:00:00Z,gpu-03,error,disk sda failing\n", 1),
    "syslog": ("<4>1 2026-11-01T10:00:01Z gpu-05 kernel - - - NVRM: Xid (PCI:0000:1b:00): 79, GPU has fallen off the bus.\n", 1),
    "cloudevents": (json.dumps({"specversion": "1.0", "id": "ce-1", "type": "health", "source": "nvsentinel", "time": "2026-11-01T10:00:02Z",
                                "data": {"nodeName": "gpu-07", "checkName": "GpuPcieWatch", "isFatal": True, "isHealthy": False,
                                         "message": "PCIe link degraded"}}), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_recognised_by_its_content(served: Served, name: str) -> None:
    body, count = FORMATS[name]
    answer = served.post("/v1/events", body)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": count, "duplicates": 0, "quarantined": 0, "problems": []}
    again = served.post("/v1/events", gzip.compress(body.encode()))
    assert (again.status_code, again.json()["duplicates"]) == (202, count), (
        "the same content has the same ids"
    )


def test_an_alertmanager_payload_becomes_an_alert_at_the_sink(served: Served) -> None:
    alert = {
        "status": "firing", "labels": {"alertname": "CoolantLeak", "instance": "leak-r-03", "severity": "critical"},
        "annotations": {"summary": "Leak rope wet at rack r-03"}, "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "f3a1",
    }  # fmt: skip
    payload = {"version": "4", "groupKey": "{}:{}", "status": "firing", "receiver": "setpoint", "groupLabels": {},
               "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "alerts": [alert]}  # fmt: skip
    assert served.post("/v1/alertmanager", payload).status_code == 202
    (told,) = soon(lambda: about(served, "leak-r-03"))
    assert (told.stage, told.priority) == ("first", "P0")
    assert told.key, "a sink needs the key to show each version once"
    (incident,) = [i for i in served.client.get("/v1/incidents").json() if i["id"] == told.incident_id]
    shown = served.client.get(f"/v1/incidents/{incident['id']}").json()
    assert shown["events"][0]["asset"] == "leak-r-03"


def about(served: Served, asset: str) -> list[Receipt]:
    return [one for one in served.sink.receipts() if asset in one.text and one.stage == "first"]


def test_what_cannot_be_read_is_kept_and_said(served: Served) -> None:
    body = json.dumps(line("gpu-09", "fan 3 failed")) + '\n{"time": "yesterday-ish", "host": "gpu-09"\n'
    answer = served.post("/v1/events", body)
    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["quarantined"]) == (1, 1)
    (problem,) = answer.json()["problems"]
    assert all(problem[name] for name in ("item", "reason", "remedy"))
    assert served.desk("quarantine_list"), "it can be listed and replayed"


def test_a_body_of_nothing_but_noise_is_refused_with_a_remedy(served: Served) -> None:
    empty = served.post("/v1/events", b"")
    assert empty.status_code == 422
    assert [problem["remedy"] != "" for problem in empty.json()["problems"]] == [True]
    assert served.post("/v1/events", b"{]").status_code == 422


def test_a_body_that_is_too_large_is_refused(served: Served) -> None:
    answer = served.post("/v1/events", b"x" * 300_000)
    assert answer.status_code == 413
    assert "0.2 MB" in answer.json()["error"]


def test_health_and_metrics(served: Served) -> None:
    served.post("/v1/events", line("gpu-11", "corrected memory error on DIMM A1", severity="info"))
    assert served.client.get("/healthz").json()["status"] == "ok"
    ready = served.client.get("/readyz")
    assert (ready.status_code, ready.json()["problems"]) == (200, [])
    names = {
        row.split("{")[0].split(" ")[0]
        for row in served.client.get("/metrics").text.splitlines()
        if row[:1] != "#"
    }
    assert {"setpoint_events_total", "setpoint_events_waiting", "setpoint_incidents_open",
            "setpoint_alert_latency_seconds_count"} <= names  # fmt: skip


def test_the_desk_wants_the_token_of_the_store(served: Served) -> None:
    for headers in ({}, {"Authorization": "Bearer guess"}):
        assert served.client.post("/v1/desk/stats", json={}, headers=headers).status_code == 401
    assert served.desk("stats")["events"] >= 0
    assert (served.server.store / "serve.json").stat().st_mode & 0o077 == 0, "only this user may read it"
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        served.desk("drop_everything")
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        served.desk("incidents_show", nonsense=1)


def test_an_incident_that_a_person_closed_does_not_swallow_what_comes_next(served: Served) -> None:
    served.post("/v1/events", line("leak-r-06", "Leak rope wet at rack r-06, zone 1"))
    first = soon(lambda: about(served, "leak-r-06"))[0]
    served.desk("incidents_close", id=first.incident_id, who="ops", why="mopped up")
    served.post("/v1/events", line("leak-r-06", "Leak rope wet at rack r-06, zone 1"))
    second = soon(lambda: [one for one in about(served, "leak-r-06") if one.incident_id != first.incident_id])
    assert second[0].priority == "P0"


def test_openapi_describes_what_is_served(served: Served) -> None:
    paths = served.client.get("/openapi.json").json()["paths"]
    assert {"/v1/events", "/v1/alertmanager", "/healthz", "/readyz", "/metrics", "/v1/incidents"} <= set(
        paths
    )


def test_a_second_server_on_the_same_store_is_refused(served: Served) -> None:
    command = [
        sys.executable,
        "-m",
        "setpoint.app",
        "serve",
        "--store",
        str(served.server.store),
        "--site",
        str(SITE),
    ]
    second = subprocess.run(
        [*command, "--port", "1"], capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 2
    assert "has this store already" in second.stderr
    assert served.client.get("/healthz").is_success, "the first one goes on"
