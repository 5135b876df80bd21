"""The ways data goes on a node and between nodes: what each crosses, how fast, and what a request costs.

A path is a row of hops. Its bandwidth is that of its narrowest hop, a hop that every byte crosses k times giving 1/k
of its rate: a bounce buffer makes DRAM carry the same byte two to four times. Data stops in memory at a hop that
stores it; between stops it flows through. Requests are issued in chunks, `depth` of them in flight.
The catalog is `paths.yaml` beside this file; rates come from the accelerator (`Gpu`) and the node (`HostRates`).
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import Field

from plant.closed import Closed
from plant.hardware.gpus import Gpu
from plant.units import Bytes, BytesPerSecond, PerUnit, Seconds
from setpoint.errors import ConfigError

Place = Literal["ssd", "dram", "cxl", "hbm", "gpu", "peer"]
"""Where data lies: `gpu` is another accelerator of the same node or domain, `peer` one of another node."""


class HostRates(Closed):
    """What a node gives its paths, one direction, the whole node."""

    dram_bytes_per_s: BytesPerSecond = Field(600e9, gt=0)
    """Both sockets; DDR5 gives about 300 GB/s each."""
    copy_bytes_per_s: BytesPerSecond = Field(80e9, gt=0)
    """All cores that copy between buffers: 8 of 10 GB/s each."""
    nvme_drives: int = Field(8, ge=0)
    nvme_bytes_per_s: BytesPerSecond = Field(14e9, gt=0)
    """Reads of one drive."""
    nvme_write_bytes_per_s: BytesPerSecond = Field(7e9, gt=0)
    cxl_bytes_per_s: BytesPerSecond = Field(64e9, ge=0)
    """Of all expanders: 64 GB/s a generation 5 x16 link."""


class Hop(Closed):
    """One thing that data crosses."""

    name: str
    bytes_per_s: BytesPerSecond = Field(ge=0)
    """What it reaches, one direction; 0 where the node has none."""
    passes: int = Field(1, ge=1)
    """Times that every byte crosses it."""
    latency_s: Seconds = Field(ge=0)
    stores: bool = False
    """A chunk is complete here before it goes on."""

    @property
    def effective_bytes_per_s(self) -> float:
        """Rate at which data gets past it."""
        return self.bytes_per_s / self.passes


class Path(Closed):
    """A way from one place to another, at the rates of one node with so many accelerators taking part."""

    name: str
    title: str
    source_place: Place
    target_place: Place
    hops: tuple[Hop, ...]
    request_s: Seconds = Field(ge=0)
    """CPU time that one request costs its issuer."""
    depth: int = Field(ge=1)
    """Requests in flight."""
    issuers: int = Field(1, ge=1)
    """Threads that issue them: one an accelerator."""
    chunk_bytes: Bytes = Field(gt=0)
    """Size of a request where the caller does not say."""
    source: str

    @property
    def bytes_per_s(self) -> float:
        """Bandwidth of its narrowest hop; 0 where the node lacks one."""
        return min(hop.effective_bytes_per_s for hop in self.hops)

    @property
    def narrowest(self) -> Hop:
        """The hop that sets the bandwidth."""
        return min(self.hops, key=lambda hop: hop.effective_bytes_per_s)

    @property
    def latency_s(self) -> float:
        """Time of a first byte: the hops' latencies and one request."""
        return self.request_s + sum(hop.latency_s for hop in self.hops)

    @property
    def usable(self) -> bool:
        """Every hop is there."""
        return self.bytes_per_s > 0.0

    def sustained_bytes_per_s(self, chunk_bytes: float | None = None) -> float:
        """Rate of a long transfer in such chunks, with requests and their number in flight counted."""
        size = chunk_bytes or self.chunk_bytes
        return size / self._interval_s(size) if self.usable else 0.0

    def pace(self, chunk_bytes: float | None = None) -> str:
        """What sets that rate: the name of the narrowest hop, `issuing requests`, or `requests in flight`."""
        size = chunk_bytes or self.chunk_bytes
        limits = {
            self.narrowest.name: size / self.bytes_per_s if self.usable else math.inf,
            "issuing requests": self.request_s / self.issuers,
            "requests in flight": self._one_s(size) / self.depth if self.usable else 0.0,
        }
        return max(limits, key=lambda name: limits[name])

    def _one_s(self, size: float) -> float:
        """Time of one chunk alone: latency, and each stage in turn."""
        return self.latency_s + sum(size / rate for rate in self._stages())

    def _interval_s(self, size: float) -> float:
        """Time between two chunks in a long transfer: the slowest of link, issuer and requests in flight."""
        return max(size / self.bytes_per_s, self.request_s / self.issuers, self._one_s(size) / self.depth)

    def _stages(self) -> list[float]:
        """Rates of the stretches between places that store, narrowest hop of each."""
        rates, stretch = [], math.inf
        for hop in self.hops:
            stretch = min(stretch, hop.effective_bytes_per_s)
            if hop.stores:
                rates.append(stretch)
                stretch = math.inf
        return rates if math.isinf(stretch) else [*rates, stretch]


