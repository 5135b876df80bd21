"""NVML through NVIDIA's own binding, with a library of two GPUs compiled by the test in the driver's place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
LOOK = """
import json, sys
from datetime import UTC, datetime
from setpoint.contracts import Action
from setpoint.errors import BackendError
from tools.adapters.config import NvmlSource
from tools.adapters.nvml import Nvml

node = Nvml(NvmlSource(kind="nvml", asset="gpu-01"), lambda: datetime(2026, 3, 14, tzinfo=UTC))
told = {"health": node.check().said, "before": dict(node.read("gpu-01").values) if node.check().reachable else {}}
def act(name, **args):
    action = Action(name=name, asset="gpu-01", args=args)
    try:
        said = node.preview(action)
        node.apply(action, "key")
        return said
    except BackendError as error:
        return str(error)
if told["before"]:
    told["cap"] = act("cap_gpu_power", cap_w=500.0)
    told["clock"] = act("lock_gpu_clock", clock_mhz=1410.0)
    told["low cap"] = act("cap_gpu_power", cap_w=100.0)
    told["low clock"] = act("lock_gpu_clock", clock_mhz=400.0)
    told["after"] = dict(node.read("gpu-01").values)
print(json.dumps(told))
"""


def looked(libraries: Path) -> dict[str, object]:
    """In a process of its own: the loader reads its path once."""
    env = os.environ | {"LD_LIBRARY_PATH": str(libraries)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(
    shutil.which("gcc") is None, reason="no C compiler for the stand-in of NVIDIA's driver library"
)
def test_power_clocks_and_ecc_are_read_and_setpoints_taken(tmp_path: Path) -> None:
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(HERE / "fake_nvml.c")], check=True)
    told = looked(tmp_path)
    assert told["health"] == "driver 580.95; 2 x NVIDIA H100 80GB HBM3"
    assert told["before"] == {
        "gpus_ok": 2.0, "gpu_power_w": 500.0, "gpu_temp_c": 61.0, "gpu_temp_mean_c": 58.0, "clock_mhz": 1980.0,
        "clock_min_mhz": 1980.0, "power_cap_w": 700.0, "ecc_corrected": 7.0, "ecc_uncorrected": 0.0,
    }  # fmt: skip
    assert told["cap"] == "power limit of 2 GPUs = 500 W (they take 200 to 700 W)"
    assert "these GPUs take a cap of 200 to 700 W, not 100 W" in str(told["low cap"])
    assert "GPU 1 did not take it: Insufficient Permissions" in str(told["low clock"])
    after = told["after"]
    assert isinstance(after, dict)
    assert after["power_cap_w"] == 500.0


def test_a_machine_without_the_driver_says_so(tmp_path: Path) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has NVIDIA's driver")
    assert "NVML does not start" in str(looked(tmp_path)["health"])
