"""Trees of files as Linux hosts show them, built under a folder: what `setpoint doctor --host` reads.

The texts have the shape of the real files (driver version lines, PCI attributes, InfiniBand ports, extended
configuration space); the machines are ours.
"""

from __future__ import annotations

import gzip
from pathlib import Path

OPEN_DRIVER = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build  (dvs-builder@U16)\n"
    "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n"
)
CLOSED_DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.06  Wed Jun 26 06:46:07 UTC 2024\n"
GOOD_OPTIONS = [
    "HMM_MIRROR=y",
    "DEVICE_PRIVATE=y",
    "ZONE_DEVICE=y",
    "PCI_P2PDMA=y",
    "DMA_SHARED_BUFFER=y",
    "CXL_BUS=m",
    "CXL_MEM=m",
    "CXL_REGION=y",
    "DEV_DAX_KMEM=m",
    "IO_URING=y",
    "NUMA=y",
    "TRANSPARENT_HUGEPAGE=y",
    "HUGETLBFS=y",
    "INFINIBAND=m",
    "INTEL_IOMMU=y",
    "AMD_IOMMU=y",
    "BLK_DEV_NVME=m",
]
SWITCH = "0000:17:00.0"


def put(root: Path, path: str, content: str | bytes) -> None:
    """One file, with its folders."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())


def device(
    root: Path, address: str, code: str, vendor: str, above: tuple[str, ...] = (), **attributes: str
) -> None:
    """A PCI device: its real folder under /sys/devices, and the link to it under /sys/bus."""
    real = "/".join(("sys/devices/pci0000:15", *above, address))
    put(root, f"{real}/class", f"{code}\n")
    put(root, f"{real}/vendor", f"{vendor}\n")
    for name, value in attributes.items():
        put(root, f"{real}/{name}", f"{value}\n")
    bus = root / "sys/bus/pci/devices"
    bus.mkdir(parents=True, exist_ok=True)
    (bus / address).symlink_to("../../../" + real.removeprefix("sys/"))


def link(speed: str, width: int, most: str | None = None, widest: int | None = None) -> dict[str, str]:
    """The four attributes of a PCIe link."""
    return {
        "current_link_speed": f"{speed} GT/s PCIe", "current_link_width": str(width),
        "max_link_speed": f"{most or speed} GT/s PCIe", "max_link_width": str(widest or width),
    }  # fmt: skip


def configuration(redirects: bool) -> bytes:
    """4 KiB of a bridge's configuration space: AER first, access control services behind it."""
    space = bytearray(4096)
    space[0x100:0x104] = (0x0001 | 1 << 16 | 0x148 << 20).to_bytes(4, "little")
    space[0x148:0x14C] = (0x000D | 1 << 16).to_bytes(4, "little")
    space[0x14C:0x14E] = (0x001F).to_bytes(2, "little")
    space[0x14E:0x150] = (0x001D if redirects else 0x0001).to_bytes(2, "little")
    return bytes(space)


def kernel(root: Path, release: str, options: list[str], cmdline: str, packed: bool = True) -> None:
    """Release, configuration and command line."""
    put(root, "proc/sys/kernel/osrelease", f"{release}\n")
    put(root, "proc/sys/kernel/arch", "x86_64\n")
    put(root, "proc/cmdline", f"BOOT_IMAGE=/vmlinuz {cmdline}\n")
    text = "# Linux\n" + "\n".join(f"CONFIG_{option}" for option in options) + "\n# CONFIG_OTHER is not set\n"
    put(
        root,
        "proc/config.gz" if packed else f"boot/config-{release}",
        gzip.compress(text.encode()) if packed else text,
    )


