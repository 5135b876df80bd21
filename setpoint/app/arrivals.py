"""From the door to triage: many POSTs, one transaction; and what triage takes next.

The ledger is the truth. What is handed over in memory is only the shorter way for events that are on disk already;
whatever is not here (a restart, another process, too many at once) is read from the ledger.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from setpoint.contracts import Event, Quarantined
from setpoint.intake.urgency import Glance, glance
from setpoint.ledger import Ledger
from setpoint.ledger.records import Accepted

MOST_HANDED = 50_000
"""Events held in memory between the door and triage; more wait in the ledger only."""
MOST_AT_ONCE = 2000
"""Events in one transaction of the door."""
FILL = 50
"""Events of a lesser sort in a batch that holds more urgent ones: a short batch is told sooner."""
REMEMBERED = 20_000


@dataclass(frozen=True)
class Arrival:
    """One POST that waits for the disk."""

    events: Sequence[Event]
    bad: Sequence[Quarantined]
    origin: str
    on_disk: asyncio.Future[Accepted]


class Door:
    """Takes events in. Those that come while a transaction is under way share the next one."""

    def __init__(self, ledger: Ledger, handover: Handover) -> None:
        self._ledger, self._handover = ledger, handover
        self._waiting: list[Arrival] = []
        self._writer: asyncio.Task[None] | None = None

    async def accept(self, events: Sequence[Event], bad: Sequence[Quarantined], origin: str) -> Accepted:
        """When this returns, they are on disk."""
        arrival = Arrival(events, bad, origin, asyncio.get_running_loop().create_future())
        self._waiting.append(arrival)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await arrival.on_disk

    async def _write(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                await self._commit(group)
            except Exception as error:  # each sender is told; one bad arrival must not refuse the others
                if len(group) == 1:
                    _refuse(group[0], error)
                    continue
                for arrival in group:
                    try:
                        await self._commit([arrival])
                    except Exception as own:
                        _refuse(arrival, own)

    def _next_group(self) -> list[Arrival]:
        size = count = 0
        for arrival in self._waiting:
            size += len(arrival.events) + len(arrival.bad)
            if count and size > MOST_AT_ONCE:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _commit(self, group: Sequence[Arrival]) -> None:
        batches = [(arrival.events, arrival.bad, arrival.origin) for arrival in group]
        taken = await asyncio.to_thread(self._ledger.accept_many, batches)
        for arrival, (accepted, new) in zip(group, taken, strict=True):
            self._handover.put(new)
            if not arrival.on_disk.done():
                arrival.on_disk.set_result(accepted)


def _refuse(arrival: Arrival, error: Exception) -> None:
    if not arrival.on_disk.done():
        arrival.on_disk.set_exception(error)


class Handover:
    """Accepted events that triage has not taken. What looks critical is taken first: when more comes in than can be
    ranked at once, what may be a P0 must not stand behind ten thousand routine lines."""

    def __init__(self) -> None:
        self._queues: dict[Glance, OrderedDict[str, Event]] = {
            "critical": OrderedDict(), "trouble": OrderedDict(), "routine": OrderedDict(),
        }  # fmt: skip
        self._from_ledger: OrderedDict[str, None] = OrderedDict()

    @property
    def urgent(self) -> bool:
        """Something that looks critical waits."""
        return bool(self._queues["critical"])

    def put(self, events: Sequence[Event]) -> None:
        """Events that are on disk."""
        if sum(map(len, self._queues.values())) > MOST_HANDED:
            return
        for event in events:
            # The ledger may have given it out between its commit and this moment.
            if event.id not in self._from_ledger:
                self._queues[glance(event)][event.id] = event

    def take(self, limit: int) -> list[Event]:
        """The next events: the most urgent first, each sort in the order it came. While more urgent ones come, the
        others get a share of each batch, so that none waits for the end of another."""
        taken: list[Event] = []
        for queue in self._queues.values():
            room = limit - len(taken)
            taken += _pop(queue, min(room, FILL) if taken else room)
        return taken

    def given_out(self, events: Sequence[Event]) -> None:
        """The ledger gave these to triage: they must not be taken here as well."""
        for event in events:
            for queue in self._queues.values():
                queue.pop(event.id, None)
            self._from_ledger[event.id] = None
        while len(self._from_ledger) > REMEMBERED:
            self._from_ledger.popitem(last=False)


def _pop(queue: OrderedDict[str, Event], limit: int) -> list[Event]:
    return [queue.popitem(last=False)[1] for _ in range(min(limit, len(queue)))]
