"""Groups and flood mode over a real ledger: from diagnoses to the list an operator reads at a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.evidence import Case
from agents.flood import Flood, flood_line
from setpoint.app.causes import Grouper, explains, flood_now, regroup_open
from setpoint.contracts import Diagnosis, Event, Triage
from setpoint.contracts.dispatch import Dispatch, Ranked
from setpoint.contracts.triage import Context
from setpoint.ledger import Ledger
from tests.agents.cases import NIGHT, demo_site, told
from tests.agents.test_grouping import diagnosed, named
from tests.setpoint.app.terminal import DEMO, Terminal


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "var" / "ledger.db") as opened:
        yield opened


def commit(ledger: Ledger, case: Case) -> Case:
    """As triage leaves an incident in the ledger."""
    ledger.accept(case.events)
    ranked = tuple(
        Ranked(event=event, context=Context(), triage=case.triages[event.id], incident_id=case.incident.id,
               group_key=case.incident.id, grouped_by="one condition")
        for event in case.events
    )  # fmt: skip
    incident = case.incident.model_copy(update={"group_key": case.incident.id})
    known = ledger.find_incidents([incident.id])
    ledger.commit_triage(
        Dispatch(batch_id=f"B-{incident.id}-{len(case.events)}", time=NIGHT, ranked=ranked, incidents=(incident,),
                 new_incidents=() if known else (incident.id,))
    )  # fmt: skip
    return case


def node(name: str, asset: str, minute: float, *more: tuple[Event, Triage], priority: Any = "P1") -> Case:
    hot = told(asset, f"Slowdown {name}", minute, priority, "GPU throttled", ["gpu_thermal_throttle"])
    return named(name, hot, *more)


@pytest.fixture
def pump(ledger: Ledger) -> Case:
    return commit(
        ledger,
        named(
            "INC-PUMP",
            told("cdu-1-pump-a", "Pump tripped", 0, "P1", "coolant pump failed", ["coolant_pump_failure"]),
            told("cdu-1", "Flow low", 0.2, "P0", "coolant flow lost", ["coolant_pump_failure"]),
        ),
    )


def diagnosis_of(pump: Case, **changes: Any) -> Diagnosis:
    made = diagnosed(pump, "coolant_pump_failure", asset="cdu-1-pump-a", tried=True)[1]
    return made.model_copy(update=changes)


def under(ledger: Ledger) -> dict[str, str]:
    return {name: one.root_id for name, one in ledger.explained_by().items()}


def test_after_a_diagnosis_what_it_explains_goes_under_it(ledger: Ledger, pump: Case) -> None:
    commit(ledger, node("INC-A", "gpu-02", 1.5))
    commit(ledger, node("INC-B", "gpu-20", 1.5))
    fresh = diagnosis_of(pump)
    assert explains(ledger, demo_site(), fresh) == ("INC-A",)
    assert under(ledger) == {}  # asking changes nothing
    ledger.record_diagnosis(fresh)
    assert [one.incidents for one in regroup_open(ledger, demo_site())] == [("INC-A",)]
    assert under(ledger) == {"INC-A": "INC-PUMP"}
    regroup_open(ledger, demo_site())
    assert len(ledger.list_audit(subject="INC-A")) == 1  # the same again writes nothing


def test_news_that_the_cause_does_not_explain_lets_an_incident_go(ledger: Ledger, pump: Case) -> None:
    commit(ledger, node("INC-A", "gpu-02", 1.5))
    ledger.record_diagnosis(diagnosis_of(pump))
    regroup_open(ledger, demo_site())
    broken = told("gpu-02", "double bit error", 3, "P1", "memory error", ["gpu_uncorrectable_ecc"])
    commit(ledger, node("INC-A", "gpu-02", 1.5, broken))
    regroup_open(ledger, demo_site())
    assert under(ledger) == {}
    assert ledger.list_audit(subject="INC-A")[-1].what == "incident-ungrouped"


def test_another_cause_found_later_lets_them_go_too(ledger: Ledger, pump: Case) -> None:
    commit(ledger, node("INC-A", "gpu-02", 1.5))
    ledger.record_diagnosis(diagnosis_of(pump))
    regroup_open(ledger, demo_site())
    ledger.record_diagnosis(diagnosed(pump, "sensor_drift", asset="cdu-1", tried=True)[1])
    regroup_open(ledger, demo_site())
    assert under(ledger) == {}


def test_what_a_person_took_out_is_not_grouped_again(ledger: Ledger, pump: Case) -> None:
    commit(ledger, node("INC-A", "gpu-02", 1.5))
    ledger.record_diagnosis(diagnosis_of(pump))
    regroup_open(ledger, demo_site())
    ledger.ungroup_explained("INC-A", "mia", "thermal paste")
    assert regroup_open(ledger, demo_site()) == []
    assert under(ledger) == {}


def test_the_rate_of_a_replayed_night_is_that_of_its_own_clock(ledger: Ledger, pump: Case) -> None:
    nodes = [asset.name for asset in demo_site().of_kind("gpu_node")]
    for number in range(14):
        commit(ledger, node(f"INC-{number:02}", nodes[number % 12], 1.5 + number / 10))
    flood = flood_now(ledger, demo_site(), 10, NIGHT + timedelta(days=90))
    assert (flood.active, flood.rate_per_10min) == (True, 15)
    assert flood_now(ledger, demo_site(), 10, NIGHT + timedelta(minutes=50)).active is False


def test_a_flood_is_told_once_for_each_new_set_of_causes(ledger: Ledger, pump: Case) -> None:
    for number in range(12):
        commit(ledger, node(f"INC-{number:02}", f"gpu-{number + 1:02}", 1.5 + number / 10))
    said: list[tuple[str, Any]] = []
    grouper = Grouper(ledger, demo_site(), 10, lambda what, value: said.append((what, value)))
    now = NIGHT + timedelta(minutes=5)
    assert grouper(now) == 0  # no diagnosis yet: nothing is computed
    ledger.record_diagnosis(diagnosis_of(pump))
    grouper.diagnosed()
    assert grouper(now) == 12
    grouper.diagnosed()
    grouper(now + timedelta(minutes=2))
    assert [what for what, _ in said] == ["flood"]
    flood: Flood = said[0][1]
    assert flood_line(flood).endswith("1 cause explains 13 incidents; 0 have no cause yet.")


def test_at_a_terminal(ledger: Ledger, pump: Case, terminal: Terminal, tmp_path: Path) -> None:
    for number in range(12):
        commit(ledger, node(f"INC-{number:02}", f"gpu-{number + 1:02}", 1.5 + number / 10))
    commit(
        ledger,
        named("INC-DOOR", told("bmc-30", "root login", 2, "P0", "intrusion", ["intrusion_management"])),
    )
    ledger.record_diagnosis(diagnosis_of(pump))
    regroup_open(ledger, demo_site())
    terminal.write("setpoint.toml", f'[site]\nfile = "{DEMO}"\n')
    store = ("--store", str(tmp_path / "var"))

    causes = terminal("incidents", "causes", *store)
    assert causes.code == 0, causes.err
    assert (
        causes.out.index("cdu-1-pump-a") < causes.out.index("\nno cause yet\n") < causes.out.index("INC-DOOR")
    )
    assert "explains 12 other incidents" in causes.out
    assert "96 GPUs at stake" in causes.out

    listed = terminal("incidents", "list", *store)
    assert listed.out.startswith("Alarm flood")
    assert "[+12 explained]" in listed.out
    assert listed.out.count("[explained by INC-PUMP]") == 12

    out = terminal("incidents", "ungroup", "INC-03", "--why", "paste", *store)
    assert (out.code, "stands for itself again" in out.out) == (0, True)
    rows = terminal("incidents", "causes", "--json", *store).data["rows"]
    assert rows[0]["incident"] == "INC-PUMP"
    assert "INC-03" in [row["incident"] for row in rows]
    again = terminal("incidents", "ungroup", "INC-03", "--why", "paste", *store)
    assert (again.code, "not grouped" in again.err) == (2, True)
