"""Redfish events: which asset they are about."""

from __future__ import annotations

import json

import pytest

from setpoint.contracts import Event
from tests.setpoint.intake.conftest import Reader


@pytest.mark.parametrize(
    ("origin", "asset"),
    [
        ("/redfish/v1/PowerEquipment/UPSs/ups-2", "ups-2"),
        ("/redfish/v1/PowerEquipment/UPSs/ups-2/Outlets/3", "ups-2"),
        ("/redfish/v1/PowerEquipment/UPSs/1", "bms-gateway"),
        ("/redfish/v1/PowerEquipment/RackPDUs/pdu-01a", "pdu-01a"),
    ],
)
def test_the_asset_is_what_the_origin_names_not_who_subscribed(take: Reader, origin: str, asset: str) -> None:
    record = {
        "MessageId": "Power.1.0.OnBattery", "Message": "On battery", "OriginOfCondition": {"@odata.id": origin},
    }  # fmt: skip
    sent = {"@odata.type": "#Event.v1_9_0.Event", "Context": "bms-gateway", "Events": [record]}
    (event,) = take(json.dumps(sent))
    assert isinstance(event, Event)
    assert event.asset == asset
