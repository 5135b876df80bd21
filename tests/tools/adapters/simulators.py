"""Small systems to reach: each speaks its protocol over a real socket and holds a state that writes change."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any, dict[str, str]]
"""Status, JSON body, headers."""


class Simulator:
    """Answers `handle(method, path, query, body, headers)`; keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.broken = False

    def handle(self, method: str, path: str, query: dict[str, str], body: Any, headers: Any) -> Answer:
        raise NotImplementedError


@contextmanager
def serving(simulator: Simulator) -> Iterator[str]:
    """Its address, while it is served on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else None
            simulator.asked.append((self.command, self.path, body))
            if simulator.broken:
                self.close_connection = True
                self.connection.close()
                return
            status, told, extra = simulator.handle(self.command, parts.path, query, body, self.headers)
            out = told.encode() if isinstance(told, str) else json.dumps(told).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **extra}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            self.wfile.write(out)

        do_GET = do_POST = do_PATCH = do_DELETE = _do

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class PrometheusSimulator(Simulator):
    """Metrics as {name: [(labels, [(seconds, value)])]}; queries are a name, a name times a number, or timestamp()."""

    def __init__(self, metrics: dict[str, list[tuple[dict[str, str], list[tuple[float, float]]]]]) -> None:
        super().__init__()
        self.metrics = metrics

    def handle(self, method: str, path: str, query: dict[str, str], body: Any, headers: Any) -> Answer:
        if path.endswith("/buildinfo"):
            return 200, {"status": "success", "data": {"version": "3.7.0"}}, {}
        if path.endswith("/query_range"):
            return 200, self._range(query), {}
        return 200, self._instant(query["query"], float(query["time"])), {}

    def _instant(self, asked: str, now: float) -> Any:
        inner = re.fullmatch(r"timestamp\((.*)\)", asked)
        rows = []
        for labels, points in self.metrics.get(inner[1] if inner else asked, []):
            past = [(at, value) for at, value in points if now - 300 <= at <= now]
            if past:
                told = past[-1][0] if inner else past[-1][1]
                rows.append({"metric": labels, "value": [now, str(told)]})
        return {"status": "success", "data": {"resultType": "vector", "result": rows}}

    def _range(self, query: dict[str, str]) -> Any:
        start, end = float(query["start"]), float(query["end"])
        rows = [
            {"metric": labels, "values": [[at, str(v)] for at, v in points if start <= at <= end]}
            for labels, points in self.metrics.get(query["query"], [])
        ]
        return {
            "status": "success",
            "data": {"resultType": "matrix", "result": [r for r in rows if r["values"]]},
        }


class RedfishSimulator(Simulator):
    """A tree of resources with ETags; `clamp` is what a controller makes of a setpoint."""

    def __init__(self, tree: dict[str, Any], clamp: Callable[[float], float] = lambda value: value) -> None:
        super().__init__()
        self.tree, self.clamp = tree, clamp

    def handle(self, method: str, path: str, query: dict[str, str], body: Any, headers: Any) -> Answer:
        if not headers.get("Authorization", "").startswith("Basic "):
            return 401, {"error": {"message": "no account"}}, {}
        key = path.rstrip("/") if path.rstrip("/") in self.tree else path
        if key not in self.tree:
            return 404, {"error": {"message": "no such resource"}}, {}
        if method == "PATCH":
            if headers.get("If-Match") != self._tag(key):
                return 412, {"error": {"message": "changed meanwhile"}}, {}
            self.tree[key] |= {name: self.clamp(value) for name, value in body.items()}
        return 200, self.tree[key], {"ETag": self._tag(key)}

    def _tag(self, key: str) -> str:
        return f'"{hash(json.dumps(self.tree[key], sort_keys=True)) & 0xFFFF:x}"'


class KubernetesSimulator(Simulator):
    """Nodes, pods, deployments, jobs; merge patches, dryRun=All, evictions."""

    def __init__(self) -> None:
        super().__init__()
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.nodes = {
            name: {"metadata": {"name": name}, "spec": {}, "status": ready} for name in ("gpu-01", "gpu-02")
        }
        self.deployment: dict[str, Any] = {
            "spec": {"replicas": 4},
            "status": {"readyReplicas": 4},
            "metadata": {},
        }
        self.jobs: dict[str, Any] = {
            name: {
                "metadata": {"name": name, "labels": labels, "annotations": {}},
                "spec": {"suspend": False},
            }
            for name, labels in (("embed", {"setpoint/may-pause": "true"}), ("pretrain", {}))
        }
        self.pods = [
            _pod("embed-0", "gpu-01", "Job", "embed"), _pod("pretrain-0", "gpu-02", "Job", "pretrain"),
            _pod("exporter-0", "gpu-01", "DaemonSet", "exporter"), _pod("chat-0", "gpu-01", "ReplicaSet", "chat"),
        ]  # fmt: skip

    def handle(self, method: str, path: str, query: dict[str, str], body: Any, headers: Any) -> Answer:
        if path == "/version":
            return 200, {"gitVersion": "v1.35.0"}, {}
        if path == "/api/v1/nodes":
            return 200, {"items": list(self.nodes.values())}, {}
        if path == "/api/v1/pods":
            node = query["fieldSelector"].removeprefix("spec.nodeName=")
            return 200, {"items": [pod for pod in self.pods if pod["spec"]["nodeName"] == node]}, {}
        if path.endswith("/eviction"):
            name = path.split("/")[-2]
            self.pods = [pod for pod in self.pods if pod["metadata"]["name"] != name]
            return 201, {}, {}
        if path.endswith("/jobs"):
            key, _, value = query["labelSelector"].partition("=")
            return (
                200,
                {"items": [j for j in self.jobs.values() if j["metadata"]["labels"].get(key) == value]},
                {},
            )
        found = self._one(path)
        if found is None:
            return 404, {"message": "not found"}, {}
        if method == "PATCH":
            if headers["Content-Type"] != "application/merge-patch+json":
                return 415, {"message": "unsupported"}, {}
            if query.get("dryRun") != "All":
                _merge(found, body)
        return 200, found, {}

    def _one(self, path: str) -> dict[str, Any] | None:
        parts = path.strip("/").split("/")
        if "nodes" in parts:
            return self.nodes.get(parts[-1])
        if "deployments" in parts:
            return self.deployment if parts[parts.index("deployments") + 1] == "chat" else None
        return self.jobs.get(parts[-1])


def _pod(name: str, node: str, kind: str, owner: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "ml", "ownerReferences": [{"kind": kind, "name": owner}]},
        "spec": {"nodeName": node},
        "status": {"phase": "Running"},
    }


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


class SlurmSimulator(Simulator):
    """Two nodes, a running job in a partition that may be paused, one in another, one that waits."""

    def __init__(self, now_s: float) -> None:
        super().__init__()
        self.nodes: dict[str, dict[str, Any]] = {
            n: {"name": n, "state": ["IDLE"]} for n in ("gpu-01", "gpu-02", "gpu-03")
        }
        self.signals: list[tuple[int, str]] = []
        self.jobs = [
            _job(11, "embed", "preempt", "RUNNING", "gpu-[01-02]", now_s - 600, now_s + 6600),
            _job(12, "pretrain", "train", "RUNNING", "gpu-03", now_s - 600, now_s + 90_000),
            _job(13, "later", "preempt", "PENDING", "", None, None),
        ]

    def handle(self, method: str, path: str, query: dict[str, str], body: Any, headers: Any) -> Answer:
        if headers.get("X-SLURM-USER-TOKEN") != "jwt":
            return 401, "Authentication failure", {}
        _, _, rest = path.partition("/v0.0.41/")
        if rest == "ping":
            return 200, {"pings": [{"hostname": "ctl-1", "pinged": "UP"}], "errors": []}, {}
        if rest == "nodes":
            return 200, {"nodes": list(self.nodes.values()), "errors": []}, {}
        if rest == "jobs":
            return 200, {"jobs": self.jobs, "errors": []}, {}
        kind, _, name = rest.partition("/")
        if kind == "node":
            return self._node(method, name, body)
        self.signals.append((int(name), query["signal"]))
        return 200, {"errors": []}, {}

    def _node(self, method: str, name: str, body: Any) -> Answer:
        if name not in self.nodes:
            return 200, {"nodes": [], "errors": [{"description": f"Invalid node name {name}"}]}, {}
        if method == "POST":
            self.nodes[name]["state"] = ["IDLE", *body["state"]]
        return 200, {"nodes": [self.nodes[name]], "errors": []}, {}


def _job(
    job_id: int, name: str, partition: str, state: str, nodes: str, start: float | None, end: float | None
) -> dict[str, Any]:
    def number(value: float | None) -> dict[str, Any]:
        return {"set": value is not None, "infinite": False, "number": int(value or 0)}

    return {
        "job_id": job_id, "name": name, "partition": partition, "job_state": [state], "nodes": nodes,
        "start_time": number(start), "end_time": number(end), "time_limit": number(120),
    }  # fmt: skip
