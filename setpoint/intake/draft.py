"""What a parser read from one item, before it is cleaned, dated, measured and given its identity."""

from __future__ import annotations

from dataclasses import dataclass, field

from setpoint.contracts.event import Flag, Format, Severity, Status


@dataclass(slots=True)
class Draft:
    """Text here is as it came. Fields left out by the source are empty or None."""

    format: Format
    time: object = None
    """As given; read by `clock.instant`."""
    asset: str = ""
    source: str = ""
    kind: str = ""
    message: str = ""
    severity: Severity = "unknown"
    status: Status = "firing"
    metric: str | None = None
    value: float | None = None
    unit: str | None = None
    threshold: float | None = None
    labels: dict[str, str] = field(default_factory=dict)
    dedup_key: str = ""
    """Set where the source has a fingerprint of its own."""
    own_id: str = ""
    """The source's own id of this item; one id twice in a batch is a duplicate or a fault."""
    id_scope: str = ""
    """Who gave `own_id`, where ids are unique per giver only."""
    resent: bool = False
    """True: the format sends one item again while nothing is new, so an identical item is a duplicate."""
    flags: list[Flag] = field(default_factory=list)
