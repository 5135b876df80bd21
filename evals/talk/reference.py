"""From what a turn means to the tool calls that answer it, and how calls are compared (agentevals).

Some meanings have more than one right way: each is an alternative, and one is enough. `allowed` are calls that are not
needed and not blamed: what belongs to the same subject.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentevals.trajectory.match import (  # type: ignore[import-untyped]  # ships no types
    create_trajectory_match_evaluator,
)

from evals.talk.meaning import Subject
from evals.talk.tasks import Turn

Call = Mapping[str, Any]
"""{"tool": name, "args": {...}}."""
_ANY = "*"
"""Of an argument: whatever it is."""
_KNOBS = {
    "batch": ("batch", ""), "batch_limit": ("batch", ""), "clock_mhz": ("clock", "mhz"), "supply_temp_c": ("supply_temp", "c"),
    "flow_lpm": ("flow", "lpm"), "power_cap_w": ("power_cap", "w"), "cap_w": ("power_cap", "w"), "chunk": ("chunk", ""),
    "rate": ("rate", ""), "kv_watermark_pct": ("kv_watermark", "pct"), "wet_bulb_c": ("wet_bulb", "c"),
    "dry_bulb_c": ("dry_bulb", "c"), "crah_temp_c": ("crah_temp", "c"),
}  # fmt: skip
"""Argument of a task: knob of a what-if, and its unit."""
_ABOUT = ("incidents", "site_state", "recent_events", "changes", "topology")
"""What belongs to a question about an asset."""


@dataclass(frozen=True)
class Reference:
    """Right ways to answer. No alternative: nothing may be called."""

    alternatives: tuple[tuple[Call, ...], ...]
    allowed: tuple[Call, ...] = ()

    def __str__(self) -> str:
        return " or ".join(map(written, self.alternatives)) or "no call"


def written(calls: Sequence[Call]) -> str:
    """Calls as people write them.

    >>> written([{"tool": "site_state", "args": {"asset": "cdu-1"}}])
    'site_state(asset=cdu-1)'
    """
    said = (
        f"{one['tool']}({', '.join(f'{key}={value}' for key, value in one['args'].items())})" for one in calls
    )
    return " + ".join(said) or "nothing"


def reference(turn: Turn, meant: Subject) -> Reference:
    """Of one turn."""
    return _INTENTS[turn.intent](turn, meant)


def call(tool: str, **args: Any) -> Call:
    return {"tool": tool, "args": args}


# ---- meanings ----------------------------------------------------------------------------------------------------


def _one(meant: Subject) -> tuple[str, ...]:
    """Assets of which one must be named; any where that is not known."""
    return meant.assets or meant.any_of or (() if meant.known else (_ANY,))


def _refused(turn: Turn, meant: Subject) -> Reference:
    return Reference(())


def _overview(turn: Turn, meant: Subject) -> Reference:
    return Reference(((call("incidents"),),))


def _incident(turn: Turn, meant: Subject) -> Reference:
    """An id needs that incident; assets need the incidents of each."""
    if meant.incident:
        return Reference(((call("incident", id=meant.incident),),))
    if meant.assets:
        return Reference((tuple(call("incidents", asset=asset) for asset in meant.assets),))
    ways = [(call("incidents", asset=asset),) for asset in meant.any_of]
    return Reference((*ways, (call("incidents"),), *([] if meant.known else [(call("incident", id=_ANY),)])))


def _asset(turn: Turn, meant: Subject) -> Reference:
    """Its readings, its events or its changes; all of what is known of it may be looked at. Minutes need the events."""
    if meant.incident:
        return _incident(turn, meant)
    minutes = turn.args.get("minutes")
    events = {"minutes": minutes} if minutes else {}
    ways = [
        (call(tool, asset=asset, **(events if tool == "recent_events" else {})),)
        for asset in _one(meant)
        for tool in (("recent_events",) if minutes else ("site_state", "recent_events", "changes"))
    ]
    allowed = [call(tool, asset=asset) for asset in _one(meant) for tool in _ABOUT]
    return Reference(tuple(ways), tuple(allowed))


def _reviews(turn: Turn, meant: Subject) -> Reference:
    return Reference(((call("reviews"),),))


def _knowledge(turn: Turn, meant: Subject) -> Reference:
    """The runbooks; of an incident its own recovery guide, which cites them, answers as well."""
    search = (call("search", query=_ANY),)
    if meant.incident or not meant.known:
        guide = call("incident", id=meant.incident or _ANY)
        return Reference((search, (guide,)), (guide, *search))
    return Reference((search,))


def _what_if(turn: Turn, meant: Subject) -> Reference:
    """Changes with values are simulated; a supposed action or loss without any may be rehearsed or lost."""
    changes = {_KNOBS[key][0]: value for key, value in turn.args.items() if key in _KNOBS}
    if changes:
        where = f"{_one(meant)[0]}." if _one(meant) else ""
        said = " ".join(f"{where}{key}={value}" for key, value in sorted(changes.items()))
        return Reference(((call("what_if", changes=said),),))
    ways: list[tuple[Call, ...]] = [
        (call("what_if", changes=f"{asset}.{_ANY}" if asset else _ANY),) for asset in _one(meant) or ("",)
    ]
    for asset in _one(meant):
        ways += [(call("rehearse_action", asset=asset),), (call("asset_lost", asset=asset),)]
    return Reference(tuple(ways))


def _fail(turn: Turn, meant: Subject) -> Reference:
    first, *rest = meant.assets or meant.any_of or (_ANY,)
    also = {"also": rest} if rest and meant.assets else {}
    return Reference(((call("asset_lost", asset=first, **also),),))


def _size(turn: Turn, meant: Subject) -> Reference:
    """What is asked for; in a follow-up only what the author says."""
    names = {"ttft_ms": "ttft_slo_ms", "tpot_ms": "tpot_slo_ms"}
    args = {names.get(key, key): value for key, value in turn.args.items()}
    if not args:
        if match := re.search(r"\bon ([A-Z]+\d+\w*)", turn.about):
            args["gpu"] = match[1]
        if match := re.search(r"\bat (\d+(?:\.\d+)?) req", turn.about):
            args["rate_rps"] = float(match[1])
    return Reference(((call("sizing", **args),),))


def _power(turn: Turn, meant: Subject) -> Reference:
    """Of gear its readings; of the site its summary, which has the draw and the headroom."""
    if _one(meant):
        state = tuple((call("site_state", asset=asset),) for asset in _one(meant))
        extra = [call(tool, asset=asset) for asset in _one(meant) for tool in _ABOUT]
        return Reference((*state, (call("site_summary"),)), (*extra, call("site_summary")))
    return Reference(((call("site_summary"),),))


def _cooling(turn: Turn, meant: Subject) -> Reference:
    if not _one(meant):
        return Reference(((call("cooling"),),))
    ways = [(call(tool, asset=asset),) for asset in _one(meant) for tool in ("cooling", "site_state")]
    extra = [call(tool, asset=asset) for asset in _one(meant) for tool in (*_ABOUT, "cooling")]
    return Reference(tuple(ways), tuple(extra))


def _battery(turn: Turn, meant: Subject) -> Reference:
    """The storage's state or how long it lasts; of a UPS its own readings, which hold the charge of its battery."""
    ess = [(call(tool),) for tool in ("ess_state", "ess_runtime")]
    given = {"load_kw": turn.args["load_kw"]} if "load_kw" in turn.args else {}
    if given:
        return Reference(((call("ess_runtime", **given),),))
    states = [(call("site_state", asset=asset),) for asset in _one(meant)]
    extra = [call(tool, asset=asset) for asset in _one(meant) for tool in _ABOUT]
    return Reference(tuple(states or ess) if _ups(meant) else (*states, *ess), tuple(extra))