def transfer_s(path: Path, size_bytes: float, chunk_bytes: float | None = None) -> float:
    """Seconds to move so many bytes: the first chunk alone, then one interval for each further chunk.

    T = L(c) + (n / c - 1) max(c / b, r / i, L(c) / q), where L(c) = r + sum of latencies + sum over stages of
    c / b_stage, c the chunk, b the narrowest rate, r the time a request costs one of i issuers, q requests in flight. The last term is
    Little's law for a closed loop of q requests. A transfer smaller than a chunk is one request.
    Raises ConfigError where the node lacks a hop of the path, or the sizes are impossible.

    >>> from plant.hardware.gpus import gpu
    >>> way = paths(gpu("H100"))["dram_hbm"]
    >>> round(transfer_s(way, 55.68e9), 1), round(way.bytes_per_s / 1e9, 2)
    (1.0, 55.68)
    """
    size = path.chunk_bytes if chunk_bytes is None else chunk_bytes
    if not (math.isfinite(size_bytes) and size_bytes >= 0 and math.isfinite(size) and size > 0):
        raise ConfigError(
            f"cannot move {size_bytes!r} bytes in chunks of {size!r}", remedy="Give sizes of 0 or more, chunks above 0"
        )  # fmt: skip
    if not path.usable:
        raise ConfigError(
            f"the node has no {path.narrowest.name} for the path {path.name}", remedy="Use another path, or describe the node's drives and memory"
        )  # fmt: skip
    if size_bytes == 0:
        return 0.0
    first = min(size, size_bytes)
    return path._one_s(first) + (size_bytes / first - 1.0) * path._interval_s(first)


def paths(gpu: Gpu, host: HostRates | None = None, ways: int = 1) -> dict[str, Path]:
    """Every path of a node of such accelerators, by name, with `ways` of them taking part at once.

    Links of an accelerator (PCIe, NVLink, its NIC) count once for each; drives, DRAM, CXL and copying cores are the
    node's and are shared, so bandwidths are of all together. Raises ConfigError for fewer than one accelerator.
    """
    if ways < 1:
        raise ConfigError(f"{ways} accelerators cannot move data", remedy="Give ways of 1 or more")
    rates, catalog = _rates(gpu, host or HostRates()), _catalog()
    return {item["name"]: _path(item, catalog["resources"], rates, ways) for item in catalog["paths"]}


def path(name: str, gpu: Gpu, host: HostRates | None = None, ways: int = 1) -> Path:
    """The path of that name. Raises ConfigError that lists the known ones."""
    known = paths(gpu, host, ways)
    if name not in known:
        raise ConfigError(f"unknown path {name!r}", remedy=f"Use one of {', '.join(known)}")
    return known[name]


def path_names() -> tuple[str, ...]:
    """Names of all paths, in the catalog's order."""
    return tuple(item["name"] for item in _catalog()["paths"])


def _rates(gpu: Gpu, host: HostRates) -> dict[str, float]:
    return {
        "pcie": gpu.host_bytes_per_s,
        "network": gpu.network_bytes_per_s,
        "scale_up": gpu.scale_up_bytes_per_s,
        "dram": host.dram_bytes_per_s,
        "copy": host.copy_bytes_per_s,
        "cxl": host.cxl_bytes_per_s,
        "nvme_read": host.nvme_drives * host.nvme_bytes_per_s,
        "nvme_write": host.nvme_drives * host.nvme_write_bytes_per_s,
    }


class Resource(Closed):
    """A row of `resources` in the catalog."""

    rate: str
    share: PerUnit = Field(gt=0, le=1)
    latency_s: Seconds
    shared: bool
    stores: bool
    source: str


def _path(item: dict[str, Any], resources: dict[str, Any], rates: dict[str, float], ways: int) -> Path:
    hops = []
    for step in item["route"]:
        name, _, times = step.partition("*")
        row = Resource.model_validate(resources[name])
        rate = rates[row.rate] * row.share * (1 if row.shared else ways)
        hops.append(
            Hop(
                name=name,
                bytes_per_s=rate,
                passes=int(times or 1),
                latency_s=row.latency_s,
                stores=row.stores,
            )
        )
    return Path(
        name=item["name"], title=item["title"], source_place=item["from"], target_place=item["to"], hops=tuple(hops),
        request_s=item["request_s"], depth=item["depth"] * ways, issuers=ways, chunk_bytes=item["chunk_bytes"], source=item["source"],
    )  # fmt: skip


@cache
def _catalog() -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(
        files("plant.hardware").joinpath("paths.yaml").read_text(encoding="utf-8")
    )
    return raw
