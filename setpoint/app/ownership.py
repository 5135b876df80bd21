"""One process works on a store. The lock is the kernel's, so a killed owner leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from setpoint.errors import UsageError

LOCK_FILE = "owner.lock"


class Ownership:
    """Held from construction to `release`, or to the end of the process. Raises UsageError where another has it."""

    def __init__(self, store: Path) -> None:
        store.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._handle = os.open(store / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._handle)
            raise UsageError(
                "another Setpoint process works on this store", where=str(store),
                remedy="Stop it, or use another --store",
            ) from error  # fmt: skip

    def release(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