def _ups(meant: Subject) -> bool:
    return any(asset.startswith("ups-") for asset in _one(meant))


def _trend(turn: Turn, meant: Subject) -> Reference:
    args = {key: turn.args[key] for key in ("metric", "minutes") if key in turn.args}
    return Reference(tuple((call("telemetry_history", asset=asset, **args),) for asset in _one(meant)))


def _topology(turn: Turn, meant: Subject) -> Reference:
    return Reference(tuple((call("topology", asset=asset),) for asset in _one(meant)))


def _gpus(turn: Turn, meant: Subject) -> Reference:
    ways = [(call("gpus", asset=asset),) for asset in _one(meant)]
    return Reference((*ways, (call("gpus"),)))


def _tool_of_args(turn: Turn, meant: Subject) -> Reference:
    """Own tasks name the tool in their arguments."""
    args = {key: value for key, value in turn.args.items() if key != "tool"}
    return Reference(((call(turn.args["tool"], **args),),))


_INTENTS: dict[str, Callable[[Turn, Subject], Reference]] = {
    "refused": _refused, "overview": _overview, "incident": _incident, "asset": _asset, "reviews": _reviews,
    "knowledge": _knowledge, "what_if": _what_if, "fail": _fail, "size": _size, "power": _power, "cooling": _cooling,
    "battery": _battery, "trend": _trend, "topology": _topology, "gpus": _gpus, "jobs": _tool_of_args,
    "serving": _tool_of_args, "site": _tool_of_args, "telemetry": _tool_of_args,
}  # fmt: skip


# ---- comparing ---------------------------------------------------------------------------------------------------

_FREE = {
    "recent_events": {"minutes"}, "asset_lost": {"minutes"}, "what_if": {"minutes", "rate"}, "incidents": set(),
    "rehearse_action": {"action", "args", "minutes"}, "telemetry_history": {"minutes", "metric"}, "reviews": {"asset"},
    "ess_runtime": {"asset"}, "ess_state": {"asset"}, "sizing": {"model", "gpu", "rate_rps", "ttft_slo_ms", "tpot_slo_ms"},
}  # fmt: skip
"""Arguments that may be given where the reference says nothing of them: a span looked at, or what turns before said."""
_USUAL = {"minutes": 60}
"""What a tool takes where an argument is not given."""


