"""The catalog is whole: enough faults, known causes, real message ids, fields that can be filled."""

from __future__ import annotations

import csv
import re
import string
from pathlib import Path

import pytest
import yaml

from plant.faults.alarms import load_rules
from plant.faults.catalog import Fault, listing, load_catalog, read_catalog
from plant.faults.sensors import load_sensors
from plant.faults.telling import said_by
from setpoint.errors import ConfigError

ROOT = Path(__file__).parents[3]
CAUSES = ROOT / "knowledge" / "catalogs" / "causes.yaml"
REDFISH = ROOT / ".." / "shared" / "data" / "events" / "redfish_messages.csv"
XIDS = ROOT / ".." / "shared" / "data" / "events" / "nvidia_xid.csv"
ASKED = """
pump_wear pump_trip clogged_filter stuck_valve rack_leak pressure_lost node_fan_failure crah_trip chiller_trip
dry_cooler_fouling sensor_drift sensor_stuck sensor_lying gpu_off_bus hbm_uncorrectable row_remap_exhausted nvlink_storm
gsp_failure gpu_hang thermal_interface clock_stuck power_cap_mistake power_brake link_flap ib_congestion optic_degrading
switch_failure nic_failure nvme_wear nvme_failure storage_latency psu_failure pdu_phase_imbalance breaker_trip
ups_on_battery ups_battery_degraded feed_lost ats_transfer_failed pcs_trip ess_cell_imbalance kv_thrash runaway_prompts
prefill_surge bad_batch_limit model_load_slow misplaced_job straggler silent_data_corruption firmware_regression
driver_mismatch clock_skew certificate_expired monitoring_gap intrusion_management physical_intrusion smoke
condensation_risk dram_ecc host_crash scheduler_stall
"""
ALL = pytest.mark.parametrize("fault", list(load_catalog().values()), ids=lambda fault: fault.id)


def test_all_that_was_asked_for_is_there() -> None:
    assert set(ASKED.split()) <= set(load_catalog())
    assert len(load_catalog()) >= 60


@ALL
def test_the_cause_is_one_of_the_closed_catalog(fault: Fault) -> None:
    known = {cause["id"] for cause in yaml.safe_load(CAUSES.read_text(encoding="utf-8"))["causes"]}
    assert fault.cause in known


@ALL
def test_it_begins_is_logged_and_ends_or_stays(fault: Fault) -> None:
    assert fault.title
    assert fault.onset
    assert fault.events
    assert fault.lasts_s is None or fault.resolves or fault.detect or fault.cause == "job_failure_user" or any(
        said.priority == "P3" for said in fault.events
    )  # fmt: skip


@ALL
def test_its_detection_names_rules_and_its_signals_name_sensors(fault: Fault) -> None:
    assert set(fault.detect) <= set(load_rules())
    known = {metric for sensors in load_sensors().values() for metric in sensors} | {"*"}
    assert {signal.metric for signal in fault.signals} <= known


@ALL
def test_no_line_names_the_fault_or_its_cause(fault: Fault) -> None:
    for said in said_by(fault):
        text = " ".join((said.say, said.name, *said.args)).lower()
        for name in (fault.id, fault.cause):
            assert "_" not in name or not re.search(rf"\b{name}\b", text)
        assert not re.search(r"simulat|inject|fault plan|ground truth", text)


def test_message_ids_are_of_published_registries() -> None:
    if not REDFISH.exists():
        pytest.skip(f"needs {REDFISH.name} of the shared data")
    with REDFISH.open(encoding="utf-8") as file:
        rows = {f"{r['registry']}.{r['version']}.{r['message_id']}": r for r in csv.DictReader(file)}
    severities = {"OK": "info", "Warning": "warning", "Critical": "critical"}
    for fault in load_catalog().values():
        for said in said_by(fault):
            if said.form == "redfish":
                row = rows[said.name]
                assert said.severity == severities[row["severity"]], (fault.id, said.name)
                assert len(set(re.findall(r"%\d", row["message"]))) == len(said.args), (fault.id, said.name)
    for rule in load_rules().values():
        if rule.form == "redfish":
            assert rule.severity == severities[rows[rule.name]["severity"]], rule.id
            assert not rule.back_name or rows[rule.back_name]["severity"] == "OK"


