"""How a site's sources write one line: syslog, Alertmanager webhooks, CloudEvents, Redfish events, building
management JSON. One function a format, used by the recorded night and by composed nights alike.

Formats: RFC 5424; Alertmanager webhook version 4; CloudEvents 1.0 with NVSentinel's health event; DMTF DSP0266
Event schema 1.x with MessageIds of the published registries. Every function returns the line without its line feed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

KERN, DAEMON, AUTH, AUTHPRIV, CRON = 0, 3, 4, 10, 9
"""Syslog facilities (RFC 5424, table 1)."""
_SEVERITY = {"OK": "OK", "info": "OK", "warning": "Warning", "critical": "Critical"}
_COLLECTIONS = {
    "cdu": "ThermalEquipment/CDUs", "pdu": "PowerEquipment/RackPDUs", "ats": "PowerEquipment/TransferSwitches",
    "switch": "Fabrics", "feed": "PowerEquipment/Switchgear", "storage": "Storage", "bmc": "Managers",
}  # fmt: skip
"""Redfish collection of each kind of asset; others stand under Chassis."""


ROUTINE = "noise"
"""The story of lines that a healthy site writes."""


@dataclass(frozen=True)
class Line:
    """One raw line as a source wrote it, with its truth."""

    time: datetime
    """When it arrives: the order of the stream."""
    text: str
    story: str
    """Which story of the night it belongs to; "noise" and "damaged" among them."""
    priority: str
    """Priority a good operator gives it; "" for damaged lines."""
    cause: str
    """Root-cause id of its story; "no_fault" for noise."""
    root: str = ""
    """The asset where the story's fault sits; "" where there is none."""
    late_s: float = 0.0
    """How much later it arrives than its way usually takes."""


def iso(time: datetime) -> str:
    """UTC to the millisecond, as RFC 3339 writes it.

    >>> from datetime import UTC
    >>> iso(datetime(2026, 3, 14, 21, 0, 0, 250_000, tzinfo=UTC))
    '2026-03-14T21:00:00.250Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def syslog(
    time: datetime,
    host: str,
    program: str,
    message: str,
    level: int = 6,
    facility: int = DAEMON,
    pid: str = "-",
) -> str:
    """RFC 5424 without structured data. `level` is 0 (emergency) to 7 (debug); priority is 8 * facility + level.

    >>> from datetime import UTC
    >>> syslog(datetime(2026, 1, 2, tzinfo=UTC), "gpu-01", "sshd", "session closed", facility=AUTHPRIV)
    '<86>1 2026-01-02T00:00:00.000Z gpu-01 sshd - - - session closed'
    """
    return f"<{8 * facility + level}>1 {iso(time)} {host} {program} {pid} - - {message}"


def kernel(time: datetime, host: str, message: str, level: int = 3) -> str:
    """A kernel line as a relay forwards it; NVRM and most drivers log errors at level 3."""
    return syslog(time, host, "kernel", message, level, KERN)


def bms(
    time: datetime,
    host: str,
    severity: str,
    message: str,
    reading: dict[str, float | str],
    source: str = "bms",
) -> str:
    """One JSON line of the building systems: metric, value, unit and threshold where it has them.

    `source` tells building management, fire panel (`fas`) and access control (`acs`) apart.
    """
    body = {"time": iso(time), "host": host, "source": source, "severity": severity, "message": message}
    return json.dumps({**body, **reading})


def webhook(
    time: datetime,
    name: str,
    instance: str,
    severity: str,
    text: str,
    status: str = "firing",
    *,
    site: str = "demo",
    began: datetime | None = None,
    labels: dict[str, str] | None = None,
    notes: dict[str, str] | None = None,
) -> str:
    """A webhook of Alertmanager with one alert. `began` is `startsAt` where it is not `time`; more `labels` and
    annotations (`notes`) as the rule has them."""
    known = {"alertname": name, "instance": instance, "severity": severity, **(labels or {})}
    said = {"summary": text, **(notes or {})}
    alert = {
        "status": status,
        "labels": known,
        "annotations": said,
        "startsAt": iso(began or time),
        "endsAt": iso(time) if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": f"{stable_hash(name + instance):016x}",
    }
    return json.dumps({
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "status": status,
        "receiver": "setpoint",
        "groupLabels": {"alertname": name},
        "commonLabels": known,
        "commonAnnotations": said,
        "externalURL": f"http://alertmanager.{site}:9093",
        "alerts": [alert],
    })  # fmt: skip


def cloudevent(
    time: datetime, number: str, node: str, check: str, message: str, fatal: bool, *, site: str = "demo",
    healthy: bool = False, codes: Sequence[str] = (), gpu: str = "",
) -> str:  # fmt: skip
    """A CloudEvent of the GPU health monitor (NVSentinel). `codes` are XID or SXid numbers, `gpu` the GPU's index."""
    data: dict[str, object] = {
        "nodeName": node, "checkName": check, "isFatal": fatal, "isHealthy": healthy, "message": message,
        "recommendedAction": "RESTART_VM" if fatal else "NONE",
    }  # fmt: skip
    if codes:
        data["errorCode"] = list(codes)
    if gpu:
        data["entitiesImpacted"] = [{"entityType": "GPU", "entityValue": gpu}]
    return json.dumps({
        "specversion": "1.0",
        "id": number,
        "source": f"nvsentinel/{site}",
        "type": "com.nvidia.nvsentinel.health.v1",
        "time": iso(time),
        "datacontenttype": "application/json",
        "data": data,
    })  # fmt: skip


def redfish(
    time: datetime, number: int, asset: str, kind: str, message_id: str, severity: str, message: str,
    args: Sequence[str],
) -> str:  # fmt: skip
    """A Redfish Event with one record. `message` holds %1, %2 ... for `args`, as the registry's text does; a service
    sends it filled in. The origin is the resource of `asset`, by its kind."""
    for index, arg in enumerate(args, start=1):
        message = message.replace(f"%{index}", arg)
    record = {
        "EventType": "Alert",
        "EventId": str(number),
        "EventTimestamp": iso(time),
        "MemberId": "0",
        "MessageSeverity": _SEVERITY[severity],
        "Message": message,
        "MessageId": message_id,
        "MessageArgs": list(args),
        "OriginOfCondition": {
            "@odata.id": f"/redfish/v1/{_COLLECTIONS.get(kind, 'Chassis')}/{asset}",
        },
    }
    return json.dumps({
        "@odata.type": "#Event.v1_10_0.Event",
        "Id": str(number),
        "Name": "Event Array",
        "Context": asset,
        "Events": [record],
    })  # fmt: skip


def stable_hash(text: str) -> int:
    """A stable 60-bit hash (Python's own is salted per process).

    >>> stable_hash("a") == stable_hash("a") != stable_hash("b")
    True
    """
    value = 0
    for char in text:
        value = (value * 1099511628211 + ord(char)) % (1 << 60)
    return value
