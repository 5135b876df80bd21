"""Interlocks: pure functions that say why an action must not run now. No model is asked.

They run twice: when an action is proposed, and again with fresh readings right before it is executed.
Each refusal names the limit, the value and the remedy. The site's own controllers keep their veto.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from plant import physics
from plant.specs import NodeSpec
from setpoint.contracts import Action
from setpoint.contracts.site import Site
from setpoint.errors import ActionRefused
from tools.guards_of_loops import LOOP_GUARDS
from tools.readings import Read, age_s
from tools.situation import Guard, Refusal, Rehearse, Situation, no_rehearsal

__all__ = [
    "GUARDS", "PREPARED", "Guard", "Refusal", "Rehearse", "Situation", "check", "hindrance", "no_rehearsal", "pools_on",
    "refusals",
]  # fmt: skip

PREPARED = frozenset({"capped_before_valve", "idle_before_reset"})
"""Interlocks that people clear by preparing the action: it may be put to them before."""
CLOCK_SKEW_S = 5.0
"""A reading may claim to be this far ahead of our clock."""
VALVE_CLOSE_GPU_W = 200.0
"""Without coolant flow a GPU capped here leaves minutes to drain it; uncapped it trips within one."""
LIFE_SAFETY = frozenset({"fire_panel", "door", "leak_sensor", "sensor", "bmc", "hall", "site"})
COOLING = frozenset({"cdu", "pump", "chiller", "crah"})


def refusals(situation: Situation) -> tuple[Refusal, ...]:
    """Every reason against the action now; empty: it may run. It is rehearsed only where nothing else speaks against
    it."""
    names = (*ALWAYS, *(ON_SITE if situation.spec.touches_site else ()), *situation.spec.interlocks)
    found = tuple(refusal for name in names for refusal in GUARDS[name](situation))
    return found or tuple(refusal for name in LAST for refusal in GUARDS[name](situation))


def hindrance(action: Action, site: Site, read: Read, now: datetime) -> Refusal | None:
    """The first of the action's own interlocks that would refuse it as the site is now; None where none would, or
    where nothing is read of its asset."""
    if read(action.asset) is None:
        return None
    situation = Situation(action=action, site=site, now=now, read=read)
    return next((found for name in situation.spec.interlocks for found in GUARDS[name](situation)), None)


def check(situation: Situation) -> None:
    """Raises ActionRefused with the first reason, and how many more there are."""
    found = refusals(situation)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ActionRefused(found[0].what + more, where=f"{situation.action.name} ({found[0].guard})",
                            remedy=found[0].remedy)  # fmt: skip


def not_stopped(s: Situation) -> Iterator[Refusal]:
    if s.stopped:
        yield Refusal("not_stopped", f"all actions are stopped: {s.stopped}", "Release the stop first")


def rate_limit(s: Situation) -> Iterator[Refusal]:
    if s.done_last_hour >= s.per_asset_per_hour:
        yield Refusal(
            "rate_limit",
            f"{s.done_last_hour} actions on {s.action.asset} in the last hour, at most {s.per_asset_per_hour} allowed",
            "Wait, or act by hand",
        )


def fresh_telemetry(s: Situation) -> Iterator[Refusal]:
    reading = s.read(s.action.asset)
    if reading is None or not reading.values:
        yield Refusal(
            "fresh_telemetry", f"no telemetry of {s.action.asset}", "Restore its telemetry, or act by hand"
        )
        return
    age = age_s(reading, s.now)
    if not -CLOCK_SKEW_S <= age <= s.telemetry_max_age_s:
        yield Refusal(
            "fresh_telemetry",
            f"telemetry of {s.action.asset} is {age:.0f} s old, at most {s.telemetry_max_age_s:.0f} s allowed",
            "Restore its telemetry, or act by hand",
        )


def no_maintenance(s: Situation) -> Iterator[Refusal]:
    window = s.site.in_maintenance(s.action.asset, s.now)
    if window:
        yield Refusal(
            "no_maintenance",
            f"{s.action.asset} is in maintenance until {window.end:%Y-%m-%d %H:%MZ} ({window.what or 'no reason given'})",
            "People work on it: ask them, or wait until the window ends",
        )


def ramp_limit(s: Situation) -> Iterator[Refusal]:
    for ramp in s.spec.ramps:
        step = s.limit(ramp.limit, ramp.step)
        now_at, asked = s.metric(ramp.metric), s.arg(ramp.arg)
        if abs(asked - now_at) > step + 1e-9:
            to = now_at + step if asked > now_at else now_at - step
            yield Refusal("ramp_limit", f"{ramp.arg} from {now_at:g} to {asked:g} is a step of {abs(asked - now_at):g},"
                          f" at most {step:g} allowed at once", f"Go to {to:g} first")  # fmt: skip


def _serves(s: Situation, node: str) -> bool:
    """Healthy with fresh readings; what cannot be read does not count as capacity."""
    reading = s.read(node)
    if reading is None or age_s(reading, s.now) > s.telemetry_max_age_s:
        return False
    state = reading.values
    wanted = s.site.spec(node, NodeSpec).gpus
    return (
        state.get("up", 0.0) == 1.0
        and state.get("drained", 0.0) == 0.0
        and state.get("gpus_ok", 0.0) >= wanted
    )


def pools_on(site: Site, node: str) -> list[str]:
    """Services that a node carries: it runs no batch job then."""
    return [asset.name for asset in site.assets if asset.kind == "service" and node in asset.on]


def pool_keeps_a_node(s: Situation) -> Iterator[Refusal]:
    node = s.action.asset
    if not _serves(s, node):
        return
    for pool in pools_on(s.site, node):
        found = s.site.find(pool)
        others = [n for n in (found.on if found else ()) if n != node and n in s.below(n, "gpu_node")]
        if not any(_serves(s, other) for other in others):
            yield Refusal(
                "pool_keeps_a_node",
                f"{node} is the last healthy node of {pool}",
                "Bring another node of the pool back first",
            )


def idle_before_reset(s: Situation) -> Iterator[Refusal]:
    load_pct = 100 * s.metric("load_pu", 1.0)
    if load_pct > 5:
        yield Refusal(
            "idle_before_reset",
            f"{s.action.asset} still works at {load_pct:.0f}% load, at most 5% allowed",
            f"Drain {s.action.asset} first",
        )


def not_in_pool(s: Situation) -> Iterator[Refusal]:
    pools = pools_on(s.site, s.action.asset)
    if pools:
        yield Refusal(
            "not_in_pool",
            f"{s.action.asset} serves {', '.join(pools)} and runs no batch job",
            "Use drain_node for a serving node",
        )


def smaller_than_now(s: Situation) -> Iterator[Refusal]:
    choices = next(arg.choices for arg in s.spec.args if arg.name == "model")
    now_at, asked = int(s.metric("model_rank", 0.0)), choices.index(str(s.action.args["model"]))
    if asked <= now_at:
        yield Refusal(
            "smaller_than_now",
            f"{s.action.asset} serves the {choices[now_at]} model; {choices[asked]} is not smaller",
            f"Choose one of: {', '.join(choices[now_at + 1 :]) or 'none is left'}",
        )


def flow_carries_heat(s: Situation) -> Iterator[Refusal]:
    """At the asked flow the coolant must not rise by more than twice its design rise."""
    heat_kw = s.metric("heat_kw")
    most_k = 2 * s.limit("coolant_delta_t_design_c", 10.0)
    asked, needed = s.arg("flow_lpm"), physics.coolant_flow_lpm(heat_kw, most_k)
    if asked < needed:
        rise = physics.coolant_delta_t_k(heat_kw, asked)
        yield Refusal(
            "flow_carries_heat",
            f"{heat_kw:.0f} kW at {asked:g} LPM raises the coolant by {rise:.0f} K, at most {most_k:g} K allowed",
            f"Choose at least {needed:.0f} LPM",
        )


def _leaking(s: Situation, asset: str) -> list[str]:
    """Leak sensors with water that stand on this asset or below it, and its own leak reading."""
    wet = [name for name in s.below(asset, "leak_sensor") if s.metric("wet", 0.0, name) > 0]
    shut = [
        name for name in wet if any(s.metric("valve_open", 1.0, on) == 0.0 for on in s.site.by_name[name].on)
    ]
    return [name for name in wet if name not in shut]


def no_flow_into_leak(s: Situation) -> Iterator[Refusal]:
    leaks = _leaking(s, s.action.asset)
    if leaks and s.arg("flow_lpm") > s.metric("flow_setpoint_lpm"):
        yield Refusal(
            "no_flow_into_leak",
            f"{', '.join(leaks)} reports water; more flow feeds the leak",
            "Isolate the leak first (close_leak_valve)",
        )


def above_dew_point(s: Situation) -> Iterator[Refusal]:
    """The coolant stays above the dew point of every hall it stands in; unknown air refuses."""
    margin = s.limit("dew_point_margin_c", 2.0)
    for hall in [
        name for name in s.site.upstream(s.action.asset) if (f := s.site.find(name)) and f.kind == "hall"
    ]:
        air = s.read(hall)
        if air is None or age_s(air, s.now) > s.telemetry_max_age_s or "humidity_pct" not in air.values:
            yield Refusal(
                "above_dew_point", f"no fresh air temperature and humidity of {hall}", "Restore its sensor"
            )
            continue
        dew_c = physics.dew_point_c(air.values["temp_c"], air.values["humidity_pct"])
        if s.arg("temp_c") < dew_c + margin:
            yield Refusal(
                "above_dew_point",
                f"{s.arg('temp_c'):g} C asked; the dew point in {hall} is {dew_c:.1f} C and {margin:g} K margin are kept",
                f"Choose at least {dew_c + margin:.1f} C",
            )


def pump_can_start(s: Situation) -> Iterator[Refusal]:
    if s.metric("failed") > 0:
        yield Refusal(
            "pump_can_start", f"{s.action.asset} itself has failed", "Repair it, or cap the GPUs of the loop"
        )
    if s.metric("running") > 0:
        yield Refusal(
            "pump_can_start", f"{s.action.asset} runs already", "Look for another cause of the low flow"
        )
    for loop in s.below(s.action.asset, "cdu"):
        if s.metric("valve_open", 1.0, loop) == 0.0:
            yield Refusal("pump_can_start", f"the valve of {loop} is closed; the pump would run dry against it",
                          "Open the valve first")  # fmt: skip


def no_pump_into_leak(s: Situation) -> Iterator[Refusal]:
    leaks = [leak for loop in s.below(s.action.asset, "cdu") for leak in _leaking(s, loop)]
    if leaks:
        yield Refusal(
            "no_pump_into_leak",
            f"{', '.join(leaks)} reports water; a started pump feeds the leak",
            "Isolate the leak first (close_leak_valve)",
        )


def capped_before_valve(s: Situation) -> Iterator[Refusal]:
    hot = [
        node
        for node in s.below(s.action.asset, "gpu_node")
        if _cooled_by_liquid(s, node)
        and s.metric("up", 1.0, node) == 1.0
        and s.metric("drained", 0.0, node) == 0.0
        and s.metric("power_cap_w", 700.0, node) > VALVE_CLOSE_GPU_W
    ]
    if hot:
        yield Refusal(
            "capped_before_valve",
            f"{len(hot)} nodes behind the valve run uncapped ({', '.join(hot[:4])}{', ...' if len(hot) > 4 else ''})",
            f"Drain them or cap their GPUs at {VALVE_CLOSE_GPU_W:g} W first",
        )


def _cooled_by_liquid(s: Situation, node: str) -> bool:
    return any((found := s.site.find(name)) and found.kind == "cdu" for name in s.site.upstream(node))


def soc_stays_above_min(s: Situation) -> Iterator[Refusal]:
    """The reserve is kept for ride-through, unless a feed is lost: then the storage may go to its minimum."""
    feeds = [asset.name for asset in s.site.assets if asset.kind == "feed"]
    lost = [name for name in feeds if s.metric("available", 1.0, name) == 0.0]
    low = s.limit("soc_min_pct", 10.0) if lost else s.limit("soc_reserve_pct", s.limit("soc_min_pct", 10.0))
    after = _soc_after(s, s.arg("power_kw"))
    if after < low:
        yield Refusal(
            "soc_stays_above_min",
            f"charge would end at {after:.0f}%, at least {low:g}% is kept",
            "Discharge at less power or for less time",
        )


def soc_stays_below_max(s: Situation) -> Iterator[Refusal]:
    high, after = s.limit("soc_max_pct", 90.0), _soc_after(s, -s.arg("power_kw"))
    if after > high:
        yield Refusal(
            "soc_stays_below_max",
            f"charge would end at {after:.0f}%, at most {high:g}% allowed",
            "Charge at less power or for less time",
        )


def _soc_after(s: Situation, power_kw: float) -> float:
    capacity_kwh = s.metric("capacity_kwh", s.limit("ess_capacity_kwh", 200.0))
    return physics.soc_after(s.metric("soc_pct"), power_kw, 60 * s.arg("duration_min"), capacity_kwh)


def feed_has_headroom(s: Situation) -> Iterator[Refusal]:
    feeds = [asset.name for asset in s.site.assets if asset.kind == "feed"]
    load = sum(s.metric("load_kw", 0.0, name) for name in feeds) + s.arg("power_kw")
    most = s.limit("site_power_max_kw", float("inf"))
    if load > most:
        yield Refusal(
            "feed_has_headroom",
            f"the site would draw {load:.0f} kW, at most {most:g} kW allowed",
            "Charge at less power, or when load is lower",
        )


def not_life_safety(s: Situation) -> Iterator[Refusal]:
    touched = (s.action.asset, *s.site.downstream(s.action.asset))
    kinds = {name: found.kind for name in touched if (found := s.site.find(name))}
    safety = [name for name, kind in kinds.items() if kind in LIFE_SAFETY - {"sensor", "leak_sensor", "bmc"}]
    cooling = [name for name, kind in kinds.items() if kind in COOLING]
    for names, what in ((safety, "life safety and access"), (cooling, "cooling")):
        if names:
            yield Refusal(
                "not_life_safety",
                f"{', '.join(names)} ({what}) would lose power; {what} is never shed",
                "Shed a serving pool or batch work instead",
            )


def not_for_many(s: Situation) -> Iterator[Refusal]:
    touched = (s.action.asset, *s.site.downstream(s.action.asset))
    held = [found.name for name in touched if (found := s.site.find(name)) and found.tier != "standard"]
    if held:
        yield Refusal(
            "not_for_many",
            f"{', '.join(held[:4])} is shared or serves a VIP tenant",
            "Shed standard work first",
        )


def rehearsed_safe(s: Situation) -> Iterator[Refusal]:
    """The rehearsal finds no limit that the action would break with more than its bound allows.

    A chance that is high without the action and that the action lowers, or leaves as it is, is no reason against it:
    in an emergency it must still be possible to act. What cannot be rehearsed is left to the other guards.
    """
    rehearsal = s.rehearse(s.action) if s.spec.touches_site else None
    if rehearsal is not None and rehearsal.refused:
        what, _, better = rehearsal.refused.partition("; ")
        yield Refusal("rehearsed_safe", what, f"{better[:1].upper()}{better[1:]}")


GUARDS: dict[str, Guard] = {
    guard.__name__: guard
    for guard in (
        not_stopped, rate_limit, fresh_telemetry, no_maintenance, ramp_limit, pool_keeps_a_node, idle_before_reset,
        not_in_pool, smaller_than_now, flow_carries_heat, no_flow_into_leak, above_dew_point, pump_can_start,
        no_pump_into_leak, capped_before_valve, soc_stays_above_min, soc_stays_below_max, feed_has_headroom,
        not_life_safety, not_for_many, rehearsed_safe, *LOOP_GUARDS,
    )
}  # fmt: skip
ALWAYS = ("not_stopped", "rate_limit")
ON_SITE = ("fresh_telemetry", "no_maintenance", "ramp_limit")
LAST = ("rehearsed_safe",)
"""Guards that cost a second: asked when all others agree."""
