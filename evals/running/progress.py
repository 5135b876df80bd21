"""Who is told that a case is done. Cases run in threads and in tasks of Inspect; both carry this context along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[], None] | None] = ContextVar("listener", default=None)


@contextmanager
def told(listener: Callable[[], None]) -> Iterator[None]:
    """Calls `listener` whenever a case ends inside."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def case_done() -> None:
    """One more case has been judged, or could not be."""
    if listener := _listener.get():
        listener()
