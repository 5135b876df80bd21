"""Threads of the HTTP face in lines of their own, so that a call that waits long never holds up one that must be quick.

Everything else shares the default line of 40. Whoever waits there for a rehearsal, or for a chat's next step, must not be the
reason why a probe hears nothing, or why nobody is let in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

QUICK_THREADS, PATIENT_THREADS = 4, 64
P = ParamSpec("P")
T = TypeVar("T")
_quick: RunVar[CapacityLimiter] = RunVar("setpoint quick line")
_patient: RunVar[CapacityLimiter] = RunVar("setpoint patient line")


async def quickly(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """On a thread that only calls of milliseconds use: who asks, whether all is well."""
    return await to_thread.run_sync(partial(function, *args, **kwargs), limiter=_line(_quick, QUICK_THREADS))


async def patiently(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """On a thread for calls that mostly wait: a long poll."""
    return await to_thread.run_sync(
        partial(function, *args, **kwargs), limiter=_line(_patient, PATIENT_THREADS)
    )


def _line(held: RunVar[CapacityLimiter], many: int) -> CapacityLimiter:
    """The limiter of the event loop that runs: one belongs to one loop."""
    try:
        return held.get()
    except LookupError:
        made = CapacityLimiter(many)
        held.set(made)
        return made
