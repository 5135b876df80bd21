"""The optimizer: runs a loop's computation and lets nothing out of it that could not be done.

Whatever a loop wants passes the action catalog here, with the site's bounds and ramps, before anybody reads of it. A
loop that fails, runs out of time or cannot rest on what it read gives a plan that holds every setpoint and says why.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from agents.plan_words import lower_first
from setpoint.contracts import Action
from setpoint.contracts.loops import Forecast, LoopPlan, Move, Trouble, Watch
from setpoint.contracts.site import Site
from setpoint.errors import ActionRefused, InputError
from tools.actions import describe, spec_of, validate
from tools.loops.ports import Loop, LoopPorts
from tools.readings import Read

LIMIT_S = 120.0
"""Longest time one plan may take. A loop's solver has a shorter limit of its own; this one holds when that fails."""


class Seen(Protocol):
    """What the forecaster gave: `agents.forecaster.Looked`."""

    @property
    def forecasts(self) -> Sequence[Forecast]: ...
    @property
    def troubles(self) -> Sequence[Trouble]: ...


MOST_CHARS = 240


def optimise(
    loop: Loop, watch: Watch, looked: Seen, *, ports: LoopPorts | None = None, limit_s: float = LIMIT_S
) -> LoopPlan:
    """The loop's plan, every move of it possible on the site. Never raises for the loop's sake.

    `ports`: where the site's bounds and present setpoints are read; without them a move is checked only when it is
    proposed. Where a trouble blocks, the plan has no moves.
    """
    known = (*watch.troubles, *looked.troubles)
    plan, trouble = _computed(loop, watch, tuple(looked.forecasts), limit_s)
    if plan is None:
        # A loop that could not look ahead cannot plan for the same reason: that is told once.
        fresh = () if any(one.blocks for one in looked.troubles) else trouble
        return held(loop, watch, looked.forecasts, (*known, *fresh), ports.site.name if ports else "")
    plan = plan.model_copy(update={"troubles": _each_once((*known, *plan.troubles))})
    if plan.local or any(one.blocks for one in plan.troubles):
        return plan.model_copy(update={"moves": ()})
    return only_possible(plan, ports.site, ports.read) if ports else plan


def held(
    loop: Loop, watch: Watch, forecasts: Sequence[Forecast], troubles: Sequence[Trouble], site: str
) -> LoopPlan:
    """A plan that changes nothing."""
    why = _cut(next((one.what for one in troubles if one.blocks), "nothing could be planned"))
    return LoopPlan(
        loop=loop.name, site=site, made=watch.at, horizon_s=loop.horizon_s,
        headline=f"Nothing is changed: {lower_first(why).rstrip('.')}.",
        forecasts=tuple(forecasts), troubles=_each_once(troubles),
    )  # fmt: skip


def only_possible(plan: LoopPlan, site: Site, read: Read) -> LoopPlan:
    """The plan with those moves alone that the catalog, the site's bounds and its ramps allow; a trouble tells of each
    other one."""
    kept: list[Move] = []
    dropped: list[Trouble] = []
    stands: dict[tuple[str, str], float] = {}
    for move in sorted(plan.moves, key=lambda one: one.at):
        try:
            action = validate(Action(name=move.action, asset=move.asset, args=dict(move.args)), site)
            _within_ramps(action, site, read, stands)
        except (InputError, ActionRefused) as error:
            dropped.append(_impossible(move, error))
        else:
            kept.append(move.model_copy(update={"asset": action.asset, "args": action.args}))
    return plan.model_copy(update={"moves": tuple(kept), "troubles": _each_once((*plan.troubles, *dropped))})


# ---- running a loop ----------------------------------------------------------------------------------------------


