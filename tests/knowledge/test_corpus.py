"""The runbook corpus, the cause catalog and the glossary hold together."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import knowledge

ROOT = Path(knowledge.__file__).parent
FILES = sorted((ROOT / "corpus").rglob("*.md"))
HEADINGS = ["Meaning", "Likely causes", "Checks", "Steps", "Escalate when"]
ACTIONS = frozenset(
    re.findall(
        r"\w+",
        """
    cap_gpu_power lock_gpu_clock set_batch_limit set_kv_watermark drain_node cordon_node reset_gpu
    pause_job migrate_job switch_to_smaller_model set_coolant_flow set_supply_temp
    start_standby_pump close_leak_valve charge_ess discharge_ess shed_load open_ticket page
    """,
    )
)
CAUSES = frozenset(
    re.findall(
        r"\w+",
        """
    gpu_off_bus gpu_uncorrectable_ecc gpu_ecc_degrading gpu_hang gpu_application_fault nvlink_error
    nvswitch_fault gpu_gsp_failure gpu_thermal_throttle gpu_power_brake host_machine_check
    dram_ecc_error nvme_failure psu_failure host_crash node_unreachable disk_io_error
    filesystem_full nic_failure ib_link_flap ib_link_down switch_failure fabric_congestion
    optic_degrading shared_storage_down storage_latency power_feed_lost pdu_breaker_trip
    ups_on_battery ups_battery_degraded ess_fault ats_transfer_failed power_peak
    coolant_pump_failure coolant_leak coolant_flow_restricted cdu_failure chiller_failure
    crah_failure supply_temp_high condensation_risk fire_smoke intrusion_management
    physical_intrusion sensor_lost sensor_drift clock_skew monitoring_gap kv_cache_pressure
    prefill_surge slo_breach_queueing batch_misconfiguration scheduler_stall model_load_slow
    service_down firmware_regression driver_mismatch config_error certificate_expired
    job_failure_user no_fault unknown
    node_fan_failure pdu_phase_imbalance clock_stuck silent_data_corruption straggler stuck_valve
    misplaced_job
    """,
    )
)
DANGEROUS_TO_PEOPLE = {
    "feed-lost",
    "pdu-breaker-trip",
    "ups-on-battery",
    "ess-fault",
    "ats-transfer-failed",
    "leak-rack",
    "leak-underfloor",
    "fire-smoke",
    "suppression-and-gas",
    "physical-intrusion",
    "ride-through",
}
TAG = re.compile(r"\{action: ([^}]*)\}")
NUMBERED = re.compile(r"^(\d+)\. (\S.*)$")


def front(path: Path) -> dict[str, Any]:
    head = path.read_text("utf-8").split("\n---\n", 1)[0].removeprefix("---\n")
    content: dict[str, Any] = yaml.safe_load(head)
    return content


def body(path: Path) -> str:
    return path.read_text("utf-8").split("\n---\n", 1)[1]


def part(path: Path, heading: str) -> list[str]:
    text = re.split(r"^## .+$", body(path), flags=re.MULTILINE)[HEADINGS.index(heading) + 1]
    return [line for line in text.splitlines() if line.strip()]


def steps(path: Path) -> list[str]:
    return [match[2] for line in part(path, "Steps") if (match := NUMBERED.match(line))]


@cache
def catalog() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "catalogs" / "causes.yaml").read_text("utf-8"))
    return content


def glossary() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "glossary.yaml").read_text("utf-8"))
    return content


every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_at_least_sixty_sections() -> None:
    assert len(FILES) >= 60


@every_file
def test_front_matter_is_complete(path: Path) -> None:
    meta = front(path)
    assert list(meta) == ["id", "title", "tags", "causes", "version", "sources"]
    assert meta["id"] == path.stem
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", meta["id"])
    assert meta["title"].strip()
    assert type(meta["version"]) is int
    assert meta["sources"]
    assert all(isinstance(source, str) and len(source) > 10 for source in meta["sources"])
    assert meta["causes"]
    assert set(meta["causes"]) <= CAUSES


@every_file
def test_headings_stand_in_order(path: Path) -> None:
    assert re.findall(r"^## (.+)$", body(path), re.MULTILINE) == HEADINGS


@every_file
@pytest.mark.parametrize("heading", ["Checks", "Steps"])
def test_lists_are_numbered_from_one_without_gaps(path: Path, heading: str) -> None:
    numbers = [match[1] if (match := NUMBERED.match(line)) else line for line in part(path, heading)]
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert len(numbers) >= 3


@every_file
def test_action_tags_end_a_step_and_name_catalog_actions(path: Path) -> None:
    assert set(TAG.findall(body(path))) <= ACTIONS
    assert len(TAG.findall(body(path))) == sum(bool(TAG.search(step)) for step in steps(path))
    assert all(step.endswith("}") for step in steps(path) if "{" in step and "action" in step)


@every_file
def test_safety_comes_first(path: Path) -> None:
    safety = [step.startswith("Safety:") for step in steps(path)]
    assert safety == sorted(safety, reverse=True)
    if path.stem in DANGEROUS_TO_PEOPLE:
        assert safety[0]


@every_file
def test_a_section_is_short_enough_to_read_at_night(path: Path) -> None:
    words = TAG.sub("", re.sub(r"^##.*$", "", body(path), flags=re.MULTILINE)).split()
    assert 150 <= len(words) <= 270


@every_file
def test_text_is_plain_ascii_without_paths_of_a_build_machine(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.isascii()
    assert "/work/" not in text


def test_ids_and_titles_are_unique() -> None:
    for field in ("id", "title"):
        values = [front(path)[field] for path in FILES]
        assert len(set(values)) == len(values)


def test_no_sentence_is_used_twice_in_checks() -> None:
    checks = [line.split(". ", 1)[1] for path in FILES for line in part(path, "Checks")]
    assert len(set(checks)) == len(checks)


def test_every_cause_has_a_section_and_every_action_a_step() -> None:
    assert {cause for path in FILES for cause in front(path)["causes"]} == CAUSES
    assert {action for path in FILES for action in TAG.findall(body(path))} == ACTIONS


def test_cause_catalog_lists_exactly_the_vocabulary() -> None:
    ids = [cause["id"] for cause in catalog()["causes"]]
    assert type(catalog()["version"]) is int
    assert len(ids) == len(set(ids))
    assert set(ids) == CAUSES


def test_cause_catalog_and_sections_point_at_each_other() -> None:
    causes_of = {front(path)["id"]: set(front(path)["causes"]) for path in FILES}
    for cause in catalog()["causes"]:
        assert cause["sections"], cause["id"]
        assert set(cause["sections"]) == {key for key, named in causes_of.items() if cause["id"] in named}


def test_remedies_are_catalog_actions_that_a_listed_section_carries() -> None:
    tags = {path.stem: set(TAG.findall(body(path))) for path in FILES}
    for cause in catalog()["causes"]:
        assert set(cause["remedies"]) <= ACTIONS
        carried = set().union(*(tags[key] for key in cause["sections"]))
        assert set(cause["remedies"]) <= carried, cause["id"]
        assert cause["remedies"] or cause["id"] == "no_fault"


def test_glossary_entries_are_distinct_lower_noise_wordings() -> None:
    entries = glossary()["terms"]
    assert type(glossary()["version"]) is int
    assert 120 <= len(entries) <= 160
    for canonical, wordings in entries.items():
        assert wordings, canonical
        assert len(set(wordings)) == len(wordings), canonical
        assert all(isinstance(wording, str) and wording.strip() for wording in wordings)


def test_no_wording_belongs_to_two_terms() -> None:
    owner: dict[str, str] = {}
    for canonical, wordings in glossary()["terms"].items():
        for wording in (canonical, *wordings):
            assert owner.setdefault(wording.lower(), canonical) == canonical, wording
