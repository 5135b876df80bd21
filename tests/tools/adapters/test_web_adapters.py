"""Prometheus, Redfish, Kubernetes and Slurm over real sockets: what is read, what is written, what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from setpoint.contracts import Action
from setpoint.errors import BackendError
from tests.tools.adapters.simulators import (
    KubernetesSimulator,
    PrometheusSimulator,
    RedfishSimulator,
    SlurmSimulator,
    serving,
)
from tools.adapters.config import (
    KubernetesPool,
    KubernetesSource,
    PrometheusReading,
    PrometheusSource,
    RedfishReading,
    RedfishSource,
    RedfishWrite,
    SlurmSource,
)
from tools.adapters.kubernetes import Kubernetes
from tools.adapters.prometheus import Prometheus
from tools.adapters.redfish import Redfish
from tools.adapters.slurm import Slurm

Clock = Callable[[], datetime]
Opened = Callable[[Any], Any]
NOW_S = datetime(2026, 3, 14, 12, 0, tzinfo=UTC).timestamp()
FLOW = "/redfish/v1/ThermalEquipment/CDUs/1/PrimaryCoolantConnectors/1"
CONTROL = "/redfish/v1/ThermalEquipment/CDUs/1/Controls/Flow"


# ---- Prometheus ------------------------------------------------------------------------------------------------------


def watching(url: str, *readings: PrometheusReading) -> PrometheusSource:
    return PrometheusSource(kind="prometheus", url=url, readings=readings)


TEMP = PrometheusReading(query="DCGM_FI_DEV_GPU_TEMP", metric="gpu_temp_c", by="node")
WATTS = PrometheusReading(query="node_watts", metric="power_kw", by="node", scale=0.001)


def test_prometheus_reads_by_label_with_the_age_of_the_oldest_sample(clock: Clock, opened: Opened) -> None:
    metrics = PrometheusSimulator({
        "DCGM_FI_DEV_GPU_TEMP": [({"node": "gpu-01"}, [(NOW_S - 40, 61.0)]), ({"node": "gpu-02"}, [(NOW_S - 5, 58.5)])],
        "node_watts": [({"node": "gpu-01"}, [(NOW_S - 10, 7850.0)])],
    })  # fmt: skip
    with serving(metrics) as url:
        source = opened(Prometheus(watching(url, TEMP, WATTS), clock))
        reading = source.read("gpu-01")
        assert reading is not None
        assert reading.values == pytest.approx({"gpu_temp_c": 61.0, "power_kw": 7.85})
        assert (clock() - reading.time).total_seconds() == 40
        assert source.read("gpu-09") is None
        assert source.assets() == ["gpu-01", "gpu-02"]
        assert source.check().said == "Prometheus 3.7.0; 3 readings of 2 assets"


def test_prometheus_drops_what_is_no_number_and_what_is_too_old(clock: Clock, opened: Opened) -> None:
    metrics = PrometheusSimulator({
        "DCGM_FI_DEV_GPU_TEMP": [({"node": "gpu-01"}, [(NOW_S - 5, float("nan"))])],
        "node_watts": [({"node": "gpu-01"}, [(NOW_S - 1000, 7850.0)])],
    })  # fmt: skip
    with serving(metrics) as url:
        assert opened(Prometheus(watching(url, TEMP, WATTS), clock)).read("gpu-01") is None


def test_prometheus_tells_the_past_over_more_than_one_range(clock: Clock, opened: Opened) -> None:
    past = [(NOW_S - k * 3600.0, 50.0 + k) for k in range(24 * 20)]
    with serving(PrometheusSimulator({"DCGM_FI_DEV_GPU_TEMP": [({"node": "gpu-01"}, past[::-1])]})) as url:
        series = opened(Prometheus(watching(url, TEMP), clock)).series("gpu-01", "gpu_temp_c")
    assert series is not None
    assert len(series.values) == len(past)
    assert series.times == tuple(sorted(series.times))
    assert series.values[-1] == 50.0


def test_prometheus_that_is_away_is_named(clock: Clock, opened: Opened) -> None:
    simulator = PrometheusSimulator({})
    simulator.broken = True
    with serving(simulator) as url:
        source = opened(Prometheus(watching(url, TEMP), clock))
        with pytest.raises(BackendError, match="Prometheus cannot be reached"):
            source.read("gpu-01")
        assert not source.check().reachable
    assert len(simulator.asked) >= 3, "a read is tried again"


# ---- Redfish ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETPOINT_REDFISH_USER", "ops")
    monkeypatch.setenv("SETPOINT_REDFISH_PASSWORD", "secret")


def cdu(clamp: Callable[[float], float] = lambda value: value) -> RedfishSimulator:
    return RedfishSimulator({
        "/redfish/v1": {"RedfishVersion": "1.20.0"},
        FLOW: {"FlowLitersPerMinute": {"Reading": 201.5}, "SupplyTemperatureCelsius": {"Reading": None}},
        CONTROL: {"SetPoint": 200.0},
    }, clamp)  # fmt: skip


def redfish(url: str) -> RedfishSource:
    return RedfishSource(
        kind="redfish", url=url,
        readings=(
            RedfishReading(asset="cdu-1", metric="flow_lpm", path=FLOW, pointer="/FlowLitersPerMinute/Reading"),
            RedfishReading(asset="cdu-1", metric="flow_setpoint_lpm", path=CONTROL, pointer="/SetPoint"),
        ),
        writes=(RedfishWrite(action="set_coolant_flow", asset="cdu-1", arg="flow_lpm", path=CONTROL, maximum=300),),
    )  # fmt: skip


def flow(lpm: float) -> Action:
    return Action(name="set_coolant_flow", asset="cdu-1", args={"flow_lpm": lpm})


@pytest.mark.usefixtures("account")
def test_redfish_reads_writes_with_its_etag_and_reads_back(clock: Clock, opened: Opened) -> None:
    simulator = cdu()
    with serving(simulator) as url:
        adapter = opened(Redfish(redfish(url), clock))
        reading = adapter.read("cdu-1")
        assert reading is not None
        assert reading.values == {"flow_lpm": 201.5, "flow_setpoint_lpm": 200.0}
        assert "200.0 -> 240" in adapter.preview(flow(240.0))
        assert simulator.tree[CONTROL]["SetPoint"] == 200.0, "a preview moves nothing"
        adapter.apply(flow(240.0), "key")
    assert simulator.tree[CONTROL]["SetPoint"] == 240.0


@pytest.mark.usefixtures("account")
def test_redfish_says_so_when_the_controller_changes_what_was_written(clock: Clock, opened: Opened) -> None:
    with serving(cdu(clamp=lambda value: min(value, 210.0))) as url:
        adapter = opened(Redfish(redfish(url), clock))
        with pytest.raises(BackendError, match=r"shows SetPoint 210\.0 after 240 was written"):
            adapter.apply(flow(240.0), "key")
        with pytest.raises(BackendError, match="outside what this device takes"):
            adapter.apply(flow(301.0), "key")


@pytest.mark.usefixtures("account")
def test_redfish_check_names_what_gives_no_number(clock: Clock, opened: Opened) -> None:
    config = redfish("http://unused")
    dead = RedfishReading(
        asset="cdu-1", metric="supply_temp_c", path=FLOW, pointer="/SupplyTemperatureCelsius/Reading"
    )
    with serving(cdu()) as url:
        health = opened(
            Redfish(config.model_copy(update={"url": url, "readings": (*config.readings, dead)}), clock)
        ).check()
    assert not health.reachable
    assert "no number at: cdu-1.supply_temp_c" in health.said


def test_a_missing_secret_is_named_before_anything_is_sent(
    clock: Clock, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SETPOINT_REDFISH_USER", raising=False)
    simulator = cdu()
    with serving(simulator) as url, pytest.raises(BackendError, match="SETPOINT_REDFISH_USER is not set"):
        opened(Redfish(redfish(url), clock)).read("cdu-1")
    assert simulator.asked == []


# ---- Kubernetes ------------------------------------------------------------------------------------------------------


@pytest.fixture
def kubernetes(tmp_path: Path, clock: Clock, opened: Opened) -> Callable[[str], Kubernetes]:
    token = tmp_path / "token"
    token.write_text("t\n")
    pool = KubernetesPool(asset="pool-chat", name="chat", nodes_per_replica=2)

    def make(url: str) -> Kubernetes:
        config = KubernetesSource(kind="kubernetes", url=url, token_file=token, namespace="ml", pools=(pool,))
        found: Kubernetes = opened(Kubernetes(config, clock))
        return found

    return make


def test_kubernetes_reads_pools_and_nodes(kubernetes: Callable[[str], Kubernetes]) -> None:
    with serving(KubernetesSimulator()) as url:
        adapter = kubernetes(url)
        pool, node = adapter.read("pool-chat"), adapter.read("gpu-01")
        assert pool is not None
        assert node is not None
        assert pool.values == {"healthy_nodes": 8.0, "serving_nodes": 8.0, "up": 1.0}
        assert node.values == {"up": 1.0, "cordoned": 0.0, "drained": 0.0, "job_running": 1.0}
        assert adapter.read("gpu-77") is None
        assert "v1.35.0" in adapter.check().said


def test_kubernetes_scales_in_whole_replicas_after_a_dry_run(kubernetes: Callable[[str], Kubernetes]) -> None:
    simulator = KubernetesSimulator()
    scale = Action(name="scale_pool", asset="pool-chat", args={"nodes": 6})
    with serving(simulator) as url:
        adapter = kubernetes(url)
        adapter.preview(scale)
        assert simulator.deployment["spec"]["replicas"] == 4
        adapter.apply(scale, "key")
        assert simulator.deployment["spec"]["replicas"] == 3
        with pytest.raises(BackendError, match="no whole number of replicas"):
            adapter.apply(Action(name="scale_pool", asset="pool-chat", args={"nodes": 5}), "key")
    written = [path for method, path, _ in simulator.asked if method == "PATCH"]
    assert [path.endswith("dryRun=All") for path in written] == [True, True, False]


def test_kubernetes_pauses_only_jobs_that_carry_the_label_and_resumes_only_its_own(
    kubernetes: Callable[[str], Kubernetes],
) -> None:
    simulator = KubernetesSimulator()
    with serving(simulator) as url:
        adapter = kubernetes(url)
        with pytest.raises(BackendError, match="no job labelled"):
            adapter.apply(Action(name="pause_job", asset="gpu-02", args={}), "key")
        adapter.apply(Action(name="pause_job", asset="gpu-01", args={}), "key")
        assert simulator.jobs["embed"]["spec"]["suspend"]
        assert not simulator.jobs["pretrain"]["spec"]["suspend"]
        adapter.apply(Action(name="resume_job", asset="gpu-01", args={}), "key-2")
        assert not simulator.jobs["embed"]["spec"]["suspend"]


def test_kubernetes_drains_by_cordon_and_eviction_and_leaves_daemons(
    kubernetes: Callable[[str], Kubernetes],
) -> None:
    simulator = KubernetesSimulator()
    with serving(simulator) as url:
        adapter = kubernetes(url)
        adapter.apply(Action(name="drain_node", asset="gpu-01", args={}), "key")
        reading = adapter.read("gpu-01")
    assert simulator.nodes["gpu-01"]["spec"]["unschedulable"]
    assert [pod["metadata"]["name"] for pod in simulator.pods] == ["pretrain-0", "exporter-0"]
    assert reading is not None
    assert reading.values["drained"] == 1.0


# ---- Slurm -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def slurm(clock: Clock, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Slurm]:
    monkeypatch.setenv("SETPOINT_SLURM_USER", "setpoint")
    monkeypatch.setenv("SLURM_JWT", "jwt")

    def make(url: str) -> Slurm:
        found: Slurm = opened(
            Slurm(SlurmSource(kind="slurm", url=url, flexible_partitions=("preempt",)), clock)
        )
        return found

    return make


def test_slurm_tells_nodes_and_the_schedule(slurm: Callable[[str], Slurm], clock: Clock) -> None:
    with serving(SlurmSimulator(NOW_S)) as url:
        adapter = slurm(url)
        node = adapter.read("gpu-01")
        jobs = adapter.jobs(clock(), clock() + timedelta(hours=1))
        assert adapter.read("gpu-99") is None
        assert adapter.check().said == "3 nodes; controller up"
    assert node is not None
    assert node.values == {"up": 1.0, "cordoned": 0.0, "drained": 0.0, "job_running": 1.0}
    assert [(job.name, job.nodes, job.flexible) for job in jobs] == [
        ("embed (11)", ("gpu-01", "gpu-02"), True), ("pretrain (12)", ("gpu-03",), False),
    ]  # fmt: skip


def test_slurm_stops_and_continues_jobs_of_named_partitions_only(
    slurm: Callable[[str], Slurm], clock: Clock
) -> None:
    simulator = SlurmSimulator(NOW_S)
    with serving(simulator) as url:
        adapter = slurm(url)
        with pytest.raises(BackendError, match="no job on gpu-03 is in a partition that may be paused"):
            adapter.apply(Action(name="pause_job", asset="gpu-03", args={}), "key")
        pause = Action(name="pause_job", asset="gpu-01", args={})
        assert "SIGSTOP" in adapter.preview(pause)
        assert simulator.signals == []
        adapter.apply(pause, "key")
        assert adapter.jobs(clock(), clock() + timedelta(hours=1))[0].paused
        adapter.apply(Action(name="resume_job", asset="gpu-01", args={}), "key-2")
    assert simulator.signals == [(11, "SIGSTOP"), (11, "SIGCONT")]


def test_slurm_drains_a_node_with_a_reason(slurm: Callable[[str], Slurm]) -> None:
    simulator = SlurmSimulator(NOW_S)
    with serving(simulator) as url:
        adapter = slurm(url)
        adapter.apply(Action(name="drain_node", asset="gpu-01", args={}), "INC-1:REV-1:abc")
        reading = adapter.read("gpu-01")
    assert simulator.nodes["gpu-01"]["state"] == ["IDLE", "DRAIN"]
    assert reading is not None
    assert (reading.values["cordoned"], reading.values["drained"]) == (1.0, 0.0), "its job still runs"
