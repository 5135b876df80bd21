"""Serial numbers: which physical part an event is about, wherever it is plugged in."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LABELS = ("serial", "gpu_serial", "serial_number", "serialnumber", "uuid", "gpu_uuid", "part_serial")
_IN_TEXT = re.compile(
    r"(?:serial(?:[ _]?(?:no|number))?\.?|\bS/N|\bSN)\s*[=:#]?\s*(?P<serial>(?=[\w-]*\d)[A-Za-z0-9-]{6,40})"
    r"|(?P<uuid>GPU-[0-9a-f]{8}-[0-9a-f-]{27})",
    re.IGNORECASE,
)


def part_of(message: str, labels: Mapping[str, str]) -> str:
    """The serial number (or GPU UUID) the event names, "" for none.

    >>> part_of("GPU has fallen off the bus gpu_serial=0323812006178", {})
    '0323812006178'
    >>> part_of("Fan 3 failed", {"serial": "F0042X"}), part_of("serial console ready", {})
    ('F0042X', '')
    """
    for label in _LABELS:
        if value := labels.get(label):
            return value
    if "erial" not in message and "S/N" not in message and "SN" not in message and "GPU-" not in message:
        return ""
    match = _IN_TEXT.search(message)
    return (match["serial"] or match["uuid"]) if match else ""
