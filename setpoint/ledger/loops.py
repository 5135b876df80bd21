"""Turns of the control loops: what each saw, wanted and came to, what the loop has learned, and what it foresaw.

A cycle is written twice: when its proposals are put to review (with the reviews and their jobs), and when it is over
(with what was learned). Both may be done again after a crash and change nothing then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import JsonValue, TypeAdapter
from sqlalchemy import Connection, Row, insert, or_, select, update

from setpoint.contracts import Review
from setpoint.contracts.dispatch import JobRequest
from setpoint.contracts.loops import Cycle, CycleState, Foreseen, LoopName
from setpoint.errors import UsageError
from setpoint.ledger import audit, jobs, reviews
from setpoint.ledger.clock import moment, seconds, utc_now
from setpoint.ledger.opened import Store
from setpoint.ledger.records import LoopMemory, OpenTrouble
from setpoint.ledger.schema import foreseen, loop_cycles, loop_state
from setpoint.ledger.schema import reviews as reviews_table
from setpoint.ledger.writing import insert_new, to_json

_TROUBLES = TypeAdapter(dict[str, OpenTrouble])


class Cycles(Store):
    """The ledger's methods about control loops."""

    def note_cycle(
        self,
        cycle: Cycle,
        *,
        asked: Sequence[Review] = (),
        orders: Sequence[JobRequest] = (),
        approvals_needed: Mapping[str, int] | None = None,
        withdrawn: Mapping[str, str] | None = None,
        troubles: Mapping[str, OpenTrouble] | None = None,
        learned: Mapping[str, JsonValue] | None = None,
        now: datetime | None = None,
    ) -> tuple[str, ...]:
        """Write a cycle whose proposals are put to review, with all that follows, in one transaction.

        `asked` are opened where they are not there yet, each with its order of the same key; `withdrawn` maps reviews of
        earlier cycles to the reason; `troubles` and `learned` replace what the loop's last cycle had. Returns the ids of the reviews
        that this call opened. A cycle that is over is left as it is.
        """
        at = now or utc_now()
        with self._db.write() as tx:
            known = _row(tx, cycle.id)
            if known is not None and known.state != "waiting":
                return ()
            fresh = [
                one.id
                for one in asked
                if reviews.open_review(tx, one, (approvals_needed or {}).get(one.id, 1), at)
            ]
            for order in orders:
                if order.key in fresh:
                    jobs.enqueue(tx, jobs.order_of(order), at)
            for review_id, why in (withdrawn or {}).items():
                reviews.withdraw(tx, review_id, "setpoint", why, at)
            _put(tx, cycle)
            known_now = {"troubles": _TROUBLES.dump_json(dict(troubles or {})).decode()}
            _remember(tx, cycle, known_now | ({"body": to_json(dict(learned))} if learned else {}))
            if known is None:
                audit.append(tx, _who(cycle), "cycle-planned", cycle.id, _summary(cycle), at)
            return tuple(fresh)

    def record_cycle(
        self,
        cycle: Cycle,
        *,
        learned: Mapping[str, JsonValue],
        noted: Sequence[Foreseen] = (),
        seen: Sequence[Foreseen] = (),
        now: datetime | None = None,
    ) -> bool:
        """Write how a cycle ended, what its loop has learned and foresees, in one transaction. The first ending stands;
        False: it had ended. Where nothing was learned, what was known before stands. `seen` are foreseen values that were held against readings, or given up."""
        at = now or utc_now()
        with self._db.write() as tx:
            known = _row(tx, cycle.id)
            if known is not None and known.state != "waiting":
                return False
            _put(tx, cycle)
            if learned:
                _remember(tx, cycle, {"body": to_json(dict(learned))})
            for one in seen:
                where = (
                    foreseen.c.loop == one.loop,
                    foreseen.c.name == one.name,
                    foreseen.c.due == seconds(one.due),
                )
                tx.execute(update(foreseen).where(*where).values(seen=True))
            rows = [_foreseen(cycle, one) for one in noted]
            if rows:
                tx.execute(insert_new(foreseen, tx.dialect.name), rows)
            audit.append(
                tx, _who(cycle), "cycle-ended", cycle.id, _summary(cycle) | {"state": cycle.state}, at
            )
            return True

    def get_cycle(self, cycle_id: str) -> Cycle:
        """Raises UsageError where there is no such cycle."""
        found = self.find_cycle(cycle_id)
        if found is None:
            raise UsageError(f"no cycle {cycle_id!r}", remedy="`setpoint loop list` shows what there is")
        return found

    def find_cycle(self, cycle_id: str) -> Cycle | None:
        """None where there is no such cycle."""
        with self._db.read() as tx:
            row = _row(tx, cycle_id)
            return None if row is None else _cycle(row)

    def list_cycles(
        self, *, loop: str = "", states: Sequence[CycleState] = (), limit: int = 1000
    ) -> list[Cycle]:
        """The latest so many, oldest first."""
        query = select(loop_cycles).order_by(loop_cycles.c.at.desc(), loop_cycles.c.id.desc()).limit(limit)
        if loop:
            query = query.where(loop_cycles.c.loop == loop)
        if states:
            query = query.where(loop_cycles.c.state.in_(states))
        with self._db.read() as tx:
            return [_cycle(row) for row in reversed(tx.execute(query).all())]

    def loop_reviews(self, prefix: str, since: datetime) -> list[Review]:
        """Reviews of cycles whose id begins so: those that are pending, and those opened since then. Oldest first."""
        where = (reviews_table.c.incident_id.startswith(prefix, autoescape=True),
                 or_(reviews_table.c.state == "pending", reviews_table.c.created >= seconds(since)))  # fmt: skip
        query = select(reviews_table.c.body).where(*where).order_by(reviews_table.c.number)
        with self._db.read() as tx:
            return [Review.model_validate_json(body) for body in tx.execute(query).scalars()]

    def loop_memory(self, loop: LoopName) -> LoopMemory | None:
        """What the loop knows from its cycles before; None before the first."""
        with self._db.read() as tx:
            row = tx.execute(select(loop_state).where(loop_state.c.loop == loop)).first()
        if row is None:
            return None
        return LoopMemory(
            loop=loop, at=moment(row.at), learned=json.loads(row.body), troubles=_TROUBLES.validate_json(row.troubles)
        )  # fmt: skip

    def due_foreseen(self, loop: LoopName, now: datetime, limit: int = 1000) -> list[Foreseen]:
        """What was foreseen for a moment up to `now` and not yet held against a reading, the earliest first."""
        where = (foreseen.c.loop == loop, ~foreseen.c.seen, foreseen.c.due <= seconds(now))
        query = select(foreseen.c.body).where(*where).order_by(foreseen.c.due, foreseen.c.name).limit(limit)
        with self._db.read() as tx:
            return [Foreseen.model_validate_json(body) for body in tx.execute(query).scalars()]


