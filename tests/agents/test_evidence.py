"""Evidence: readable, complete, without routine, with ids that hold."""

from __future__ import annotations

from datetime import timedelta

from agents.evidence import NEW_PATTERN, UNNAMED, gather, most_urgent, name_list, span, telling_events
from agents.verification import verify_text
from tests.agents.cases import NIGHT, case, pump_case, told


def texts(made: object) -> list[str]:
    return [piece.text for piece in gather(made)[0]]  # type: ignore[arg-type]


def test_each_event_names_its_evidence_and_ids_count_up() -> None:
    evidence, evidence_of = gather(pump_case())
    assert [piece.id for piece in evidence] == [f"E{n}" for n in range(1, len(evidence) + 1)]
    assert set(evidence_of) == {event.id for event in pump_case().events}
    assert set(evidence_of.values()) <= {piece.id for piece in evidence}


def test_a_reading_is_told_with_unit_limit_and_the_sites_time() -> None:
    assert 'cdu-1: "Coolant flow below minimum" (41 lpm, limit 60 lpm; 00:40:12 CET)' in texts(pump_case())


def test_nodes_that_say_the_same_are_one_piece_with_one_zone() -> None:
    said = next(text for text in texts(pump_case()) if "Slowdown" in text)
    assert said.startswith("gpu-01, gpu-02: ")
    assert said.endswith("(00:41:12 to 00:41:24 CET, 2 events)")


def test_every_piece_passes_verification_against_itself() -> None:
    for piece in gather(pump_case())[0]:
        assert verify_text(piece.text, [piece]).ok, piece.text


def test_topology_says_what_stands_on_the_root() -> None:
    topology = next(piece for piece in gather(pump_case())[0] if piece.kind == "topology")
    assert topology.text == "cdu-1-pump-a carries 3 racks, 12 GPU nodes and the service pool-chat."


def test_routine_that_fell_into_the_incident_is_left_out() -> None:
    noisy = case(
        told("cdu-1", "Coolant flow below minimum", 0, "P0", "coolant flow lost"),
        told("cdu-1", "Coolant flow within its band", -30, "P3", "value inside its limits"),
        told("gpu-27", "EDAC MC0: 1 CE memory read error", 3, "P3", "error corrected by hardware"),
        told("cdu-1", "Coolant flow back to normal", 14, "P3", "condition cleared"),
    )
    kept = [event.message for event in telling_events(noisy)]
    assert kept == ["Coolant flow below minimum", "Coolant flow back to normal"]


def test_an_incident_of_routine_alone_keeps_all_of_it() -> None:
    quiet = case(told("gpu-01", "session opened", 0, "P3", "session opened or closed"))
    assert len(telling_events(quiet)) == 1


def test_what_no_rule_knows_is_called_so() -> None:
    unknown = gather(case(told("gpu-01", "quux happened", 0, "P2")))[0]
    new = gather(case(told("gpu-01", "quux happened", 0, "P2", rule="change.new-pattern@1")))[0]
    assert (unknown[0].sheet.condition, new[0].sheet.condition) == (UNNAMED, NEW_PATTERN)


def test_a_change_shortly_before_is_evidence() -> None:
    changed = case(told("gpu-21", "nvidia-fsp: boot heartbeat skew 310 us", -85, "P2"))
    change = next(piece for piece in gather(changed)[0] if piece.kind == "change")
    assert "roll-out" in change.text
    assert "before the first event on gpu-21" in change.text


def test_readings_are_measured_values_not_settings_or_flags() -> None:
    values = {
        "flow_lpm": 150.0,
        "flow_design_lpm": 150.0,
        "leak": 0.0,
        "supply_temp_c": 31.25,
        "flow_max_lpm": 320.0,
    }
    read = next(p for p in gather(pump_case(telemetry={"cdu-1": values}))[0] if p.kind == "metric")
    assert read.text == "Readings now: cdu-1 flow 150 lpm; cdu-1 supply temperature 31.25 C."


def test_long_messages_are_cut_and_many_assets_are_counted() -> None:
    long = texts(case(told("gpu-01", "word " * 200, 0, "P2")))[0]
    assert len(long) < 230
    assert '..."' in long
    assert name_list([f"gpu-{n:02d}" for n in range(1, 13)]) == "gpu-01, gpu-02, gpu-03 and 9 more"


def test_most_urgent_names_the_evidence_of_the_highest_priority() -> None:
    made = pump_case()
    evidence, evidence_of = gather(made)
    urgent = most_urgent(made, evidence_of)
    assert [piece.text[:5] for piece in evidence if piece.id in urgent] == ["cdu-1"]


def test_another_incident_nearby_is_told_with_its_distance() -> None:
    near = pump_case().incident.model_copy(
        update={"id": "INC-0009", "title": "Coolant leak", "opened": NIGHT - timedelta(minutes=12)}
    )
    history = next(p for p in gather(pump_case(related=(near,)))[0] if p.kind == "history")
    assert history.text == "INC-0009 (Coolant leak) began 12 min before this one."


def test_spans_read_as_people_say_them() -> None:
    lengths = (timedelta(seconds=40), timedelta(minutes=12), timedelta(hours=3, minutes=5), timedelta(days=2))
    assert [span(length) for length in lengths] == ["40 s", "12 min", "3 h 5 min", "2 days"]


def test_the_root_is_never_a_node_that_noise_named() -> None:
    """A corrected error on a node before the feed is lost does not make the node what it is about."""
    lost = case(
        told("gpu-26", "EDAC MC0: 1 CE memory read error", -2, "P3", "error corrected by hardware"),
        told("feed-b", "Utility feed B lost", 0, "P0", "power feed lost"),
    )
    topology = next(piece for piece in gather(lost)[0] if piece.kind == "topology")
    assert topology.text.startswith("feed-b carries 8 racks, 32 GPU nodes")


def test_the_rules_own_words_may_be_said_even_where_they_count() -> None:
    """A condition is people's wording: "one of two feeds" is no number a model made up."""
    piece = gather(case(told("ats-1", "Moved to feed A", 0, "P1", "running on one of two feeds")))[0][0]
    assert verify_text("Running on one of two feeds on ats-1.", [piece]).ok
    assert not verify_text("Running on one of three feeds on ats-1.", [piece]).ok
