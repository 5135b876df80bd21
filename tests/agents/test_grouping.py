"""Incidents under the cause that explains them: what lies on its path goes there, and what may matter stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from agents.evidence import Case
from agents.grouping import regroup
from knowledge.causes import load_causes
from setpoint.contracts import Diagnosis, Event, Hypothesis, RecoveryGuide, Triage
from setpoint.contracts.diagnosis import Verdict
from tests.agents.cases import NIGHT, case, told


def named(name: str, *events: tuple[Event, Triage], **incident: Any) -> Case:
    made = case(*events)
    changed = made.incident.model_copy(update={"id": name, **incident})
    return Case(changed, made.events, made.triages, made.site)


def diagnosed(
    one: Case, cause: str, score: float = 0.9, asset: str = "", tried: bool = False
) -> tuple[str, Diagnosis]:
    tested = Verdict(
        cause=cause, asset=asset, share=score, low=score, high=score, tried=tried, onset=NIGHT + timedelta(seconds=0)
    )  # fmt: skip
    top = Hypothesis(cause=cause, title=cause, score=score, tested=tested if asset else None)
    return one.incident.id, Diagnosis(
        incident_id=one.incident.id, revision=0, mode="facts", evidence=(), passages=(), hypotheses=(top,), steps=(),
        summary="", guide=RecoveryGuide(steps=()), written_by="template",
    )  # fmt: skip


PUMP = named(
    "INC-PUMP",
    told("cdu-1-pump-a", "Pump tripped", 0, "P1", "coolant pump failed", ["coolant_pump_failure"]),
    told("cdu-1", "Flow low", 0.2, "P0", "coolant flow lost", ["coolant_pump_failure", "coolant_flow_restricted"]),
)  # fmt: skip
HOT = named("INC-HOT", told("gpu-02", "Slowdown", 1.5, "P1", "GPU throttled", ["gpu_thermal_throttle"]))
SLOW = named(
    "INC-SLOW", told("pool-chat", "TTFT", 4, "P1", "service level breached", ["slo_breach_queueing"])
)
ECC = named("INC-ECC", told("gpu-03", "DBE", 2, "P1", "memory error", ["gpu_uncorrectable_ecc"]))
OTHER = named("INC-OTHER", told("gpu-20", "Slowdown", 2, "P1", "GPU throttled", ["gpu_thermal_throttle"]))


def groups(
    cases: Sequence[Case], *diagnoses: tuple[str, Diagnosis], apart: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    return {one.root: one.incidents for one in regroup(cases, dict(diagnoses), load_causes(), apart)}


CAUSE = diagnosed(PUMP, "coolant_pump_failure")


def test_effects_go_under_the_pump_and_strangers_stand_alone() -> None:
    assert groups([HOT, ECC, SLOW, PUMP, OTHER], CAUSE) == {"INC-PUMP": ("INC-HOT", "INC-SLOW")}


def test_nothing_goes_under_a_cause_that_is_not_likely_or_not_known() -> None:
    assert groups([PUMP, HOT], diagnosed(PUMP, "coolant_pump_failure", score=0.4)) == {}
    assert groups([PUMP, HOT], diagnosed(PUMP, "unknown")) == {}
    assert groups([PUMP, HOT]) == {}


def test_an_incident_with_another_cause_of_its_own_stands_alone() -> None:
    fan = diagnosed(HOT, "node_fan_failure", score=0.6)
    assert groups([PUMP, HOT], CAUSE, fan) == {}
    doubtful = diagnosed(HOT, "node_fan_failure", score=0.45)
    assert groups([PUMP, HOT], CAUSE, doubtful) == {"INC-PUMP": ("INC-HOT",)}


def test_a_cause_that_only_names_the_symptom_is_no_other_cause_unless_it_was_tried_on_the_plant() -> None:
    assert groups([PUMP, HOT], CAUSE, diagnosed(HOT, "gpu_thermal_throttle")) == {"INC-PUMP": ("INC-HOT",)}
    tried = diagnosed(HOT, "gpu_thermal_throttle", asset="gpu-02", tried=True)
    assert groups([PUMP, HOT], CAUSE, tried) == {}


def test_none_of_these_is_an_answer_where_it_was_tried_on_the_plant() -> None:
    none = diagnosed(HOT, "unknown", asset="gpu-02")
    assert groups([PUMP, HOT], CAUSE, diagnosed(HOT, "unknown")) == {"INC-PUMP": ("INC-HOT",)}
    assert groups([PUMP, HOT], CAUSE, none) == {}
    said = named("INC-HOT", told("cdu-1", "Flow", 1.5, "P1", "flow lost", ["coolant_pump_failure"]))
    assert groups([PUMP, said], CAUSE, none) == {"INC-PUMP": ("INC-HOT",)}


def test_what_happened_on_the_struck_asset_does_not_go_under_an_incident_elsewhere() -> None:
    far = diagnosed(HOT, "coolant_pump_failure", asset="cdu-1-pump-a", tried=True)
    assert groups([HOT, PUMP], far) == {}


def test_a_p0_of_another_area_is_never_put_under_a_cause() -> None:
    """Even where it lies on the path: users are without service, and somebody must look."""
    down = named("INC-DOWN", told("pool-chat", "down", 3, "P0", "service down", ["service_down"]))
    flow = named("INC-FLOW", told("cdu-1", "flow", 1, "P0", "flow lost", ["coolant_flow_restricted"]))
    assert groups([PUMP, down, flow], CAUSE) == {"INC-PUMP": ("INC-FLOW",)}


def test_one_alarm_that_is_not_an_effect_keeps_the_whole_incident_apart() -> None:
    mixed = named(
        "INC-MIX",
        told("gpu-02", "Slowdown", 1.5, "P1", "GPU throttled", ["gpu_thermal_throttle"]),
        told("gpu-02", "DBE", 2.5, "P2", "memory error", ["gpu_uncorrectable_ecc"]),
    )
    assert groups([PUMP, mixed], CAUSE) == {}


def test_alarms_that_no_rule_knows_do_not_suffice() -> None:
    nameless = named("INC-WHAT", told("gpu-02", "strange words", 1.5, "P2"))
    assert groups([PUMP, nameless], CAUSE) == {}


def test_what_is_over_and_what_a_person_took_out_is_left_as_it_is() -> None:
    over = named(
        "INC-HOT", told("gpu-02", "x", 1.5, "P1", "GPU throttled", ["gpu_thermal_throttle"]), state="resolved"
    )
    assert groups([PUMP, over], CAUSE) == {}
    assert groups([PUMP, HOT], CAUSE, apart=["INC-HOT"]) == {}


def test_of_two_incidents_with_one_cause_the_one_at_the_struck_asset_stands_for_it() -> None:
    """A node's incident was analysed first and found the pump too."""
    early = named("INC-EARLY", told("gpu-02", "x", 0.1, "P1", "GPU throttled", ["gpu_thermal_throttle"]))
    both = (
        diagnosed(early, "coolant_pump_failure", asset="cdu-1-pump-a", tried=True),
        diagnosed(PUMP, "coolant_pump_failure", asset="cdu-1-pump-a", tried=True),
    )
    assert groups([early, PUMP, HOT], *both) == {"INC-PUMP": ("INC-EARLY", "INC-HOT")}
