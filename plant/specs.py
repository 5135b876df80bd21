"""What can be said of an asset beyond its place: ratings of nodes, loops, chillers, power gear and storage; and of
the site: weather, tariff, serving pools, jobs. Every figure has a default, so that a short site file works.

Each spec belongs to one kind of asset (`SPECS`). Units are in the names; text with a unit is converted.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plant.closed import Closed
from plant.hardware.gpus import Dtype
from plant.inference.deployment import Engine
from plant.units import (
    Bytes,
    BytesPerSecond,
    Celsius,
    Kelvin,
    Kpa,
    Kw,
    Kwh,
    Lpm,
    Mhz,
    Milliseconds,
    PerSecond,
    PerUnit,
    Seconds,
    Watts,
)


class NodeSpec(Closed):
    """A GPU node (kind `gpu_node`)."""

    gpu: str = "H100-SXM"
    gpus: int = Field(8, ge=1, le=72)
    base_idle_kw: Kw = Field(2.2, ge=0)
    """CPUs, fans, NICs and the rest at rest (DGX H100: 2.8 kW idle with 8 GPUs of 75 W)."""
    base_max_kw: Kw = Field(4.6, ge=0)
    liquid_share: PerUnit = Field(0.8, ge=0, le=1)
    """Share of heat that cold plates carry where the rack stands on a CDU."""
    power_cap_w: Watts | None = Field(None, gt=0)
    """Of one GPU; None: its TDP."""
    clock_mhz: Mhz | None = Field(None, gt=0)
    cpu_cores: int = Field(112, ge=1)
    dram_bytes: Bytes = Field(2e12, gt=0)
    dram_bytes_per_s: BytesPerSecond = Field(600e9, gt=0)
    nvme_drives: int = Field(8, ge=0)
    nvme_bytes_per_s: BytesPerSecond = Field(14e9, gt=0)
    """Read rate of one drive."""
    gpudirect_rdma: bool = True
    gpudirect_storage: bool = True
    cxl_bytes: Bytes = Field(0, ge=0)


class RackSpec(Closed):
    """A rack (kind `rack`)."""

    design_kw: Kw = Field(45.0, gt=0)
    flow_design_lpm: Lpm | None = Field(None, gt=0)
    """Share of its CDU's design flow where None."""


class CduSpec(Closed):
    """A coolant distribution unit with its loop (kind `cdu`)."""

    flow_design_lpm: Lpm = Field(150.0, gt=0)
    flow_max_lpm: Lpm = Field(320.0, gt=0)
    supply_temp_c: Celsius = 32.0
    fluid: Literal["water", "pg25"] = "pg25"
    volume_l: float = Field(400.0, gt=0)
    approach_k: Kelvin = Field(4.0, gt=0)
    """Secondary supply above primary (facility water) supply at design heat."""
    pressure_kpa: Kpa = Field(200.0, gt=0)
    capacity_kw: Kw = Field(400.0, gt=0)


class PumpSpec(Closed):
    """A CDU pump (kind `pump`)."""

    rated_kw: Kw = Field(4.0, gt=0)


class ChillerSpec(Closed):
    """A chiller or dry cooler (kind `chiller`)."""

    capacity_kw: Kw = Field(350.0, gt=0)
    kind: Literal["chiller", "dry_cooler"] = "chiller"
    cop_design: float = Field(5.0, gt=0)
    """At the design wet bulb of 25 C."""
    cop_per_k: float = Field(0.1, ge=0)
    """Gain a kelvin of wet bulb below that."""
    approach_k: Kelvin = Field(6.0, gt=0)
    """Dry cooler: water above dry bulb at capacity."""
    fan_rated_kw: Kw = Field(10.0, ge=0)
    supply_temp_c: Celsius = 20.0


class CrahSpec(Closed):
    """An air handler (kind `crah`)."""

    capacity_kw: Kw = Field(90.0, gt=0)
    fan_rated_kw: Kw = Field(5.0, ge=0)
    supply_temp_c: Celsius = 24.0


class UpsSpec(Closed):
    """A UPS (kind `ups`)."""

    capacity_kw: Kw = Field(300.0, gt=0)
    battery_kwh: Kwh = Field(25.0, gt=0)
    fixed_loss_pu: PerUnit = Field(0.01, ge=0, lt=1)
    """Share of its capacity lost at no load."""
    proportional_loss_pu: PerUnit = Field(0.03, ge=0, lt=1)


