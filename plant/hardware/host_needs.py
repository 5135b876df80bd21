"""What each data path needs of a host, and what slows it: one short function for each, from what was read.

A need is answered yes, no, or None for "cannot tell", with the reason and the remedy. Sources stand in the docstrings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from plant.hardware.gpus import gpu
from plant.hardware.host_facts import HostFacts
from setpoint.errors import ConfigError


@dataclass(frozen=True)
class Answer:
    """To one need: yes, no, or None for cannot tell."""

    yes: bool | None
    why: str
    remedy: str = ""


Need = Callable[[HostFacts], Answer]


def counted(number: int, noun: str) -> str:
    """
    >>> counted(1, "drive"), counted(0, "drive")
    ('1 drive', '0 drives')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _accelerator(facts: HostFacts) -> Answer:
    if facts.devices("gpu") or facts.driver.models:
        return Answer(True, counted(len(facts.devices("gpu")) or len(facts.driver.models), "accelerator"))
    if facts.pci is None:
        return Answer(
            None, "the PCI bus cannot be read", "Give the process /sys (in a container: mount it read-only)"
        )
    return Answer(
        False, "no accelerator is on the PCI bus", "Run this on a GPU node, or pass the device through"
    )


def _two_accelerators(facts: HostFacts) -> Answer:
    if facts.pci is None:
        return Answer(None, "the PCI bus cannot be read")
    count = len(facts.devices("gpu"))
    return Answer(count >= 2, counted(count, "accelerator"), "This path joins two accelerators of one host")


def gpu_driver(facts: HostFacts) -> Answer:
    if facts.driver.nvidia_version:
        kind = {True: "open", False: "proprietary", None: "unknown kind of"}[facts.driver.nvidia_open]
        return Answer(True, f"NVIDIA driver {facts.driver.nvidia_version}, {kind} kernel modules")
    if facts.driver.amdgpu or any(d.driver == "amdgpu" for d in facts.devices("gpu")):
        return Answer(True, "amdgpu is loaded")
    if facts.driver.loaded("nvidia"):
        return Answer(True, "nvidia is loaded, its version cannot be read")
    if facts.driver.modules is None:
        return Answer(None, "loaded modules cannot be listed", "Give the process /proc")
    return Answer(
        False,
        "no accelerator driver is loaded",
        "Install the vendor's driver and load it: modprobe nvidia, or amdgpu",
    )


def _unread_driver(facts: HostFacts) -> Answer:
    """Without the driver's version what it can do is not known."""
    answer = gpu_driver(facts)
    return Answer(None, answer.why, "Read /proc/driver/nvidia/version on the host") if answer.yes else answer


def drive(facts: HostFacts) -> Answer:
    if facts.nvme is None:
        return Answer(None, "/sys/class cannot be read", "Give the process /sys")
    if facts.nvme:
        return Answer(True, counted(len(facts.nvme), "NVMe drive"))
    return Answer(False, "no NVMe drive is on PCIe", "Add one, or load weights from a peer")


def io_uring(facts: HostFacts) -> Answer:
    """Kernel 5.1; sysctl kernel.io_uring_disabled of 6.6 (0 all, 1 a group or CAP_SYS_ADMIN, 2 none); seccomp."""
    if facts.io_uring_probe == "works":
        return Answer(True, "a ring was set up and closed")
    if facts.io_uring_probe is not None:
        return Answer(
            False, f"setting up a ring fails with {facts.io_uring_probe}",
            "Set kernel.io_uring_disabled to 0, or allow io_uring_setup in the container's seccomp profile",
        )  # fmt: skip
    if facts.kernel.has("IO_URING") is False:
        return Answer(False, "the kernel was built without CONFIG_IO_URING", "Boot a kernel with it")
    if facts.io_uring_disabled == 2:
        return Answer(False, "kernel.io_uring_disabled is 2", "sysctl kernel.io_uring_disabled=0")
    if facts.io_uring_disabled == 1:
        return Answer(None, "kernel.io_uring_disabled is 1: only its group and administrators may use it",
                      "Join the group of kernel.io_uring_group, or sysctl kernel.io_uring_disabled=0")  # fmt: skip
    if facts.kernel.has("IO_URING") and facts.io_uring_disabled == 0:
        return Answer(True, "CONFIG_IO_URING is set and kernel.io_uring_disabled is 0")
    return Answer(
        None,
        "neither the kernel's configuration nor its sysctl tells",
        "Run on the host itself, where a ring can be tried",
    )


