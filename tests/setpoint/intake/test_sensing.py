"""What the site adds to an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from setpoint.contracts import Event
from setpoint.contracts.site import Asset, Site
from setpoint.intake import contradiction, sense
from setpoint.settings import TriageSettings

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
SITE = Site(name="dc1", assets=(Asset(name="gpu-01", kind="gpu_node"), Asset(name="cdu-1", kind="cdu")))
TRIAGE = TriageSettings()


def event(**given: object) -> Event:
    base: dict[str, object] = {
        "id": "e", "time": NOW, "received": NOW, "asset": "gpu-01", "source": "s", "kind": "", "message": "m",
    }  # fmt: skip
    return Event.model_validate(base | given)


def test_a_plain_event_is_left_alone() -> None:
    plain = event()
    assert sense(plain, SITE, TRIAGE) is plain


@pytest.mark.parametrize(
    ("ahead_s", "flags"),
    [(299, ()), (301, ("time-in-future",)), (-29 * 86400, ()), (-31 * 86400, ("time-very-old",))],
)
def test_times_far_from_receipt_are_flagged(ahead_s: float, flags: tuple[str, ...]) -> None:
    assert sense(event(time=NOW + timedelta(seconds=ahead_s)), SITE, TRIAGE).flags == flags


def test_unknown_assets_are_flagged_where_the_site_lists_any() -> None:
    stranger = event(asset="gpu-99")
    assert sense(stranger, SITE, TRIAGE).flags == ("unknown-asset",)
    assert sense(stranger, Site(name="empty"), TRIAGE).flags == ()


def test_another_label_may_name_the_asset() -> None:
    found = sense(event(asset="Chassis/1", labels={"context": "cdu-1"}), SITE, TRIAGE)
    assert (found.asset, found.flags) == ("cdu-1", ())


def test_a_known_asset_in_the_words_is_the_asset_where_none_is_stated() -> None:
    found = sense(event(asset="unknown", message="ALARM (CDU-1): flow lost, gpu-01 next"), SITE, TRIAGE)
    assert (found.asset, found.flags) == ("cdu-1", ())
    stated = sense(event(asset="gpu-99", message="link to gpu-01 lost"), SITE, TRIAGE)
    assert (stated.asset, stated.flags) == ("gpu-99", ("unknown-asset",))


@pytest.mark.parametrize(
    "given",
    [
        {"severity": "critical", "status": "resolved"},
        {"message": "flow below limit", "value": 20.0, "threshold": 18.0},
        {"message": "temperature exceeds limit", "value": 80.0, "threshold": 87.0},
        {"kind": "CoolantFlowLow", "value": 20.0, "threshold": 18.0},
    ],
)
def test_events_that_speak_against_themselves(given: dict[str, object]) -> None:
    assert contradiction(event(**given))
    assert sense(event(**given), SITE, TRIAGE).flags == ("contradiction",)


@pytest.mark.parametrize(
    "given",
    [
        {"severity": "critical", "status": "resolved", "format": "alertmanager"},
        {"message": "flow below limit", "value": 11.0, "threshold": 18.0},
        {"message": "reading", "value": 11.0, "threshold": 18.0},
        {"message": "above the low limit, below the high one", "value": 11.0, "threshold": 18.0},
        {"message": "flow below limit", "value": 20.0, "threshold": 18.0, "status": "resolved"},
    ],
)
def test_events_that_do_not(given: dict[str, object]) -> None:
    assert contradiction(event(**given)) == ""
