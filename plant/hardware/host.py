"""Which data paths a real Linux host can use, why or why not, what to do, and what the model expects of each.

A path needs some things to be true of the host (`NEEDS`). Each need is answered in `host_needs` from what `host_facts` read; the path is usable, not usable, or cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from plant.closed import Closed
from plant.hardware.gpus import Gpu, gpu
from plant.hardware.host_facts import HostFacts, read_facts
from plant.hardware.host_needs import (
    HARDWARE,
    NEEDS,
    ON_GPU,
    SLOWS,
    Answer,
    active_port,
    counted,
    cxl_memory,
    direct_addresses,
    drive,
    gpu_driver,
    io_uring,
    memory_lock,
    narrow_links,
    redirecting,
)
from plant.hardware.paths import HostRates, paths
from plant.hardware.paths import Path as DataPath
from setpoint.errors import ConfigError

Usable = Literal["usable", "not usable", "cannot tell"]
Mark = Literal["ok", "warning", "cannot tell"]
GEN5_X4_BYTES_PER_S = 16e9
"""Raw rate of an NVMe drive's link in generation 5; such a drive reads up to 14 GB/s, m."""


class HostFinding(Closed):
    """One thing looked at on the host."""

    what: str
    mark: Mark
    detail: str
    remedy: str = ""


class PathFinding(Closed):
    """Whether the host can use one path."""

    path: str
    title: str
    verdict: Usable
    reasons: tuple[str, ...]
    """What is missing or cannot be told; where usable, what was seen."""
    remedies: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What slows it without forbidding it."""
    expected_gb_per_s: float | None = None
    """One accelerator, a long transfer in the path's own chunks; None where the hardware is not known."""
    expected_all_gb_per_s: float | None = None
    """All accelerators of the host at once."""
    expected_latency_us: float | None = None
    pace: str = ""
    """What sets that rate for one accelerator: a hop, or the requests."""


class HostReport(Closed):
    """What `setpoint doctor --host` says."""

    host: str
    accelerators: int | None
    """None where the PCI bus cannot be read."""
    accelerator: str | None
    """Name in the catalog, None where it is not known."""
    findings: tuple[HostFinding, ...]
    paths: tuple[PathFinding, ...]
    assumed: tuple[str, ...] = ()
    """What the expected figures take for granted."""

    def path(self, name: str) -> PathFinding:
        """The finding of that path. Raises ConfigError that lists the known ones."""
        for found in self.paths:
            if found.path == name:
                return found
        raise ConfigError(f"no path {name!r}", remedy=f"Use one of {', '.join(p.path for p in self.paths)}")


def host_report(root: Path = Path("/")) -> HostReport:
    """Reads the host under that root and judges every path. Raises nothing for what is missing or forbidden."""
    return judge(read_facts(root))


def judge(facts: HostFacts) -> HostReport:
    """The report of what was read."""
    card, assumed = _card(facts)
    cards = None if facts.pci is None else len(facts.devices("gpu"))
    rates = _host_rates(facts)
    alone = paths(card, rates) if card else {}
    together = paths(card, rates, max(1, cards or 1)) if card else {}
    verdicts = []
    for name, title in _titles().items():
        found = _verdict(name, title, facts)
        lacking = any(need in HARDWARE and need(facts).yes is False for need in NEEDS[name])
        if card and alone[name].usable and not lacking:
            found = _expected(found, alone[name], together[name])
        verdicts.append(found)
    return HostReport(
        host=_host(facts),
        accelerators=cards,
        accelerator=card.name if card else None,
        findings=tuple(_findings(facts)),
        paths=tuple(verdicts),
        assumed=assumed,
    )


def _expected(found: PathFinding, alone: DataPath, together: DataPath) -> PathFinding:
    return found.model_copy(
        update={
            "expected_gb_per_s": alone.sustained_bytes_per_s() / 1e9,
            "expected_all_gb_per_s": together.sustained_bytes_per_s() / 1e9,
            "expected_latency_us": alone.latency_s * 1e6,
            "pace": alone.pace(),
        }
    )


def _titles() -> dict[str, str]:
    return {name: found.title for name, found in paths(gpu("H100-SXM")).items()}


