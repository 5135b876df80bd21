"""A PLC that speaks Modbus TCP on a free port, while the test needs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import SimData, SimDevice


@contextmanager
def plc(registers: Sequence[SimData]) -> Iterator[int]:
    """Its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve() -> ModbusTcpServer:
        server = ModbusTcpServer(SimDevice(id=1, simdata=list(registers)), address=("127.0.0.1", 0))
        await server.listen()
        return server

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
