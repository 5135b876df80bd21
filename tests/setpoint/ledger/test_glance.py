"""What every page of the console asks: counts, the last actions, and what a judgement teaches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from setpoint.contracts import Action, Feedback, Quarantined
from setpoint.contracts.autonomy import AUTONOMY_WHO
from setpoint.contracts.site import load_site
from setpoint.ledger import Ledger
from setpoint.ledger.feedback import taught
from tests.setpoint.app.console.many import SITE, fill

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


def test_counts_are_those_of_the_lists(ledger: Ledger) -> None:
    assert ledger.waiting().model_dump() == {"reviews": 0, "urgent": 0, "open": 0, "held": 0}
    fill(ledger, load_site(SITE), 200, NOW)
    ledger.accept([], [Quarantined(id="Q-1", received=NOW, origin="t", reason="r", remedy="", raw=b"x")], "t")
    waiting = ledger.waiting()
    assert (
        waiting.urgent
        == len(ledger.list_incidents(states=("open",), priorities=("P0", "P1"), limit=1000))
        > 0
    )
    assert (
        waiting.open
        == len(ledger.list_incidents(states=("open", "acknowledged"), limit=1000))
        > waiting.urgent
    )
    assert waiting.held == 1


def test_the_last_actions_come_in_the_order_in_which_they_were_begun(ledger: Ledger) -> None:
    for number in range(5):
        ledger.begin_action(
            f"K-{number}", Action(name="drain_node", asset=f"gpu-0{number}", args={}), incident_id="INC-1", review_id=f"REV-{number}",
            approvers=("mira",), dry_run=False, now=NOW + timedelta(minutes=number),
        )  # fmt: skip
    found = ledger.latest_actions(NOW + timedelta(minutes=1), limit=3)
    assert [one.key for one in found] == ["K-2", "K-3", "K-4"]
    assert len(ledger.latest_actions(NOW + timedelta(minutes=1))) == 4


@pytest.mark.parametrize(
    ("decided", "who", "simulated", "forms"),
    [
        ("P1", "jon", False, ("preference", "supervised", "labelled")),
        ("P2", "jon", False, ("supervised", "labelled")),
        ({"type": "reject"}, "jon", False, ("labelled",)),
        ({"type": "respond"}, "jon", False, ()),
        ("P1", "jon", True, ()),
        ("P1", AUTONOMY_WHO, False, ()),
    ],
)
def test_a_judgement_becomes_what_an_export_makes_of_it(
    ledger: Ledger, decided: object, who: str, simulated: bool, forms: tuple[str, ...]
) -> None:
    item = Feedback.model_validate({
        "id": "F-1", "time": NOW, "subject": "INC-1", "version": 1, "field": "priority", "proposed": "P2", "decided": decided,
        "difference": None, "who": who, "why": "it is so", "simulated": simulated,
    })  # fmt: skip
    assert taught(item) == forms
