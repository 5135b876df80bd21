"""The catalog of accelerators: every spelling of the public files, and figures that hang together."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from plant.hardware.gpus import Gpu, gpu, gpus
from setpoint.errors import ConfigError

SHARED = Path(os.environ.get("SETPOINT_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "plant"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data/plant is not here")


def column(file: str, name: str) -> set[str]:
    with (SHARED / file).open(encoding="utf-8") as lines:
        return {row[name] for row in csv.DictReader(lines)}


@needs_data
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mlenergy_v3_llm_dev.csv", "gpu_model"),
        ("nvidia_silicon_e2e_dev.csv", "system"),
        ("splitwise_perf_dev.csv", "hardware"),
        ("mlperf51_llm_dev.csv", "Accelerator"),
        ("aic_b200_kernel_power_generation_attention_perf.csv", "device"),
    ],
)
def test_every_accelerator_of_the_public_files_is_known(file: str, name: str) -> None:
    for written in column(file, name):
        assert gpu(written).memory_bytes > 0


@needs_data
def test_figures_agree_with_the_compiled_constants() -> None:
    constants = json.loads((SHARED / "hardware_constants.json").read_text(encoding="utf-8"))
    for name in ("A100-SXM-80", "H100-SXM", "H200-SXM", "B200-SXM", "GB200"):
        told, known = constants[name], gpu(name)
        for dtype in ("bf16", "fp8", "fp4"):
            if told.get(dtype):
                assert known.flops[dtype] == told[dtype]
        assert known.memory_bytes_per_s == told["hbm_Bps"]
        assert known.memory_bytes == told["hbm_B"]
        assert known.scale_up_bytes_per_s == told["nvlink_Bps"]
        assert known.network_bytes_per_s == told["ib_Bps"]
        assert known.tdp_w == told["tdp_W"]
    lpu = gpu("GroqLPU-v1")
    assert (lpu.memory_bytes, lpu.memory_bytes_per_s) == (230e6, 80e12)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("NVIDIA H200-NVL-141GB", "H200-NVL"),
        ("Virtualized NVIDIA H200-SXM-141GB", "H200-SXM"),
        ("8x NVIDIA H100-SXM-80GB", "H100-SXM"),
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("NVIDIA H100-NVL-94GB", "H100-NVL"),
        ("NVIDIA B200-SXM-180GB", "B200-SXM"),
        ("b300_sxm", "B300-SXM"),
        ("NVIDIA GB200", "GB200"),
        ("AMD Instinct MI300X 192GB HBM3", "MI300X"),
        ("AMD Instinct MI325X 256GB HBM3e", "MI325X"),
        ("Intel Arc Pro B60", "Arc-Pro-B60"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX-PRO-6000"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA A100-SXM4-40GB", "A100-SXM-40"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM-80"),
        ("Tesla V100-SXM2-32GB", "V100-SXM2"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
    ],
)
def test_what_submitters_and_drivers_write_is_understood(written: str, name: str) -> None:
    assert gpu(written).name == name


def test_no_two_entries_share_a_spelling() -> None:
    seen: dict[str, str] = {}
    for known in gpus():
        for written in (known.name, *known.aliases):
            key = "".join(c for c in written.lower() if c.isalnum())
            assert seen.setdefault(key, known.name) == known.name


@pytest.mark.parametrize("known", gpus(), ids=lambda known: known.name)
def test_each_entry_hangs_together(known: Gpu) -> None:
    assert 0 < known.idle_w < known.tdp_w
    assert 0 < known.clock_min_mhz <= known.clock_max_mhz
    assert (known.clock_min_mhz == known.clock_max_mhz) == (known.kind == "lpu")
    assert known.scale_up_bytes_per_s >= 0.5 * known.host_bytes_per_s
    assert known.memory_bytes_per_s > known.scale_up_bytes_per_s
    rates = [known.flops[dtype] for dtype in ("fp32", "bf16", "fp8", "fp4") if dtype in known.flops]
    assert rates == sorted(rates)
    assert known.source


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean H200-SXM") as caught:
        gpu("H2000")
    assert "Arc-Pro-B60" in str(caught.value)


def test_weights_without_their_own_rate_are_widened() -> None:
    assert gpu("A100").peak("fp8") == gpu("A100").peak("bf16")
    assert gpu("H100").peak("fp4") == gpu("H100").peak("fp8")