def memory(root: Path, nodes: int = 2, memory_only: int = 0) -> None:
    """Two terabytes, NUMA nodes, huge pages and limits."""
    put(
        root,
        "proc/meminfo",
        "MemTotal:       2113529216 kB\nHugePages_Total:    1024\nHugepagesize:       2048 kB\n",
    )
    for node in range(nodes + memory_only):
        put(root, f"sys/devices/system/node/node{node}/cpulist", "0-55\n" if node < nodes else "\n")
    put(root, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
    put(
        root,
        "proc/self/limits",
        "Limit  Soft  Hard  Units\nMax locked memory         unlimited            unlimited            bytes\n",
    )


def good_host(root: Path, redirects: bool = False) -> Path:
    """An eight-way H100 server with the open driver, GPUDirect both ways, CXL memory and eight drives."""
    kernel(root, "6.8.0-45-generic", GOOD_OPTIONS, "quiet iommu=pt")
    memory(root, memory_only=1)
    put(root, "proc/sys/kernel/io_uring_disabled", "0\n")
    put(root, "proc/driver/nvidia/version", OPEN_DRIVER)
    put(root, "proc/driver/nvidia/params", 'EnableMSI: 1\nRegistryDwords: ""\n')
    loaded = ("nvidia", "nvidia_uvm", "nvidia_peermem", "nvidia_fs", "mlx5_ib", "nvme")
    put(root, "proc/modules", "".join(f"{name} 4096 0 - Live 0x0\n" for name in loaded))
    put(root, "sys/module/nvidia_uvm/parameters/uvm_disable_hmm", "N\n")
    for group in range(4):
        put(root, f"sys/kernel/iommu_groups/{group}/type", "identity\n")
    device(root, SWITCH, "0x060400", "0x1000")
    put(root, f"sys/devices/pci0000:15/{SWITCH}/config", configuration(redirects))
    for index in range(8):
        above = ("0000:15:01.0", SWITCH)
        address = f"0000:{0x18 + index:02x}:00.0"
        device(
            root, address, "0x030200", "0x10de", above, numa_node=str(index // 4), **link("2.5", 16, "32.0")
        )
        put(
            root,
            f"proc/driver/nvidia/gpus/{address}/information",
            f"Model: \t\t NVIDIA H100 80GB HBM3\nBus Location: \t {address}\n",
        )
        device(
            root,
            f"0000:{0x40 + index:02x}:00.0",
            "0x010802",
            "0x144d",
            above,
            numa_node=str(index // 4),
            **link("32.0", 4),
        )
        put(root, f"sys/class/nvme/nvme{index}/transport", "pcie\n")
        device(
            root,
            f"0000:{0x60 + index:02x}:00.0",
            "0x020700",
            "0x15b3",
            above,
            numa_node=str(index // 4),
            **link("32.0", 16),
        )
        port = f"sys/class/infiniband/mlx5_{index}/ports/1"
        put(root, f"{port}/rate", "400 Gb/sec (4X NDR)\n")
        put(root, f"{port}/state", "4: ACTIVE\n")
        put(root, f"{port}/link_layer", "InfiniBand\n")
    for index in range(4):
        device(root, f"0000:{0x80 + index:02x}:00.0", "0x068000", "0x10de")
    put(root, "sys/bus/cxl/devices/mem0/ram/size", "0x4000000000\n")
    return root


def poor_host(root: Path) -> Path:
    """Two L40S in a distribution's defaults: proprietary driver, IOMMU translating, a lost lane, io_uring off."""
    options = ["DMA_SHARED_BUFFER=y", "IO_URING=y", "NUMA=y", "INTEL_IOMMU=y", "TRANSPARENT_HUGEPAGE=y"]
    kernel(root, "5.15.0-91-generic", options, "intel_iommu=on", packed=False)
    memory(root)
    put(root, "proc/sys/kernel/io_uring_disabled", "2\n")
    put(root, "proc/driver/nvidia/version", CLOSED_DRIVER)
    put(root, "proc/modules", "nvidia 4096 0 - Live 0x0\nnvme 4096 0 - Live 0x0\n")
    put(root, "sys/kernel/iommu_groups/0/type", "DMA-FQ\n")
    put(root, "sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n")
    put(
        root,
        "proc/self/limits",
        "Max locked memory         8388608              8388608              bytes\n",
    )
    for index in range(2):
        address = f"0000:{0x31 + index:02x}:00.0"
        device(
            root,
            address,
            "0x030200",
            "0x10de",
            numa_node="-1",
            **link("16.0", 8 if index else 16, "16.0", 16),
        )
        put(root, f"proc/driver/nvidia/gpus/{address}/information", "Model: \t\t NVIDIA L40S\n")
    device(root, "0000:51:00.0", "0x010802", "0x144d", numa_node="1", **link("16.0", 4))
    put(root, "sys/class/nvme/nvme0/transport", "pcie\n")
    (root / "sys/class/infiniband").mkdir(parents=True)
    return root
