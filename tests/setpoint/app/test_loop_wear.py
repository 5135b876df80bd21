"""What the maintenance loop named, held against the truth of the parts: named, missed, spared, false alarms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from plant.control.days_wear import WornPart
from setpoint.app.loop_wear import judged, wear_rows, wear_words
from setpoint.contracts.loops import Cycle, LoopPlan, Task

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
END = START + 14 * DAY


def worn(asset: str, fails: float, *, announced: bool = True, failed: bool = False, renewed: float | None = None,
         ticket: float | None = None, number: int = -1) -> WornPart:  # fmt: skip
    """Times in days after the start."""
    at = [None if days is None else START + days * DAY for days in (renewed, ticket)]
    return WornPart(
        asset, "pump bearing", number, START - 7 * DAY, START + fails * DAY, announced, failed, at[0], at[1]
    )


def cycle(day: float, *assets: str) -> Cycle:
    """A plan of that day that has a window for each of these."""
    made = START + day * DAY
    tasks = tuple(
        Task(asset=asset, part="pump bearing", work="replace the bearings", window_start=made + DAY) for asset in assets
    )  # fmt: skip
    watched = Task(asset="seen", part="pump bearing", work="replace the bearings")
    plan = LoopPlan(
        loop="maintenance",
        site="demo",
        made=made,
        horizon_s=90 * 86400.0,
        headline="x",
        tasks=(*tasks, watched),
    )
    return Cycle(id=f"LOOP-maintenance-{day:g}", loop="maintenance", at=made, plan=plan)


def test_each_part_counts_as_what_came_of_it() -> None:
    truth = [
        worn("named", 9.0, failed=True, renewed=10.0),
        worn("missed", 5.0, failed=True, renewed=6.0),
        worn("sudden", 6.0, failed=True, renewed=7.0, announced=False),
        worn("before", -2.0, failed=True, renewed=-1.0),
        worn("spared", 20.0, renewed=12.0, ticket=1.0),
        worn("open", 40.0),
        worn("false", 400.0),
        worn("seen", 500.0),
    ]
    found = judged(
        truth, [cycle(2.0, "named", "open", "spared"), cycle(4.0, "named", "false", "open")], START, END
    )
    assert found.parts == 8
    assert [one.asset for one in found.failures] == ["missed", "sudden", "named"]
    assert [(one.asset, one.lead_days) for one in found.named] == [("named", 7.0)]
    assert [one.asset for one in found.missed] == ["missed"]
    assert [one.asset for one in found.spared] == ["spared"]
    assert [(one.asset, one.named_at) for one in found.false_alarms] == [("false", START + 4 * DAY)]
    assert found.open == 1
    said = " ".join(wear_words(found, 4.0))
    assert "3 parts of 8 failed" in said
    assert "4 without the loop" in said
    assert "7.0 days ahead" in said
    assert {row[0]: row[4] for row in wear_rows(found)}["missed"] == "missed"


def test_a_name_after_the_failure_is_none_and_one_after_the_renewal_is_a_new_one() -> None:
    truth = [worn("pump", 5.0, failed=True, renewed=6.0), worn("pump", 500.0)]
    truth[1] = WornPart("pump", "pump bearing", -1, START + 6 * DAY, START + 500 * DAY, True)
    found = judged(truth, [cycle(5.5, "pump"), cycle(8.0, "pump")], START, END)
    assert [one.asset for one in found.missed] == ["pump"]
    assert [(one.asset, one.named_at) for one in found.false_alarms] == [("pump", START + 8 * DAY)]


def test_one_gpu_out_of_the_blue_is_not_the_one_that_was_named() -> None:
    truth = [
        worn("gpu-1", 4.0, number=2, announced=False, failed=True, renewed=5.0),
        worn("gpu-1", 30.0, number=3),
    ]
    found = judged(truth, [cycle(1.0, "gpu-1")], START, END)
    assert found.named == ()
    assert found.false_alarms == ()


def test_nothing_named_and_nothing_failed_is_told() -> None:
    found = judged([worn("pump", 300.0)], [cycle(1.0)], START, END)
    assert (found.failures, found.false_alarms, found.open) == ((), (), 0)
    assert "0 parts of 1 failed" in " ".join(wear_words(found))
