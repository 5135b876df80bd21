"""What can be said of an asset beyond its place: ratings of nodes, loops, chillers, power gear and storage; and of
the site: weather, tariff, serving pools, jobs. Every figure has a default, so that a short site file works.

Each spec belongs to one kind of asset (`SPECS`). Units are in the names; text with a unit is converted.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from plant.closed import Closed
from plant.inference.deployment import EngineSetup
from plant.ranges import expand
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

Finite = Annotated[float, Field(allow_inf_nan=False)]


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

    @model_validator(mode="after")
    def _idle_below_full(self) -> NodeSpec:
        if self.base_idle_kw > self.base_max_kw:
            raise ValueError(f"base_idle_kw {self.base_idle_kw:g} is above base_max_kw {self.base_max_kw:g}")
        return self


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
    volume_l: Finite = Field(400.0, gt=0)
    approach_k: Kelvin = Field(4.0, gt=0)
    """Secondary supply above primary (facility water) supply at design heat."""
    pressure_kpa: Kpa = Field(200.0, gt=0)
    capacity_kw: Kw = Field(400.0, gt=0)

    @model_validator(mode="after")
    def _design_below_most(self) -> CduSpec:
        if self.flow_design_lpm > self.flow_max_lpm:
            raise ValueError(
                f"flow_design_lpm {self.flow_design_lpm:g} is above flow_max_lpm {self.flow_max_lpm:g}"
            )
        return self


class PumpSpec(Closed):
    """A CDU pump (kind `pump`)."""

    rated_kw: Kw = Field(4.0, gt=0)


class ChillerSpec(Closed):
    """A chiller or dry cooler (kind `chiller`)."""

    capacity_kw: Kw = Field(350.0, gt=0)
    kind: Literal["chiller", "dry_cooler"] = "chiller"
    cop_design: Finite = Field(5.0, gt=0)
    """At the design wet bulb of 25 C."""
    cop_per_k: Finite = Field(0.1, ge=0)
    """Gain a kelvin of wet bulb below that."""
    approach_k: Kelvin = Field(6.0, gt=0)
    """Dry cooler: water above dry bulb at capacity."""
    fan_rated_kw: Kw = Field(10.0, ge=0)
    supply_temp_c: Celsius = 20.0
    economiser: bool = False
    """Cools without compressors as far as the tower's water reaches: the warmer the water may be, the more hours."""


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
    soc_min_pct: Finite = Field(10.0, ge=0, le=100)
    soc_max_pct: Finite = Field(90.0, ge=0, le=100)
    soc_start_pct: Finite = Field(60.0, ge=0, le=100)
    cell_temp_c: Celsius = 25.0
    age_years: Finite = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _window(self) -> EssSpec:
        if self.soc_min_pct >= self.soc_max_pct:
            raise ValueError(
                f"soc_min_pct {self.soc_min_pct:g} is not below soc_max_pct {self.soc_max_pct:g}; "
                "the battery would have no energy to give"
            )
        return self


SPECS: dict[str, type[Closed]] = {
    "gpu_node": NodeSpec, "rack": RackSpec, "cdu": CduSpec, "pump": PumpSpec, "chiller": ChillerSpec,
    "crah": CrahSpec, "ups": UpsSpec, "pdu": PduSpec, "feed": FeedSpec, "ess": EssSpec,
}  # fmt: skip
"""The spec each kind of asset may carry; other kinds carry none."""


class Weather(Closed):
    """Air outside. A daily swing of `swing_k` about the mean, warmest at 15:00 of the site's time."""

    dry_bulb_c: Celsius = Field(15.0, ge=-60, le=60)
    wet_bulb_c: Celsius = Field(11.0, ge=-60, le=40)
    swing_k: Kelvin = Field(8.0, ge=0)

    @model_validator(mode="after")
    def _wet_below_dry(self) -> Weather:
        if self.wet_bulb_c > self.dry_bulb_c:
            raise ValueError(f"wet_bulb_c {self.wet_bulb_c:g} is above dry_bulb_c {self.dry_bulb_c:g}")
        return self


