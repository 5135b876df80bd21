"""One line of real equipment, in the words of several makers, leads to its cause: from rule to signature."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agents.correlator import Correlator
from agents.evidence import gather
from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from agents.troubleshooter import rank_causes
from knowledge.causes import load_causes
from knowledge.rulebook import RuleBook
from setpoint.contracts import Event
from tests.agents.cases import case, demo_site

NOW = datetime(2026, 3, 14, 22, 0, tzinfo=UTC)

LINES = [
    # Fans: Dell iDRAC, Supermicro and HPE event logs, DMTF Environmental
    ("node_fan_failure", "gpu-03", "Fan 3 RPM is less than the lower critical threshold.", {}),
    ("node_fan_failure", "bmc-03", "FAN5 | Lower Critical going low | Asserted | Fan reading 0 RPM", {}),
    ("node_fan_failure", "gpu-03", "Fan Degraded (Fan 4, Location System): fan failed", {}),
    ("node_fan_failure", "gpu-03", "Fan 'FAN_SYS7_1' has failed.", {"kind": "FanFailed", "format": "redfish"}),
    # Power
    ("pdu_phase_imbalance", "pdu-04a", "Load imbalance between phases above 20 %", {}),
    ("pdu_phase_imbalance", "pdu-04a", "Input phase imbalance warning, L1 21 A, L2 9 A, L3 8 A", {}),
    ("ess_fault", "ess-1", "BMS warning: cell voltage imbalance, string 2", {}),
    ("ats_transfer_failed", "ats-1", "ATS failed to transfer to the emergency source", {"severity": "critical"}),
    ("ups_battery_degraded", "ups-1", "Internal resistance of battery block 14 exceeds its alarm value", {}),
    # Coolant
    ("stuck_valve", "r-03", "Actuator MV-3 jammed, position error", {}),
    ("stuck_valve", "r-03", "Control valve does not respond to its command", {}),
    ("coolant_flow_restricted", "cdu-1", "Strainer differential pressure high, clogged", {}),
    ("sensor_drift", "temp-r-04", "Sensor disagrees with its neighbours, recalibration needed", {}),
    ("sensor_lost", "temp-r-04", "Reading frozen, quality bad", {}),
    # GPUs and jobs
    ("clock_stuck", "gpu-05", "GPU 2 graphics clock locked at 345 MHz", {}),
    ("clock_stuck", "gpu-05", "SM clock far below its default, clocks without any throttle reason", {}),
    ("misplaced_job", "gpu-26", "Process 8122 on GPU 3 runs outside its allocation, unknown owner", {}),
    ("misplaced_job", "gpu-26", "GPU 3 is held by uid 4410 and another container: several owners", {}),
    ("silent_data_corruption", "gpu-02", "Weights checksum differs from data-parallel replica 3", {}),
    ("silent_data_corruption", "gpu-02", "dcgmi diag: gemm result mismatch on GPU 5, ECC clean", {}),
    ("straggler", "gpu-19", "Straggler detected: rank 17 delays every collective", {}),
    (
        "straggler", "gpu-19",
        "mlx5_core 0000:1a:00.0: 31.506 Gb/s available PCIe bandwidth, limited by 16.0 GT/s PCIe x2 link at 0000:19:00.0 "
        "(capable of 252.048 Gb/s with 32.0 GT/s PCIe x8 link)", {"format": "syslog"},
    ),
    ("host_machine_check", "gpu-08", "Kernel panic - not syncing: Machine check: Processor context corrupt", {}),
    ("config_error", "gpu-09", "Enforced power limit 300 W is lower than default 700 W", {}),
    # Serving
    ("scheduler_stall", "pool-chat", "vLLM engine loop stalled: 0 tokens generated for 90 s, 14 requests running",
     {"severity": "critical"}),
    ("service_down", "pool-chat", "Endpoint https://chat.example/health: probe failed, returns 502", {"severity": "critical"}),
    ("prefill_surge", "pool-chat", "Traffic surge: arrival rate 4 times its usual value", {}),
    ("model_load_slow", "gpu-27", "Loading safetensors checkpoint shards stalled, model load takes 14 min", {}),
]  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> SymbolicEngine:
    return SymbolicEngine(RuleBook.load(), demo_site(), TextRanker.load())


def told(engine: SymbolicEngine, asset: str, message: str, **fields: Any) -> Any:
    values = {
        "id": f"e-{len(message)}",
        "time": NOW,
        "received": NOW,
        "source": "test",
        "kind": "",
        "severity": "warning",
    }
    event = Event(**values | {"asset": asset, "message": message} | fields)
    return event, engine.rank(event, Correlator(demo_site()).observe([event])[0].context)


@pytest.mark.parametrize(("cause", "asset", "message", "fields"), LINES, ids=lambda value: str(value)[:40])
def test_a_makers_line_names_its_cause(
    engine: SymbolicEngine, cause: str, asset: str, message: str, fields: dict[str, Any]
) -> None:
    event, triage = told(engine, asset, message, **fields)
    made = case((event, triage))
    evidence, of_event = gather(made)
    assert triage.priority != "P3"
    assert rank_causes(made, load_causes(), of_event, evidence)[0].cause == cause


@pytest.mark.parametrize(
    ("asset", "message", "least"),
    [
        ("temp-r-04", "No reading from leak-r-05 for 5 minutes", "P2"),
        ("gpu-03", "All targets of gpu-03 are missing for 2 minutes", "P2"),
        ("gpu-03", "Memory cgroup out of memory: Killed process 4711 (python3)", "P3"),
        ("cdu-1", "Secondary supply temperature exceeds its caution level", "P2"),
    ],
)
def test_what_is_no_page(engine: SymbolicEngine, asset: str, message: str, least: str) -> None:
    assert told(engine, asset, message)[1].priority >= least


@pytest.mark.parametrize(
    ("asset", "message", "fields"),
    [
        ("ats-1", "Output dead, load not supplied", {"severity": "critical"}),
        ("door-hall-1", "Door left open too long", {}),
        ("gpu-03", "GPU recovery action changed to 0x2 (Node Reboot Required)", {"kind": "xid-154"}),
        ("gpu-03", "fabric manager driver interface version 550 does not match 535", {}),
    ],
)
def test_what_is_a_page(engine: SymbolicEngine, asset: str, message: str, fields: dict[str, Any]) -> None:
    assert told(engine, asset, message, **fields)[1].priority <= "P1"


def test_users_tokens_and_slow_words_name_no_queue(engine: SymbolicEngine) -> None:
    """ "slo" is no part of "slow", nor "timeout" of "time outlier"."""
    event, triage = told(engine, "gpu-03", "quux runs slow", kind="TimeOutlier")
    made = case((event, triage.model_copy(update={"cause_hints": (), "priority": "P2"})))
    evidence, of_event = gather(made)
    named = {one.cause for one in rank_causes(made, load_causes(), of_event, evidence)}
    assert named.isdisjoint({"slo_breach_queueing", "service_down"})