def test_xid_numbers_are_nvidias() -> None:
    if not XIDS.exists():
        pytest.skip(f"needs {XIDS.name} of the shared data")
    with XIDS.open(encoding="utf-8") as file:
        known = {int(row["xid"]) for row in csv.DictReader(file)}
    texts = [said.say for fault in load_catalog().values() for said in said_by(fault)]
    used = {int(number) for text in texts for number in re.findall(r"(?<!S)Xid \(PCI:[^)]*\): (\d+)", text)}
    assert {79, 48, 95, 63, 64, 74, 119, 120, 8, 31, 43, 109} <= used <= known


FILLED = """
asset struck site rack leaf gpu pci nic bridge uuid pid job rank link lid guid port drive fan psu cpu mc dimm user outside
badge metres fs seq seq2 hex2 hex3 hex4 hex6 hex8 cap_w lock_mhz batch n count sector rise limit t
"""


def test_every_field_of_a_text_is_one_that_is_filled() -> None:
    filled = {
        "asset",
        "struck",
        "site",
        "rack",
        "leaf",
        "gpu",
        "pci",
        "nic",
        "bridge",
        "uuid",
        "pid",
        "job",
        "rank",
        "link",
        "lid",
        "guid",
        "port",
        "drive",
        "fan",
        "psu",
        "cpu",
        "mc",
        "dimm",
        "user",
        "outside",
        "badge",
        "metres",
        "fs",
        "seq",
        "seq2",
        "hex2",
        "hex3",
        "hex4",
        "hex6",
        "hex8",
        "cap_w",
        "lock_mhz",
        "batch",
        "n",
        "count",
        "sector",
        "rise",
        "limit",
        "t",
    }
    texts = [
        t for fault in load_catalog().values() for said in said_by(fault) for t in (said.say, *said.args)
    ]
    texts += [text for rule in load_rules().values() for text in (rule.say, rule.back, *rule.args)]
    for text in texts:
        names = {name.split("[")[0] for _, name, _, _ in string.Formatter().parse(text) if name}
        assert names <= filled, text


def test_the_listing_says_what_the_command_prints() -> None:
    rows = {row["id"]: row for row in listing()}
    assert rows["pump_trip"] == {
        "id": "pump_trip", "title": "Coolant pump trips on overload", "cause": "coolant_pump_failure",
        "strikes": "pump", "onset": "at once", "touches": "cdu, rack, gpu_node",
    }  # fmt: skip
    assert rows["clogged_filter"]["onset"] == "over 1.5 h"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("severity: [0.9, 0.2]", "backwards"),
        ("knobs: 3", "Extra inputs"),
        ("ramp_s: 20C", "temperature"),
        ("strikes: [toaster]", "strikes"),
    ],
)
def test_a_wrong_catalog_says_where(tmp_path: Path, change: str, says: str) -> None:
    fault = {
        "id": "a",
        "title": "A",
        "area": "host",
        "cause": "unknown",
        "strikes": ["host"],
        "signals": [{"metric": "x"}],
    }
    path = tmp_path / "faults.yaml"
    path.write_text(
        yaml.safe_dump({"version": 1, "faults": [fault | yaml.safe_load(change)]}), encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=says) as error:
        read_catalog(path)
    assert "faults.0" in str(error.value)


def test_a_fault_that_does_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("version: 1\nfaults: [{id: a, title: A, area: host, cause: unknown, strikes: [host]}]\n")
    with pytest.raises(ConfigError, match="moves at least one"):
        read_catalog(path)
