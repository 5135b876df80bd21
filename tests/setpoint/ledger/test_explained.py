"""Incidents under another one's cause: reversible, noted, and nothing of them hidden."""

from __future__ import annotations

import pytest

from setpoint.contracts import Notice
from setpoint.contracts.dispatch import Dispatch
from setpoint.errors import UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import NOW, at, event, incident, notice, ranked


def opened(ledger: Ledger, *names: str, priority: str = "P1") -> None:
    items = [event(name, asset=f"gpu-{name}") for name in names]
    ledger.accept(items)
    ledger.commit_triage(
        Dispatch(
            batch_id="B-" + "-".join(names),
            time=NOW,
            ranked=tuple(ranked(item, name) for item, name in zip(items, names, strict=True)),
            incidents=tuple(incident(name, priority, group_key=name) for name in names),  # type: ignore[arg-type] # a plain str
            new_incidents=names,
        )
    )


def group(ledger: Ledger, root: str, *names: str) -> list[str]:
    return ledger.group_explained(root, names, cause="coolant_pump_failure", why="on its way", now=NOW)


def told(ledger: Ledger, incident_id: str) -> list[Notice]:
    return [one.notice for one in ledger.list_deliveries(incident_id=incident_id)]


def test_grouped_incidents_are_listed_with_their_root_and_stay_open(ledger: Ledger) -> None:
    opened(ledger, "A", "B", "C")
    assert group(ledger, "A", "B", "C", "A", "NONE") == ["B", "C"]
    assert group(ledger, "A", "B", "C") == []  # the same again changes nothing
    assert {name: one.root_id for name, one in ledger.explained_by().items()} == {"B": "A", "C": "A"}
    assert {one.state for one in ledger.list_incidents()} == {"open"}
    assert [row.what for row in ledger.list_audit(subject="B")] == ["incident-grouped"]
    assert any("Grouped under A" in item.text for item in ledger.timeline("B"))


def test_groups_have_one_level(ledger: Ledger) -> None:
    opened(ledger, "A", "B", "C", "D")
    group(ledger, "B", "C")
    group(ledger, "A", "B")
    assert {name: one.root_id for name, one in ledger.explained_by().items()} == {"B": "A", "C": "A"}
    group(ledger, "B", "D")  # B stands under A: what it explains goes there too
    assert ledger.explained_by()["D"].root_id == "A"
    assert group(ledger, "B", "A") == []


def test_what_a_person_took_out_stays_out(ledger: Ledger) -> None:
    opened(ledger, "A", "B")
    group(ledger, "A", "B")
    ledger.ungroup_explained("B", "mia", "another pump", now=at(60))
    assert ledger.explained_by() == {}
    assert group(ledger, "A", "B") == []
    assert ledger.kept_apart() == {"B"}
    assert ledger.list_audit(subject="B")[-1].who == "mia"


def test_what_setpoint_took_out_may_come_back(ledger: Ledger) -> None:
    opened(ledger, "A", "B")
    group(ledger, "A", "B")
    ledger.ungroup_explained("B", "setpoint", "no longer", by_person=False)
    assert group(ledger, "A", "B") == ["B"]


def test_there_is_nothing_to_take_out_twice(ledger: Ledger) -> None:
    opened(ledger, "A", "B")
    with pytest.raises(UsageError, match="not grouped"):
        ledger.ungroup_explained("B", "mia", "why not")
    group(ledger, "A", "B")
    ledger.ungroup_explained("B", "mia", "another pump")
    with pytest.raises(UsageError, match="not grouped"):
        ledger.ungroup_explained("B", "mia", "again")


def test_an_unknown_root_is_an_error(ledger: Ledger) -> None:
    opened(ledger, "B")
    with pytest.raises(UsageError, match="no incident 'NONE'"):
        group(ledger, "NONE", "B")


def test_further_notices_become_updates_of_the_root(ledger: Ledger) -> None:
    opened(ledger, "A", "B")
    ledger.queue_notice(notice("A", dedup_key="A", priority="P1"), now=NOW)
    group(ledger, "A", "B")
    ledger.queue_notice(
        notice("B", dedup_key="B", stage="update", priority="P1", title="more", text="gpu-B slow"), now=NOW
    )
    assert told(ledger, "B") == []
    last = told(ledger, "A")[-1]
    assert (last.stage, last.dedup_key, last.version) == ("update", "A", 2)
    assert last.text == "B: gpu-B slow"
    assert last.title == "Also explained by this: more"


@pytest.mark.parametrize(
    ("stage", "priority"), [("first", "P0"), ("update", "P0"), ("escalation", "P1"), ("storm", "P1")]
)
def test_a_p0_and_an_escalation_go_out_as_they_are(ledger: Ledger, stage: str, priority: str) -> None:
    opened(ledger, "A", "B")
    group(ledger, "A", "B")
    ledger.queue_notice(notice("B", stage=stage, priority=priority), now=NOW)
    assert [one.stage for one in told(ledger, "B")] == [stage]


def test_notices_stay_with_the_incident_once_the_root_is_over(ledger: Ledger) -> None:
    opened(ledger, "A", "B")
    group(ledger, "A", "B")
    ledger.set_state("A", "closed", "mia")
    ledger.queue_notice(notice("B", stage="update", priority="P1"), now=NOW)
    assert len(told(ledger, "B")) == 1


def test_updates_of_grouped_incidents_keep_the_pace_of_the_root(ledger: Ledger) -> None:
    """One noisy trouble must not be told faster because it has many names."""
    opened(ledger, "A", "B")
    ledger.queue_notice(notice("A", dedup_key="A", priority="P1"), now=NOW)
    group(ledger, "A", "B")
    item = event("more", asset="gpu-B")
    ledger.accept([item])
    update = notice("B", dedup_key="B", stage="update", priority="P1")
    ledger.commit_triage(
        Dispatch(
            batch_id="B-more",
            time=NOW,
            ranked=(ranked(item, "B"),),
            incidents=(incident("B", "P1", group_key="B"),),
            notices=(update,),
        ),
        updates_apart_s=60.0,
        now=at(5),
    )
    assert ledger.list_deliveries(incident_id="A")[-1].next_try == at(60)