def _computed(
    loop: Loop, watch: Watch, forecasts: tuple[Forecast, ...], limit_s: float
) -> tuple[LoopPlan | None, tuple[Trouble, ...]]:
    """The plan, or why there is none. The loop computes in a thread of its own: Python cannot end one that hangs, so
    while it hangs no second one is started beside it."""
    name = f"setpoint-optimise-{id(loop)}"
    if any(thread.name == name for thread in threading.enumerate()):
        return None, (_late(loop, limit_s, "is still computing an earlier plan"),)
    answer: queue.SimpleQueue[LoopPlan | Exception] = queue.SimpleQueue()
    started = time.monotonic()
    threading.Thread(target=_into, args=(answer, loop, watch, forecasts), name=name, daemon=True).start()
    try:
        found = answer.get(timeout=limit_s)
    except queue.Empty:
        return None, (_late(loop, limit_s, f"gave no plan within {limit_s:g} s"),)
    if isinstance(found, Exception):
        return None, (_failed(loop, found, time.monotonic() - started),)
    return found, ()


def _into(
    answer: queue.SimpleQueue[LoopPlan | Exception], loop: Loop, watch: Watch, forecasts: tuple[Forecast, ...]
) -> None:
    try:
        answer.put(loop.optimise(watch, forecasts))
    except Exception as error:  # whatever is wrong in a loop, the site keeps its setpoints
        answer.put(error)


def _late(loop: Loop, limit_s: float, what: str) -> Trouble:
    return Trouble(
        kind="solver_timeout", what=f"The {loop.name} loop {what}.",
        instead="It holds the setpoints that were set last.",
        remedy=f"Shorten its horizon; if every cycle takes over {limit_s:g} s, stop the loop and report it.",
    )  # fmt: skip


def _failed(loop: Loop, error: Exception, seconds: float) -> Trouble:
    said = _cut(" ".join(str(error).split()))
    return Trouble(
        kind="infeasible",
        what=f"The {loop.name} loop failed after {seconds:.1f} s: {type(error).__name__}{f', {said}' if said else ''}.",
        instead="It holds the setpoints that were set last.",
        remedy="Check its readings with `setpoint plan`; report it if they are right.",
    )  # fmt: skip


def _cut(text: str, most: int = MOST_CHARS) -> str:
    """What a library says of its failure may be pages long."""
    return text if len(text) <= most else f"{text[: most - 3].rstrip()}..."


# ---- what can be done --------------------------------------------------------------------------------------------


def _within_ramps(action: Action, site: Site, read: Read, stands: dict[tuple[str, str], float]) -> None:
    """Raises ActionRefused where a setpoint would move further at once than it may. `stands`: where the plan's earlier
    moves have brought each one; kept up to date."""
    spec = spec_of(action.name)
    for ramp in spec.ramps:
        key, asked = (action.asset, ramp.metric), float(action.args[ramp.arg])
        step = site.limits.get(ramp.limit, ramp.step)
        now_at = stands.get(key, _read_now(action.asset, ramp.metric, read))
        if abs(asked - now_at) > step + 1e-9:  # NaN, where nothing was read, is never over
            raise ActionRefused(
                f"{ramp.arg} from {now_at:g} to {asked:g} is a step of {abs(asked - now_at):g}, at most {step:g} at once",
                where=spec.name, remedy="Go there in steps",
            )  # fmt: skip
    for ramp in spec.ramps:
        stands[action.asset, ramp.metric] = float(action.args[ramp.arg])


def _read_now(asset: str, metric: str, read: Read) -> float:
    reading = read(asset)
    return reading.values.get(metric, math.nan) if reading else math.nan


def _impossible(move: Move, error: InputError | ActionRefused) -> Trouble:
    return Trouble(
        kind="infeasible", asset=move.asset, metric=move.action,
        what=f"The plan wanted {_wanted(move)}, which cannot be done: {error}.".replace("..", "."),
        instead="This move is left out; the others stand.", remedy="Check the bounds in the site file.", blocks=False,
    )  # fmt: skip


def _wanted(move: Move) -> str:
    """In the catalog's words, or as it was written where the catalog does not know it."""
    try:
        words = describe(Action(name=move.action, asset=move.asset, args=dict(move.args)))
    except (InputError, KeyError):
        given = ", ".join(f"{name} {value}" for name, value in move.args.items())
        return f"{move.action} on {move.asset}{f' ({given})' if given else ''}"
    return f'"{words}"'


def _each_once(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    return tuple(dict.fromkeys(troubles))