def matches(tool: str) -> Callable[[dict[str, Any], dict[str, Any]], bool]:
    """Whether two calls of the tool ask the same."""

    def same(given: dict[str, Any], wanted: dict[str, Any]) -> bool:
        more = {key for key, value in given.items() if value not in ("", [], None)} - set(wanted)
        if more - _FREE.get(tool, set()):
            return False
        return all(_same(key, given.get(key, _USUAL.get(key)), value) for key, value in wanted.items())

    return same


def _same(key: str, given: Any, wanted: Any) -> bool:
    if wanted == _ANY:
        return bool(given)
    if key == "changes":
        return _same_changes(str(given), str(wanted))
    if key == "metric":
        return bool(given) and str(given) == str(wanted)
    if isinstance(wanted, Mapping):
        return isinstance(given, Mapping) and given.keys() == wanted.keys() and all(
            _same(name, given[name], value) for name, value in wanted.items()
        )  # fmt: skip
    if isinstance(wanted, list):
        return sorted(map(str, given or [])) == sorted(map(str, wanted))
    one, other = _number(given, key), _number(wanted, key)
    if one is not None and other is not None:
        return abs(one - other) <= 1e-6 * max(1.0, abs(other))
    return _key(given) == _key(wanted)


def _same_changes(given: str, wanted: str) -> bool:
    parts = [part for part in given.lower().split() if part]
    if wanted.endswith(_ANY):
        return all(part.startswith(wanted[:-1].lower()) for part in parts) and bool(parts)
    return {_change(part) for part in parts} == {_change(part) for part in wanted.lower().split()}


def _change(part: str) -> tuple[str, float | str]:
    """`r-02.clock=1.2GHz` as (r-02.clock, 1200)."""
    key, _, value = part.partition("=")
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*([a-z/%]*)", value)
    if not match:
        return key, value
    scale = 1000.0 if match[2] in ("ghz", "kw") else 1.0
    return key, float(match[1]) * scale


_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_SCALES = {("s", "ms"): 1000.0, ("mw", "kw"): 1000.0}


def _number(value: Any, key: str) -> float | None:
    """In the unit that the argument's name ends with."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    return float(match[1]) * _SCALES.get((match[2].lower(), key.rpartition("_")[2]), 1.0)


def _key(value: Any) -> str:
    return re.sub(r"[\s_.-]", "", str(value).lower())


def _trajectory(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """As OpenAI messages."""
    made = [
        {"function": {"name": one["tool"], "arguments": json.dumps(dict(one["args"]))}, "id": "", "type": "function"}
        for one in calls
    ]  # fmt: skip
    return [{"role": "assistant", "content": "", "tool_calls": made}]


_TOOLS = (
    *_ABOUT, "incident", "reviews", "search", "what_if", "rehearse_action", "asset_lost", "sizing", "site_summary", "cooling",
    "ess_state", "ess_runtime", "ess_dispatch", "telemetry_history", "telemetry_quality", "gpus", "jobs", "faults", "trends",
    "host_paths", "kv_cache", "batching", "request_way", "dvfs", "parallelism",
)  # fmt: skip
_BY_TOOL = {tool: matches(tool) for tool in _TOOLS}
_TURNED: dict[str, Callable[[dict[str, Any], dict[str, Any]], bool]] = {
    tool: lambda wanted, given, same=same: same(given, wanted)  # type: ignore[misc]
    for tool, same in _BY_TOOL.items()
}
"""For a subset agentevals hands over the reference first."""


def _evaluator(mode: Any, args: Any) -> Callable[[Sequence[Call], Sequence[Call]], bool]:
    overrides = None if args == "ignore" else _TURNED if mode == "subset" else _BY_TOOL
    check = create_trajectory_match_evaluator(
        trajectory_match_mode=mode, tool_args_match_mode=args, tool_args_match_overrides=overrides
    )

    def evaluate(called: Sequence[Call], wanted: Sequence[Call]) -> bool:
        result: Any = check(outputs=_trajectory(called), reference_outputs=_trajectory(wanted))
        return bool(result["score"])

    return evaluate


_holds_tools = _evaluator("superset", "ignore")
_holds_calls = _evaluator("superset", "exact")
_stays_within = _evaluator("subset", "exact")


@dataclass(frozen=True)
class Compared:
    """How the calls stand to the reference."""

    tools: bool
    """The right tools were called."""
    arguments: bool
    """With the right arguments."""
    needless: bool
    """Something was called that does not belong."""

    @property
    def exact(self) -> bool:
        return self.arguments and not self.needless


def compare(called: Sequence[Call], wanted: Reference) -> Compared:
    """The best of the alternatives."""
    if not wanted.alternatives:
        return Compared(not called, not called, bool(called))
    found = [
        Compared(
            _holds_tools(called, one),
            _holds_calls(called, one),
            not _within(called, (*one, *wanted.allowed)),
        )
        for one in wanted.alternatives
    ]
    return max(found, key=lambda one: (one.arguments, one.tools, not one.needless))


def _within(called: Sequence[Call], allowed: Sequence[Call]) -> bool:
    """Each call asks what one of these asks, whatever the number of calls."""
    return all(_stays_within([one], allowed) for one in called)