def direct_addresses(facts: HostFacts) -> Answer:
    """Peers must see the same physical addresses: IOMMU off or passed through on x86-64.

    docs.nvidia.com/cuda/gpudirect-rdma ("Supported systems"); gpudirect-storage troubleshooting guide sec. 1.1.
    """
    if facts.kernel.arch not in (None, "x86_64"):
        return Answer(True, f"on {facts.kernel.arch} peers are reached through the IOMMU")
    if facts.iommu in ("off", "passthrough"):
        return Answer(True, f"the IOMMU is {'off' if facts.iommu == 'off' else 'passed through'}")
    if facts.iommu == "translated":
        return Answer(False, "the IOMMU translates device addresses",
                      "Boot with iommu=pt (or intel_iommu=off, amd_iommu=off)")  # fmt: skip
    return Answer(
        None,
        "whether the IOMMU translates cannot be told",
        "Look for `Default domain type` in the kernel log",
    )


def _storage_direct(facts: HostFacts) -> Answer:
    """nvidia-fs, or the kernel's own PCI P2PDMA (docs.nvidia.com GDS: nvidia_fs; NVMe P2PDMA troubleshooting)."""
    if facts.driver.nvidia_version is None and not facts.driver.amdgpu:
        return _unread_driver(facts)
    if facts.driver.nvidia_open is False:
        return Answer(
            False,
            "GPUDirect Storage needs the open NVIDIA kernel modules",
            "Install the driver with --kernel-module-type=open",
        )
    if facts.driver.loaded("nvidia_fs"):
        return Answer(True, "nvidia_fs is loaded")
    lacking = list(_p2pdma_lacks(facts))
    if not lacking:
        return Answer(True, "the kernel's P2PDMA is ready")
    unknown = facts.kernel.has("PCI_P2PDMA") is None or facts.driver.modules is None
    return Answer(None if unknown else False, f"nvidia_fs is not loaded, and for P2PDMA {'; '.join(lacking)}",
                  "modprobe nvidia_fs, or mend what P2PDMA lacks; `gdscheck -p` confirms")  # fmt: skip


def _p2pdma_lacks(facts: HostFacts) -> Iterator[str]:
    if facts.kernel.has("PCI_P2PDMA") is not True:
        yield (
            "CONFIG_PCI_P2PDMA is not set"
            if facts.kernel.has("PCI_P2PDMA") is False
            else "CONFIG_PCI_P2PDMA is not known"
        )
    if (facts.kernel.version or (0,)) < (6, 2):
        yield "the kernel is older than 6.2"
    if facts.driver.amdgpu:
        return
    if (facts.driver.major or 0) < 565:
        yield "the driver is older than 565"
    if "RMForceStaticBar1=1" not in (facts.driver.registry or ""):
        yield "NVreg_RegistryDwords lacks RMForceStaticBar1=1"
    if facts.driver.nvme_multipath not in (None, "N"):
        yield "nvme_core multipath is on"


def active_port(facts: HostFacts) -> Answer:
    if facts.rdma is None:
        return Answer(None, "/sys/class cannot be read", "Give the process /sys")
    if not facts.rdma:
        return Answer(
            False,
            "no RDMA device",
            "Load the adapter's driver (mlx5_ib), or pass the device into the container",
        )
    active = [port for port in facts.rdma if port.active]
    if active:
        return Answer(True, f"{len(active)} of {len(facts.rdma)} RDMA ports are active")
    return Answer(False, "no RDMA port is active", "Check cables, subnet manager and `ibstat`")


def _peer_memory(facts: HostFacts) -> Answer:
    """nvidia-peermem, or dma-buf: kernel 5.12 and open modules (docs.nvidia.com/cuda/gpudirect-rdma; driver README 44)."""
    if facts.driver.amdgpu:
        return Answer(
            facts.kernel.has("DMA_SHARED_BUFFER"),
            "amdgpu exports its memory as dma-buf",
            "Set CONFIG_DMA_SHARED_BUFFER",
        )
    if facts.driver.loaded("nvidia_peermem"):
        return Answer(True, "nvidia_peermem is loaded")
    if facts.driver.nvidia_version is None:
        return _unread_driver(facts)
    new = (facts.kernel.version or (0,)) >= (5, 12)
    if facts.driver.nvidia_open and new and facts.kernel.has("DMA_SHARED_BUFFER"):
        return Answer(True, "dma-buf: open kernel modules, kernel 5.12 or newer")
    if facts.driver.modules is None or facts.kernel.has("DMA_SHARED_BUFFER") is None:
        return Answer(
            None, "neither nvidia_peermem nor dma-buf can be told", "Look at `lsmod | grep peermem`"
        )
    return Answer(False, "nvidia_peermem is not loaded, and dma-buf needs open kernel modules on kernel 5.12 or newer",
                  "modprobe nvidia-peermem, or install the open kernel modules")  # fmt: skip