def _host(facts: HostFacts) -> str:
    kernel = facts.kernel
    return f"Linux {kernel.release or '(release not told)'} on {kernel.arch or '(processor not told)'}"


def _verdict(name: str, title: str, facts: HostFacts) -> PathFinding:
    """Of what is missing the reasons and remedies; of what is there only what this path needs beyond an accelerator."""
    answers = [need(facts) for need in NEEDS[name]]
    own = [need(facts) for need in NEEDS[name] if need not in ON_GPU] or answers
    no, unknown = [a for a in answers if a.yes is False], [a for a in answers if a.yes is None]
    verdict: Usable = "not usable" if no else "cannot tell" if unknown else "usable"
    told = no or unknown or own
    return PathFinding(
        path=name, title=title, verdict=verdict, reasons=tuple(dict.fromkeys(a.why for a in told)),
        remedies=tuple(dict.fromkeys(a.remedy for a in told if a.remedy and a.yes is not True)),
        notes=tuple(note for slow in SLOWS.get(name, ()) for note in slow(facts)),
    )  # fmt: skip


def _card(facts: HostFacts) -> tuple[Gpu | None, tuple[str, ...]]:
    """The catalog's accelerator with this host's own links, and what was assumed."""
    if not facts.driver.models:
        return None, ()
    try:
        known = gpu(facts.driver.models[0])
    except ConfigError:
        return None, ()
    assumed = ["DRAM of 600 GB/s and eight copying cores: neither is told by the kernel"]
    links = [rate for device in facts.devices("gpu") if (rate := device.bytes_per_s)]
    ports = [p.gbit_per_s for p in facts.rdma or () if p.active and p.gbit_per_s]
    changed: dict[str, float] = {}
    if links and known.host_bytes_per_s < 200e9:
        changed["host_bytes_per_s"] = min(links)
    else:
        assumed.append(f"the link of {known.name} to its host from the catalog")
    if ports:
        changed["network_bytes_per_s"] = sum(ports) / 8 * 1e9 / max(1, len(facts.devices("gpu")))
    return known.model_copy(update=changed), tuple(assumed)


def _host_rates(facts: HostFacts) -> HostRates:
    """Drives read at 7/8 of their link, up to what one drive of today gives; CXL memory over one x16 link."""
    links = [
        min(device.bytes_per_s or GEN5_X4_BYTES_PER_S, GEN5_X4_BYTES_PER_S)
        for device in facts.devices("nvme")
    ]
    each = 0.875 * sum(links) / len(links) if links else 14e9
    return HostRates(
        nvme_drives=len(links) or len(facts.nvme or ()),
        nvme_bytes_per_s=each,
        nvme_write_bytes_per_s=0.5 * each,
        cxl_bytes_per_s=64e9 if facts.cxl_memories else 0.0,
    )


def _findings(facts: HostFacts) -> Iterator[HostFinding]:
    for look in (
        _f_kernel,
        _f_config,
        _f_driver,
        _f_iommu,
        _f_topology,
        _f_memory,
        _f_uring,
        _f_devices,
        _f_place,
    ):
        yield from look(facts)


def _f_kernel(facts: HostFacts) -> Iterator[HostFinding]:
    release = facts.kernel.release
    yield HostFinding(
        what="kernel", mark="ok" if release else "cannot tell", detail=release or "its release cannot be read"
    )


def _f_config(facts: HostFacts) -> Iterator[HostFinding]:
    config = facts.kernel.config
    if config is None:
        yield HostFinding(what="kernel options", mark="cannot tell", detail="no configuration in /proc/config.gz, /boot or /lib/modules",
                          remedy="Boot a kernel with CONFIG_IKCONFIG_PROC, or mount /boot")  # fmt: skip
        return
    has, lacks = [o for o, v in config.items() if v != "n"], [o for o, v in config.items() if v == "n"]
    yield HostFinding(what="kernel options", mark="ok",
                      detail=f"{facts.kernel.config_source}: has {', '.join(has) or 'none'}; lacks {', '.join(lacks) or 'none'}")  # fmt: skip