class PduSpec(Closed):
    """A PDU (kind `pdu`)."""

    capacity_kw: Kw = Field(60.0, gt=0)
    loss_pu: PerUnit = Field(0.015, ge=0, lt=1)


class FeedSpec(Closed):
    """A utility feed with its transformer (kind `feed`)."""

    capacity_kw: Kw = Field(430.0, gt=0)
    loss_pu: PerUnit = Field(0.01, ge=0, lt=1)


class EssSpec(Closed):
    """A battery (kind `ess`)."""

    capacity_kwh: Kwh = Field(200.0, gt=0)
    power_kw: Kw = Field(100.0, gt=0)
    efficiency_one_way: PerUnit = Field(0.949, gt=0, le=1)
    """Cells and PCS together; the round trip is its square."""
    soc_min_pct: float = Field(10.0, ge=0, le=100)
    soc_max_pct: float = Field(90.0, ge=0, le=100)
    soc_start_pct: float = Field(60.0, ge=0, le=100)
    cell_temp_c: Celsius = 25.0
    age_years: float = Field(0.0, ge=0)


SPECS: dict[str, type[Closed]] = {
    "gpu_node": NodeSpec, "rack": RackSpec, "cdu": CduSpec, "pump": PumpSpec, "chiller": ChillerSpec,
    "crah": CrahSpec, "ups": UpsSpec, "pdu": PduSpec, "feed": FeedSpec, "ess": EssSpec,
}  # fmt: skip
"""The spec each kind of asset may carry; other kinds carry none."""


class Weather(Closed):
    """Air outside. A daily swing of `swing_k` about the mean, warmest at 15:00 of the site's time."""

    dry_bulb_c: Celsius = 15.0
    wet_bulb_c: Celsius = 11.0
    swing_k: Kelvin = Field(8.0, ge=0)


class TariffBand(Closed):
    """A price for some hours of the day."""

    from_hour: int = Field(ge=0, le=24)
    to_hour: int = Field(ge=0, le=24)
    price_per_kwh: float = Field(ge=0)


class Tariff(Closed):
    """Energy prices by hour, and a charge for the month's highest draw."""

    currency: str = "EUR"
    price_per_kwh: float = Field(0.15, ge=0)
    """In hours that no band covers."""
    bands: tuple[TariffBand, ...] = ()
    demand_per_kw_month: float = Field(10.0, ge=0)
    carbon_g_per_kwh: float = Field(350.0, ge=0)
    export_price_per_kwh: float = Field(0.0, ge=0)


class PoolSpec(Closed):
    """Replicas of one model on some nodes, behind one service asset."""

    name: str
    """Of the service asset."""
    nodes: tuple[str, ...]
    """Node names or ranges; its instances fill them in this order."""
    model: str = "llama-3.1-70b"
    tp: int = Field(8, ge=1)
    pp: int = Field(1, ge=1)
    dp: int = Field(1, ge=1)
    ep: int = Field(1, ge=1)
    weights: Dtype = "bf16"
    kv: Dtype = "bf16"
    engine: Engine = "vllm"
    max_batch: int = Field(256, ge=1)
    chunk_tokens: int = Field(2048, ge=1)
    max_len: int = Field(16384, ge=1)
    memory_share: PerUnit = Field(0.9, gt=0, le=1)
    prefill_instances: int = Field(0, ge=0)
    """Above 0 the pool is disaggregated: so many instances prefill, the rest decode."""
    share: PerUnit = Field(1.0, gt=0, le=1)
    """Of the trace's requests."""
    ttft_slo_ms: Milliseconds = Field(500.0, gt=0)
    tpot_slo_ms: Milliseconds = Field(50.0, gt=0)


class JobSpec(Closed):
    """A training or batch job the scheduler places on nodes no pool holds."""

    name: str
    nodes: int = Field(ge=1)
    priority: int = 0
    """Higher goes first."""
    start_s: Seconds = Field(0.0, ge=0)
    duration_s: Seconds = Field(3600.0, gt=0)
    load_pu: PerUnit = Field(0.92, gt=0, le=1)
    flexible: bool = False
    """May be paused or moved."""
    checkpoint_s: Seconds = Field(1800.0, gt=0)


class SimulationDefaults(Closed):
    """What `plant simulate` takes where the command says nothing."""

    step_s: Seconds = Field(1.0, gt=0)
    rate_rps: PerSecond = Field(1.0, gt=0)
