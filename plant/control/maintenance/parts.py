"""The kinds of part that wear: what is read of them, where their limit lies, how they live, what work on them costs.

Each figure names its source, or "remembered" (common knowledge of the field that was not looked up again), or
"assumed" (ours, for want of one). A site that knows better replaces the row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from plant.site import AssetKind

Wear = Literal["bearing", "clogging", "cells", "laser", "counts"]
DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Signal:
    """One reading that tells wear. Damage is 0 at `usual` and 1 at `limit`, straight between them."""

    metric: str
    unit: str
    usual: float
    limit: float
    spread: float = 0.05
    """Standard deviation of `usual` between sound units, in damage."""
    noise: float = 0.03
    """Standard deviation of one daily mean, in damage."""
    least: float = 0.0
    most: float = math.inf
    """Readings outside are impossible."""
    exact: bool = False
    """A quantity that a model or a controller works out, with hardly any scatter between units."""

    def damage(self, reading: float) -> float:
        """Way to the limit: 0 usual, 1 at the limit; below 0 where the unit is better than usual.

        >>> round(Signal("vibration_mm_s", "mm/s", 1.6, 7.1).damage(4.35), 2)
        0.5
        """
        return (reading - self.usual) / (self.limit - self.usual)

    def reading(self, damage: float) -> float:
        """The reading at that damage, within what is possible.

        >>> round(Signal("rx_power_dbm", "dBm", -1.4, -7.0, least=-40.0).reading(0.5), 2)
        -4.2
        """
        return min(max(self.usual + damage * (self.limit - self.usual), self.least), self.most)

    def possible(self, reading: float) -> bool:
        return math.isfinite(reading) and self.least <= reading <= self.most


@dataclass(frozen=True)
class Life:
    """How units of a kind live. Times in days; sigmas are of the natural logarithm."""

    wear: Wear
    onset_days: float
    """Scale (63 % point) of the time until wear shows; 0: it shows from the first day."""
    onset_shape: float
    """Weibull shape of that time."""
    growth_days: float
    """Median time from there to the limit."""
    growth_sigma: float
    """Between units."""
    wander: float
    """Irregularity of wear: standard deviation of the logarithm of its pace, which forgets itself in a month."""
    sudden_per_year: float
    """Failures that no reading announces."""
    stress_exponent: float
    """Life goes as stress to minus this."""
    source: str


@dataclass(frozen=True)
class Work:
    """What planned and unplanned work comes to. Money in the site's currency."""

    imperative: str
    crew: str
    hours: float
    part_cost: float
    failure_cost: float
    """All that an unforeseen failure costs more: call-out, express part, work lost."""
    lead_days: float
    """From order to part on site."""
    load_lost_pu: float
    """Share of the work of what hangs on the asset that stands still while it does, where nothing carries on for it;
    assumed."""
    queue: str = "facilities"


@dataclass(frozen=True)
class PartKind:
    """One kind of part."""

    name: str
    title: str
    assets: tuple[AssetKind, ...]
    signals: tuple[Signal, ...]
    life: Life
    work: Work
    fixed_days: float
    """Interval at which it is replaced by the calendar, where that is the custom."""
    words: tuple[str, ...]
    """In the text of a site change these say that it was renewed."""

    @cached_property
    def by_metric(self) -> Mapping[str, Signal]:
        return {signal.metric: signal for signal in self.signals}


