"""From the outbox to the sinks: each notice as soon as it is due, none waiting for another sink's answer.

At least once: a notice is marked as sent after its sink accepted it, so a crash in between sends it again, with the
same idempotency key.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from setpoint.app.pressure import Pressure
from setpoint.app.sinks import Sink, SinkFailed
from setpoint.contracts import Notice
from setpoint.errors import SetpointError
from setpoint.ledger import Ledger
from setpoint.ledger.records import Delivery

log = logging.getLogger("setpoint")
SENDING_AT_ONCE = 32
"""Deliveries under way to one sink. A sink that hangs holds up its own notices only."""
MAX_BACKOFF_S = 300.0
MARK_AFTER_S = 0.05
"""So many notices share one transaction that marking them does not hold up those that come in."""
MARK_AGAIN_S = 1.0
LAST_MARK_S = 5.0


class Deliverer:
    """Sends what is due. It belongs to one event loop."""

    def __init__(
        self, ledger: Ledger, sinks: Mapping[str, Sink], pressure: Pressure, tell: Callable[[str, Any], None],
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._ledger, self._sinks, self._pressure = ledger, sinks, pressure
        self._tell, self._wake = tell, wake
        self._under_way: dict[str, asyncio.Task[None]] = {}
        """By key, until the ledger knows how it ended."""
        self._sending: Counter[str] = Counter()
        """By sink, until the sink has answered."""
        self._ended: set[str] = set()
        """Ended since the outbox was last read: that reading may still show them as due."""
        self._accepted: list[Delivery] = []
        self._marker: asyncio.Task[None] | None = None
        self._waiting = False
        """The last turn left something for want of room."""
        self.link: Callable[[Notice], str] = lambda _notice: ""
        """The page that a notice leads to; "" while there are no pages."""

    @property
    def busy(self) -> bool:
        return bool(self._under_way)

    @property
    def telling(self) -> bool:
        """Something is on its way to a sink, or waits for room."""
        return self._waiting or any(self._sending.values())

    async def turn(self) -> None:
        """Begin every delivery that is due and not under way. A version waits in the ledger for the one before it."""
        self._ended.clear()
        full = [sink for sink, number in self._sending.items() if number >= SENDING_AT_ONCE]
        limit = len(self._under_way) + SENDING_AT_ONCE
        due = await asyncio.to_thread(self._ledger.due, limit, without=full)
        fresh = [one for one in due if one.key not in self._under_way and one.key not in self._ended]
        self._waiting = bool(full) or len(due) == limit
        for delivery in fresh:
            if self._sending[delivery.sink] < SENDING_AT_ONCE:
                self._sending[delivery.sink] += 1
                self._under_way[delivery.key] = asyncio.create_task(self._send(delivery))

    async def stop(self) -> None:
        """Note what was accepted and give up what is under way; that stays due."""
        if self._marker is not None:
            await asyncio.wait([self._marker], timeout=LAST_MARK_S)
        tasks = [*self._under_way.values(), *([self._marker] if self._marker else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sink in self._sinks.values():
            await sink.close()

    async def _send(self, delivery: Delivery) -> None:
        try:
            with self._pressure.working():
                error = await self._offer(delivery)
        except Exception as unexpected:  # a sink's defect must not take the others with it
            log.exception("sink of %s failed", delivery.key)
            error = f"{type(unexpected).__name__}: {unexpected}"
        self._sending[delivery.sink] -= 1
        if self._waiting:
            self._wake()
        if error is None:
            self._accepted.append(delivery)
            if self._marker is None or self._marker.done():
                self._marker = asyncio.create_task(self._mark())
            return
        try:
            await asyncio.to_thread(self._put_off, delivery, error)
        finally:
            self._finished(delivery)

    async def _offer(self, delivery: Delivery) -> str | None:
        """None where the sink accepted it, else why not."""
        sink = self._sinks.get(delivery.sink)
        if sink is None:
            return "this sink is no longer configured"
        try:
            await sink.send(self._linked(delivery.notice), delivery.key)
        except SinkFailed as error:
            return str(error)
        return None

    def _linked(self, notice: Notice) -> Notice:
        return notice if notice.link else notice.model_copy(update={"link": self.link(notice)})

    async def _mark(self) -> None:
        """Note what was accepted; what is accepted meanwhile shares the next transaction."""
        while self._accepted:
            await asyncio.sleep(MARK_AFTER_S)
            sent, self._accepted = self._accepted, []
            try:
                await asyncio.to_thread(self._ledger.mark_sent, [delivery.key for delivery in sent])
            except SetpointError as error:  # they stay under way, so that nothing is sent twice meanwhile
                log.warning("delivery: %s", error)
                self._accepted = sent + self._accepted
                await asyncio.sleep(MARK_AGAIN_S)
                continue
            for delivery in sent:
                self._finished(delivery)
                self._tell("delivered", delivery)

    def _finished(self, delivery: Delivery) -> None:
        self._under_way.pop(delivery.key, None)
        self._ended.add(delivery.key)
        self._wake()

    def _put_off(self, delivery: Delivery, error: str) -> None:
        pause_s = min(MAX_BACKOFF_S, 0.5 * 2 ** min(delivery.attempts, 12))
        again = datetime.now(UTC) + timedelta(seconds=pause_s) if delivery.sink in self._sinks else None
        self._ledger.mark_failed(delivery.key, error, again)
        self._tell("delivery-failed", (delivery, error))
