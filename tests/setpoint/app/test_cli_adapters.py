"""`setpoint adapters`: what a person sees of a site's adapter file, over real sockets."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from setpoint.app.cli import app
from setpoint.errors import BackendError
from tests.tools.adapters.simulators import KubernetesSimulator, PrometheusSimulator, serving

RUNNER = CliRunner()


def written(folder: Path, prometheus: str, kubernetes: str) -> str:
    path = folder / "demo.adapters.yaml"
    path.write_text(
        "site: demo\nadapters:\n"
        f"  - {{kind: prometheus, url: '{prometheus}', readings: [{{query: temp, metric: gpu_temp_c, by: node}}]}}\n"
        f"  - {{kind: kubernetes, url: '{kubernetes}', namespace: ml, pools: [{{asset: pool-chat, name: chat}}]}}\n",
        encoding="utf-8",
    )
    return str(path)


def test_check_read_and_preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    metrics = PrometheusSimulator({"temp": [({"node": "gpu-01"}, [(time.time() - 7, 61.0)])]})
    cluster = KubernetesSimulator()
    with serving(metrics) as prometheus, serving(cluster) as kubernetes:
        file = written(tmp_path, prometheus, kubernetes)
        checked = RUNNER.invoke(app, ["adapters", "check", file, "--site", "demo"])
        read = RUNNER.invoke(app, ["adapters", "read", file, "gpu-01", "--site", "demo", "--json"])
        shown = RUNNER.invoke(app, ["adapters", "preview", file, "cordon_node", "gpu-01", "--site", "demo"])
        cluster.broken = True
        broken = RUNNER.invoke(app, ["adapters", "check", file, "--site", "demo"])
    assert checked.exit_code == 0, checked.output
    assert "Prometheus 3.7.0; 1 readings of 1 assets" in checked.output
    assert "writing is off: nothing is written to this site" in checked.output
    values = json.loads(read.output)["readings"][0]
    assert values["values"] == {
        "gpu_temp_c": 61.0,
        "up": 1.0,
        "cordoned": 0.0,
        "drained": 0.0,
        "job_running": 1.0,
    }
    assert 5 < values["age_s"] < 60
    assert "would be: kubernetes" in shown.output
    assert not cluster.nodes["gpu-01"]["spec"].get("unschedulable")
    assert isinstance(broken.exception, BackendError)
    assert "FAIL  kubernetes" in broken.output
