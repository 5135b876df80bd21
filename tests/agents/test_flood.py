"""Flood mode: three causes and one unrelated P0 out of two hundred alarms, the gravest first, nothing lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.flood import causes_first, flood_line, flood_state
from plant.diagnosis.results import Band, Rehearsal
from setpoint.contracts import Action, ActionProposal, Diagnosis, Hypothesis, Incident, RecoveryGuide, Review
from setpoint.contracts.diagnosis import Verdict
from tests.agents.cases import NIGHT, demo_site


def incident(name: str, after_s: float, asset: str, priority: Any = "P1", **changes: Any) -> Incident:
    time = NIGHT + timedelta(seconds=after_s)
    values: dict[str, Any] = {
        "id": name, "group_key": name, "title": f"trouble on {asset}", "priority": priority, "state": "open", "opened": time,
        "updated": time, "assets": (asset,), "event_count": 1, "path": "slow", "grouped_by": "one condition",
    }  # fmt: skip
    return Incident(**values | changes)


def diagnosis(name: str, cause: str, asset: str, score: float = 0.9, proposals: Any = ()) -> Diagnosis:
    tested = Verdict(cause=cause, asset=asset, share=score, low=score, high=score)
    return Diagnosis(
        incident_id=name, revision=0, mode="facts", evidence=(), passages=(), steps=(), summary="", proposals=proposals,
        hypotheses=(Hypothesis(cause=cause, title=cause.replace("_", " "), score=score, tested=tested),),
        guide=RecoveryGuide(steps=()), written_by="template",
    )  # fmt: skip


def proposal(name: str, minutes: float) -> ActionProposal:
    """An action whose rehearsal says that without it GPUs pass their limit after so many minutes."""
    times = tuple(60.0 * n for n in range(16))
    without = tuple((60 + t / 60, 70 + 17 * t / (60 * minutes) + 0.01, 80 + t / 60) for t in times)
    band = Band(asset="gpu-13", metric="gpu_temp_c", times_s=times, without=without, acted=without, limit=87.0,
                limit_is="above")  # fmt: skip
    rehearsal = Rehearsal(action="cap_gpu_power", asset="gpu-13", args={}, as_of=NIGHT, horizon_s=900, members=16,
                          confidence=0.9, bands=(band,))  # fmt: skip
    action = Action(name="cap_gpu_power", asset="gpu-13", args={"power_cap_w": 400})
    return ActionProposal(id="ACT-1", incident_id=name, action=action, risk="low", effect="", why="", rollback="",
                          rehearsal=rehearsal)  # fmt: skip


def storm() -> tuple[list[Incident], dict[str, Diagnosis], dict[str, str]]:
    """200 alarms within eight minutes: a breaker, a pump and a switch, and an intrusion that has nothing to do with them."""
    nodes = [asset.name for asset in demo_site().of_kind("gpu_node")]
    roots = {
        "PUMP": ("cdu-2-pump-a", nodes[12:24]),
        "BREAKER": ("pdu-08b", nodes[28:]),
        "LEAF": ("ib-leaf-1", nodes[:8]),
    }
    incidents = [
        incident(name, 60.0 * place, asset) for place, (name, (asset, _)) in enumerate(roots.items())
    ]
    grouped: dict[str, str] = {}
    for number in range(196):
        name, (_, below) = list(roots.items())[number % 3]
        one = incident(
            f"{name}-{number:03}",
            2.4 * number,
            below[number // 3 % len(below)],
            "P1" if name == "PUMP" else "P2",
        )
        incidents.append(one)
        grouped[one.id] = name
    incidents.append(incident("INTRUSION", 200.0, "bmc-09", "P0"))
    diagnoses = {
        "PUMP": diagnosis("PUMP", "coolant_pump_failure", "cdu-2-pump-a"),
        "BREAKER": diagnosis("BREAKER", "pdu_breaker_trip", "pdu-08b"),
        "LEAF": diagnosis("LEAF", "switch_failure", "ib-leaf-1"),
        "INTRUSION": diagnosis("INTRUSION", "unknown", "", 0.6),
    }  # fmt: skip
    return incidents, diagnoses, grouped


NOW = NIGHT + timedelta(minutes=8)


def test_a_storm_is_three_causes_and_one_alarm_of_its_own() -> None:
    incidents, diagnoses, grouped = storm()
    flood = causes_first(incidents, diagnoses, grouped, NOW, site=demo_site())
    assert (flood.active, flood.rate_per_10min) == (True, 200)
    assert [row.incident for row in flood.rows] == ["PUMP", "LEAF", "BREAKER", "INTRUSION"]
    pump, leaf, breaker, intrusion = flood.rows
    assert (pump.gpus, leaf.gpus, breaker.gpus) == (96, 64, 32)
    assert pump.power_kw > leaf.power_kw > breaker.power_kw > 0
    assert (intrusion.known, intrusion.priority, intrusion.cause) == (False, "P0", "trouble on bmc-09")
    shown = {name for row in flood.rows for name in (row.incident, *row.members)}
    assert shown == {one.id for one in incidents}
    assert sum(row.alarms for row in flood.rows) == 200
    assert flood_line(flood) == (
        "Alarm flood for 7 min: 200 new incidents in 10 min (limit 10). 3 causes explain 199 incidents; 1 has no cause yet."
    )


def test_what_reaches_a_limit_soonest_comes_first_among_equals() -> None:
    incidents, diagnoses, grouped = storm()
    incidents = [one.model_copy(update={"priority": "P1"}) for one in incidents]
    diagnoses["BREAKER"] = diagnosis(
        "BREAKER", "pdu_breaker_trip", "pdu-08b", proposals=(proposal("BREAKER", 12),)
    )
    flood = causes_first(incidents, diagnoses, grouped, NOW, site=demo_site())
    first = flood.rows[0]
    assert (first.incident, first.limit) == ("BREAKER", "GPU temperature of gpu-13")
    assert first.to_limit_s == 4 * 60.0  # 12 minutes from the rehearsal, 8 of which are over


def test_a_group_whose_root_is_over_is_shown_one_by_one_again() -> None:
    root, member = incident("A", 0, "cdu-1", state="closed"), incident("B", 10, "gpu-01")
    flood = causes_first([root, member], {}, {"B": "A"}, NOW, site=demo_site())
    assert [row.incident for row in flood.rows] == ["B"]


def test_groups_that_point_at_each_other_lose_nobody() -> None:
    members = [incident("A", 0, "cdu-1"), incident("B", 10, "gpu-01"), incident("C", 20, "gpu-02")]
    flood = causes_first(members, {}, {"B": "A", "C": "B"}, NOW, site=demo_site())
    assert [(row.incident, row.members) for row in flood.rows] == [("A", ("B", "C"))]


def test_decisions_that_wait_stand_with_the_trouble_they_belong_to() -> None:
    review = Review(id="REV-1", kind="action", incident_id="B", subject="?", created=NOW)
    rows = causes_first([incident("A", 0, "cdu-1"), incident("B", 9, "gpu-01")], {}, {"B": "A"}, NOW, site=demo_site(),
                        reviews=[review]).rows  # fmt: skip
    assert rows[0].waits == ("REV-1",)


def test_routine_is_no_alarm() -> None:
    quiet = [incident(f"Q{n}", n, "gpu-01", "P3") for n in range(50)]
    flood = causes_first(quiet, {}, {}, NOW, site=demo_site())
    assert (flood.active, flood.rows) == (False, ())


def test_a_flood_lasts_until_the_rate_has_halved() -> None:
    times = [NIGHT + timedelta(seconds=30 * n) for n in range(12)]
    begin = NIGHT + timedelta(seconds=30 * 10)
    assert flood_state(times, begin, 10)[:2] == (True, begin)
    # 7 and then 4 of the 12 lie within the last ten minutes
    assert flood_state(times, NIGHT + timedelta(seconds=600 + 30 * 4), 10)[0]
    assert not flood_state(times, NIGHT + timedelta(seconds=600 + 30 * 8), 10)[0]


@given(st.lists(st.integers(0, 7200), max_size=60), st.integers(0, 9000))
def test_the_rate_is_what_came_in_the_last_ten_minutes(seconds: list[int], now_s: int) -> None:
    now = NIGHT + timedelta(seconds=now_s)
    active, since, rate = flood_state([NIGHT + timedelta(seconds=s) for s in seconds], now, 10)
    assert rate == sum(now_s - 600 < s <= now_s for s in seconds)
    assert active == (since is not None)
    assert active or rate <= 10
