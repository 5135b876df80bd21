"""What a fault may set: quantities of the model, by kind of asset. Sensor knobs change what telemetry says, never the
plant."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from setpoint.errors import UsageError


@dataclass(frozen=True)
class FaultKnob:
    """One quantity a fault may set."""

    name: str
    kinds: tuple[str, ...]
    """Tables of plant.dynamics.columns; "gpu" is one accelerator (`gpu-03/gpu5`) or all of a node; "*" is any asset."""
    low: float
    high: float
    meaning: str
    column: str = ""
    """Where it stands; its own name where this is empty."""

    @property
    def of(self) -> str:
        return self.column or self.name

    def check(self, value: float) -> None:
        """Raises UsageError with the range where the value is outside, or is not a number."""
        if not self.low <= value <= self.high:
            raise UsageError(
                f"{self.name} is {value:g}; it lies between {self.low:g} and {self.high:g}",
                remedy=f"It is the {self.meaning}",
            )


_K = FaultKnob
FAULT_KNOBS: dict[str, FaultKnob] = {
    knob.name: knob
    for knob in (
        _K("wear_pu", ("pump",), 0, 0.95, "share of a pump's head lost to wear"),
        _K("failed", ("pump",), 0, 1, "1: the pump cannot turn"),
        _K("running", ("pump", "chiller", "crah"), 0, 1, "0: stopped or tripped"),
        _K("passage_pu", ("cdu", "rack"), 0.01, 1, "conductance left by a filter, a fouled branch or a hose"),
        _K("valve_open", ("cdu", "rack"), 0, 1, "opening of the coolant valve"),
        _K("leak", ("cdu", "rack"), 0, 1, "1: coolant runs out and the sensors on it get wet"),
        _K("leak_lpm", ("cdu",), 0, 100, "coolant each leak of the loop loses"),
        _K("reservoir_pct", ("cdu",), 0, 100, "fill of the loop"),
        _K("pressure_pu", ("cdu",), 0.01, 1, "system pressure left; pumps cavitate below a half"),
        _K("supply_offset_k", ("cdu",), -20, 40, "error of the CDU's own supply control"),
        _K("fouling_pu", ("cdu", "chiller"), 0, 0.95, "share of the heat transfer lost"),
        _K("capacity_pu", ("chiller", "ess"), 0.01, 1, "capacity left: refrigerant, compressor stage, cell imbalance"),
        _K("fan_pu", ("gpu_node", "crah"), 0.02, 1, "air the fans still move"),
        _K("supply_temp_c", ("crah",), 5, 60, "air setpoint"),
        _K("recirculation_pu", ("rack",), 0, 0.8, "share of a rack's intake that is exhaust"),
        _K("humidity_pct", ("hall",), 5, 100, "relative humidity of the hall"),
        _K("dry_mean_c", ("site",), -40, 60, "air outside, mean of the day"),
        _K("wet_mean_c", ("site",), -40, 45, "wet bulb outside, mean of the day"),
        _K("gpus_ok", ("gpu_node",), -72, 72, "GPUs left on the bus; negative: so many less than now"),
        _K("gpu_ok", ("gpu",), 0, 1, "0: off the bus, or lost to memory errors", "ok"),
        _K("hard", ("gpu",), 0, 1, "1: a reset does not bring the GPU back"),
        _K("thermal_pu", ("gpu",), 0.5, 20, "interface resistance of the die over a sound one's"),
        _K("clock_stuck_mhz", ("gpu",), 0, 4000, "clock the firmware holds; 0: none"),
        _K("clock_lock_mhz", ("gpu_node",), 100, 4000, "highest clock of the node's GPUs"),
        _K("power_cap_w", ("gpu_node",), 50, 2000, "power cap of one GPU"),
        _K("link_pu", ("gpu_node",), 0.02, 1, "bandwidth left of NVLink and NICs; also a straggler"),
        _K("nvme_pu", ("gpu_node",), 0.02, 1, "bandwidth left of the drives"),
        _K("clock_share_pu", ("gpu_node",), 0.02, 1, "share of the node that a misplaced job leaves"),
        _K("psu_ok", ("gpu_node",), 0, 12, "power supplies that work, of six"),
        _K("up", ("gpu_node", "pool", "service", "switch", "storage"), 0, 1, "0: down"),
        _K("drained", ("gpu_node",), 0, 1, "1: serves nothing"),
        _K("job_running", ("gpu_node",), 0, 1, "0: the job stands"),
        _K("job_load_pu", ("gpu_node",), 0, 1, "load of the job on a node outside every pool"),
        _K("breaker_closed", ("pdu",), 0, 1, "0: the breaker is open"),
        _K("imbalance_pu", ("pdu",), 0, 1, "worst phase above the mean of the three"),
        _K("available", ("feed", "ess"), 0, 1, "0: feed without voltage, PCS tripped"),
        _K("on_battery", ("ups",), 0, 1, "1: the UPS lost its input and runs on its battery", "bypassed"),
        _K("battery_pct", ("ups",), 0, 100, "charge of the UPS battery"),
        _K("battery_capacity_pu", ("ups",), 0.01, 1, "battery capacity left"),
        _K("on_source", ("ats",), 0, 2, "source of the transfer switch; 0: stuck open"),
        _K("soc_pct", ("ess",), 0, 100, "charge of the storage"),
        _K("arrival_rps", ("pool",), 0, 1e7, "requests a second that arrive"),
        _K("prompt_tokens", ("pool",), 0.01, 100, "prompt length over the usual"),
        _K("context_tokens", ("pool",), 0.01, 100, "context held over the usual"),
        _K("recompute_pu", ("pool",), 0, 0.95, "share of the work that is done twice"),
        _K("batch_limit", ("pool",), 1, 4096, "sequences of one engine step"),
        _K("kv_watermark_pct", ("pool",), 1, 100, "KV use at which admission stops"),
        _K("up_pu", ("link",), 0, 1, "share of time the link is up"),
        _K("bandwidth_pu", ("switch",), 0.02, 1, "bandwidth left by congestion"),
        _K("latency_pu", ("storage",), 0.1, 1000, "latency over the usual"),
        _K("wet", ("leak_sensor",), 0, 1, "1: the sensor says water"),
        _K("sensor_offset", ("*",), -1e6, 1e6, "telemetry says so much more; write sensor_offset.METRIC"),
        _K("sensor_scale", ("*",), -1e6, 1e6, "telemetry says so many times as much; write sensor_scale.METRIC"),
        _K("sensor_stuck", ("*",), -1e9, 1e9, "telemetry says this, whatever is; write sensor_stuck.METRIC"),
    )
}  # fmt: skip
"""By name. A name means the same on every kind it belongs to."""
SENSOR_KNOBS = ("sensor_offset", "sensor_scale", "sensor_stuck")


def knob(name: str) -> FaultKnob:
    """The knob, a sensor knob with its metric cut off. Raises UsageError with the nearest names."""
    found = FAULT_KNOBS.get(name.split(".")[0])
    if found is None:
        near = get_close_matches(name, FAULT_KNOBS, 3, 0.4) or list(FAULT_KNOBS)
        raise UsageError(f"no knob {name!r}", remedy=f"Use {', '.join(near)}")
    return found