def _who(cycle: Cycle) -> str:
    return f"{cycle.loop} loop"


def _summary(cycle: Cycle) -> dict[str, Any]:
    return {
        "headline": cycle.plan.headline, "proposals": [one.id for one in cycle.proposals],
        "withheld": [one.model_dump(mode="json") for one in cycle.withheld],
        "troubles": [one.what for one in cycle.plan.troubles if one.blocks],
        "outcomes": {one.action_id: one.state for one in cycle.outcomes},
    }  # fmt: skip


def _row(tx: Connection, cycle_id: str) -> Row[Any] | None:
    return tx.execute(select(loop_cycles).where(loop_cycles.c.id == cycle_id)).first()


def _cycle(row: Row[Any]) -> Cycle:
    return Cycle.model_validate_json(row.body)


def _put(tx: Connection, cycle: Cycle) -> None:
    values = {
        "loop": cycle.loop, "at": seconds(cycle.at), "state": cycle.state,
        "body": cycle.model_dump_json(exclude_defaults=True),
    }  # fmt: skip
    if tx.execute(update(loop_cycles).where(loop_cycles.c.id == cycle.id).values(**values)).rowcount == 0:
        tx.execute(insert(loop_cycles).values(id=cycle.id, **values))


def _remember(tx: Connection, cycle: Cycle, values: dict[str, Any]) -> None:
    """Planning sets the moment; a cycle that ends late does not put it back."""
    if "troubles" in values:
        values["at"] = seconds(cycle.at)
    where = loop_state.c.loop == cycle.loop
    if tx.execute(update(loop_state).where(where).values(**values)).rowcount == 0:
        row = {"loop": cycle.loop, "at": seconds(cycle.at), "troubles": "{}", "body": "{}"} | values
        tx.execute(insert(loop_state).values(**row))


def _foreseen(cycle: Cycle, one: Foreseen) -> dict[str, Any]:
    return {
        "cycle_id": cycle.id, "name": one.name, "due": seconds(one.due), "loop": cycle.loop, "seen": False,
        "body": one.model_dump_json(),
    }  # fmt: skip
