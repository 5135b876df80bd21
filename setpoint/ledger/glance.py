"""A few counts that every page of the console shows: cheap, so that they can be asked for at each request."""

from __future__ import annotations

from sqlalchemy import Connection, Select, func, select

from setpoint.contracts import Frozen
from setpoint.ledger import schema as db

URGENT = ("P0", "P1")


class Waiting(Frozen):
    """What waits for a person."""

    reviews: int = 0
    """Pending questions of the shared queue."""
    urgent: int = 0
    """P0 and P1 incidents that nobody has acknowledged."""
    open: int = 0
    """Incidents that are open or acknowledged."""
    held: int = 0
    """Items in quarantine."""


def waiting(tx: Connection) -> Waiting:
    state, priority = db.incidents.c.state, db.incidents.c.priority
    return Waiting(
        reviews=_count(tx, select(func.count()).where(db.reviews.c.state == "pending")),
        urgent=_count(tx, select(func.count()).where(state == "open", priority.in_(URGENT))),
        open=_count(tx, select(func.count()).where(state.in_(("open", "acknowledged")))),
        held=_count(tx, select(func.count()).where(db.quarantine.c.state == "held")),
    )


def _count(tx: Connection, query: Select[int]) -> int:
    found: int = tx.execute(query).scalar_one()
    return found
