"""Slurm over its REST daemon (slurmrestd): the job schedule in, nodes drained, jobs paused and resumed.

A running job is paused by SIGSTOP and resumed by SIGCONT to its steps (DELETE job with a signal); it keeps its nodes, and
its power falls to idle. slurmrestd offers no dry run, so the preview names the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from plant.jobs.schedule import ScheduledJob
from plant.ranges import expand
from setpoint.contracts import Action
from setpoint.errors import BackendError, SetpointError
from tools.adapters.config import SlurmSource
from tools.adapters.ports import Health
from tools.adapters.web import JsonApi, secret
from tools.readings import Reading

_LIVE = frozenset({"RUNNING", "SUSPENDED", "PENDING", "CONFIGURING"})
Call = tuple[str, str, dict[str, Any] | None, dict[str, str]]
"""Method, path, body, parameters."""


class Slurm:
    """One cluster."""

    def __init__(self, config: SlurmSource, clock: Callable[[], datetime]) -> None:
        self.name = f"slurm {config.url}"
        self._config, self._clock = config, clock
        headers = {
            "X-SLURM-USER-NAME": secret(config.user_env),
            "X-SLURM-USER-TOKEN": secret(config.token_env),
        }
        self._api = JsonApi("slurmrestd", config.url, timeout_s=config.timeout_s, headers=headers)
        self._base = f"/slurm/{config.version}"
        self._paused: set[int] = set()
        """Jobs that were paused through here: Slurm goes on to call them running."""

    # ---- reading ----------------------------------------------------------------------------------------------------

    def read(self, asset: str) -> Reading | None:
        try:
            nodes = self._asked(f"{self._base}/node/{asset}")["nodes"]
        except BackendError as error:
            if " 404 " in error.what or "Invalid node name" in error.what:
                return None
            raise
        if not nodes:
            return None
        states = {str(state).upper() for state in nodes[0].get("state", [])}
        running = [job for job in self._on(asset) if job["job_id"] not in self._paused]
        values = {
            "up": float(not states & {"DOWN", "NOT_RESPONDING", "FAIL"}),
            "cordoned": float("DRAIN" in states),
            "drained": float("DRAIN" in states and not self._on(asset)),
            "job_running": float(bool(running)),
        }
        return Reading(asset, self._clock(), values)

    def assets(self) -> Sequence[str]:
        return sorted(str(node["name"]) for node in self._asked(f"{self._base}/nodes")["nodes"])

    def check(self) -> Health:
        try:
            ping = self._asked(f"{self._base}/ping")
            many = len(self.assets())
        except BackendError as error:
            return Health(self.name, False, str(error))
        up = any(str(one.get("pinged", "")).upper() == "UP" for one in ping.get("pings", []))
        return Health(self.name, up, f"{many} nodes; controller {'up' if up else 'down'}")

    def close(self) -> None:
        self._api.close()

    def jobs(self, start: datetime, end: datetime) -> list[ScheduledJob]:
        """Jobs that run or are planned within the span, with the nodes they have; a pending job without a planned start
        is left out, since nobody knows when it comes."""
        found = []
        for job in self._asked(f"{self._base}/jobs")["jobs"]:
            begin, stop = _moment(job.get("start_time")), _moment(job.get("end_time"))
            if not set(_states(job)) & _LIVE or begin is None:
                continue
            stop = stop or begin + timedelta(minutes=_number(job.get("time_limit")) or 60.0)
            if begin < end and stop > start:
                found.append(self._scheduled(job, begin, stop))
        return found

    def _scheduled(self, job: dict[str, Any], begin: datetime, stop: datetime) -> ScheduledJob:
        return ScheduledJob(
            name=f"{job.get('name', 'job')} ({job['job_id']})", nodes=_nodes(job), start=begin, end=stop, load_pu=0.9,
            flexible=str(job.get("partition", "")) in self._config.flexible_partitions,
            paused=job["job_id"] in self._paused,
        )  # fmt: skip

    # ---- writing ----------------------------------------------------------------------------------------------------

    def can(self, action: Action) -> bool:
        return action.name in ("cordon_node", "drain_node", "pause_job", "resume_job")

    def preview(self, action: Action) -> str:
        return "; ".join(
            f"{method} {path} {body or ''} {params or ''}".strip()
            for method, path, body, params in self._calls(action, "preview")
        )

    def apply(self, action: Action, key: str) -> None:
        for method, path, body, params in self._calls(action, key):
            self._checked(self._api.send(method, path, body, **params))
        ids = {job["job_id"] for job in self._on(action.asset)}
        if action.name == "pause_job":
            self._paused |= ids
        elif action.name == "resume_job":
            self._paused -= ids

    def _calls(self, action: Action, key: str) -> list[Call]:
        if action.name in ("cordon_node", "drain_node"):
            body = {"state": ["DRAIN"], "reason": f"setpoint {key[:40]}"}
            return [("POST", f"{self._base}/node/{action.asset}", body, {})]
        jobs = self._on(action.asset)
        allowed = [job for job in jobs if str(job.get("partition")) in self._config.flexible_partitions]
        if not allowed:
            raise BackendError(
                f"no job on {action.asset} is in a partition that may be paused "
                f"({', '.join(self._config.flexible_partitions) or 'none is named'})",
                where=self.name, remedy="Name the partitions in `flexible_partitions`",
            )  # fmt: skip
        signal = "SIGSTOP" if action.name == "pause_job" else "SIGCONT"
        return [("DELETE", f"{self._base}/job/{job['job_id']}", None, {"signal": signal}) for job in allowed]

    def _on(self, node: str) -> list[dict[str, Any]]:
        """Jobs that hold a node."""
        return [
            job
            for job in self._asked(f"{self._base}/jobs")["jobs"]
            if "RUNNING" in _states(job) and node in _nodes(job)
        ]

    # ---- small ------------------------------------------------------------------------------------------------------

    def _asked(self, path: str) -> Any:
        return self._checked(self._api.get(path))

    def _checked(self, answer: Any) -> Any:
        """slurmrestd answers 200 with a list of errors. Raises BackendError with the first."""
        errors = answer.get("errors") if isinstance(answer, dict) else None
        if errors:
            first = errors[0]
            raise BackendError(str(first.get("description") or first.get("error")), where=self.name)
        return answer


def _states(job: dict[str, Any]) -> list[str]:
    state = job.get("job_state", [])
    return [str(one).upper() for one in (state if isinstance(state, list) else [state])]


def _nodes(job: dict[str, Any]) -> tuple[str, ...]:
    """Slurm writes "gpu-[001-004,007]"; our ranges are without commas.

    >>> _nodes({"nodes": "gpu-[01-02,07],cpu-1"})
    ('gpu-01', 'gpu-02', 'gpu-07', 'cpu-1')
    """
    text = str(job.get("nodes") or "")
    names: list[str] = []
    for part in _split(text):
        head, bracket, inside = part.partition("[")
        pieces = inside.removesuffix("]").split(",") if bracket else [""]
        for piece in pieces:
            written = f"{head}[{piece}]" if "-" in piece else f"{head}{piece}"
            try:
                names += expand(written)
            except (SetpointError, ValueError):
                names.append(written)
    return tuple(names)


def _split(text: str) -> list[str]:
    """At commas outside brackets."""
    parts, depth, begin = [], 0, 0
    for place, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if char == "," and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
    return [part for part in (*parts, text[begin:]) if part]


def _number(value: Any) -> float | None:
    """Slurm writes numbers as they are, or as {"set": true, "infinite": false, "number": 5}."""
    if isinstance(value, dict):
        return float(value["number"]) if value.get("set") and not value.get("infinite") else None
    return float(value) if value else None


def _moment(value: Any) -> datetime | None:
    seconds = _number(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