_ROWS = (
    PartKind(
        "pump_bearing", "pump bearing", ("pump",),
        (
            Signal("vibration_mm_s", "mm/s", 1.6, 7.1, spread=0.036, noise=0.025, most=100.0),
            Signal("bearing_temp_c", "C", 46.0, 80.0, spread=0.05, noise=0.03, least=-20.0, most=200.0),
            Signal("wear_pu", "pu", 0.0, 0.45, spread=0.005, noise=0.005, most=1.0, exact=True),
        ),
        Life("bearing", 3200.0, 1.5, 75.0, 0.5, 0.35, 0.03, 1.5,
             "L10 of 17,500 h at the shape 1.5 (ASME B73.1, ISO 281; remembered) is a scale of 3,270 days; "
             "7.1 mm/s is the edge of zone D of ISO 10816-3 (remembered); weeks to months from first sign to failure, "
             "assumed; 3 % a year lost to seals, windings and drives, assumed"),
        Work("replace the pump's bearings and seal", "facilities", 4.0, 900.0, 6500.0, 10.0, 1.0),
        1460.0, ("pump", "bearing"),
    ),
    PartKind(
        "fan_bearing", "fan bearing", ("crah",),
        (
            Signal("fan_rpm", "rpm", 1180.0, 900.0, spread=0.05, noise=0.02, most=5000.0),
            Signal("fan_pu", "pu", 1.0, 0.6, spread=0.005, noise=0.005, most=1.2, exact=True),
        ),
        Life("bearing", 3900.0, 2.0, 110.0, 0.5, 0.35, 0.03, 1.5,
             "L10 of 30,000 h, shape 2 (makers of EC fans give 30,000 to 70,000 h at 40 C; remembered); growth and "
             "electronics assumed"),
        Work("replace the fan", "facilities", 3.0, 700.0, 2500.0, 7.0, 0.5),
        1825.0, ("fan",),
    ),
    PartKind(
        "coolant_filter", "coolant filter", ("cdu",),
        (
            Signal("filter_dp_kpa", "kPa", 24.0, 60.0, spread=0.08, noise=0.02, most=1000.0),
            Signal("passage_pu", "pu", 1.0, 0.55, spread=0.005, noise=0.005, most=1.0, exact=True),
        ),
        Life("clogging", 0.0, 1.0, 500.0, 0.35, 0.3, 0.05, 1.0,
             "change at the maker's differential pressure, yearly to every second year (remembered); debris after "
             "work on the loop 5 % a year, assumed"),
        Work("change the coolant filter", "facilities", 1.5, 180.0, 3000.0, 3.0, 0.25),
        365.0, ("filter",),
    ),
    PartKind(
        "air_filter", "air filter", ("crah",),
        (Signal("filter_dp_pa", "Pa", 90.0, 250.0, spread=0.08, noise=0.03, most=5000.0),),
        Life("clogging", 0.0, 1.0, 330.0, 0.4, 0.3, 0.02, 1.0,
             "final resistance 250 Pa (EN 13053 practice; remembered), about yearly"),
        Work("change the air filters", "facilities", 1.0, 160.0, 900.0, 3.0, 0.1),
        270.0, ("air filter", "filters"),
    ),
    PartKind(
        "condenser", "condenser surface", ("chiller",),
        (
            Signal("approach_k", "K", 3.6, 9.0, spread=0.06, noise=0.03, most=60.0),
            Signal("condenser_kpa", "kPa", 880.0, 1150.0, spread=0.05, noise=0.08, most=5000.0),
            Signal("fouling_pu", "pu", 0.0, 0.4, spread=0.005, noise=0.005, most=1.0, exact=True),
        ),
        Life("clogging", 0.0, 1.0, 600.0, 0.4, 0.35, 0.06, 1.0,
             "cleaned every year or two; alarm limits of plant/faults; sudden: compressor and controls 6 % a year, "
             "assumed"),
        Work("clean the condenser", "facilities", 6.0, 600.0, 9000.0, 7.0, 1.0),
        540.0, ("condenser", "coil", "chiller"),
    ),
    PartKind(
        "ess_cells", "battery cells", ("ess",),
        (
            Signal("soh_pct", "%", 100.0, 80.0, spread=0.03, noise=0.025, most=105.0),
            Signal("cell_spread_mv", "mV", 14.0, 120.0, spread=0.03, noise=0.02, most=2000.0),
        ),
        Life("cells", 0.0, 1.0, 0.0, 0.15, 0.1, 0.01, 1.0,
             "calendar and cycle fade of plant.power.ess (Naumann, Wang); end of life at 80 % of capacity, a "
             "usual end of first life (remembered); spread between packs 15 %, assumed"),
        Work("replace the weakest battery modules", "facilities", 8.0, 22000.0, 15000.0, 60.0, 0.0),
        3650.0, ("battery", "cells", "module"),
    ),
    PartKind(
        "ups_battery", "UPS battery string", ("ups",),
        (
            Signal("battery_impedance_pct", "%", 100.0, 150.0, spread=0.06, noise=0.02, most=1000.0),
        ),
        Life("clogging", 0.0, 1.0, 1900.0, 0.25, 0.2, 0.02, 1.0,
             "VRLA strings last four to six years; 50 % above the baseline calls for replacement (IEEE 1188 practice; "
             "remembered)"),
        Work("replace the battery string", "facilities", 6.0, 9000.0, 30000.0, 21.0, 0.0),
        1460.0, ("battery", "string"),
    ),
    PartKind(
        "optics", "optical transceiver", ("link",),
        (
            Signal("rx_power_dbm", "dBm", -1.4, -7.0, spread=0.06, noise=0.02, least=-40.0, most=10.0),
            Signal("symbol_errors_per_min", "errors/min", 0.0, 200.0, spread=0.03, noise=0.05,
                   most=1e9),
        ),
        Life("laser", 12000.0, 1.1, 160.0, 0.6, 0.3, 0.012, 1.0,
             "of the order of 1 to 2 % a year in large fleets (remembered); slow loss of laser power or dirt, growth "
             "assumed"),
        Work("clean or replace the transceiver", "network", 0.5, 800.0, 3500.0, 5.0, 1.0, "network"),
        3650.0, ("optic", "transceiver"),
    ),
    PartKind(
        "disk", "disk or NVMe drive", ("storage",),
        (Signal("media_errors", "errors", 0.0, 300.0, spread=0.03, noise=0.03, most=1e9),),
        Life("counts", 26000.0, 1.0, 60.0, 0.9, 0.5, 0.009, 0.5,
             "1 to 2 % a year (Backblaze; remembered); a third to a half of failed drives showed no count before "
             "(Pinheiro et al., FAST 2007; remembered)"),
        Work("replace the drive", "storage", 0.5, 400.0, 1100.0, 3.0, 0.0, "storage"),
        2190.0, ("disk", "drive"),
    ),
    PartKind(
        "gpu_memory", "GPU memory", ("gpu_node",),
        (
            Signal("remapped_rows", "rows", 0.4, 24.0, spread=0.03, noise=0.01, most=4096.0),
            Signal("hbm_sbe_per_h", "errors/h", 0.05, 60.0, spread=0.02, noise=0.02, most=1e7),
        ),
        Life("counts", 8000.0, 1.0, 45.0, 0.8, 0.5, 0.045, 0.5,
             "9.1 % a year for GPU and HBM together (Llama 3, arXiv 2407.21783, 220 of 419 interruptions), about half "
             "with errors that rose before, assumed"),
        Work("replace the GPU", "hardware", 3.0, 3000.0, 9000.0, 14.0, 1.0, "hardware"),
        3650.0, ("gpu", "hbm", "baseboard"),
    ),
)  # fmt: skip

PARTS: Mapping[str, PartKind] = {row.name: row for row in _ROWS}