def _f_driver(facts: HostFacts) -> Iterator[HostFinding]:
    answer = gpu_driver(facts)
    yield _finding("driver", answer)
    for module in ("nvidia_peermem", "nvidia_fs"):
        if facts.driver.nvidia_version and facts.driver.loaded(module) is False:
            yield HostFinding(
                what=module,
                mark="warning",
                detail="not loaded",
                remedy=f"modprobe {module.replace('_', '-')}, where direct paths are wanted",
            )


def _f_iommu(facts: HostFacts) -> Iterator[HostFinding]:
    groups = "" if facts.iommu_groups is None else f", {facts.iommu_groups} groups"
    mark: Mark = "cannot tell" if facts.iommu is None else "warning" if facts.iommu == "translated" else "ok"
    yield HostFinding(
        what="IOMMU",
        mark=mark,
        detail=f"{facts.iommu or 'state cannot be read'}{groups}",
        remedy=direct_addresses(facts).remedy if mark != "ok" else "",
    )


def _f_topology(facts: HostFacts) -> Iterator[HostFinding]:
    if facts.pci is None:
        yield HostFinding(
            what="PCIe",
            mark="cannot tell",
            detail="/sys/bus/pci cannot be read",
            remedy="Give the process /sys",
        )
        return
    present = {kind: len(facts.devices(kind)) for kind in ("gpu", "nvswitch", "nic", "nvme", "bridge")}
    yield HostFinding(
        what="PCIe",
        mark="ok",
        detail=", ".join(f"{count} {kind}" for kind, count in present.items() if count)
        or "no device that paths use",
    )
    for said in (*narrow_links(facts), *redirecting(facts)):
        yield HostFinding(what="PCIe", mark="cannot tell" if "cannot" in said else "warning", detail=said)
    placeless = [card for card in facts.devices("gpu") if card.numa is None]
    if placeless and (facts.numa_nodes or 1) > 1:
        yield HostFinding(
            what="NUMA",
            mark="cannot tell",
            detail=f"{counted(len(placeless), 'accelerator')} without a NUMA node",
            remedy="Enable NUMA tables in the firmware",
        )


def _f_memory(facts: HostFacts) -> Iterator[HostFinding]:
    if facts.memory_bytes is None:
        yield HostFinding(what="memory", mark="cannot tell", detail="/proc/meminfo cannot be read")
    else:
        nodes = "" if facts.numa_nodes is None else f" on {counted(facts.numa_nodes, 'NUMA node')}"
        pages = (
            f", {facts.huge_pages} huge pages of {(facts.huge_page_bytes or 0) / 2**20:.0f} MiB"
            if facts.huge_pages is not None
            else ""
        )
        yield HostFinding(
            what="memory",
            mark="ok",
            detail=f"{facts.memory_bytes / 1e9:.0f} GB{nodes}{pages}, transparent huge pages {facts.thp or 'not told'}",
        )
    for said in memory_lock(facts):
        yield HostFinding(what="locked memory", mark="warning", detail=said)
    if facts.thp == "never":
        yield HostFinding(
            what="huge pages",
            mark="warning",
            detail="transparent huge pages are off",
            remedy="echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )


def _f_uring(facts: HostFacts) -> Iterator[HostFinding]:
    yield _finding("io_uring", io_uring(facts))


def _f_devices(facts: HostFacts) -> Iterator[HostFinding]:
    for what, need in (("NVMe", drive), ("RDMA", active_port), ("CXL", cxl_memory)):
        yield _finding(what, need(facts))


def _f_place(facts: HostFacts) -> Iterator[HostFinding]:
    if facts.container:
        yield HostFinding(what="container", mark="warning", detail=f"this is a container ({facts.container}): devices and /sys may be hidden",
                          remedy="Run on the host for a full answer")  # fmt: skip
    if facts.hypervisor:
        yield HostFinding(
            what="hypervisor",
            mark="warning",
            detail=f"a virtual machine ({facts.hypervisor}): the PCIe topology may not be the real one",
        )


def _finding(what: str, answer: Answer) -> HostFinding:
    mark: Mark = "ok" if answer.yes else "cannot tell" if answer.yes is None else "warning"
    return HostFinding(what=what, mark=mark, detail=answer.why, remedy="" if answer.yes else answer.remedy)
