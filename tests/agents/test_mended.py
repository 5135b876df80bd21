"""What the case folders showed and was mended, in other words than theirs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.announced import window_of
from agents.correlation.neighbourhood import Neighbourhood
from agents.correlator import Correlator
from agents.evidence import Case
from agents.filter import TextRanker
from agents.symbolic_engine import SymbolicEngine
from agents.troubleshooter import by_signature, weigh_causes
from knowledge.causes import load_causes
from knowledge.rulebook import RuleBook
from setpoint.contracts import Correlated, Event, Incident, Priority, Triage
from tests.agents.cases import demo_site

MORNING = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
WORK = "change request CR-77: technician visit 310, gpu-05 goes down 06:10 to 06:40 UTC for a new mainboard"
BATTERY = "planned work: discharge test of ups-1 from 07:00 until 07:20 UTC"


@pytest.fixture(scope="module")
def engine() -> SymbolicEngine:
    return SymbolicEngine(RuleBook.load(), demo_site(), TextRanker.load())


def line(minute: float, asset: str, message: str, **changes: Any) -> Event:
    time = MORNING + timedelta(minutes=minute)
    values: dict[str, Any] = {"id": f"{asset}-{minute}", "time": time, "received": time, "asset": asset, "source": "syslog",
                              "kind": "", "message": message, "severity": "warning"}  # fmt: skip
    return Event(**values | changes)


def read(engine: SymbolicEngine, *lines: Event) -> list[tuple[Correlated, Triage]]:
    """The lines through correlation and ranking, in their order."""
    return [
        (one, engine.rank(one.event, one.context)) for one in Correlator(demo_site()).observe(list(lines))
    ]


def priorities(engine: SymbolicEngine, *lines: Event) -> list[Priority]:
    return [triage.priority for _, triage in read(engine, *lines)]


def first_causes(read_lines: Sequence[tuple[Correlated, Triage]], incident: str) -> list[str]:
    rows = [(one.event, triage) for one, triage in read_lines if one.incident_id == incident]
    events = tuple(event for event, _ in rows)
    stated = Incident(
        id=incident, group_key="g", title="t", priority="P0", state="open", opened=MORNING, updated=MORNING,
        assets=tuple(dict.fromkeys(event.asset for event in events)), event_count=len(events), path="slow", grouped_by="g",
    )  # fmt: skip
    case = Case(stated, events, {event.id: triage for event, triage in rows}, demo_site())
    return [found.cause for found in by_signature(weigh_causes(case, load_causes(), {}))]


# ---- announced work ---------------------------------------------------------------------------------------------


def test_a_test_that_was_announced_calls_nobody_and_only_in_its_time(engine: SymbolicEngine) -> None:
    announced = line(0, "ups-1", BATTERY, severity="info")
    words = "load is on battery power"
    early, within, late = (line(minute, "ups-1", words) for minute in (30, 61, 95))
    ranked = [priorities(engine, announced, one)[1] for one in (early, within, late)]
    assert ranked == ["P0", "P2", "P0"]


@pytest.mark.parametrize(
    "message", ["UPS output off, load dropped", "battery nearly empty, UPS shutdown imminent", "on battery, inverter fault"]
)  # fmt: skip
def test_what_goes_wrong_in_a_test_is_told_all_the_same(engine: SymbolicEngine, message: str) -> None:
    announced = line(0, "ups-1", BATTERY, severity="info")
    plain = priorities(engine, line(61, "ups-1", message))[0]
    assert priorities(engine, announced, line(61, "ups-1", message))[1] == plain < "P2"


def test_a_node_taken_down_as_its_change_says_is_no_loss(engine: SymbolicEngine) -> None:
    change = line(0, "sched-1", WORK)
    gone = "node gpu-05 is down, heartbeat lost"
    assert priorities(engine, change, line(12, "sched-1", gone))[1] >= "P2"
    assert priorities(engine, change, line(70, "sched-1", gone))[1] < "P2"
    assert priorities(engine, change, line(12, "sched-1", gone.replace("05", "06")))[1] < "P2"


def test_planned_work_on_a_node_hides_no_fault_in_it_and_nothing_shared(engine: SymbolicEngine) -> None:
    fault = line(12, "gpu-05", "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus", kind="xid-79")
    assert priorities(engine, line(0, "sched-1", WORK), fault)[1] == "P1"
    stops = line(12, "cdu-1", "CDU has stopped, pump down")
    announced = line(0, "sched-1", WORK.replace("gpu-05", "cdu-1"))
    assert priorities(engine, announced, stops)[1] == priorities(engine, stops)[0] == "P0"


def test_a_node_cannot_announce_work_on_what_others_need(engine: SymbolicEngine) -> None:
    told = "planned test of ups-1 today, transfer to battery expected"
    alarm = line(5, "ups-1", "load is on battery power")
    assert priorities(engine, line(0, "gpu-09", told), alarm)[1] == "P0"
    assert priorities(engine, line(0, "facility-desk", told), alarm)[1] == "P2"


def test_what_a_scheduler_announces_of_one_thing_covers_nothing_else_it_reports(
    engine: SymbolicEngine,
) -> None:
    gone = line(5, "sched-1", "node gpu-05 is down, heartbeat lost")
    for told in ("rolling restart of pool-chat", "scheduled restart of the accounting database"):
        assert priorities(engine, line(0, "sched-1", told), gone)[1] < "P2"


def test_work_that_is_over_explains_nothing_more(engine: SymbolicEngine) -> None:
    lines = [line(0, "sched-1", "maintenance of gpu-05 begins, CHG-12"), line(9, "sched-1", "CHG-12: maintenance of gpu-05 finished"),
             line(12, "sched-1", "node gpu-05 is down, heartbeat lost")]  # fmt: skip
    assert priorities(engine, *lines)[2] < "P2"


def test_what_was_announced_survives_a_restart(engine: SymbolicEngine) -> None:
    before, after = Correlator(demo_site()), Correlator(demo_site())
    before.observe([line(0, "ups-1", BATTERY, severity="info")])
    after.restore(before.snapshot())
    alarm = line(61, "ups-1", "load is on battery power")
    assert after.observe([alarm])[0].context.announced == BATTERY


def test_stated_times_are_those_of_the_site_unless_they_say_utc_and_never_lie_behind() -> None:
    def begins(words: str, hour: int = 6) -> datetime:
        moment = MORNING.replace(hour=hour)
        found = window_of(line(0, "ups-1", words, time=moment, received=moment), UTC)
        return datetime.fromtimestamp(found.begin_s, UTC)

    assert begins("test 09:00 to 10:00").day == MORNING.day
    assert begins("test 09:00 to 10:00", hour=11).day == MORNING.day + 1
    assert begins("test 23:00 to 01:00").hour == 22


# ---- harmless lines, and lines that only look so ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asset", "message"),
    [("chiller-1", "Chiller 1 hand-off-auto selector is in automatic"), ("ups-2", "UPS 2: reboot timer is not running"),
     ("ats-1", "ATS: order to prefer source B has been executed")],
)  # fmt: skip
def test_a_control_at_rest_is_routine(engine: SymbolicEngine, asset: str, message: str) -> None:
    assert priorities(engine, line(0, asset, message)) == ["P3"]


@pytest.mark.parametrize(
    ("asset", "message"),
    [("ats-1", "command to transfer to source B failed"), ("cdu-1", "shutdown command was carried out, CDU stopped"),
     ("fire-1", "fire suppression selector is in auto, smoke detected")],
)  # fmt: skip
def test_an_order_that_failed_or_stops_the_plant_is_not(
    engine: SymbolicEngine, asset: str, message: str
) -> None:
    assert priorities(engine, line(0, asset, message))[0] < "P2"


@pytest.mark.parametrize(
    ("priority", "asset", "message"),
    [
        ("P0", "cdu-2", "secondary pressure 0.2 bar, LOW-LOW alarm"), ("P2", "crah-1", "supply air filter clogged, change due"),
        ("P2", "sched-1", "job 412 failed: CUDA error: misaligned address"), ("P0", "ups-1", "upsTrapOnBattery, 0 V on input"),
        ("P0", "store-1", "0 of 4 targets are reachable"), ("P2", "store-1", "0 of 4 targets degraded, all up"),
        ("P0", "ib-leaf-1", "supervisor: system watchdog timed out, forwarding halted"),
    ],
)  # fmt: skip
def test_ranks(engine: SymbolicEngine, priority: Priority, asset: str, message: str) -> None:
    assert priorities(engine, line(0, asset, message)) == [priority]


# ---- what belongs together, and its cause ---------------------------------------------------------------------------


def test_a_slot_that_loses_its_link_is_the_gpu_and_no_network_link(engine: SymbolicEngine) -> None:
    lines = read(
        engine, line(0, "gpu-02", "pcieport 0000:18:01.0: pciehp: Slot(2): Link Down"),
        line(0.1, "gpu-02", "NVRM: Xid (PCI:0000:19:00): 79, GPU has fallen off the bus", kind="xid-79"),
    )  # fmt: skip
    assert lines[0][0].incident_id == lines[1][0].incident_id
    assert first_causes(lines, lines[0][0].incident_id)[0] == "gpu_off_bus"


def test_nodes_that_all_lose_one_switch_are_one_incident_of_the_switch(engine: SymbolicEngine) -> None:
    """The switch itself says nothing."""
    nodes = [f"gpu-{number:02d}" for number in range(25, 33)]
    told = [line(0.01 * n, name, "mlx5_0: port 1 link down") for n, name in enumerate(nodes)]
    told.append(line(1, "sched-1", "8 nodes unreachable: gpu-[25-32]"))
    lines = read(engine, *told)
    assert len({one.incident_id for one, _ in lines[:-1]}) == 1
    assert first_causes(lines, lines[0][0].incident_id)[0] == "switch_failure"


def test_a_few_nodes_without_link_are_not_their_switch(engine: SymbolicEngine) -> None:
    lines = read(engine, *(line(0.1 * n, f"gpu-{n:02d}", "mlx5_0: port 1 link down") for n in (25, 26, 27)))
    assert first_causes(lines, lines[0][0].incident_id)[0] != "switch_failure"


def test_what_names_a_switch_in_trouble_joins_it(engine: SymbolicEngine) -> None:
    lines = read(
        engine, line(0, "ib-leaf-4", "forwarding halted, system watchdog timed out"),
        line(0.3, "sched-1", "nodes not responding: gpu-[25-28]"), line(0.4, "ib-spine-2", "port to ib-leaf-4 is down"),
    )  # fmt: skip
    assert len({one.incident_id for one, _ in lines}) == 1
    assert lines[2][0].grouped_by == "tells of ib-leaf-4, which is in trouble"


def test_a_link_that_comes_back_each_time_flaps_and_is_not_the_whole_switch(engine: SymbolicEngine) -> None:
    words = [
        f"ib-link-l4-s2: state of the link changed to {state}" for _ in range(4) for state in ("down", "up")
    ]
    severity = {"n": "error", "p": "info"}
    lines = read(
        engine, *(line(n, "ib-leaf-4", text, severity=severity[text[-1]]) for n, text in enumerate(words))
    )
    assert min(triage.priority for _, triage in lines) == "P1"
    assert lines[0][0].context.about == "ib-link-l4-s2"
    assert first_causes(lines, lines[0][0].incident_id)[0] == "ib_link_flap"


def test_a_lost_feed_is_named_from_what_the_plant_says(engine: SymbolicEngine) -> None:
    lines = read(
        engine, line(0, "feed-b", "no voltage on all phases, undervoltage relay picked up", severity="critical"),
        line(0.1, "ups-2", "upsTrapOnBattery"), line(0.2, "ats-1", "preferred source gone, load transferred to source A"),
    )  # fmt: skip
    assert first_causes(lines, lines[0][0].incident_id)[0] == "power_feed_lost"


def test_the_filter_of_an_air_handler_is_no_trouble_of_the_coolant_loop(engine: SymbolicEngine) -> None:
    lines = read(engine, line(0, "crah-2", "bag filter pressure drop over limit, filter clogged"))
    assert "coolant_flow_restricted" not in first_causes(lines, lines[0][0].incident_id)
    lines = read(engine, line(0, "cdu-1", "strainer clogged, differential pressure high"))
    assert first_causes(lines, lines[0][0].incident_id)[0] == "coolant_flow_restricted"


def test_of_many_machines_what_they_share_is_meant() -> None:
    near = Neighbourhood(demo_site())
    named = dict(near.meant("sched-1", "lost gpu-17 and gpu-[21-22]").named)
    assert "ib-leaf-3" in named
    assert not {"r-05", "r-06"} & set(named)
    assert near.meant("ib-leaf-2", "ib-link-l2-s1 and ib-link-l2-s2 down").name == "ib-leaf-2"
