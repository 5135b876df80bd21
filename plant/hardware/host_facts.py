"""What a Linux host says of itself in /proc, /sys and /boot: kernel, driver, IOMMU, PCIe, memory, drives, network.

Reading only: no program is run and nothing is changed. A file that is missing or may not be read gives None, which
later means "cannot tell". The root is given, so that a recorded tree reads like the host it came from.
"""

from __future__ import annotations

import ctypes
import errno
import gzip
import os
import re
from pathlib import Path

from plant.closed import Closed

IO_URING_SETUP = 425
"""Number of the system call, the same on x86-64 and arm64 (include/uapi/asm-generic/unistd.h)."""
IO_URING_PARAMS_BYTES = 120
"""Size of struct io_uring_params (include/uapi/linux/io_uring.h)."""
ACS_ID = 0x000D
"""PCIe extended capability of access control services (PCI Code and ID Assignment specification)."""
ACS_REDIRECT = 0b1100
"""Control bits for request and completion redirect: peer traffic goes up to the root complex."""
CONFIG_OPTIONS = (
    "HMM_MIRROR", "DEVICE_PRIVATE", "ZONE_DEVICE", "PCI_P2PDMA", "DMA_SHARED_BUFFER", "CXL_BUS", "CXL_MEM", "CXL_REGION",
    "DEV_DAX_KMEM", "IO_URING", "NUMA", "TRANSPARENT_HUGEPAGE", "HUGETLBFS", "INFINIBAND", "INTEL_IOMMU", "AMD_IOMMU",
    "IOMMU_DEFAULT_PASSTHROUGH", "BLK_DEV_NVME",
)  # fmt: skip
"""Kernel options that decide paths."""
GPU_VENDORS = {"0x10de": "nvidia", "0x1002": "amd", "0x8086": "intel"}
ACCELERATOR_CLASSES = ("0x0302", "0x0380", "0x1200")
"""3D controller, other display controller, processing accelerator: what data-center cards report."""