class TariffBand(Closed):
    """A price for some hours of the day: from `from_hour` until before `to_hour`."""

    from_hour: int = Field(ge=0, le=24)
    to_hour: int = Field(ge=0, le=24)
    price_per_kwh: Finite = Field(ge=0)

    @model_validator(mode="after")
    def _forward(self) -> TariffBand:
        if self.from_hour == self.to_hour:
            raise ValueError(f"the band {self.from_hour} to {self.to_hour} holds no hour")
        if self.from_hour > self.to_hour:
            raise ValueError(
                f"the band {self.from_hour} to {self.to_hour} passes midnight; write two, "
                f"{self.from_hour} to 24 and 0 to {self.to_hour}"
            )
        return self


class Tariff(Closed):
    """Energy prices by hour, and a charge for the month's highest draw."""

    currency: str = "EUR"
    price_per_kwh: Finite = Field(0.15, ge=0)
    """In hours that no band covers."""
    bands: tuple[TariffBand, ...] = ()
    demand_per_kw_month: Finite = Field(10.0, ge=0)
    carbon_g_per_kwh: Finite = Field(350.0, ge=0)
    export_price_per_kwh: Finite = Field(0.0, ge=0)

    @field_validator("bands")
    @classmethod
    def _apart(cls, bands: tuple[TariffBand, ...]) -> tuple[TariffBand, ...]:
        ordered = sorted(bands, key=lambda band: band.from_hour)
        for one, other in pairwise(ordered):
            if other.from_hour < one.to_hour:
                raise ValueError(
                    f"the bands {one.from_hour} to {one.to_hour} and {other.from_hour} to {other.to_hour} overlap; "
                    "an hour has one price"
                )
        return bands

    def price_at(self, hour: float) -> float:
        """Price of a kWh at that hour of the site's day.

        >>> peak = TariffBand(from_hour=17, to_hour=21, price_per_kwh=0.30)
        >>> tariff = Tariff(price_per_kwh=0.12, bands=(peak,))
        >>> tariff.price_at(16.9), tariff.price_at(17), tariff.price_at(21)
        (0.12, 0.3, 0.12)
        """
        found = (band for band in self.bands if band.from_hour <= hour % 24 < band.to_hour)
        return next((band.price_per_kwh for band in found), self.price_per_kwh)


class PoolSpec(EngineSetup):
    """Replicas of one model on some nodes, behind one service asset."""

    name: str
    """Of the service asset; where the file lists none of that name, one is added on the pool's nodes."""
    nodes: tuple[str, ...]
    """Node names or ranges; its instances fill them in this order."""
    model: str = "llama-3.1-70b"
    tp: int = Field(8, ge=1)
    max_len: int = Field(16384, ge=1)
    priority: int = 100
    """Against jobs that want the same node, as a Kubernetes PriorityClass: higher goes first."""
    prefill_instances: int = Field(0, ge=0)
    """Above 0 the pool is disaggregated: so many instances prefill, the rest decode."""
    share: PerUnit = Field(1.0, gt=0, le=1)
    """Of the trace's requests."""
    ttft_slo_ms: Milliseconds = Field(500.0, gt=0)
    tpot_slo_ms: Milliseconds = Field(50.0, gt=0)

    @field_validator("nodes")
    @classmethod
    def _expanded(cls, nodes: tuple[str, ...]) -> tuple[str, ...]:
        if not nodes:
            raise ValueError('a pool needs at least one node, such as nodes: ["gpu-[01-04]"]')
        return tuple(name for written in nodes for name in expand(written))


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
    """Time between two checkpoints; what was done since the last is lost when the job is cut off."""
    checkpointed: bool = True
    """False: an interrupted job starts over."""
    limit_s: Seconds | None = Field(None, gt=0)
    """What its owner says it takes at most, by which the scheduler plans; None: its duration."""

    @model_validator(mode="after")
    def _within_its_limit(self) -> JobSpec:
        if self.limit_s is not None and self.limit_s < self.duration_s:
            raise ValueError(f"limit_s {self.limit_s:g} is shorter than its duration_s {self.duration_s:g}")
        return self


class SimulationDefaults(Closed):
    """What `plant simulate` takes where the command says nothing."""

    step_s: Seconds = Field(1.0, gt=0)
    rate_rps: PerSecond = Field(1.0, gt=0)
