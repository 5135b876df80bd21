"""An action is begun at most once, and one at a time on an asset."""

from __future__ import annotations

import pytest

from setpoint.contracts import Outcome
from setpoint.errors import ActionRefused, UsageError
from setpoint.ledger import Ledger
from tests.setpoint.ledger.builders import action, at


def _begin(
    ledger: Ledger, key: str, asset: str = "gpu-01", seconds: float = 0, dry_run: bool = False
) -> bool:
    return ledger.begin_action(
        key,
        action(asset=asset),
        incident_id="INC-1",
        review_id="REV-1",
        approvers=("ada", "bob"),
        dry_run=dry_run,
        token="signed",
        now=at(seconds),
    )


def _outcome(state: str = "done") -> Outcome:
    return Outcome(
        action_id="act-1",
        state=state,  # type: ignore[arg-type]
        message="cap is 500 W",
        before={"power_w": 700.0},
        after={"power_w": 500.0},
        dry_run=False,
    )


def test_begun_once_even_after_it_ended(ledger: Ledger) -> None:
    assert _begin(ledger, "k1")
    assert not _begin(ledger, "k1")
    ledger.finish_action("k1", _outcome(), now=at(5))
    assert not _begin(ledger, "k1")

    (record,) = ledger.list_actions(incident_id="INC-1")
    assert record == ledger.get_action("k1")
    assert (record.action, record.approvers, record.state) == (action(), ("ada", "bob"), "done")
    assert (record.begun, record.finished) == (at(0), at(5))
    assert (record.message, record.before, record.after) == (
        "cap is 500 W",
        {"power_w": 700.0},
        {"power_w": 500.0},
    )
    assert [row.what for row in ledger.list_audit(subject="INC-1")] == ["action-begun", "action-ended"]


def test_one_in_flight_per_asset(ledger: Ledger) -> None:
    _begin(ledger, "k1")
    with pytest.raises(ActionRefused, match="cap_gpu_power is still executing since 02:00:00 UTC"):
        _begin(ledger, "k2")
    assert _begin(ledger, "k3", asset="gpu-02")
    ledger.finish_action("k1", _outcome("failed"))

    assert _begin(ledger, "k2")


def test_what_a_crash_left_executing_is_known_and_not_done_again(ledger: Ledger) -> None:
    _begin(ledger, "k1")

    assert [record.key for record in ledger.unfinished_actions()] == ["k1"]
    assert not _begin(ledger, "k1")


def test_the_first_outcome_stands(ledger: Ledger) -> None:
    _begin(ledger, "k1")
    ledger.finish_action("k1", _outcome("failed"))
    ledger.finish_action("k1", _outcome("done"))
    record = ledger.get_action("k1")

    assert record is not None
    assert record.state == "failed"
    with pytest.raises(UsageError, match="no action was begun under 'k9'"):
        ledger.finish_action("k9", _outcome())


def test_counts_what_moved_an_asset(ledger: Ledger) -> None:
    for n, state in enumerate(("done", "failed", "refused")):
        _begin(ledger, f"k{n}", seconds=n)
        ledger.finish_action(f"k{n}", _outcome(state))
    _begin(ledger, "dry", seconds=5, dry_run=True)
    ledger.finish_action("dry", _outcome("dry_run"))
    _begin(ledger, "other", asset="gpu-02", seconds=5)

    assert ledger.actions_on("gpu-01", at(0)) == 2
    assert ledger.actions_on("gpu-01", at(1)) == 1
    assert ledger.actions_on("gpu-02", at(0)) == 1
    assert ledger.get_action("unknown") is None
