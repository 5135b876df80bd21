"""Planned work is heard where it names the asset and comes before; failures that sound like it are not."""

from __future__ import annotations

import pytest

from agents.announced import announcements, announces
from agents.evidence import gather
from agents.troubleshooter import rank_causes
from knowledge.causes import NO_FAULT, load_causes
from tests.agents.cases import case, event, told

PERMIT = "work permit 2291 opened, quarterly function test"


@pytest.mark.parametrize(
    "text",
    [
        "Load test of generator 2 as scheduled", "node gpu-09 set to MAINT, reason: firmware upgrade", "CHG0031337 begins",
        "door open, visit 1187", "rolling restart of pool-chat started", "UPS in maintenance mode",
    ],
)  # fmt: skip
def test_planned_work_is_recognised(text: str) -> None:
    assert announces(text)


@pytest.mark.parametrize(
    "text",
    [
        "Self-test failed",
        "unplanned restart",
        "scheduled test aborted",
        "temperature high",
        "tested positive",
    ],
)
def test_what_only_sounds_like_it_is_not(text: str) -> None:
    assert not announces(text)


def test_only_what_names_the_asset_shortly_before_counts() -> None:
    alarm = event("ups-1", "UPS on battery", 10)
    own = event("ups-1", PERMIT, 5)
    named = event("sched-1", f"ups-1: {PERMIT}", 6)
    other = event("ups-2", PERMIT, 6)
    longer = event("sched-1", f"ups-11: {PERMIT}", 6)
    old = event("ups-1", PERMIT, -120)
    after = event("ups-1", PERMIT, 14)
    assert announcements([alarm], [own, named, other, longer, old, after]) == (own, named)
    assert announcements([], [own]) == ()


def test_an_announced_alarm_is_likely_no_fault() -> None:
    alarm = told("ups-1", "UPS on battery", 10, "P0", "UPS on battery", ["ups_on_battery"])
    plain, announced = case(alarm), case(alarm, context=(event("sched-1", f"ups-1: {PERMIT}", 5),))
    shares = {}
    for name, made in (("plain", plain), ("announced", announced)):
        evidence, of = gather(made)
        ranked = rank_causes(made, load_causes(), of, evidence)
        shares[name] = next((h.score for h in ranked if h.cause == NO_FAULT), 0.0)
    assert shares["plain"] < 0.1 < 0.5 < shares["announced"]
