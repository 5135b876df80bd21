"""The events of a case folder: as the site sent them, or as Setpoint kept them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from evals.folders.folder import AS_KEPT
from setpoint.contracts import Event, Quarantined
from setpoint.contracts.site import Site, load_site
from setpoint.errors import InputError
from setpoint.intake import read


def read_events(
    path: Path, site_path: Path | None, now: datetime | None
) -> tuple[list[Event], list[Quarantined]]:
    """Events of a case's file, and what of it cannot be read. Raises InputError where there is no event."""
    site = load_site(site_path) if site_path else Site(name="site")
    items = list(_kept(path) if path.name.endswith(AS_KEPT) else _as_sent(path, site.zone, now))
    events = [item for item in items if isinstance(item, Event)]
    bad = [item for item in items if isinstance(item, Quarantined)]
    if not events:
        why = next((item.reason for item in bad), "the file is empty")
        raise InputError(
            f"no event could be read: {why}", where=str(path), remedy="Any format of `setpoint run`"
        )
    return events, bad


def _as_sent(path: Path, zone: ZoneInfo, now: datetime | None) -> Iterator[Event | Quarantined]:
    received = now or datetime.now(UTC)
    with path.open("rb") as stream:
        yield from read(stream, origin=path.name, zone=zone, received=received)


def _kept(path: Path) -> Iterator[Event]:
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), 1):
        try:
            yield Event.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise InputError(
                f"{key}: {first['msg']}", where=f"{path}, line {number}", remedy="Mend or drop it"
            ) from error
