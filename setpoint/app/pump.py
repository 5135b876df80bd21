"""Input read in a thread of its own: a source that says nothing for an hour must hold up neither the engine nor ctrl-c."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator

from setpoint.contracts import Event, Quarantined

Item = Event | Quarantined
AHEAD = 2000
"""Items read ahead of their taking."""
LOOK_S = 0.01


class Pump:
    """Reads `items` as they come. Its thread never outlives the process."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._waiting: queue.Queue[Item] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="input", daemon=True)

    async def chunks(self, most: int) -> AsyncIterator[list[Item]]:
        """What has come, at most so many at a time, until the source ends. Raises what reading raised."""
        self._thread.start()
        while True:
            ended = not self._thread.is_alive()
            chunk = self._at_hand(most)
            if chunk:
                yield chunk
            elif ended:
                break
            else:
                await asyncio.sleep(LOOK_S)
        if self._error is not None:
            raise self._error

    def _at_hand(self, most: int) -> list[Item]:
        chunk: list[Item] = []
        while len(chunk) < most:
            try:
                chunk.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return chunk

    def _read(self) -> None:
        try:
            for item in self._items:
                self._waiting.put(item)
        except BaseException as error:  # raised again where the items are taken
            self._error = error
