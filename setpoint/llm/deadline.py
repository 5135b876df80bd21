"""A stop mark that llama.cpp reads between two matrix products, without entering Python.

llama.cpp asks an abort callback at every node of its graph. A Python callback there would take the interpreter's
lock thousands of times a second away from the alert path. The C library's `strlen` fits the callback's shape: it
is zero (go on) while the mark is an empty string, and one (stop) as soon as a byte is written into it.
"""

from __future__ import annotations

import ctypes
import threading
import time


class Deadline:
    """Counts from its making, so that time spent waiting for the model's turn counts too."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._stop = threading.Event()

    @property
    def left_s(self) -> float:
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        return self._stop.is_set() or self.left_s == 0.0

    def cancel(self) -> None:
        self._stop.set()


class StopMark:
    """Memory that a running llama.cpp context watches."""

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)

    def set(self) -> None:
        self._buffer[0] = b"\x01"

    def clear(self) -> None:
        self._buffer[0] = b"\x00"

    @property
    def address(self) -> int:
        return ctypes.addressof(self._buffer)


def strlen_address() -> int:
    """Address of the C library's strlen in this process."""
    strlen = ctypes.CDLL(None).strlen
    return ctypes.cast(strlen, ctypes.c_void_p).value or 0
