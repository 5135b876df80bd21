"""Which paths a host can use: recorded trees of a good, a poor and an empty host, and this machine itself."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from plant.hardware import host_facts
from plant.hardware.host import HostReport, host_report, judge
from plant.hardware.host_facts import read_facts
from plant.hardware.host_needs import NEEDS, SLOWS
from plant.hardware.paths import path_names
from setpoint.errors import ConfigError
from tests.plant.hardware.hosts import (
    GOOD_OPTIONS,
    configuration,
    device,
    good_host,
    kernel,
    link,
    poor_host,
    put,
)

DIRECT = ("ssd_gds", "hbm_ssd_gds", "peer_rdma", "gpu_p2p")


def verdicts(report: HostReport) -> dict[str, str]:
    return {found.path: found.verdict for found in report.paths}


def test_every_path_has_its_needs() -> None:
    assert set(NEEDS) == set(path_names()) >= set(SLOWS)


def test_a_good_host_can_use_every_path(tmp_path: Path) -> None:
    report = host_report(good_host(tmp_path))
    assert report.host == "Linux 6.8.0-45-generic on x86_64"
    assert (report.accelerators, report.accelerator) == (8, "H100-SXM")
    assert set(verdicts(report).values()) == {"usable"}
    assert not [note for found in report.paths for note in found.notes]


def test_expected_rates_come_from_the_hosts_own_links(tmp_path: Path) -> None:
    report = host_report(good_host(tmp_path))
    upload, gds, peer = (report.path(name) for name in ("dram_hbm", "ssd_gds", "peer_rdma"))
    assert upload.expected_gb_per_s == pytest.approx(
        0.87 * 32 * 16 / 8, rel=1e-3
    )  # idle links slow down: best speed counts
    assert upload.expected_all_gb_per_s == pytest.approx(8 * 0.87 * 64, rel=1e-3)
    assert gds.expected_all_gb_per_s == pytest.approx(
        8 * 0.875 * 16 * 0.86, rel=1e-3
    )  # eight drives of four lanes
    assert peer.expected_gb_per_s == pytest.approx(0.97 * 400 / 8, rel=1e-3)
    assert peer.pace == "network"
    assert report.path("dram_hbm_hmm").pace == "requests in flight"
    assert any("DRAM" in said for said in report.assumed)


def test_a_poor_host_is_told_what_to_mend(tmp_path: Path) -> None:
    report = host_report(poor_host(tmp_path))
    told = verdicts(report)
    assert {told[name] for name in DIRECT} == {"not usable"}
    assert told["ssd_bounce"] == told["dram_hbm"] == told["gpu_bounce"] == "usable"
    assert told["ssd_uring"] == "not usable"
    gds = report.path("ssd_gds")
    assert "GPUDirect Storage needs the open NVIDIA kernel modules" in gds.reasons
    assert "the IOMMU translates device addresses" in gds.reasons
    assert any("iommu=pt" in remedy for remedy in gds.remedies)
    assert report.path("ssd_uring").reasons == ("kernel.io_uring_disabled is 2",)
    assert report.path("gpu_nvlink").reasons == ("L40S has no NVLink",)
    assert report.path("gpu_nvlink").expected_gb_per_s is None
    assert "HMM_MIRROR" in report.path("dram_hbm_hmm").reasons[0]
    assert "8 of 16 lanes" in report.path("dram_hbm").notes[0]
    assert report.path("dram_hbm").expected_gb_per_s == pytest.approx(
        0.87 * 16, rel=1e-3
    )  # gen 4, eight lanes up
    warned = {found.what for found in report.findings if found.mark == "warning"}
    assert {"IOMMU", "io_uring", "RDMA", "CXL", "locked memory", "huge pages"} <= warned


def test_an_empty_root_cannot_tell_and_raises_nothing(tmp_path: Path) -> None:
    report = host_report(tmp_path)
    assert report.accelerators is None
    assert set(verdicts(report).values()) == {"cannot tell"}
    assert {found.mark for found in report.findings} == {"cannot tell"}
    assert all(found.reasons for found in report.paths)


def test_files_that_may_not_be_read_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a hardened container: every read is forbidden, though the files are there."""
    good_host(tmp_path)

    def forbidden(*_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbidden)
    monkeypatch.setattr(os, "listdir", forbidden)
    monkeypatch.setattr(os, "readlink", forbidden)
    monkeypatch.setattr(os, "stat", forbidden)
    report = host_report(tmp_path)
    assert set(verdicts(report).values()) == {"cannot tell"}


def test_broken_files_cannot_tell(tmp_path: Path) -> None:
    good_host(tmp_path)
    for path in (
        "proc/config.gz",
        "proc/meminfo",
        "proc/driver/nvidia/version",
        "proc/sys/kernel/io_uring_disabled",
    ):
        put(tmp_path, path, b"\xff\xfe\x00 not what it should be")
    report = host_report(tmp_path)
    assert report.path("ssd_uring").verdict == "cannot tell"
    assert report.path("ssd_gds").verdict == "cannot tell"
    assert report.path("dram_hbm").reasons == (
        "8 accelerators",
        "nvidia is loaded, its version cannot be read",
    )