class Tree:
    """A host's files under a root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def text(self, path: str) -> str | None:
        """The file's text without white space around it; None where it is missing or may not be read."""
        try:
            return (self.root / path).read_bytes().decode("utf-8", "replace").strip()
        except OSError:
            return None

    def data(self, path: str) -> bytes | None:
        """The file's bytes, or None."""
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    def names(self, path: str) -> tuple[str, ...] | None:
        """Entries of a folder, sorted; None where it is missing or may not be read."""
        try:
            return tuple(sorted(os.listdir(self.root / path)))
        except OSError:
            return None

    def link(self, path: str) -> str | None:
        """What a symbolic link holds, as it is written."""
        try:
            return os.readlink(self.root / path)
        except OSError:
            return None

    def there(self, path: str) -> bool | None:
        """Whether it exists; None where that may not be known."""
        try:
            os.stat(self.root / path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return None
        return True


class KernelFacts(Closed):
    """The running kernel."""

    release: str | None = None
    arch: str | None = None
    cmdline: tuple[str, ...] | None = None
    config: dict[str, str] | None = None
    """y, m or n by option of CONFIG_OPTIONS; None where no configuration can be read."""
    config_source: str = ""

    @property
    def version(self) -> tuple[int, ...] | None:
        """Its numbers, for comparing.

        >>> KernelFacts(release="6.8.0-45-generic").version
        (6, 8, 0)
        """
        found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", self.release or "")
        return tuple(int(part or 0) for part in found.groups()) if found else None

    def has(self, option: str) -> bool | None:
        """Whether that option is built in or a module."""
        return None if self.config is None else self.config.get(option, "n") != "n"


class DriverFacts(Closed):
    """The accelerator driver."""

    nvidia_version: str | None = None
    nvidia_open: bool | None = None
    """The open kernel modules are loaded; None where no NVIDIA driver is seen."""
    registry: str | None = None
    """NVreg_RegistryDwords."""
    models: tuple[str, ...] = ()
    """Of the accelerators, as the driver names them."""
    amdgpu: bool = False
    modules: tuple[str, ...] | None = None
    """Loaded modules; None where they cannot be listed."""
    uvm_disable_hmm: str | None = None
    nvme_multipath: str | None = None

    @property
    def major(self) -> int | None:
        """First number of the NVIDIA version."""
        return int(self.nvidia_version.split(".")[0]) if self.nvidia_version else None

    def loaded(self, module: str) -> bool | None:
        """Whether that module is loaded; a dash is an underscore."""
        return None if self.modules is None else module.replace("-", "_") in self.modules


class PciDevice(Closed):
    """One device on PCIe that data paths use."""

    address: str
    kind: str
    """gpu, nic, nvme, bridge, nvswitch."""
    vendor: str = ""
    numa: int | None = None
    """None where the firmware does not say."""
    speed_gt: float | None = None
    width: int | None = None
    max_speed_gt: float | None = None
    max_width: int | None = None
    upstream: tuple[str, ...] = ()
    """Addresses of the ports above it, root first; empty where the topology is not told."""
    redirects: bool | None = None
    """Of a bridge: ACS sends peer traffic up; None where its configuration space cannot be read."""
    driver: str | None = None

    @property
    def bytes_per_s(self) -> float | None:
        """One direction, at its present width and its best speed, since idle links slow down to save power."""
        speed, width = self.max_speed_gt or self.speed_gt, self.width or self.max_width
        return speed * 1e9 / 8 * width if speed and width else None

    @property
    def narrowed(self) -> bool:
        """Fewer lanes are up than the device has."""
        return bool(self.width and self.max_width and self.width < self.max_width)


class RdmaPort(Closed):
    """One port of an RDMA device."""

    device: str
    port: str
    gbit_per_s: float | None = None
    active: bool | None = None
    link_layer: str = ""


class HostFacts(Closed):
    """Everything that was read."""

    live: bool = False
    """Read from the running host, so that harmless system calls could be tried."""
    kernel: KernelFacts
    driver: DriverFacts
    iommu: str | None = None
    """off, passthrough, translated; None where it cannot be told."""
    iommu_groups: int | None = None
    pci: tuple[PciDevice, ...] | None = None
    numa_nodes: int | None = None
    memory_only_nodes: int | None = None
    """NUMA nodes with memory and no cores: CXL expanders show up so."""
    memory_bytes: float | None = None
    huge_pages: int | None = None
    huge_page_bytes: float | None = None
    thp: str | None = None
    memlock: str | None = None
    """Soft limit of locked memory of this process: bytes or `unlimited`."""
    io_uring_disabled: int | None = None
    io_uring_probe: str | None = None
    """works, or the error's name; None where it was not tried."""
    cxl_memories: tuple[str, ...] | None = None
    cxl_bytes: float = 0.0
    rdma: tuple[RdmaPort, ...] | None = None
    nvme: tuple[str, ...] | None = None
    """Controllers on PCIe."""
    container: str | None = None
    """What tells that this is a container; None where nothing does."""
    hypervisor: str | None = None

    def devices(self, kind: str) -> tuple[PciDevice, ...]:
        """Devices of that kind; none where the bus cannot be read."""
        return tuple(device for device in self.pci or () if device.kind == kind)


def read_facts(root: Path = Path("/")) -> HostFacts:
    """Reads the host under that root. Raises nothing for what is missing."""
    tree, live = Tree(root), root == Path("/")
    kernel, driver = _kernel(tree), _driver(tree)
    groups = tree.names("sys/kernel/iommu_groups")
    memory = _meminfo(tree)
    cxl = _cxl(tree)
    return HostFacts(
        live=live,
        kernel=kernel,
        driver=driver,
        iommu=_iommu(tree, kernel, groups),
        iommu_groups=None if groups is None else len(groups),
        pci=_pci(tree),
        **_numa(tree),
        memory_bytes=memory.get("MemTotal"),
        huge_pages=int(memory["HugePages_Total"]) if "HugePages_Total" in memory else None,
        huge_page_bytes=memory.get("Hugepagesize"),
        thp=_chosen(tree.text("sys/kernel/mm/transparent_hugepage/enabled")),
        memlock=_memlock(tree),
        io_uring_disabled=_integer(tree.text("proc/sys/kernel/io_uring_disabled")),
        io_uring_probe=probe_io_uring() if live else None,
        cxl_memories=cxl,
        cxl_bytes=sum(_bytes(tree.text(f"sys/bus/cxl/devices/{name}/ram/size")) for name in cxl or ()),
        rdma=_rdma(tree),
        nvme=_nvme(tree),
        container=_container(tree),
        hypervisor=_hypervisor(tree),
    )


def probe_io_uring() -> str | None:
    """Sets up a ring of one entry and closes it: `works`, or the error's name (EPERM: forbidden, ENOSYS: absent).

    None where there is no libc to call. Harmless: no request is submitted.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError):
        return None
    if not hasattr(libc, "syscall"):
        return None
    params = ctypes.create_string_buffer(IO_URING_PARAMS_BYTES)
    descriptor = libc.syscall(ctypes.c_long(IO_URING_SETUP), ctypes.c_uint(1), params)
    if descriptor < 0:
        return errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))
    os.close(descriptor)
    return "works"


def _kernel(tree: Tree) -> KernelFacts:
    release, cmdline = tree.text("proc/sys/kernel/osrelease"), tree.text("proc/cmdline")
    if release is None:
        found = re.match(r"Linux version (\S+)", tree.text("proc/version") or "")
        release = found[1] if found else None
    config, source = _config(tree, release)
    return KernelFacts(
        release=release,
        arch=tree.text("proc/sys/kernel/arch") or (os.uname().machine if tree.root == Path("/") else None),
        cmdline=None if cmdline is None else tuple(cmdline.split()),
        config=config,
        config_source=source,
    )


def _config(tree: Tree, release: str | None) -> tuple[dict[str, str] | None, str]:
    """The kernel's options from the first place that has them."""
    packed = tree.data("proc/config.gz")
    if packed is not None:
        try:
            return _options(gzip.decompress(packed).decode("utf-8", "replace")), "/proc/config.gz"
        except (OSError, EOFError, ValueError):
            pass
    places = (
        f"boot/config-{release}",
        f"lib/modules/{release}/config",
        f"lib/modules/{release}/build/.config",
    )
    for place in places if release else ():
        text = tree.text(place)
        if text is not None:
            return _options(text), f"/{place}"
    return None, ""


def _options(text: str) -> dict[str, str]:
    found = dict(re.findall(r"^CONFIG_(\w+)=([ym])$", text, re.MULTILINE))
    return {option: found.get(option, "n") for option in CONFIG_OPTIONS}


def _driver(tree: Tree) -> DriverFacts:
    version = tree.text("proc/driver/nvidia/version")
    number = re.search(r"\b(\d{3,}\.\d+(?:\.\d+)?)\b", version or "")
    modules = _modules(tree)
    registry = re.search(r'RegistryDwords:\s*"?([^"\n]*)"?', tree.text("proc/driver/nvidia/params") or "")
    return DriverFacts(
        nvidia_version=number[1] if number else tree.text("sys/module/nvidia/version"),
        nvidia_open=_is_open(version),
        registry=registry[1].strip() if registry else None,
        models=_models(tree),
        amdgpu=bool(modules and "amdgpu" in modules),
        modules=modules,
        uvm_disable_hmm=tree.text("sys/module/nvidia_uvm/parameters/uvm_disable_hmm"),
        nvme_multipath=tree.text("sys/module/nvme_core/parameters/multipath"),
    )


def _is_open(version: str | None) -> bool | None:
    """The open modules say so in their version line."""
    return None if version is None else "Open Kernel Module" in version


def _modules(tree: Tree) -> tuple[str, ...] | None:
    listed = tree.text("proc/modules")
    if listed is not None:
        return tuple(sorted(line.split()[0] for line in listed.splitlines() if line))
    built_in = tree.names("sys/module")
    return built_in


def _models(tree: Tree) -> tuple[str, ...]:
    """Names as NVIDIA's driver tells them under /proc, and amdgpu as the attribute `product_name` of a board."""
    found = []
    for address in tree.names("proc/driver/nvidia/gpus") or ():
        told = re.search(
            r"^Model:\s*(.+)$",
            tree.text(f"proc/driver/nvidia/gpus/{address}/information") or "",
            re.MULTILINE,
        )
        if told:
            found.append(told[1].strip())
    for address in tree.names("sys/bus/pci/devices") or ():
        name = tree.text(f"sys/bus/pci/devices/{address}/product_name")
        if name and _kind(tree, f"sys/bus/pci/devices/{address}") == "gpu":
            found.append(name)
    return tuple(found)


def _iommu(tree: Tree, kernel: KernelFacts, groups: tuple[str, ...] | None) -> str | None:
    """How devices' addresses are translated. Groups exist only where an IOMMU is on; their type says how."""
    if groups:
        kinds = {tree.text(f"sys/kernel/iommu_groups/{group}/type") for group in groups}
        if kinds == {"identity"}:
            return "passthrough"
        if kinds - {None}:
            return "translated" if kinds - {None, "identity"} else None
        if kernel.cmdline is not None and {"iommu=pt", "iommu.passthrough=1"} & set(kernel.cmdline):
            return "passthrough"
        return None
    if groups == ():
        return "off"
    return (
        "off"
        if kernel.has("INTEL_IOMMU") is False and kernel.has("AMD_IOMMU") is False and kernel.arch == "x86_64"
        else None
    )


def _pci(tree: Tree) -> tuple[PciDevice, ...] | None:
    addresses = tree.names("sys/bus/pci/devices")
    if addresses is None:
        return None
    found = (_device(tree, address) for address in addresses)
    return tuple(device for device in found if device is not None)


def _device(tree: Tree, address: str) -> PciDevice | None:
    base = f"sys/bus/pci/devices/{address}"
    vendor, kind = tree.text(f"{base}/vendor") or "", _kind(tree, base)
    if kind is None:
        return None
    numa = _integer(tree.text(f"{base}/numa_node"))
    driver = tree.link(f"{base}/driver")
    return PciDevice(
        address=address,
        kind=kind,
        vendor=GPU_VENDORS.get(vendor, vendor),
        numa=None if numa is None or numa < 0 else numa,
        speed_gt=_speed(tree.text(f"{base}/current_link_speed")),
        width=_lanes(tree.text(f"{base}/current_link_width")),
        max_speed_gt=_speed(tree.text(f"{base}/max_link_speed")),
        max_width=_lanes(tree.text(f"{base}/max_link_width")),
        upstream=_upstream(tree.link(base), address),
        redirects=_redirects(tree.data(f"{base}/config")) if kind == "bridge" else None,
        driver=driver.rsplit("/", 1)[-1] if driver else None,
    )


def _kind(tree: Tree, base: str) -> str | None:
    """What a device is, by its class code (vendor's for GPUs and NVSwitch); None for what no path uses."""
    code, vendor = tree.text(f"{base}/class") or "", tree.text(f"{base}/vendor") or ""
    if code.startswith(ACCELERATOR_CLASSES) or (code.startswith("0x0300") and vendor in ("0x10de", "0x1002")):
        return "gpu"
    if code.startswith("0x0680") and vendor == "0x10de":
        return "nvswitch"
    kinds = {"0x0108": "nvme", "0x0200": "nic", "0x0207": "nic", "0x0604": "bridge"}
    return kinds.get(code[:6])


def _upstream(target: str | None, address: str) -> tuple[str, ...]:
    ports = re.findall(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", target or "")
    return tuple(port for port in ports if port != address)


def _redirects(config: bytes | None) -> bool | None:
    """Whether a bridge's ACS control redirects peer traffic; None where only the first 64 bytes may be read.

    Extended capabilities start at 0x100: id in 16 bits, version in 4, offset of the next in 12 (PCIe base spec 7.6).
    """
    if config is None or len(config) <= 0x104:
        return None
    at = 0x100
    for _ in range(64):
        header = int.from_bytes(config[at : at + 4], "little")
        if header & 0xFFFF == ACS_ID:
            return bool(int.from_bytes(config[at + 6 : at + 8], "little") & ACS_REDIRECT)
        at = header >> 20
        if at < 0x100 or at + 8 > len(config):
            break
    return False


def _numa(tree: Tree) -> dict[str, int | None]:
    names = tree.names("sys/devices/system/node")
    if names is None:
        return {"numa_nodes": None, "memory_only_nodes": None}
    nodes = [name for name in names if re.fullmatch(r"node\d+", name)]
    lists = [tree.text(f"sys/devices/system/node/{node}/cpulist") for node in nodes]
    return {"numa_nodes": len(nodes), "memory_only_nodes": sum(cores == "" for cores in lists)}


def _meminfo(tree: Tree) -> dict[str, float]:
    """Bytes by name (`HugePages_Total` is a count)."""
    rows = re.findall(r"^(\w+):\s+(\d+)( kB)?", tree.text("proc/meminfo") or "", re.MULTILINE)
    return {name: float(number) * (1024.0 if unit else 1.0) for name, number, unit in rows}


def _memlock(tree: Tree) -> str | None:
    found = re.search(r"^Max locked memory\s+(\S+)", tree.text("proc/self/limits") or "", re.MULTILINE)
    return found[1] if found else None


def _cxl(tree: Tree) -> tuple[str, ...] | None:
    names = tree.names("sys/bus/cxl/devices")
    if names is None:
        return () if tree.there("sys/bus/cxl") is False and tree.names("sys/bus") is not None else None
    return tuple(name for name in names if re.fullmatch(r"mem\d+", name))


def _rdma(tree: Tree) -> tuple[RdmaPort, ...] | None:
    devices = tree.names("sys/class/infiniband")
    if devices is None:
        return () if tree.names("sys/class") is not None else None
    return tuple(
        _port(tree, device, port)
        for device in devices
        for port in tree.names(f"sys/class/infiniband/{device}/ports") or ()
    )


def _port(tree: Tree, device: str, port: str) -> RdmaPort:
    base = f"sys/class/infiniband/{device}/ports/{port}"
    rate = re.match(r"([\d.]+) Gb/sec", tree.text(f"{base}/rate") or "")
    state = tree.text(f"{base}/state")
    return RdmaPort(
        device=device,
        port=port,
        gbit_per_s=float(rate[1]) if rate else None,
        active=None if state is None else "ACTIVE" in state,
        link_layer=tree.text(f"{base}/link_layer") or "",
    )


def _nvme(tree: Tree) -> tuple[str, ...] | None:
    names = tree.names("sys/class/nvme")
    if names is None:
        return () if tree.names("sys/class") is not None else None
    return tuple(
        name for name in names if (tree.text(f"sys/class/nvme/{name}/transport") or "pcie") == "pcie"
    )


def _container(tree: Tree) -> str | None:
    for marker in (".dockerenv", "run/.containerenv"):
        if tree.there(marker):
            return f"/{marker}"
    found = re.search(r"(docker|kubepods|containerd|lxc|libpod)", tree.text("proc/1/cgroup") or "")
    return f"cgroup of process 1 names {found[1]}" if found else None


def _hypervisor(tree: Tree) -> str | None:
    told = tree.text("sys/hypervisor/type") or tree.text("sys/class/dmi/id/sys_vendor")
    virtual = re.search(
        r"(QEMU|KVM|VMware|Amazon EC2|Google|Microsoft|Xen|Firecracker)", told or "", re.IGNORECASE
    )
    if virtual:
        return virtual[1]
    return (
        "a hypervisor"
        if re.search(r"^flags\s*:.*\bhypervisor\b", tree.text("proc/cpuinfo") or "", re.MULTILINE)
        else None
    )


def _chosen(text: str | None) -> str | None:
    """The word in brackets of a choice such as `always [madvise] never`."""
    found = re.search(r"\[(\w+)\]", text or "")
    return found[1] if found else None


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def _bytes(text: str | None) -> float:
    """A size in hexadecimal or decimal; 0 where there is none."""
    if text is None or not re.fullmatch(r"0x[0-9a-fA-F]+|\d+", text):
        return 0.0
    return float(int(text, 0))


def _speed(text: str | None) -> float | None:
    found = re.match(r"([\d.]+) GT/s", text or "")
    return float(found[1]) if found else None


def _lanes(text: str | None) -> int | None:
    lanes = _integer(text)
    return lanes if lanes and lanes < 64 else None
