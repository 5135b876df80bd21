"""How intake tests read: one site zone, one time of receipt, everything as a list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from setpoint.contracts import Event, Quarantined
from setpoint.intake import Limits, Tally, read

RECEIVED = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")
Reader = Callable[..., list[Event | Quarantined]]


@pytest.fixture
def take() -> Reader:
    """Read bytes or text to a list; `tally`, `fields`, `limits` and `received` as in `read`."""

    def reader(
        source: object,
        *,
        fields: dict[str, str] | None = None,
        limits: Limits | None = None,
        tally: Tally | None = None,
        received: datetime = RECEIVED,
    ) -> list[Event | Quarantined]:
        data = source.encode() if isinstance(source, str) else source
        bounds = limits or Limits()
        return list(
            read(data, origin="test", zone=ZONE, received=received, fields=fields, tally=tally, limits=bounds)  # type: ignore[arg-type]
        )

    return reader
