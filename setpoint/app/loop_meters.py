"""What a run of control loops is held against: the meters of its days, as every table of it names them."""

from __future__ import annotations

from dataclasses import dataclass

MONEY = "money"
SHARE = "share"


@dataclass(frozen=True)
class Meter:
    """One of `DaysSite.meters`."""

    name: str
    words: str
    unit: str
    """MONEY is the site's currency, SHARE is shown in percent."""
    sense: int
    """Whether more of it is better (1), worse (-1) or neither."""
    decimals: int = 0
    part: bool = False
    """A part of the one before; the end table on the terminal leaves it out."""


METERS = (
    Meter("grid_kwh", "grid energy", "kWh", -1),
    Meter("it_kwh", "IT energy", "kWh", 0),
    Meter("serving_kwh", "of it nodes of serving pools", "kWh", 0, part=True),
    Meter("cooling_kwh", "cooling energy", "kWh", -1),
    Meter("pump_kwh", "of it pumps", "kWh", 0, part=True),
    Meter("fan_kwh", "of it fans", "kWh", 0, part=True),
    Meter("chiller_kwh", "of it chillers", "kWh", 0, part=True),
    Meter("bill", "bill", MONEY, -1, decimals=2),
    Meter("energy_cost", "of it energy", MONEY, 0, decimals=2, part=True),
    Meter("demand_cost", "of it demand", MONEY, 0, decimals=2, part=True),
    Meter("billed_kw", "billed peak", "kW", -1, decimals=1),
    Meter("peak_kw", "highest quarter of an hour", "kW", 0, decimals=1),
    Meter("carbon_kg", "carbon", "kg", -1),
    Meter("ess_out_kwh", "discharged from storage", "kWh", 0, part=True),
    Meter("ess_in_kwh", "charged into storage", "kWh", 0, part=True),
    Meter("stored_kwh", "left in storage", "kWh", 0),
    Meter("hottest_gpu_c", "hottest GPU", "C", 0, decimals=1),
    Meter("gpu_over_limit_s", "time with a GPU over its limit", "s", -1),
    Meter("rack_inlet_max_c", "warmest rack inlet", "C", 0, decimals=1),
    Meter("requests", "requests served", "", 1),
    Meter("slo_late_share", "requests beyond their SLO", SHARE, -1, decimals=3),
    Meter("job_node_h", "work of jobs", "node-h", 1, decimals=1),
    Meter("jobs_late", "jobs past their deadline", "", -1),
    Meter("parts_failed", "parts that failed", "", -1),
    Meter("parts_renewed", "parts renewed before they failed", "", 0),
)
