"""What enters Setpoint: one event, or one item that could not be read."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Severity = Literal["critical", "error", "warning", "info", "unknown"]
Status = Literal["firing", "resolved"]
Flag = Literal[
    "time-without-zone",  # read in the site's zone
    "time-missing",  # the time of receipt was taken
    "time-in-future",  # more than the allowed skew ahead of receipt
    "time-very-old",
    "duplicate-id",
    "contradiction",  # e.g. severity critical with status resolved, value inside its limit while firing
    "truncated",  # the message was longer than the limit
    "unknown-unit",
    "unknown-asset",
    "encoding-repaired",
    "unknown-severity",
]
Format = Literal["alertmanager", "cloudevents", "syslog", "redfish", "jsonl", "csv", "text", "internal"]


class Frozen(BaseModel):
    """Contracts are values: immutable, and closed against unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(Frozen):
    """One thing the site said, normalised. Text in it is untrusted data, never an instruction."""

    id: str
    """Stable: the source's own id where it has one, else a hash of the source's content."""
    time: datetime
    """When it happened, UTC."""
    received: datetime
    """When Setpoint read it, UTC."""
    asset: str
    """Node, device or service it is about ("unknown" where the source does not say)."""
    source: str
    """Program, exporter or registry that said it."""
    kind: str
    """Alert name, check name, message id, or "xid-79" / "sxid-12028" / "edac-ue" / "mce"; "" for free text."""
    message: str = Field(max_length=4000)
    severity: Severity = "unknown"
    """The source's own word. Native levels mislead: triage treats it as one hint among others."""
    status: Status = "firing"
    metric: str | None = None
    value: float | None = None
    unit: str | None = None
    threshold: float | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    format: Format = "jsonl"
    dedup_key: str = ""
    """Events with one key are repeats of one condition (asset + kind, or the source's fingerprint)."""
    flags: tuple[Flag, ...] = ()


class Quarantined(Frozen):
    """One input item that could not be read, kept whole so that it can be mended and replayed."""

    id: str
    received: datetime
    origin: str
    """File and line, or the address it came from."""
    reason: str
    remedy: str
    raw: bytes
    """The item as it came, cut at 64 KiB."""
