"""Kubernetes: nodes, serving pools as replicas, jobs that may be suspended. Over its REST API with httpx.

Its own client library asks for a python-dateutil that the eval tools cannot live with, and six calls need no library.
Every write is tried first with `dryRun=All`, the API server's own rehearsal, admission hooks included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from setpoint.contracts import Action
from setpoint.errors import BackendError
from tools.adapters.config import KubernetesPool, KubernetesSource
from tools.adapters.ports import Health
from tools.adapters.web import JsonApi
from tools.readings import Reading

MERGE = "application/merge-patch+json"
_NODE_ACTIONS = frozenset({"cordon_node", "drain_node"})
_JOB_ACTIONS = frozenset({"pause_job", "resume_job"})
Patch = tuple[str, dict[str, Any]]
"""Path and merge patch."""


class Kubernetes:
    """One cluster."""

    def __init__(self, config: KubernetesSource, clock: Callable[[], datetime]) -> None:
        self.name = f"kubernetes {config.url}"
        self._config, self._clock = config, clock
        headers = {"Authorization": f"Bearer {_token(config)}"} if config.token_file else {}
        self._api = JsonApi(
            "Kubernetes",
            config.url,
            timeout_s=config.timeout_s,
            headers=headers,
            verify=config.ca_file or True,
        )

    # ---- reading ----------------------------------------------------------------------------------------------------

    def read(self, asset: str) -> Reading | None:
        pool = self._pool(asset)
        if pool is not None:
            return self._read_pool(pool)
        return self._read_node(asset) if self._config.nodes else None

    def assets(self) -> Sequence[str]:
        nodes = (
            [one["metadata"]["name"] for one in self._api.get("/api/v1/nodes")["items"]]
            if self._config.nodes
            else []
        )
        return sorted({*nodes, *(pool.asset for pool in self._config.pools)})

    def check(self) -> Health:
        try:
            version = self._api.get("/version").get("gitVersion", "of unknown version")
            many = len(self.assets())
        except BackendError as error:
            return Health(self.name, False, str(error))
        return Health(self.name, True, f"Kubernetes {version}; {many} assets")

    def close(self) -> None:
        self._api.close()

    def _read_pool(self, pool: KubernetesPool) -> Reading:
        found = self._api.get(self._workload(pool))
        ready = float(found.get("status", {}).get("readyReplicas", 0))
        wanted = float(found.get("spec", {}).get("replicas", 0))
        values = {
            "healthy_nodes": ready * pool.nodes_per_replica,
            "serving_nodes": wanted * pool.nodes_per_replica,
            "up": float(ready > 0),
        }
        return Reading(pool.asset, self._clock(), values)

    def _read_node(self, name: str) -> Reading | None:
        try:
            node = self._api.get(f"/api/v1/nodes/{name}")
        except BackendError as error:
            if " 404 " in error.what:
                return None
            raise
        cordoned = bool(node.get("spec", {}).get("unschedulable"))
        ready = any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in node.get("status", {}).get("conditions", [])
        )
        pods = self._pods(name)
        jobs = [pod for pod in pods if _owner(pod, "Job")]
        values = {
            "up": float(ready),
            "cordoned": float(cordoned),
            "drained": float(cordoned and not [pod for pod in pods if not _owner(pod, "DaemonSet")]),
            "job_running": float(any(pod["status"].get("phase") == "Running" for pod in jobs)),
        }
        return Reading(name, self._clock(), values)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def can(self, action: Action) -> bool:
        if action.name == "scale_pool":
            return self._pool(action.asset) is not None
        return self._config.nodes and action.name in (_NODE_ACTIONS | _JOB_ACTIONS)

    def preview(self, action: Action) -> str:
        patches = self._patches(action)
        for path, patch in patches:
            self._api.send("PATCH", path, patch, content_type=MERGE, dryRun="All")
        said = "; ".join(f"PATCH {path} {patch}" for path, patch in patches)
        if action.name == "drain_node":
            said += f"; evict {len(self._evictable(action.asset))} pods"
        return said

    def apply(self, action: Action, key: str) -> None:
        patches = self._patches(action)
        for path, patch in patches:
            self._api.send("PATCH", path, patch, content_type=MERGE, dryRun="All")
        for path, patch in patches:
            noted = {**patch, "metadata": {"annotations": {"setpoint/action": key[:63]}}}
            self._api.send("PATCH", path, patch if path.endswith("/scale") else noted, content_type=MERGE)
        if action.name == "drain_node":
            self._evict(action.asset)

    def _patches(self, action: Action) -> list[Patch]:
        """Raises BackendError where the action has nothing to move."""
        if action.name == "scale_pool":
            pool = self._pool(action.asset)
            if pool is None:
                raise BackendError(
                    f"{action.asset} is not mapped", where=self.name, remedy="Add it to `pools`"
                )
            replicas, rest = divmod(int(action.args["nodes"]), pool.nodes_per_replica)
            if rest:
                raise BackendError(
                    f"{action.args['nodes']} nodes are no whole number of replicas of {pool.nodes_per_replica} nodes",
                    where=self.name, remedy="Propose a multiple",
                )  # fmt: skip
            return [(f"{self._workload(pool)}/scale", {"spec": {"replicas": replicas}})]
        if action.name in _NODE_ACTIONS:
            return [(f"/api/v1/nodes/{action.asset}", {"spec": {"unschedulable": True}})]
        return [(path, {"spec": {"suspend": action.name == "pause_job"}}) for path in self._jobs(action)]

    def _jobs(self, action: Action) -> list[str]:
        """Jobs to pause: those with a pod on the node that carry the label. To resume: those of ours that stand still."""
        label = self._config.may_pause
        base = f"/apis/batch/v1/namespaces/{self._config.namespace}/jobs"
        jobs = self._api.get(base, labelSelector=label)["items"]
        if action.name == "pause_job":
            here = {_owner(pod, "Job") for pod in self._pods(action.asset)}
            names = [one["metadata"]["name"] for one in jobs if one["metadata"]["name"] in here]
        else:
            names = [
                one["metadata"]["name"]
                for one in jobs
                if one.get("spec", {}).get("suspend")
                and "setpoint/action" in one["metadata"].get("annotations", {})
            ]
        if not names:
            raise BackendError(
                f"no job labelled {label} to {action.name.split('_')[0]} at {action.asset}", where=self.name,
                remedy="Label the jobs that may be paused",
            )  # fmt: skip
        return [f"{base}/{name}" for name in names]

    def _evictable(self, node: str) -> list[dict[str, Any]]:
        """Pods that a drain moves: DaemonSets and finished pods stay."""
        return [
            pod
            for pod in self._pods(node)
            if not _owner(pod, "DaemonSet") and pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]

    def _evict(self, node: str) -> None:
        for pod in self._evictable(node):
            name, space = pod["metadata"]["name"], pod["metadata"]["namespace"]
            body = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": name, "namespace": space},
            }
            self._api.send("POST", f"/api/v1/namespaces/{space}/pods/{name}/eviction", body)

    # ---- small ------------------------------------------------------------------------------------------------------

    def _pool(self, asset: str) -> KubernetesPool | None:
        return next((pool for pool in self._config.pools if pool.asset == asset), None)

    def _workload(self, pool: KubernetesPool) -> str:
        return f"/apis/apps/v1/namespaces/{self._config.namespace}/{pool.workload}/{pool.name}"

    def _pods(self, node: str) -> list[dict[str, Any]]:
        found = self._api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
        return list(found["items"])


def _owner(pod: dict[str, Any], kind: str) -> str:
    """Name of the pod's owner of that kind; "" where it has none."""
    owners = pod["metadata"].get("ownerReferences", [])
    return next((str(one["name"]) for one in owners if one["kind"] == kind), "")


def _token(config: KubernetesSource) -> str:
    assert config.token_file is not None
    try:
        return config.token_file.read_text("utf-8").strip()
    except OSError as error:
        raise BackendError(
            f"cannot be read: {error.strerror}",
            where=str(config.token_file),
            remedy="Mount the service account's token",
        ) from error
