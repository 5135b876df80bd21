"""Silences: what is recorded and notifies nobody for a while."""

from __future__ import annotations

import secrets
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from setpoint.errors import UsageError
from setpoint.ledger import audit
from setpoint.ledger.clock import moment, seconds
from setpoint.ledger.records import Silence
from setpoint.ledger.schema import silences


@dataclass(frozen=True)
class Matchers:
    """Globs over asset name, event kind and message template; all must match."""

    asset: str = "*"
    kind: str = "*"
    template: str = "*"


def add(tx: Connection, matchers: Matchers, until: datetime, who: str, why: str, now: datetime) -> Silence:
    if all(glob in ("", "*") for glob in astuple(matchers)):
        raise UsageError("this would silence everything", remedy="name an asset, a kind or a template")
    if until <= now:
        raise UsageError(f"the silence ends at {until:%Y-%m-%d %H:%M} UTC, which is over already")
    silence = Silence(
        id=f"SIL-{secrets.token_hex(3)}",
        asset=matchers.asset or "*",
        kind=matchers.kind or "*",
        template=matchers.template or "*",
        starts=now,
        until=until,
        who=who,
        why=why,
    )
    row = silence.model_dump() | {"starts": seconds(now), "until": seconds(until), "removed": None}
    tx.execute(insert(silences).values(**row))
    audit.append(tx, who, "silence-added", silence.id, silence.model_dump(mode="json"), now)
    return silence


def list_all(tx: Connection, active_at: datetime | None) -> list[Silence]:
    query = select(silences).where(silences.c.removed.is_(None)).order_by(silences.c.starts)
    if active_at is not None:
        query = query.where(silences.c.starts <= seconds(active_at), silences.c.until > seconds(active_at))
    return [_silence(row) for row in tx.execute(query)]


def remove(tx: Connection, silence_id: str, who: str, now: datetime) -> bool:
    where = (silences.c.id == silence_id, silences.c.removed.is_(None))
    if tx.execute(update(silences).where(*where).values(removed=seconds(now))).rowcount != 1:
        return False
    audit.append(tx, who, "silence-removed", silence_id, None, now)
    return True


def _silence(row: Row[Any]) -> Silence:
    return Silence(
        id=row.id,
        asset=row.asset,
        kind=row.kind,
        template=row.template,
        starts=moment(row.starts),
        until=moment(row.until),
        who=row.who,
        why=row.why,
    )