def test_access_control_is_read_from_configuration_space(tmp_path: Path) -> None:
    assert host_facts._redirects(configuration(True)) is True
    assert host_facts._redirects(configuration(False)) is False
    assert host_facts._redirects(configuration(True)[:64]) is None  # what an ordinary user may read
    looping = bytearray(configuration(False))
    looping[0x100:0x104] = (0x0001 | 0x100 << 20).to_bytes(4, "little")
    assert host_facts._redirects(bytes(looping)) is False
    report = host_report(good_host(tmp_path, redirects=True))
    assert report.path("peer_rdma").verdict == "usable"
    assert "ACS redirects peer traffic" in report.path("peer_rdma").notes[0]


@pytest.mark.parametrize(
    ("path", "content", "name", "verdict", "reason"),
    [
        ("proc/modules", "nvidia 1 0 - Live 0\n", "ssd_gds", "not usable", "RMForceStaticBar1"),
        ("proc/modules", "nvidia 1 0 - Live 0\n", "peer_rdma", "usable", "dma-buf"),
        (
            "sys/module/nvidia_uvm/parameters/uvm_disable_hmm",
            "Y\n",
            "dram_hbm_hmm",
            "not usable",
            "uvm_disable_hmm",
        ),
        ("proc/sys/kernel/osrelease", "6.1.20\n", "dram_hbm_hmm", "not usable", "older than 6.1.24"),
        ("sys/kernel/iommu_groups/1/type", "DMA\n", "gpu_p2p", "not usable", "translates"),
        ("proc/sys/kernel/io_uring_disabled", "1\n", "ssd_uring", "cannot tell", "administrators"),
        ("sys/devices/system/node/node2/cpulist", "8-9\n", "cxl_hbm", "not usable", "not online"),
        ("sys/class/dmi/id/sys_vendor", "QEMU\n", "gpu_p2p", "cannot tell", "QEMU"),
    ],
)
def test_one_thing_changed(
    tmp_path: Path, path: str, content: str, name: str, verdict: str, reason: str
) -> None:
    root = good_host(tmp_path)
    put(root, path, content)
    found = host_report(root).path(name)
    assert found.verdict == verdict
    assert any(reason in said for said in found.reasons)


def test_storage_over_the_kernels_own_p2pdma(tmp_path: Path) -> None:
    root = good_host(tmp_path)
    put(root, "proc/modules", "nvidia 1 0 - Live 0\n")
    put(root, "proc/driver/nvidia/params", 'RegistryDwords: "RMForceStaticBar1=1;RmForceDisableIomapWC=1;"\n')
    assert host_report(root).path("ssd_gds").verdict == "usable"
    put(root, "sys/module/nvme_core/parameters/multipath", "Y\n")
    assert "multipath" in host_report(root).path("ssd_gds").reasons[0]


def test_placement_is_noted(tmp_path: Path) -> None:
    root = good_host(tmp_path)
    for index in range(8):
        put(root, f"sys/bus/pci/devices/0000:{0x60 + index:02x}:00.0/numa_node", "3\n")
    notes = host_report(root).path("peer_rdma").notes
    assert "8 of 8 nic devices are on a NUMA node without accelerators" in notes[0]


def test_an_unknown_accelerator_gets_verdicts_without_figures(tmp_path: Path) -> None:
    root = good_host(tmp_path)
    for index in range(8):
        put(root, f"proc/driver/nvidia/gpus/0000:{0x18 + index:02x}:00.0/information", "Model: NVIDIA Q900\n")
    report = host_report(root)
    assert report.accelerator is None
    assert report.path("dram_hbm").verdict == "usable"
    assert report.path("dram_hbm").expected_gb_per_s is None


def test_an_amd_host(tmp_path: Path) -> None:
    kernel(tmp_path, "6.8.0-45-generic", GOOD_OPTIONS, "iommu=pt")
    put(tmp_path, "proc/modules", "amdgpu 4096 0 - Live 0x0\n")
    put(tmp_path, "sys/kernel/iommu_groups/0/type", "identity\n")
    put(tmp_path, "sys/class/nvme/nvme0/transport", "pcie\n")
    board = link("32.0", 16) | {"product_name": "AMD Instinct MI300X OAM"}
    device(tmp_path, "0000:18:00.0", "0x120000", "0x1002", (), **board)
    report = host_report(tmp_path)
    assert (report.accelerators, report.accelerator) == (1, "MI300X")
    assert report.path("ssd_gds").verdict == "usable"
    assert report.path("dram_hbm").expected_gb_per_s == pytest.approx(0.87 * 64, rel=1e-3)
    assert report.path("gpu_p2p").reasons == ("1 accelerator",)


def test_an_unknown_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ssd_gds"):
        host_report(tmp_path).path("teleport")


@pytest.mark.skipif(platform.system() != "Linux", reason="reads Linux's /proc and /sys")
def test_this_machine_truly_read() -> None:
    facts = read_facts()
    assert facts.live
    assert facts.kernel.release == os.uname().release
    assert facts.kernel.arch == os.uname().machine
    assert facts.memory_bytes == pytest.approx(
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), rel=0.02
    )
    assert facts.io_uring_probe is not None
    report = judge(facts)
    uring = next(found for found in report.findings if found.what == "io_uring")
    assert (uring.mark == "ok") == (facts.io_uring_probe == "works")
    assert HostReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.skipif(platform.system() != "Linux", reason="a Linux system call")
def test_the_probe_leaves_no_descriptor_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        host_facts.probe_io_uring()
    assert len(os.listdir("/proc/self/fd")) == before