def _hmm(facts: HostFacts) -> Answer:
    """Kernel 6.1.24 or 6.2.11, CONFIG_HMM_MIRROR and DEVICE_PRIVATE, open modules of 535 (NVIDIA, CUDA 12.2)."""
    kernel, driver = facts.kernel, facts.driver
    for option in ("HMM_MIRROR", "DEVICE_PRIVATE"):
        if kernel.has(option) is False:
            return Answer(
                False,
                f"the kernel was built without CONFIG_{option}",
                "Boot a distribution kernel that has it",
            )
    if driver.nvidia_version and driver.nvidia_open is False:
        return Answer(
            False,
            "HMM needs the open NVIDIA kernel modules",
            "Install the driver with --kernel-module-type=open",
        )
    if driver.nvidia_version and (driver.major or 0) < 535:
        return Answer(False, f"driver {driver.nvidia_version} is older than 535", "Install 535 or newer")
    if kernel.version and kernel.version < (6, 1, 24):
        return Answer(False, f"kernel {kernel.release} is older than 6.1.24", "Boot 6.1.24, 6.2.11 or newer")
    if driver.uvm_disable_hmm in ("Y", "1"):
        return Answer(
            False, "nvidia_uvm was loaded with uvm_disable_hmm=1", "Take that option out of /etc/modprobe.d"
        )
    if None in (kernel.has("HMM_MIRROR"), kernel.version):
        return Answer(
            None, "the kernel's configuration cannot be read", "Look at `nvidia-smi -q | grep Addressing`"
        )
    return Answer(True, "CONFIG_HMM_MIRROR and DEVICE_PRIVATE are set")


def cxl_memory(facts: HostFacts) -> Answer:
    if facts.cxl_memories:
        size = f", {facts.cxl_bytes / 1e9:.0f} GB" if facts.cxl_bytes else ""
        return Answer(True, counted(len(facts.cxl_memories), "CXL memory device") + size)
    if facts.kernel.has("CXL_BUS") is False:
        return Answer(
            False,
            "the kernel was built without CONFIG_CXL_BUS",
            "Boot a kernel with CONFIG_CXL_BUS, CXL_MEM and CXL_REGION",
        )
    if facts.cxl_memories is None:
        return Answer(None, "/sys/bus cannot be read", "Give the process /sys")
    return Answer(False, "no CXL memory device", "Add an expander, or enable CXL in the firmware")


def _cxl_online(facts: HostFacts) -> Answer:
    """An expander is used as memory once its region is online as a NUMA node without cores (Documentation/driver-api/cxl)."""
    if not facts.cxl_memories:
        return cxl_memory(facts)
    if facts.memory_only_nodes is None:
        return Answer(None, "NUMA nodes cannot be listed", "Give the process /sys")
    if facts.memory_only_nodes:
        return Answer(True, counted(facts.memory_only_nodes, "NUMA node") + " of memory without cores")
    return Answer(
        False,
        "the CXL memory is not online as a NUMA node",
        "cxl create-region, then daxctl reconfigure-device --mode=system-ram",
    )


def _nvlink(facts: HostFacts) -> Answer:
    """NVSwitches show on PCI up to generation 4; bridges and NVLink 5 do not: nvidia-smi knows."""
    if facts.devices("nvswitch"):
        return Answer(True, f"{len(facts.devices('nvswitch'))} NVSwitch devices on the PCI bus")
    if facts.driver.models:
        try:
            card = gpu(facts.driver.models[0])
        except ConfigError:
            return Answer(
                None, f"{facts.driver.models[0]} is not in the catalog", "Ask `nvidia-smi nvlink -s`"
            )
        if card.scale_up_bytes_per_s <= card.host_bytes_per_s:
            return Answer(False, f"{card.name} has no NVLink", "Use P2P DMA over PCIe")
    return Answer(None, "NVLink does not show in /sys", "Ask `nvidia-smi nvlink -s` and `nvidia-smi topo -m`")


def _peers_allowed(facts: HostFacts) -> Answer:
    """GeForce and some workstation boards forbid peer access in their driver."""
    if any("GeForce" in model for model in facts.driver.models):
        return Answer(
            False,
            "the driver forbids peer access between GeForce boards",
            "Use DRAM in between, or data-center boards",
        )
    if facts.hypervisor:
        return Answer(
            None, f"under {facts.hypervisor} the real topology is hidden", "Ask `nvidia-smi topo -p2p r`"
        )
    return Answer(True, "no hypervisor is in between")


