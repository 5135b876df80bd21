"""The energy plan as it is shown: curves, moves, savings, risks, facts and notes, all from one outlook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from plant.control.energy.placement import SMALLER, smaller_model
from plant.control.energy.pool_plan import Step, chance_above
from setpoint.contracts.loops import Curve, Forecast, LoopPlan, Move, Risk, Saving, SolverNote, Trouble, Watch
from setpoint.contracts.site import Site
from tools.loops.energy_site import placements

if TYPE_CHECKING:
    from tools.loops.energy_loop import PoolOutlook

BASELINE = "all nodes at full clock"
NEAR_STEPS = 6
SHOWN_LATER = 8
"""Changes of later cycles that a plan shows."""


@dataclass(frozen=True)
class Outlook:
    """All that the plan says."""

    pools: tuple[PoolOutlook, ...]
    put_off: int
    """Changes that wait for the next cycle, so that few are asked for at once."""
    step_s: float
    cycle_s: float
    other_kw: float | None
    """What the site draws besides the pools; None where it is not read."""
    seconds: float = 0.0
    """What the search took."""


def plan_of(
    site: Site, watch: Watch, forecasts: tuple[Forecast, ...], outlook: Outlook, horizon_s: float
) -> LoopPlan:
    """The plan. Without a pool that can be planned it changes nothing and says so."""
    if not outlook.pools:
        return LoopPlan(
            loop="energy", site=site.name, made=watch.at, horizon_s=horizon_s, forecasts=forecasts,
            headline="Nothing is changed: no pool can be planned for.", troubles=(_nothing(site),),
        )  # fmt: skip
    saving = _energy(outlook)
    cap = tuple(_cap_moves(site, watch, outlook))
    moves = (*_due_moves(watch, outlook), *cap, *_later_moves(watch, outlook))
    return LoopPlan(
        loop="energy", site=site.name, made=watch.at, horizon_s=horizon_s, headline=_headline(outlook, saving),
        forecasts=forecasts, curves=tuple(c for pool in outlook.pools for c in _curves(pool, watch, outlook.step_s)),
        moves=moves, savings=(saving, _carbon(site, saving)), risks=tuple(_risk(pool) for pool in outlook.pools),
        troubles=tuple(_short(pool, outlook.step_s) for pool in outlook.pools if pool.path.short.any()),
        facts=_facts(site, outlook, saving), notes=tuple(_notes(site, outlook)),
        solver=SolverNote(method="search over nodes and clocks", status="optimal", seconds=outlook.seconds),
    )  # fmt: skip


def clock_mhz(pool: PoolOutlook, share: float) -> float:
    """A share of the maximal clock in MHz, rounded to 15, the step GPU clocks are set in."""
    return 15.0 * round(share * pool.model.gpu.clock_max_mhz / 15.0)


# ---- parts -----------------------------------------------------------------------------------------------------


def _curves(pool: PoolOutlook, watch: Watch, step_s: float) -> Iterator[Curve]:
    name, path, model = pool.model.name, pool.path, pool.model
    full = [float(model.nodes)] * len(path.nodes)
    rows = (
        ("nodes", f"Nodes of {name} that serve", "", path.nodes, full),
        ("clock_mhz", f"Clock of {name}", "MHz", [clock_mhz(pool, c) for c in path.clocks_pu],
         [model.gpu.clock_max_mhz] * len(full)),
        ("power_kw", f"Power of {name}", "kW", path.power_kw, path.full_kw),
    )  # fmt: skip
    for key, title, unit, planned, without in rows:
        yield Curve(
            name=f"{name}.{key}", title=title, unit=unit, start=watch.at, step_s=step_s,
            planned=tuple(float(v) for v in planned), without=tuple(float(v) for v in without),
        )  # fmt: skip


def _due_moves(watch: Watch, outlook: Outlook) -> Iterator[Move]:
    for pool in outlook.pools:
        for step in pool.steps:
            yield _move(pool, step, watch)


def _move(pool: PoolOutlook, step: Step, watch: Watch) -> Move:
    name, (nodes, clock) = pool.model.name, pool.now
    expected, high = pool.near
    saves = f"{step.saves_kw:.0f} kW at the expected rate" if step.saves_kw > 0 else ""
    asked = f"{high:.1f} requests a second are provided for within the hour ({expected:.1f} are expected now)"
    if step.what == "nodes":
        wanted = int(step.value)
        now = f"{nodes} serve now"
        why = f"{asked}; {wanted} nodes carry them, {now}"
        return Move(
            at=watch.at, action="scale_pool", asset=name, args={"nodes": wanted}, why=f"{why}.", saves=saves
        )
    mhz = clock_mhz(pool, step.value)
    why = f"{asked}; {mhz:.0f} MHz carries them, {clock_mhz(pool, clock):.0f} MHz is set now"
    return Move(
        at=watch.at, action="lock_pool_clock", asset=name, args={"clock_mhz": mhz}, why=f"{why}.", saves=saves
    )


def _later_moves(watch: Watch, outlook: Outlook) -> list[Move]:
    """How the numbers of nodes go on, at the turns to come; each is planned anew before it is proposed."""
    turn = round(outlook.cycle_s / outlook.step_s)
    found = []
    for pool in outlook.pools:
        last = int(pool.path.nodes[0])
        for k in range(turn, len(pool.path.nodes), turn):
            nodes = int(pool.path.nodes[k])
            if nodes != last:
                rate = pool.forecast.expected[k]
                found.append(Move(
                    at=watch.at + timedelta(seconds=k * outlook.step_s), action="scale_pool", asset=pool.model.name,
                    args={"nodes": nodes}, why=f"{rate:.1f} requests a second are expected then, and {nodes} nodes carry them.",
                ))  # fmt: skip
                last = nodes
    return sorted(found, key=lambda move: move.at)[:SHOWN_LATER]


def _cap_moves(site: Site, watch: Watch, outlook: Outlook) -> Iterator[Move]:
    """Where the site would pass its contracted power within the hour: the pool of least priority takes a smaller model,
    if that is enough."""
    over_kw = _over_cap_kw(site, outlook)
    if over_kw <= 0.0:
        return
    for pool in sorted(outlook.pools, key=lambda p: site.pool(p.model.name).priority):
        expected, high = pool.near
        drawn = float(pool.path.power_kw[:NEAR_STEPS].max())
        found = smaller_model(pool.model, expected, high, drawn - over_kw)
        if found.model != "large" and found.fits:
            yield Move(
                at=watch.at, action="switch_to_smaller_model", asset=pool.model.name, args={"model": found.model},
                why=f"The site would pass its contracted power by {over_kw:.0f} kW; the {found.model} model of "
                f"{pool.model.name} draws {found.saves_kw:.0f} kW less and costs about {found.quality_points:.0f} points of quality.",
                saves=f"{found.saves_kw:.0f} kW",
            )  # fmt: skip
            return


def _over_cap_kw(site: Site, outlook: Outlook) -> float:
    """How far the site would pass its contracted power within the hour; 0 where it does not, or nothing is read."""
    cap_kw = site.limits.get("site_power_max_kw")
    if cap_kw is None or outlook.other_kw is None:
        return 0.0
    pools_kw = sum(float(pool.path.power_kw[:NEAR_STEPS].max()) for pool in outlook.pools)
    return max(0.0, outlook.other_kw + pools_kw - cap_kw)


def _energy(outlook: Outlook) -> Saving:
    planned, whole = np.sum([pool.path.energy_kwh(outlook.step_s) for pool in outlook.pools], axis=0)
    at = [[_saved_kwh(pool, rates, outlook.step_s) for pool in outlook.pools]
          for rates in ("low", "high")]  # fmt: skip
    ends = sorted((float(sum(at[0])), float(sum(at[1])), float(whole - planned)))
    return Saving(
        what="energy", unit="kWh", planned=float(planned), baseline=float(whole), baseline_name=BASELINE,
        low=ends[0], high=ends[2],
    )  # fmt: skip


def _saved_kwh(pool: PoolOutlook, end: str, step_s: float) -> float:
    """What the plan saves should the rates be at that end of the forecast; nodes and clocks as planned."""
    model, rates = pool.model, getattr(pool.forecast, end)
    kept = zip(rates, pool.path.nodes, pool.path.clocks_pu, strict=True)
    return (
        sum(model.power_kw(r, model.nodes, 1.0) - model.power_kw(r, int(n), c) for r, n, c in kept)
        * step_s
        / 3600.0
    )


def _carbon(site: Site, energy: Saving) -> Saving:
    per_kwh = site.tariff.carbon_g_per_kwh / 1000.0
    return Saving(
        what="carbon", unit="kg", planned=energy.planned * per_kwh, baseline=energy.baseline * per_kwh,
        baseline_name=BASELINE, low=(energy.low or 0.0) * per_kwh, high=(energy.high or 0.0) * per_kwh,
    )  # fmt: skip


def _risk(pool: PoolOutlook) -> Risk:
    model, forecast = pool.model, pool.forecast
    nodes, clock = _after(pool)
    chance = max(
        chance_above(forecast.expected[k], forecast.high[k], forecast.level, model.capacity_rps(nodes, clock))
        for k in range(min(3, len(forecast.expected)))
    )
    without = max(
        chance_above(
            forecast.expected[k], forecast.high[k], forecast.level, model.capacity_rps(model.nodes, 1.0)
        )
        for k in range(min(3, len(forecast.expected)))
    )
    return Risk(
        what=f"Time to first token of {model.name} is missed before the next cycle", chance=round(chance, 6), without=round(without, 6),
        limit=f"{model.capacity_rps(nodes, clock):.1f} requests a second on {nodes} nodes at {clock_mhz(pool, clock):.0f} MHz",
    )  # fmt: skip


def _after(pool: PoolOutlook) -> tuple[int, float]:
    """Nodes and clock once what is due is done."""
    nodes = next((int(s.value) for s in pool.steps if s.what == "nodes"), pool.now[0])
    clock = next((s.value for s in pool.steps if s.what == "clock"), pool.now[1])
    return nodes, clock


def _headline(outlook: Outlook, saving: Saving) -> str:
    asked = [_asked(pool, step) for pool in outlook.pools for step in pool.steps]
    saved = f"{saving.saved:,.0f} kWh ({saving.saved_pu:.0%}) against {BASELINE}"
    if not asked:
        return f"No change is due; the plan of the coming hours saves {saved}."
    listed = " and ".join(asked) if len(asked) < 3 else ", ".join(asked[:-1]) + f" and {asked[-1]}"
    return f"{listed[:1].upper()}{listed[1:]}; with what follows this saves {saved}."


def _asked(pool: PoolOutlook, step: Step) -> str:
    name = pool.model.name
    if step.what == "clock":
        return f"{'raise' if step.raises else 'lower'} the clock of {name} to {clock_mhz(pool, step.value):.0f} MHz"
    return f"serve {name} with {int(step.value)} of {pool.model.nodes} nodes"


def _short(pool: PoolOutlook, step_s: float) -> Trouble:
    first = int(np.argmax(pool.path.short))
    model = pool.model
    return Trouble(
        kind="infeasible", asset=model.name, metric="arrival_rps", blocks=False,
        what=f"{model.name} may be asked {pool.high[first]:.1f} requests a second in {first * step_s / 3600:.1f} h; its "
        f" {model.nodes} nodes carry {model.capacity_rps(model.nodes, 1.0):.1f} within the time to first token",
        instead="keeps all its nodes at full clock then", remedy="Add nodes, allow a smaller model, or shed requests",
    )  # fmt: skip


def _nothing(site: Site) -> Trouble:
    return Trouble(
        kind="missing", what=f"No pool of {site.name} has both readings and a forecast",
        instead="leaves nodes and clocks as they are", remedy="Check what reads the pools",
    )  # fmt: skip


def _facts(site: Site, outlook: Outlook, saving: Saving) -> dict[str, str]:
    found = {
        "saved energy": f"{saving.saved:,.0f} kWh", "saved share": f"{saving.saved_pu:.0%}",
        "planned energy": f"{saving.planned:,.0f} kWh", "energy with all nodes at full clock": f"{saving.baseline:,.0f} kWh",
    }  # fmt: skip
    for pool in outlook.pools:
        name, (nodes, clock) = pool.model.name, pool.now
        expected, high = pool.near
        found |= {
            f"{name} nodes now": f"{nodes}", f"{name} nodes": f"{pool.model.nodes}",
            f"{name} clock now": f"{clock_mhz(pool, clock):.0f} MHz",
            f"{name} expected": f"{expected:.1f} requests a second", f"{name} provided for": f"{high:.1f} requests a second",
            f"{name} load allowed": f"{pool.model.load_most_pu:.0%}",
        }  # fmt: skip
        for step in pool.steps:
            said = f"{int(step.value)}" if step.what == "nodes" else f"{clock_mhz(pool, step.value):.0f} MHz"
            found[f"{name} {step.what} wanted"] = said
            found[f"{name} {step.what} saves"] = f"{step.saves_kw:.0f} kW"
    over_kw = _over_cap_kw(site, outlook)
    if over_kw > 0:
        found["over contracted power"] = f"{over_kw:.0f} kW"
    return found


def _notes(site: Site, outlook: Outlook) -> Iterator[str]:
    yield (
        "Steps beyond the next hour are planned with the next hour's uncertainty, since each is planned anew before it comes."
    )
    yield "A parked node stays on and draws its rest power; its weights are loaded again before it serves."
    if outlook.put_off:
        yield f"{outlook.put_off} more changes wait for the next cycle, so that few are asked for at once."
    for pool in outlook.pools:
        yield (
            f"{pool.model.name} is filled to {pool.model.load_most_pu:.0%} of what it can serve, so that one request in a "
            "hundred at most misses its deadline when what is provided for comes."
        )
    yield from placements(site)
    lost = ", ".join(f"{name} about {points:.0f} points" for name, _, points in SMALLER)
    yield f"A smaller model costs quality ({lost} of MMLU) and is proposed only under the contracted power."