def _anything(facts: HostFacts) -> Answer:
    return Answer(True, "needs nothing beyond Linux")


ON_GPU: tuple[Need, ...] = (_accelerator, gpu_driver)
NEEDS: dict[str, tuple[Need, ...]] = {
    "ssd_bounce": (*ON_GPU, drive),
    "ssd_uring": (*ON_GPU, drive, io_uring),
    "ssd_gds": (*ON_GPU, drive, _storage_direct, direct_addresses),
    "hbm_ssd": (*ON_GPU, drive, io_uring),
    "hbm_ssd_gds": (*ON_GPU, drive, _storage_direct, direct_addresses),
    "ssd_dram": (drive, io_uring),
    "ssd_dram_read": (drive, _anything),
    "dram_ssd": (drive, io_uring),
    "dram_hbm": ON_GPU,
    "dram_hbm_bounce": ON_GPU,
    "dram_hbm_hmm": (*ON_GPU, _hmm),
    "cxl_hbm": (*ON_GPU, cxl_memory, _cxl_online),
    "cxl_dram": (cxl_memory, _cxl_online),
    "peer_rdma": (*ON_GPU, active_port, _peer_memory, direct_addresses),
    "peer_bounce": (*ON_GPU, active_port),
    "gpu_nvlink": (*ON_GPU, _two_accelerators, _nvlink),
    "gpu_p2p": (*ON_GPU, _two_accelerators, direct_addresses, _peers_allowed),
    "gpu_bounce": (*ON_GPU, _two_accelerators),
}
"""What each path of `paths.yaml` needs of the host."""


HARDWARE: tuple[Need, ...] = (_accelerator, _two_accelerators, drive, active_port, cxl_memory, _nvlink)
"""Needs that only another machine meets: without them a path has no expected rate."""


# What slows a path without forbidding it.


def redirecting(facts: HostFacts) -> Iterator[str]:
    """ACS redirection sends peer traffic through the root complex (GDS best practices guide sec. 1.1)."""
    bridges = facts.devices("bridge")
    on = [bridge.address for bridge in bridges if bridge.redirects]
    if on:
        yield f"ACS redirects peer traffic up at {', '.join(on[:3])}{' and others' if len(on) > 3 else ''}: turn it off there"
    elif bridges and any(bridge.redirects is None for bridge in bridges):
        yield "ACS cannot be told without administrator rights (configuration space above 64 bytes)"


def _apart(kind: str) -> Callable[[HostFacts], Iterator[str]]:
    """Devices of that kind under no common port with any accelerator, or on another NUMA node."""

    def slow(facts: HostFacts) -> Iterator[str]:
        cards, others = facts.devices("gpu"), facts.devices(kind)
        nodes = {card.numa for card in cards} - {None}
        far = [
            other.address for other in others if other.numa is not None and nodes and other.numa not in nodes
        ]
        if far:
            yield f"{len(far)} of {len(others)} {kind} devices are on a NUMA node without accelerators: {', '.join(far[:3])}"
        shared = {port for card in cards for port in card.upstream[1:]}
        if cards and others and shared and not any(shared & set(other.upstream) for other in others):
            yield f"no {kind} device shares a PCIe switch with an accelerator: peer traffic crosses the root complex"

    return slow


def narrow_links(facts: HostFacts) -> Iterator[str]:
    for device in facts.pci or ():
        if device.narrowed and device.kind in ("gpu", "nic", "nvme"):
            yield f"{device.kind} {device.address} runs {device.width} of {device.max_width} lanes: reseat it or check its slot"


def memory_lock(facts: HostFacts) -> Iterator[str]:
    if facts.memlock and facts.memlock.isdigit() and int(facts.memlock) < 1 << 30:
        yield f"this process may lock {int(facts.memlock) / 2**20:.0f} MiB only: raise `ulimit -l` for registered buffers"


Slow = Callable[[HostFacts], Iterator[str]]
SLOWS: dict[str, tuple[Slow, ...]] = {
    "ssd_bounce": (narrow_links,),
    "ssd_uring": (narrow_links, memory_lock),
    "ssd_gds": (redirecting, _apart("nvme"), narrow_links),
    "hbm_ssd": (narrow_links, memory_lock),
    "hbm_ssd_gds": (redirecting, _apart("nvme"), narrow_links),
    "ssd_dram": (memory_lock,),
    "dram_ssd": (memory_lock,),
    "dram_hbm": (narrow_links,),
    "peer_rdma": (redirecting, _apart("nic"), narrow_links),
    "peer_bounce": (narrow_links, memory_lock),
    "gpu_p2p": (redirecting, narrow_links),
}
